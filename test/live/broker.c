/* The broker room against a real RabbitMQ: it carries commands, and survives what happens to
 * queues, connections and nodes. See test/lib/courier.h for where RabbitMQ is, and what is lost
 * there. What is parked is in parked.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "test/lib/courier.h"

/* What is sent is confirmed, arrives once and in order, and is gone once it is acknowledged. */
static void broker_carries_commands(void **state)
{
    struct courier *c = *state;
    courier_begin_consuming(c, QUEUE_PAYMENT);
    for (unsigned turn = 0; turn < 100; turn++) {
        courier_send(c, QUEUE_PAYMENT, 20);
        loop_turn(c->loop, false);
    }
    courier_turn_until(c, c->confirmed == c->sent && c->seen_distinct == c->sent);
    assert_int_equal(c->in_order, c->sent);
    assert_int_equal(broker_unconfirmed(c->broker), 0);
    courier_turn_for(c, 50);
    broker_free(c->broker);
    c->broker = NULL;
    courier_turn_for(c, 200);
    assert_int_equal(courier_count(c, "kassa.payment"), 0);
}

/* An idle broker lets a single command go at once. */
static void broker_does_not_wait_to_fill_envelopes(void **state)
{
    struct courier *c = *state;
    courier_begin_consuming(c, QUEUE_PAYMENT);
    courier_send(c, QUEUE_PAYMENT, 1);
    courier_turn_until(c, c->confirmed == 1 && c->seen_distinct == 1);
    int64_t begin_ms = courier_clock_ms();
    for (unsigned i = 2; i <= 101; i++) {
        courier_send(c, QUEUE_PAYMENT, 1);
        courier_turn_until(c, c->confirmed == i && c->seen_distinct == i);
    }
    int64_t took_ms = courier_clock_ms() - begin_ms;
    print_message("one command alone: %.2f ms\n", (double)took_ms / 100);
    assert_true(took_ms < 2000);
}

/* Under a window of one envelope, the commands of many turns travel in few envelopes. */
static void broker_coalesces_over_the_window(void **state)
{
    struct courier *c = *state;
    c->conf.window_envelopes = 1;
    c->conf.envelope_commands_max = 100;
    courier_begin_consuming(c, QUEUE_STOCK);
    int64_t before = courier_stat("kassa_broker_published_envelopes_total");
    for (unsigned turn = 0; turn < 400; turn++) {
        courier_send(c, QUEUE_STOCK, 5);
        loop_turn(c->loop, false);
    }
    courier_turn_until(c, c->confirmed == c->sent && c->seen_distinct == c->sent);
    assert_int_equal(c->in_order, c->sent);
    int64_t envelopes = courier_stat("kassa_broker_published_envelopes_total") - before;
    print_message("%u commands of 400 turns in %lld envelopes\n", c->sent, (long long)envelopes);
    assert_true(envelopes >= 20 && envelopes < 300);
}

/* A queue that was deleted behind our back gets what was sent to it when its consumer is back. */
static void broker_keeps_what_has_no_queue(void **state)
{
    struct courier *c = *state;
    courier_begin(c);
    int64_t returned = courier_stat("kassa_broker_returned_total");
    courier_delete(c, "kassa.stock");
    courier_send(c, QUEUE_STOCK, 10);
    courier_turn_until(c, courier_stat("kassa_broker_returned_total") > returned);
    courier_turn_for(c, 500);
    assert_int_equal(c->confirmed, 0);
    courier_send(c, QUEUE_SAGA, 1); /* others are not held up */
    courier_turn_until(c, c->confirmed == 1);
    struct broker *consumer =
        broker_new(c->loop, &c->conf, "test", &message_schema, &queues_topology);
    broker_consume(consumer, QUEUE_STOCK, courier_on_delivery, c);
    courier_turn_until(c, c->confirmed == c->sent && c->seen_distinct == 10);
    broker_free(consumer);
}

/* A consumer whose queue was deleted subscribes to the new one. */
static void broker_survives_cancelled_consumer(void **state)
{
    struct courier *c = *state;
    courier_begin_consuming(c, QUEUE_ORDER);
    courier_send(c, QUEUE_ORDER, 10);
    courier_turn_until(c, c->seen_distinct == 10);
    courier_delete(c, "kassa.order");
    courier_send(c, QUEUE_ORDER, 10);
    courier_turn_until(c, c->confirmed == 20 && c->seen_distinct == 20);
}

/* Connections that break while commands are on their way cost nothing but repetition. */
static void broker_survives_cut_connections(void **state)
{
    struct courier *c = *state;
    c->conf.window_envelopes = 8;
    courier_begin_consuming(c, QUEUE_PAYMENT);
    int64_t reconnects = courier_stat("kassa_broker_reconnects_total");
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned turn = 0; turn < 200; turn++) {
            courier_send(c, QUEUE_PAYMENT, 5);
            loop_turn(c->loop, false);
        }
        courier_turn_until(c, broker_is_up(c->broker));
        courier_send(c, QUEUE_PAYMENT, 500);
        loop_turn(c->loop, false);
        assert_true(courier_cut(c) > 0);
    }
    courier_turn_until(c, c->confirmed == c->sent && c->seen_distinct == c->sent);
    assert_int_equal(broker_unconfirmed(c->broker), 0);
    assert_true(courier_stat("kassa_broker_reconnects_total") >= reconnects + 5);
}

