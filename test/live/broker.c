/* The broker room against a real RabbitMQ: RABBITMQ_NODES, _USER, _PASSWORD, _VHOST tell where.
 * The virtual host must be this test's own: its queues are purged and deleted here.
 *
 *   tested: struct broker --> RabbitMQ <-- side: a plain connection of the test's own, that looks
 *   at queues, deletes them and puts odd messages into them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "runtime/stat.h"
#include "test/lib/given.h"

#define COMMANDS_MAX 200000
#define PATIENCE_MS  20000

struct fixture {
    struct broker_conf conf;
    int port; /* of the node, to find its connections */
    struct loop *loop;
    struct loop_timer *tick; /* so that waiting for a turn always ends */
    struct broker *broker;
    amqp_connection_state_t side;

    bool is_acking;
    unsigned sent;
    unsigned confirmed;
    unsigned seen[COMMANDS_MAX]; /* how often the command of this number was delivered */
    unsigned seen_distinct;
    unsigned in_order; /* commands 0..in_order-1 arrived first in this order */
    unsigned deliveries;
    unsigned redeliveries;
    struct broker_delivery last;
};

/* ---- the side connection ---- */

static void side_check(struct fixture *f)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(f->side);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail_msg("the side connection failed: %s",
                 reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION
                     ? amqp_error_string2(reply.library_error)
                     : "refused by the broker");
    }
}

static void side_open(struct fixture *f)
{
    char host[256];
    assert_true(conf_node(f->conf.rabbitmq_nodes, 0, host, sizeof(host), &f->port));
    f->side = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(f->side);
    assert_int_equal(amqp_socket_open(socket, host, f->port), AMQP_STATUS_OK);
    amqp_login(f->side, f->conf.rabbitmq_vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
               f->conf.rabbitmq_user, f->conf.rabbitmq_password);
    amqp_channel_open(f->side, 1);
    side_check(f);
}

static void side_close(struct fixture *f)
{
    amqp_destroy_connection(f->side);
}

static void side_purge(struct fixture *f)
{
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        enum queue queue = (enum queue)q;
        amqp_queue_purge(f->side, 1, amqp_cstring_bytes(queues_text(queue)));
        side_check(f);
        amqp_queue_purge(f->side, 1, amqp_cstring_bytes(queues_parked_text(queue)));
        side_check(f);
    }
}

static void side_delete(struct fixture *f, const char *queue)
{
    amqp_queue_delete(f->side, 1, amqp_cstring_bytes(queue), 0, 0);
    side_check(f);
}

