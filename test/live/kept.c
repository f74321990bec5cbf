/* What a client's key stands for is remembered for longer than the rest, in a real server.
 * protocol.md, "How long". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "test/lib/orders.h"
#include "test/lib/sweeps.h"

extern const struct library payment_library, order_library;

/* What a client's key stands for is answered as before when its record's first copy has been
 * dropped, and acts if it never did; what no key stands for is refused then. The books balance all
 * the same. */
static void test_kept(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_kept_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS),
               *plain = id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS);
    const char *never = id_kept_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS),
               *bucket = bucket_of("payment", old);
    (void)state;
    sweeps_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket, "payment:user:u", old, "u", "5");
    sweeps_all(s, "payment", 500);
    assert_string_equal(rig_ask(s, "EXISTS", bucket), "0");
    rig_expect(s, "paid|u|5||95", "FCALL", "payment_pay", "2", bucket, "payment:user:u", old, "u",
               "5");
    rig_expect(s, RIG_TOO_OLD, "FCALL", "payment_pay", "2", bucket, "payment:user:u", plain, "u",
               "5");
    rig_expect(s, RIG_TOO_OLD, "FCALL", "payment_charge", "1", bucket, text_of("%s:1:charge", old),
               "u", "5");
    rig_expect(s, "paid|u|7||88", "FCALL", "payment_pay", "2", bucket_of("payment", never),
               "payment:user:u", never, "u", "7");
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    sweeps_all(s, "payment", 500);
    rig_expect(s, "paid|u|7||88", "FCALL", "payment_pay", "2", bucket_of("payment", never),
               "payment:user:u", never, "u", "7");
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "credit"), "88");
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "funded"), "88");
    rig_free(s);
}

/* A chunk of a batch is remembered as long as its batch. */
static void test_kept_chunk(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *batch = id_kept_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS),
               *bucket = bucket_of("payment", batch);
    const char *chunk = text_of("%s:0", batch);
    (void)state;
    sweeps_young(s, "payment");
    rig_ask(s, "FCALL", "payment_init", "1", bucket, chunk, "0", "2", "9", "gen");
    rig_ask(s, "HINCRBY", "payment:user:1", "credit", "-4");
    sweeps_all(s, "payment", 500);
    assert_string_equal(rig_ask(s, "EXISTS", bucket), "0");
    rig_expect(s, "created", "FCALL", "payment_init", "1", bucket, chunk, "0", "2", "9", "gen");
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    assert_string_equal(rig_ask(s, "HGET", "payment:user:1", "credit"), "5");
    rig_free(s);
}

/* What is kept for clients goes too, a bucket at a time, and is refused from then on; not what an
 * open saga may need. */
static void test_kept_is_dropped(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *first = id_kept_at(sweeps_now_ms() - 20 * SWEEPS_DAY_MS);
    const char *second = id_kept_at(sweeps_now_ms() - 18 * SWEEPS_DAY_MS);
    char keep[24], clock[24];
    (void)state;
    sweeps_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket_of("payment", first), "payment:user:u", first,
            "u", "5");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket_of("payment", second), "payment:user:u", second,
            "u", "5");
    snprintf(keep, sizeof(keep), "%lld", (long long)sweeps_bucket_number("payment", second));
    snprintf(clock, sizeof(clock), "%s", sweeps_step(s, "payment", keep, "", SWEEPS_ANY, 500, "0"));
    for (int i = 0; i < 8; i++) {
        sweeps_step(s, "payment", keep, clock, SWEEPS_ANY, 500, "0");
    }
    assert_string_equal(rig_ask(s, "GET", "payment:kept:floor"), keep);
    assert_string_equal(rig_ask(s, "ZRANGE", "payment:kept:buckets", "0", "-1"),
                        sweeps_bucket_name("payment", second));
    sweeps_all(s, "payment", 500);
    assert_string_equal(rig_ask(s, "ZCARD", "payment:kept:buckets"), "0");
    assert_string_equal(rig_ask(s, "KEYS", "payment:kept:0*"), "");
    rig_expect(s, RIG_TOO_OLD, "FCALL", "payment_pay", "2", bucket_of("payment", second),
               "payment:user:u", second, "u", "5");
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "credit"), "90");
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "funded"), "90");
    rig_free(s);
}

/* A checkout that came under a key to somebody else's saga is told that one's end a day later, too,
 * when another attempt has followed and the saga's own records have been dropped. Who came without
 * a key, or to a saga of which nothing is left, is refused and not told that there was no such
 * order. */
static void test_kept_attached(void **state)
{
    struct rig *s = rig_new(&order_library);
    int64_t old_ms = sweeps_now_ms() - 9 * SWEEPS_DAY_MS;
    const char *saga = id_at(old_ms), *with_key = id_kept_at(old_ms), *without = id_at(old_ms);
    const char *own = id_kept_at(old_ms);
    (void)state;
    orders_create(s, id_at(old_ms), "o", "u");
    orders_add(s, id_at(old_ms), "o", "i", "1", "1");
    assert_string_equal(orders_checkout(s, saga, "o", old_ms), "begun");
    assert_string_equal(orders_checkout(s, without, "o", old_ms), "running");
    assert_string_equal(orders_checkout(s, with_key, "o", old_ms), "running");
    orders_move(s, "o", saga, "1", "CHARGING", "FAILED", "no", old_ms);
    assert_string_equal(orders_checkout(s, own, "o", old_ms), "begun");
    orders_move(s, "o", own, "2", "CHARGING", "FAILED", "nor now", old_ms);
    assert_string_equal(orders_checkout(s, id_at(old_ms), "o", old_ms), "begun");
    rig_ask(s, "DEL", "test:ms");
    sweeps_young(s, "order");
    sweeps_all(s, "order", 500);
    assert_string_equal(rig_ask(s, "EXISTS", bucket_of("order", saga)), "0");
    assert_string_equal(orders_checkout(s, with_key, "o", sweeps_now_ms()), "failed");
    assert_string_equal(orders_at(s, 0, RECORD_SAGA), saga);
    assert_string_equal(orders_at(s, 0, RECORD_REASON), "no");
    assert_string_equal(orders_checkout(s, own, "o", sweeps_now_ms()), "failed");
    assert_string_equal(orders_at(s, 0, RECORD_REASON), "nor now");
    struct args c = {0};
    orders_checkout_build(&c, without, "o");
    rig_expect_command(s, RIG_TOO_OLD, &c);
    rig_wait(s);
    args_free(&c);
    rig_ask(s, "DEL", text_of("order:kept:%s", sweeps_bucket_name("order", saga)));
    rig_ask(s, "HSET", text_of("order:kept:%s", sweeps_bucket_name("order", saga)), with_key,
            text_of("begun|o|%s", saga));
    orders_checkout_build(&c, with_key, "o");
    rig_expect_command(s, RIG_TOO_OLD, &c);
    rig_wait(s);
    args_free(&c);
    assert_int_equal(rig_misanswered(s), 0);
    rig_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_kept_chunk),
        cmocka_unit_test(test_kept_is_dropped),
        cmocka_unit_test(test_kept_attached),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
