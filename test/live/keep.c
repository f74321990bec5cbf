/* Which records open sagas need, and that all others go by themselves, in a real server.
 * protocol.md, "How long". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/names.h"
#include "consumer/keep.h"
#include "consumer/sweep.h"
#include "test/lib/orders.h"
#include "test/lib/sweeps.h"

extern const struct library order_library;

/* The oldest open saga is found, a part at a time; one that cannot be read may be of any age. */
static void test_oldest(void **state)
{
    struct rig *s = rig_new(&order_library);
    char oldest[24], cursor[24] = "0";
    int64_t began_ms = sweeps_now_ms() - 600000, found = INT64_MAX;
    (void)state;
    for (int i = 0; i < 300; i++) {
        const char *order = text_of("o%d", i);
        const char *saga = id_at(began_ms + i % 7 * 1000 + (i == 211 ? -5000 : 0));
        orders_create(s, id_at(sweeps_now_ms()), order, "u");
        orders_add(s, id_at(sweeps_now_ms()), order, "i", "1", "1");
        assert_string_equal(orders_checkout(s, saga, order, began_ms), "begun");
    }
    do {
        rig_ask(s, "FCALL", "order_oldest", "1", "order:open", cursor, "50");
        snprintf(cursor, sizeof(cursor), "%s", rig_at(s, 1));
        snprintf(oldest, sizeof(oldest), "%s", rig_at(s, 2));
        if (oldest[0] != '\0' && strtoll(oldest, NULL, 10) < found) {
            found = strtoll(oldest, NULL, 10);
        }
    } while (strcmp(cursor, "0") != 0);
    assert_int_equal(found, began_ms + 211 % 7 * 1000 - 5000);
    rig_ask(s, "DEL", "order:open");
    rig_ask(s, "ZADD", "order:open", "1", "o1");
    rig_ask(s, "HSET", "order:order:o1", "journal", "garbage");
    rig_ask(s, "FCALL", "order_oldest", "1", "order:open", "0", "50");
    assert_string_equal(rig_at(s, 2), "0");
    rig_free(s);
}

static void order_sweep(void *ctx, struct args *c, const char *seen, int64_t rise_ms,
                        const char *cursor)
{
    char keep[24] = "";
    int64_t bucket;
    if (keep_from(ctx, &bucket)) {
        snprintf(keep, sizeof(keep), "%lld", (long long)bucket);
    }
    once_sweep(c, &order_library, sweeps_life, keep, seen, rise_ms, SWEEP_LIMIT, cursor);
}

/* A process finds and drops what is old by itself, when it knows that no saga needs it. */
static void test_timer(void **state)
{
    struct rig *s = rig_new(&order_library);
    const char *old = id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS);
    const char *bucket = bucket_of("order", old);
    int64_t until_ms = loop_now_ms(rig_loop(s)) + 40 * SWEEP_MS;
    (void)state;
    sweeps_young(s, "order");
    orders_checkout(s, old, "none", sweeps_now_ms());
    assert_string_equal(rig_ask(s, "HLEN", bucket), "1");
    struct keep *keep = keep_new(rig_loop(s), rig_store(s), &order_library, rig_store(s), 75);
    struct keep *other = keep_new(rig_loop(s), NULL, NULL, rig_store(s), 75);
    struct sweep *sweep = sweep_new(rig_loop(s), rig_store(s), order_sweep, keep);
    int64_t bucket_of_owner, bucket_of_other;
    while (loop_now_ms(rig_loop(s)) < until_ms &&
           (rig_ask(s, "EXISTS", bucket)[0] != '0' || !keep_from(other, &bucket_of_other))) {
        loop_turn(rig_loop(s), true);
    }
    assert_string_equal(rig_ask(s, "EXISTS", bucket), "0");
    assert_string_equal(rig_ask(s, "ZCARD", "order:buckets"), "1");
    assert_true(keep_from(keep, &bucket_of_owner) && keep_from(other, &bucket_of_other));
    assert_true(bucket_of_other <= bucket_of_owner && bucket_of_other > bucket_of_owner - 10);
    sweep_free(sweep);
    rig_wait(s);
    keep_free(keep);
    keep_free(other);
    rig_free(s);
}

/* Who has the journal and has just started goes on from what was said last, and not from nothing
 * until the delay is over: else records would live for as long as processes start anew. */
static void test_keep_is_heard(void **state)
{
    struct rig *s = rig_new(&order_library);
    int64_t until_ms = loop_now_ms(rig_loop(s)) + 10000, bucket;
    (void)state;
    rig_ask(s, "SET", KEY.kassa_keep, "4711");
    struct keep *keep =
        keep_new(rig_loop(s), rig_store(s), &order_library, rig_store(s), KEEP_DELAY_MS);
    while (loop_now_ms(rig_loop(s)) < until_ms && !keep_from(keep, &bucket)) {
        loop_turn(rig_loop(s), true);
    }
    assert_true(keep_from(keep, &bucket));
    assert_int_equal(bucket, 4711);
    rig_wait(s);
    keep_free(keep);
    rig_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest),
        cmocka_unit_test(test_timer),
        cmocka_unit_test(test_keep_is_heard),
    };
    return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