static unsigned side_count(struct fixture *f, const char *queue)
{
    amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(f->side, 1, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    side_check(f);
    return ok->message_count;
}

static void side_put(struct fixture *f, const char *queue, const void *data, size_t bytes)
{
    amqp_bytes_t body = {bytes, (void *)(uintptr_t)data};
    assert_int_equal(amqp_basic_publish(f->side, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 0,
                                        0, NULL, body),
                     AMQP_STATUS_OK);
}

/* Takes one message that must be there within some seconds; gives its reason ("" for none). */
static void side_take(struct fixture *f, const char *queue, bool is_rejected, struct buf *ret_body,
                      struct buf *ret_reason)
{
    amqp_rpc_reply_t reply;
    amqp_basic_get_empty_t *nothing = NULL;
    for (int i = 0; i < 200; i++) {
        reply = amqp_basic_get(f->side, 1, amqp_cstring_bytes(queue), 0);
        assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
        if (reply.reply.id == AMQP_BASIC_GET_OK_METHOD) {
            break;
        }
        nothing = reply.reply.decoded;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    (void)nothing;
    assert_int_equal(reply.reply.id, AMQP_BASIC_GET_OK_METHOD);
    uint64_t tag = ((amqp_basic_get_ok_t *)reply.reply.decoded)->delivery_tag;
    amqp_message_t message;
    assert_int_equal(amqp_read_message(f->side, 1, &message, 0).reply_type, AMQP_RESPONSE_NORMAL);
    buf_add(ret_body, message.body.bytes, message.body.len);
    buf_add_text(ret_reason, "");
    for (int i = 0; i < message.properties.headers.num_entries; i++) {
        amqp_table_entry_t *entry = &message.properties.headers.entries[i];
        if (slice_is((struct slice){entry->key.bytes, entry->key.len}, "x-kassa-reason")) {
            buf_add(ret_reason, entry->value.value.bytes.bytes, entry->value.value.bytes.len);
        }
    }
    amqp_destroy_message(&message);
    if (is_rejected) {
        amqp_basic_reject(f->side, 1, tag, 0);
    } else {
        amqp_basic_ack(f->side, 1, tag, 0);
    }
}

/* ---- the tested side ---- */

static void tick(void *ctx)
{
    (void)ctx;
}

static void on_confirm(void *ctx)
{
    ((struct fixture *)ctx)->confirmed++;
}

static void on_delivery(void *ctx, const struct broker_delivery *delivery)
{
    struct fixture *f = ctx;
    struct envelope *e;
    const char *detail;
    assert_int_equal(envelope_read(&message_schema, delivery->body, &e, &detail), 0);
    for (unsigned i = 0; i < envelope_count(e); i++) {
        int64_t number = envelope_at(e, i)->count;
        assert_true(number >= 0 && number < COMMANDS_MAX);
        f->seen_distinct += f->seen[number]++ == 0;
        f->in_order += number == f->in_order;
    }
    envelope_free(e);
    f->deliveries++;
    f->redeliveries += delivery->redelivered;
    f->last = *delivery;
    if (f->is_acking) {
        broker_ack_up_to(f->broker, delivery->epoch, delivery->tag);
    }
}

static void send_commands(struct fixture *f, enum queue queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(f->sent < COMMANDS_MAX);
        struct message m = {.type = MESSAGE_PAYMENT_INIT};
        char id[64];
        snprintf(id, sizeof(id), "0193a000-0000-7000-8000-%012u:1:init", f->sent);
        message_set(&m, id, slice_from(id));
        message_set(&m, gateway, SLICE_TEXT("gateway-0193a000-0000-7000-8000-000000000001"));
        message_set(&m, count, (int64_t)f->sent);
        message_set(&m, credit, 1);
        broker_send(f->broker, queue, &m, on_confirm, f);
        f->sent++;
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#define turn_until(f, claim)                                                                       \
    do {                                                                                           \
        int64_t until_ms = now_ms() + PATIENCE_MS;                                                 \
        while (!(claim) && now_ms() < until_ms) {                                                  \
            loop_turn((f)->loop, true);                                                            \
        }                                                                                          \
        if (!(claim)) {                                                                            \
            fail_msg("never: %s (sent %u, confirmed %u, seen %u)", #claim, (f)->sent,              \
                     (f)->confirmed, (f)->seen_distinct);                                          \
        }                                                                                          \
    } while (0)

static void turn_for(struct fixture *f, int64_t ms)
{
    int64_t until_ms = now_ms() + ms;
    while (now_ms() < until_ms) {
        loop_turn(f->loop, true);
    }
}

/* Breaks every connection of this process to the node but the side's, without a goodbye. */
static unsigned cut_connections(struct fixture *f)
{
    unsigned cut = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof(peer);
        if (fd != amqp_get_sockfd(f->side) &&
            getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == f->port) {
            shutdown(fd, SHUT_RDWR);
            cut++;
        }
    }
    return cut;
}

static int64_t stat_of(const char *name)
{
    return stat_get(stat_counter(name, "", ""));
}

/* Who consumes declares, so somebody has to have been there; what is confirmed has a queue. */
static void declare_all(struct fixture *f)
{
    f->broker = broker_new(f->loop, &f->conf, "test", &message_schema, &queues_topology);
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        broker_consume(f->broker, (enum queue)q, on_delivery, f);
        send_commands(f, (enum queue)q, 1);
    }
    turn_until(f, f->confirmed == f->sent);
    broker_free(f->broker);
    side_purge(f);
    f->sent = f->confirmed = f->seen_distinct = f->in_order = f->deliveries = f->redeliveries = 0;
    memset(f->seen, 0, sizeof(f->seen));
}

static void broker_begin(struct fixture *f)
{
    declare_all(f);
    f->broker = broker_new(f->loop, &f->conf, "test", &message_schema, &queues_topology);
    turn_until(f, broker_is_up(f->broker));
}

/* The consuming link is made at the first broker_consume, before the first turn. */
static void broker_begin_consuming(struct fixture *f, enum queue queue)
{
    broker_begin(f);
    broker_free(f->broker);
    f->broker = broker_new(f->loop, &f->conf, "test", &message_schema, &queues_topology);
    broker_consume(f->broker, queue, on_delivery, f);
    turn_until(f, broker_is_up(f->broker));
}

static int fixture_setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    given_load(&broker_conf_table, (conf_lookup *)getenv, &f->conf);
    f->is_acking = true;
    f->loop = loop_new();
    f->tick = loop_timer_new(f->loop, tick, NULL);
    loop_timer_start(f->tick, 10, 10);
    side_open(f);
    *state = f;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    broker_free(f->broker);
    loop_timer_free(f->tick);
    loop_free(f->loop);
    side_close(f);
    free(f);
    return 0;
}

