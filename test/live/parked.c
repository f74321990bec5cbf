/* What the broker room parks in a real RabbitMQ, what RabbitMQ parks by itself, and how it is seen.
 * See test/lib/courier.h for where RabbitMQ is, and what is lost there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "runtime/stat.h"
#include "test/lib/courier.h"

/* A parked message lies in the parked queue as it came, with its reason. */
static void broker_parks_with_reason(void **state)
{
    struct courier *c = *state;
    struct buf body = {0};
    struct buf reason = {0};
    courier_begin(c);
    broker_park(c->broker, QUEUE_STOCK, SLICE_TEXT("{\"v\":9}"), "an unknown version",
                courier_on_confirm, c);
    assert_int_equal(broker_unconfirmed(c->broker), 1);
    courier_turn_until(c, c->confirmed == 1);
    courier_take(c, "kassa.stock.parked", false, &body, &reason);
    assert_string_equal(body.data, "{\"v\":9}");
    assert_string_equal(reason.data, "an unknown version");
    buf_free(&body);
    buf_free(&reason);
}

/* What a consumer rejects, and what is larger than any envelope, ends in the parked queue. */
static void broker_parks_dead_letters(void **state)
{
    struct courier *c = *state;
    struct buf body = {0};
    struct buf reason = {0};
    courier_begin(c);
    courier_put(c, "kassa.payment", "poison", 6);
    courier_take(c, "kassa.payment", true, &body, &reason);
    buf_reset(&body);
    courier_take(c, "kassa.payment.parked", false, &body, &reason);
    assert_string_equal(body.data, "poison");
    broker_free(c->broker);

    c->broker = broker_new(c->loop, &c->conf, "test", &message_schema, &queues_topology);
    broker_consume(c->broker, QUEUE_PAYMENT, courier_on_delivery, c);
    const size_t large_bytes = 5 << 20;
    char *large = mem_new(large_bytes);
    courier_put(c, "kassa.payment", large, large_bytes);
    free(large);
    courier_turn_until(c, courier_count(c, "kassa.payment.parked") == 1);
    assert_int_equal(c->deliveries, 0);
    buf_free(&body);
    buf_free(&reason);
}

/* What the broker has parked by itself is seen: at each connect, and now and then. */
static void broker_sees_what_is_parked(void **state)
{
    struct courier *c = *state;
    struct stat_value *seen =
        stat_gauge("kassa_parked_messages", "queue=\"kassa.saga.parked\"", "");
    struct buf body = {0}, reason = {0};
    c->is_acking = false;
    courier_begin_consuming(c, QUEUE_SAGA);
    courier_put(c, "kassa.saga.parked", "poison", 6);
    courier_put(c, "kassa.saga.parked", "poison", 6);
    courier_turn_until(c, courier_count(c, "kassa.saga.parked") == 2);
    courier_send(c, QUEUE_SAGA, 3);
    courier_turn_until(c, c->deliveries > 0);
    assert_true(courier_cut(c) > 0);
    courier_turn_until(c, stat_get(seen) == 2);
    courier_take(c, "kassa.saga.parked", false, &body, &reason);
    courier_turn_until(c, stat_get(seen) == 1);
    buf_free(&body);
    buf_free(&reason);
}

int main(void)
{
#define LIVE_TEST(name) cmocka_unit_test_setup_teardown(name, courier_setup, courier_teardown)
    const struct CMUnitTest tests[] = {
        LIVE_TEST(broker_parks_with_reason),
        LIVE_TEST(broker_parks_dead_letters),
        LIVE_TEST(broker_sees_what_is_parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