/* What was not acknowledged comes again after a break, and an old tag acknowledges nothing. */
static void broker_delivers_unacknowledged_again(void **state)
{
    struct courier *c = *state;
    c->is_acking = false;
    c->conf.envelope_commands_max = 1;
    courier_begin_consuming(c, QUEUE_SAGA);
    courier_send(c, QUEUE_SAGA, 50);
    courier_turn_until(c, c->deliveries == 50);
    struct broker_delivery old = c->last;
    assert_true(courier_cut(c) > 0);
    courier_turn_until(c, c->redeliveries == 50);
    assert_true(c->last.epoch > old.epoch);
    broker_ack_up_to(c->broker, old.epoch, old.tag + 1000);
    courier_turn_for(c, 50);
    assert_true(courier_cut(c) > 0);
    courier_turn_until(c, c->redeliveries == 100);
    broker_ack_up_to(c->broker, c->last.epoch, c->last.tag);
    courier_turn_for(c, 200);
    assert_true(courier_cut(c) > 0);
    courier_turn_for(c, 1500);
    assert_int_equal(c->redeliveries, 100);
}

/* Prefetch bounds what is out, and one acknowledgement covers all before it. */
static void broker_acknowledges_many_at_once(void **state)
{
    struct courier *c = *state;
    c->is_acking = false;
    c->conf.envelope_commands_max = 1;
    c->conf.rabbitmq_prefetch = 10;
    courier_begin_consuming(c, QUEUE_SAGA);
    courier_send(c, QUEUE_SAGA, 30);
    courier_turn_until(c, c->confirmed == 30 && c->deliveries == 10);
    courier_turn_for(c, 100);
    assert_int_equal(c->deliveries, 10);
    broker_ack_up_to(c->broker, c->last.epoch, c->last.tag);
    courier_turn_until(c, c->deliveries == 20);
    broker_ack_up_to(c->broker, c->last.epoch, c->last.tag);
    courier_turn_until(c, c->deliveries == 30);
}

/* After the stop nothing new is delivered, and what was can still be acknowledged. */
static void broker_stops_consuming(void **state)
{
    struct courier *c = *state;
    c->is_acking = false;
    courier_begin_consuming(c, QUEUE_STOCK);
    courier_send(c, QUEUE_STOCK, 1);
    courier_turn_until(c, c->deliveries == 1);
    broker_consume_stop(c->broker);
    courier_turn_for(c, 100);
    courier_send(c, QUEUE_STOCK, 1);
    courier_turn_until(c, c->confirmed == 2);
    courier_turn_for(c, 200);
    assert_int_equal(c->deliveries, 1);
    broker_ack_up_to(c->broker, c->last.epoch, c->last.tag);
    courier_turn_for(c, 100);
    broker_free(c->broker);
    c->broker = NULL;
    courier_turn_for(c, 200);
    assert_int_equal(courier_count(c, "kassa.stock"), 1);
}

/* A node that is not there is passed over. */
static void broker_tries_next_node(void **state)
{
    struct courier *c = *state;
    char nodes[CONF_TEXT_MAX];
    snprintf(nodes, sizeof(nodes), "127.0.0.1:1,127.0.0.1:1,%.200s", c->conf.rabbitmq_nodes);
    memcpy(c->conf.rabbitmq_nodes, nodes, sizeof(nodes));
    courier_begin(c);
    courier_send(c, QUEUE_SAGA, 1);
    courier_turn_until(c, c->confirmed == 1);
}

/* A broker can be given up at any stage of its life. */
static void broker_is_freed_in_any_state(void **state)
{
    struct courier *c = *state;
    for (unsigned turns = 0; turns < 40; turns++) {
        struct broker *b = broker_new(c->loop, &c->conf, "test", &message_schema, &queues_topology);
        broker_consume(b, QUEUE_ORDER, courier_on_delivery, c);
        c->broker = b;
        courier_send(c, QUEUE_SAGA, 3);
        for (unsigned i = 0; i < turns; i++) {
            loop_turn(c->loop, i % 2 == 0);
        }
        broker_free(b);
        c->broker = NULL;
    }
    broker_free(NULL);
}

/* How much goes through; no claim, as machines differ. */
static void broker_throughput(void **state)
{
    struct courier *c = *state;
    courier_begin_consuming(c, QUEUE_PAYMENT);
    int64_t begin_ms = courier_clock_ms();
    while (c->sent < COURIER_COMMANDS_MAX) {
        if (broker_unconfirmed(c->broker) < 20000) {
            courier_send(c, QUEUE_PAYMENT, 2000);
        }
        loop_turn(c->loop, broker_unconfirmed(c->broker) >= 20000);
    }
    courier_turn_until(c, c->confirmed == c->sent && c->seen_distinct == c->sent);
    int64_t took_ms = courier_clock_ms() - begin_ms;
    print_message("%u commands sent, confirmed, delivered and acknowledged: %lld a second\n",
                  c->sent, (long long)(c->sent * INT64_C(1000) / took_ms));
}

int main(void)
{
#define LIVE_TEST(name) cmocka_unit_test_setup_teardown(name, courier_setup, courier_teardown)
    const struct CMUnitTest tests[] = {
        LIVE_TEST(broker_carries_commands),
        LIVE_TEST(broker_does_not_wait_to_fill_envelopes),
        LIVE_TEST(broker_coalesces_over_the_window),
        LIVE_TEST(broker_keeps_what_has_no_queue),
        LIVE_TEST(broker_survives_cancelled_consumer),
        LIVE_TEST(broker_survives_cut_connections),
        LIVE_TEST(broker_delivers_unacknowledged_again),
        LIVE_TEST(broker_acknowledges_many_at_once),
        LIVE_TEST(broker_stops_consuming),
        LIVE_TEST(broker_tries_next_node),
        LIVE_TEST(broker_is_freed_in_any_state),
        LIVE_TEST(broker_throughput),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