/* ---- the tests ---- */

/* What is sent is confirmed, arrives once and in order, and is gone once it is acknowledged. */
static void broker_carries_commands(void **state)
{
    struct fixture *f = *state;
    broker_begin_consuming(f, QUEUE_PAYMENT);
    for (unsigned turn = 0; turn < 100; turn++) {
        send_commands(f, QUEUE_PAYMENT, 20);
        loop_turn(f->loop, false);
    }
    turn_until(f, f->confirmed == f->sent && f->seen_distinct == f->sent);
    assert_int_equal(f->in_order, f->sent);
    assert_int_equal(broker_unconfirmed(f->broker), 0);
    turn_for(f, 50);
    broker_free(f->broker);
    f->broker = NULL;
    turn_for(f, 200);
    assert_int_equal(side_count(f, "kassa.payment"), 0);
}

/* An idle broker lets a single command go at once. */
static void broker_does_not_wait_to_fill_envelopes(void **state)
{
    struct fixture *f = *state;
    broker_begin_consuming(f, QUEUE_PAYMENT);
    send_commands(f, QUEUE_PAYMENT, 1);
    turn_until(f, f->confirmed == 1 && f->seen_distinct == 1);
    int64_t begin_ms = now_ms();
    for (unsigned i = 2; i <= 101; i++) {
        send_commands(f, QUEUE_PAYMENT, 1);
        turn_until(f, f->confirmed == i && f->seen_distinct == i);
    }
    int64_t took_ms = now_ms() - begin_ms;
    print_message("one command alone: %.2f ms\n", (double)took_ms / 100);
    assert_true(took_ms < 2000);
}

/* Under a window of one envelope, the commands of many turns travel in few envelopes. */
static void broker_coalesces_over_the_window(void **state)
{
    struct fixture *f = *state;
    f->conf.window_envelopes = 1;
    f->conf.envelope_commands_max = 100;
    broker_begin_consuming(f, QUEUE_STOCK);
    int64_t before = stat_of("kassa_broker_published_envelopes_total");
    for (unsigned turn = 0; turn < 400; turn++) {
        send_commands(f, QUEUE_STOCK, 5);
        loop_turn(f->loop, false);
    }
    turn_until(f, f->confirmed == f->sent && f->seen_distinct == f->sent);
    assert_int_equal(f->in_order, f->sent);
    int64_t envelopes = stat_of("kassa_broker_published_envelopes_total") - before;
    print_message("%u commands of 400 turns in %lld envelopes\n", f->sent, (long long)envelopes);
    assert_true(envelopes >= 20 && envelopes < 300);
}

/* A queue that was deleted behind our back gets what was sent to it when its consumer is back. */
static void broker_keeps_what_has_no_queue(void **state)
{
    struct fixture *f = *state;
    broker_begin(f);
    int64_t returned = stat_of("kassa_broker_returned_total");
    side_delete(f, "kassa.stock");
    send_commands(f, QUEUE_STOCK, 10);
    turn_until(f, stat_of("kassa_broker_returned_total") > returned);
    turn_for(f, 500);
    assert_int_equal(f->confirmed, 0);
    send_commands(f, QUEUE_SAGA, 1); /* others are not held up */
    turn_until(f, f->confirmed == 1);
    struct broker *consumer =
        broker_new(f->loop, &f->conf, "test", &message_schema, &queues_topology);
    broker_consume(consumer, QUEUE_STOCK, on_delivery, f);
    turn_until(f, f->confirmed == f->sent && f->seen_distinct == 10);
    broker_free(consumer);
}

/* A consumer whose queue was deleted subscribes to the new one. */
static void broker_survives_cancelled_consumer(void **state)
{
    struct fixture *f = *state;
    broker_begin_consuming(f, QUEUE_ORDER);
    send_commands(f, QUEUE_ORDER, 10);
    turn_until(f, f->seen_distinct == 10);
    side_delete(f, "kassa.order");
    send_commands(f, QUEUE_ORDER, 10);
    turn_until(f, f->confirmed == 20 && f->seen_distinct == 20);
}

/* Connections that break while commands are on their way cost nothing but repetition. */
static void broker_survives_cut_connections(void **state)
{
    struct fixture *f = *state;
    f->conf.window_envelopes = 8;
    broker_begin_consuming(f, QUEUE_PAYMENT);
    int64_t reconnects = stat_of("kassa_broker_reconnects_total");
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned turn = 0; turn < 200; turn++) {
            send_commands(f, QUEUE_PAYMENT, 5);
            loop_turn(f->loop, false);
        }
        turn_until(f, broker_is_up(f->broker));
        send_commands(f, QUEUE_PAYMENT, 500);
        loop_turn(f->loop, false);
        assert_true(cut_connections(f) > 0);
    }
    turn_until(f, f->confirmed == f->sent && f->seen_distinct == f->sent);
    assert_int_equal(broker_unconfirmed(f->broker), 0);
    assert_true(stat_of("kassa_broker_reconnects_total") >= reconnects + 5);
}

/* What was not acknowledged comes again after a break, and an old tag acknowledges nothing. */
static void broker_delivers_unacknowledged_again(void **state)
{
    struct fixture *f = *state;
    f->is_acking = false;
    f->conf.envelope_commands_max = 1;
    broker_begin_consuming(f, QUEUE_SAGA);
    send_commands(f, QUEUE_SAGA, 50);
    turn_until(f, f->deliveries == 50);
    struct broker_delivery old = f->last;
    assert_true(cut_connections(f) > 0);
    turn_until(f, f->redeliveries == 50);
    assert_true(f->last.epoch > old.epoch);
    broker_ack_up_to(f->broker, old.epoch, old.tag + 1000);
    turn_for(f, 50);
    assert_true(cut_connections(f) > 0);
    turn_until(f, f->redeliveries == 100);
    broker_ack_up_to(f->broker, f->last.epoch, f->last.tag);
    turn_for(f, 200);
    assert_true(cut_connections(f) > 0);
    turn_for(f, 1500);
    assert_int_equal(f->redeliveries, 100);
}

/* Prefetch bounds what is out, and one acknowledgement covers all before it. */
static void broker_acknowledges_many_at_once(void **state)
{
    struct fixture *f = *state;
    f->is_acking = false;
    f->conf.envelope_commands_max = 1;
    f->conf.rabbitmq_prefetch = 10;
    broker_begin_consuming(f, QUEUE_SAGA);
    send_commands(f, QUEUE_SAGA, 30);
    turn_until(f, f->confirmed == 30 && f->deliveries == 10);
    turn_for(f, 100);
    assert_int_equal(f->deliveries, 10);
    broker_ack_up_to(f->broker, f->last.epoch, f->last.tag);
    turn_until(f, f->deliveries == 20);
    broker_ack_up_to(f->broker, f->last.epoch, f->last.tag);
    turn_until(f, f->deliveries == 30);
}

/* After the stop nothing new is delivered, and what was can still be acknowledged. */
static void broker_stops_consuming(void **state)
{
    struct fixture *f = *state;
    f->is_acking = false;
    broker_begin_consuming(f, QUEUE_STOCK);
    send_commands(f, QUEUE_STOCK, 1);
    turn_until(f, f->deliveries == 1);
    broker_consume_stop(f->broker);
    turn_for(f, 100);
    send_commands(f, QUEUE_STOCK, 1);
    turn_until(f, f->confirmed == 2);
    turn_for(f, 200);
    assert_int_equal(f->deliveries, 1);
    broker_ack_up_to(f->broker, f->last.epoch, f->last.tag);
    turn_for(f, 100);
    broker_free(f->broker);
    f->broker = NULL;
    turn_for(f, 200);
    assert_int_equal(side_count(f, "kassa.stock"), 1);
}

/* A parked message lies in the parked queue as it came, with its reason. */
static void broker_parks_with_reason(void **state)
{
    struct fixture *f = *state;
    struct buf body = {0};
    struct buf reason = {0};
    broker_begin(f);
    broker_park(f->broker, QUEUE_STOCK, SLICE_TEXT("{\"v\":9}"), "an unknown version", on_confirm,
                f);
    assert_int_equal(broker_unconfirmed(f->broker), 1);
    turn_until(f, f->confirmed == 1);
    side_take(f, "kassa.stock.parked", false, &body, &reason);
    assert_string_equal(body.data, "{\"v\":9}");
    assert_string_equal(reason.data, "an unknown version");
    buf_free(&body);
    buf_free(&reason);
}

/* What a consumer rejects, and what is larger than any envelope, ends in the parked queue. */
static void broker_parks_dead_letters(void **state)
{
    struct fixture *f = *state;
    struct buf body = {0};
    struct buf reason = {0};
    broker_begin(f);
    side_put(f, "kassa.payment", "poison", 6);
    side_take(f, "kassa.payment", true, &body, &reason);
    buf_reset(&body);
    side_take(f, "kassa.payment.parked", false, &body, &reason);
    assert_string_equal(body.data, "poison");
    broker_free(f->broker);

    f->broker = broker_new(f->loop, &f->conf, "test", &message_schema, &queues_topology);
    broker_consume(f->broker, QUEUE_PAYMENT, on_delivery, f);
    const size_t large_bytes = 5 << 20;
    char *large = mem_new(large_bytes);
    side_put(f, "kassa.payment", large, large_bytes);
    free(large);
    turn_until(f, side_count(f, "kassa.payment.parked") == 1);
    assert_int_equal(f->deliveries, 0);
    buf_free(&body);
    buf_free(&reason);
}

/* What the broker has parked by itself is seen: at each connect, and now and then. */
static void broker_sees_what_is_parked(void **state)
{
    struct fixture *f = *state;
    struct stat_value *seen =
        stat_gauge("kassa_parked_messages", "queue=\"kassa.saga.parked\"", "");
    struct buf body = {0}, reason = {0};
    f->is_acking = false;
    broker_begin_consuming(f, QUEUE_SAGA);
    side_put(f, "kassa.saga.parked", "poison", 6);
    side_put(f, "kassa.saga.parked", "poison", 6);
    turn_until(f, side_count(f, "kassa.saga.parked") == 2);
    send_commands(f, QUEUE_SAGA, 3);
    turn_until(f, f->deliveries > 0);
    assert_true(cut_connections(f) > 0);
    turn_until(f, stat_get(seen) == 2);
    side_take(f, "kassa.saga.parked", false, &body, &reason);
    turn_until(f, stat_get(seen) == 1);
    buf_free(&body);
    buf_free(&reason);
}

/* A node that is not there is passed over. */
static void broker_tries_next_node(void **state)
{
    struct fixture *f = *state;
    char nodes[CONF_TEXT_MAX];
    snprintf(nodes, sizeof(nodes), "127.0.0.1:1,127.0.0.1:1,%.200s", f->conf.rabbitmq_nodes);
    memcpy(f->conf.rabbitmq_nodes, nodes, sizeof(nodes));
    broker_begin(f);
    send_commands(f, QUEUE_SAGA, 1);
    turn_until(f, f->confirmed == 1);
}

/* A broker can be given up at any stage of its life. */
static void broker_is_freed_in_any_state(void **state)
{
    struct fixture *f = *state;
    for (unsigned turns = 0; turns < 40; turns++) {
        struct broker *b = broker_new(f->loop, &f->conf, "test", &message_schema, &queues_topology);
        broker_consume(b, QUEUE_ORDER, on_delivery, f);
        f->broker = b;
        send_commands(f, QUEUE_SAGA, 3);
        for (unsigned i = 0; i < turns; i++) {
            loop_turn(f->loop, i % 2 == 0);
        }
        broker_free(b);
        f->broker = NULL;
    }
    broker_free(NULL);
}

/* How much goes through; no claim, as machines differ. */
static void broker_throughput(void **state)
{
    struct fixture *f = *state;
    broker_begin_consuming(f, QUEUE_PAYMENT);
    int64_t begin_ms = now_ms();
    while (f->sent < COMMANDS_MAX) {
        if (broker_unconfirmed(f->broker) < 20000) {
            send_commands(f, QUEUE_PAYMENT, 2000);
        }
        loop_turn(f->loop, broker_unconfirmed(f->broker) >= 20000);
    }
    turn_until(f, f->confirmed == f->sent && f->seen_distinct == f->sent);
    int64_t took_ms = now_ms() - begin_ms;
    print_message("%u commands sent, confirmed, delivered and acknowledged: %lld a second\n",
                  f->sent, (long long)(f->sent * INT64_C(1000) / took_ms));
}

int main(void)
{
#define LIVE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
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
        LIVE_TEST(broker_parks_with_reason),
        LIVE_TEST(broker_parks_dead_letters),
        LIVE_TEST(broker_sees_what_is_parked),
        LIVE_TEST(broker_tries_next_node),
        LIVE_TEST(broker_is_freed_in_any_state),
        LIVE_TEST(broker_throughput),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
