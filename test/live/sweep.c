/* Old records are dropped, and the books stay balanced: payment, stock and order, in a real
 * server. What the sweep is for: protocol.md, "How long". What is kept for clients: kept.c; what
 * open sagas need: keep.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "test/lib/sweeps.h"

extern const struct library payment_library, stock_library, order_library;

#define AMOUNT_MAX "9223372036854775807"

/* Charges, refunds and payments of nine days ago are dropped; funded = credit + what is left. */
static void test_payment(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS),
               *young = id_at(sweeps_now_ms() - 6 * SWEEPS_DAY_MS);
    const char *old_bucket = bucket_of("payment", old);
    const char *young_bucket = bucket_of("payment", young);
    (void)state;
    sweeps_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", old_bucket, text_of("%s:1:charge", old), "u", "10");
    rig_ask(s, "FCALL", "payment_charge", "1", old_bucket, text_of("%s:2:charge", old), "u", "7");
    rig_ask(s, "FCALL", "payment_refund", "2", old_bucket, "payment:user:u",
            text_of("%s:2:charge-undo", old), text_of("%s:2:charge", old));
    rig_ask(s, "FCALL", "payment_pay", "2", old_bucket, "payment:user:u", old, "u", "5");
    rig_ask(s, "FCALL", "payment_charge", "1", young_bucket, text_of("%s:1:charge", young), "u",
            "20");
    assert_true(sweeps_all(s, "payment", 500) >= 1);
    assert_string_equal(rig_ask(s, "EXISTS", old_bucket), "0");
    assert_string_equal(rig_ask(s, "HLEN", young_bucket), "1");
    assert_string_equal(rig_ask(s, "ZCARD", "payment:buckets"), "2");
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "credit"), "65");
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "funded"), "85"); /* 65 + 20 */
    rig_free(s);
}

/* All the credit there is, charged, given back and charged again: no step of the sweep leads
 * `funded` out of int64, however the records lie. */
static void test_all_there_is(void **state)
{
    struct rig *s = rig_new(&payment_library);
    (void)state;
    rig_ask(s, "CONFIG", "SET", "hash-max-listpack-entries", "0"); /* those keep their order */
    sweeps_young(s, "payment");
    for (int64_t i = 0; i < 64; i++) {
        const char *user = text_of("u%d", (int)i), *key = text_of("payment:user:%s", user);
        const char *old = id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS + i);
        const char *bucket = bucket_of("payment", old);
        rig_ask(s, "HSET", key, "credit", AMOUNT_MAX, "funded", AMOUNT_MAX);
        for (int attempt = 1; attempt <= 3; attempt++) {
            const char *charge = text_of("%s:%d:charge", old, attempt);
            rig_ask(s, "FCALL", "payment_charge", "1", bucket, charge, user, AMOUNT_MAX);
            assert_string_equal(rig_ask(s, "HGET", key, "credit"), "0");
            if (attempt < 3) {
                rig_ask(s, "FCALL", "payment_refund", "2", bucket, key, text_of("%s-undo", charge),
                        charge);
            }
        }
    }
    assert_true(sweeps_all(s, "payment", 2) >= 1);
    assert_string_equal(rig_ask(s, "ZCARD", "payment:buckets"), "1");
    assert_string_equal(rig_ask(s, "EXISTS", "payment:unfolded"), "0");
    for (int i = 0; i < 64; i++) {
        assert_string_equal(rig_ask(s, "HGET", text_of("payment:user:u%d", i), "funded"), "0");
    }
    rig_free(s);
}

/* An order that cost nothing is folded like any other; and a record that cannot be is put aside,
 * and holds nobody up. */
static void test_nothing_and_nonsense(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS);
    const char *bucket = bucket_of("payment", old);
    (void)state;
    sweeps_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket, text_of("%s:1:charge", old), "u", "0");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket, "payment:user:u", old, "u", "5");
    rig_ask(s, "HSET", bucket, text_of("%s:2:charge", old), "charged|u|much|");
    assert_true(sweeps_all(s, "payment", 500) >= 1);
    assert_string_equal(rig_ask(s, "EXISTS", bucket), "0");
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "funded"), "95");
    assert_string_equal(rig_ask(s, "HLEN", "payment:unfolded"), "1");
    assert_string_equal(rig_ask(s, "HGET", "payment:unfolded", text_of("%s:2:charge", old)),
                        "charged|u|much|");
    rig_free(s);
}

/* What was taken from an item that a later batch made anew is not held against the new one. */
static void test_stock(void **state)
{
    struct rig *s = rig_new(&stock_library);
    const char *old = id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS);
    const char *bucket = bucket_of("stock", old);
    (void)state;
    rig_ask(s, "HSET", "stock:item:a", "quantity", "10", "price", "1", "added", "10");
    rig_ask(s, "HSET", "stock:item:b", "quantity", "10", "price", "1", "added", "10", "gen", "1");
    sweeps_young(s, "stock");
    rig_ask(s, "FCALL", "stock_take", "1", bucket, text_of("%s:1:take", old), "a*3,b*4");
    rig_ask(s, "FCALL", "stock_subtract", "2", bucket, "stock:item:a", old, "a", "2");
    rig_ask(s, "HSET", "stock:item:b", "quantity", "50", "price", "1", "added", "50", "gen", "2");
    sweeps_all(s, "stock", 500);
    assert_string_equal(rig_ask(s, "EXISTS", bucket), "0");
    assert_string_equal(rig_ask(s, "HGET", "stock:item:a", "quantity"), "5");
    assert_string_equal(rig_ask(s, "HGET", "stock:item:a", "added"), "5");
    assert_string_equal(rig_ask(s, "HGET", "stock:item:b", "added"), "50");
    rig_free(s);
}

/* A large bucket goes in steps, none of which holds the store for long, and every record counts
 * exactly once. */
static void test_steps(void **state)
{
    struct rig *s = rig_new(&payment_library);
    char old[64], bucket[64]; /* the texts' ring is shorter than the loop */
    (void)state;
    snprintf(old, sizeof(old), "%s", id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS));
    snprintf(bucket, sizeof(bucket), "%s", bucket_of("payment", old));
    sweeps_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "5000", "funded", "5000");
    for (int i = 0; i < 3000; i++) {
        rig_ask(s, "FCALL", "payment_charge", "1", bucket, text_of("%s:%d:charge", old, i), "u",
                "1");
    }
    assert_true(sweeps_all(s, "payment", 100) > 10);
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "funded"), "2000");
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "credit"), "2000");
    rig_free(s);
}

/* What is below the floor is refused, and changes nothing; what has a record is told again. */
static void test_refused(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_at(sweeps_now_ms() - 9 * SWEEPS_DAY_MS),
               *later = id_at(sweeps_now_ms() - 7 * SWEEPS_DAY_MS);
    const char *late_bucket = bucket_of("payment", later);
    (void)state;
    sweeps_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket_of("payment", old), "payment:user:u", old, "u",
            "5");
    rig_ask(s, "FCALL", "payment_pay", "2", late_bucket, "payment:user:u", later, "u", "7");
    sweeps_all(s, "payment", 500);
    rig_expect(s, RIG_TOO_OLD, "FCALL", "payment_pay", "2", bucket_of("payment", old),
               "payment:user:u", old, "u", "5");
    rig_expect(s, RIG_TOO_OLD, "FCALL", "payment_charge", "1", bucket_of("payment", old),
               text_of("%s:1:charge", old), "u", "5");
    rig_expect(s, "paid|u|7||88", "FCALL", "payment_pay", "2", late_bucket, "payment:user:u", later,
               "u", "7");
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "credit"), "88");
    assert_string_equal(rig_ask(s, "EXISTS", bucket_of("payment", old)), "0");
    rig_free(s);
}

/* The store's clock jumps, or the clock that ids are made by, or both: nothing is dropped but what
 * the time that really passed allows. */
static void test_clocks(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_at(sweeps_now_ms()), *bucket = bucket_of("payment", old);
    const char *ahead = id_at(sweeps_now_ms() + 9 * SWEEPS_DAY_MS);
    char clock[24], floor[24];
    (void)state;
    sweeps_step(s, "payment", SWEEPS_ALL, "", 0, 500,
                "0"); /* of an empty store: it has no clock yet */
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket, text_of("%s:1:charge", old), "u", "10");
    snprintf(clock, sizeof(clock), "%s", sweeps_step(s, "payment", SWEEPS_ALL, "", 0, 500, "0"));
    assert_true(strtoll(clock, NULL, 10) > sweeps_now_ms() - SWEEPS_DAY_MS);
    snprintf(floor, sizeof(floor), "%s", sweeps_floor(s, "payment"));
    rig_clock(s, sweeps_now_ms() + 9 * SWEEPS_DAY_MS);
    sweeps_step(s, "payment", SWEEPS_ALL, clock, SWEEPS_ANY, 500, "0");
    assert_in_range(strtoll(sweeps_floor(s, "payment"), NULL, 10) - strtoll(floor, NULL, 10), 0, 1);
    snprintf(clock, sizeof(clock), "%s", rig_ask(s, "GET", "payment:clock"));
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", ahead),
            text_of("%s:1:charge", ahead), "u", "10");
    const char *moved = sweeps_step(s, "payment", SWEEPS_ALL, clock, 5000, 500, "0");
    assert_int_equal(strtoll(moved, NULL, 10) - strtoll(clock, NULL, 10), 10000);
    assert_string_equal(sweeps_step(s, "payment", SWEEPS_ALL, clock, SWEEPS_ANY, 500, "0"),
                        moved); /* stale */
    assert_string_equal(rig_ask(s, "HLEN", bucket), "1");
    rig_expect(s, "charged|u|10|", "FCALL", "payment_charge", "1", bucket,
               text_of("%s:1:charge", old), "u", "10");
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    rig_free(s);
}

/* While nobody knows which sagas are open the floor stays; it stays behind the oldest of them. */
static void test_keep(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_at(sweeps_now_ms() - 20 * SWEEPS_DAY_MS),
               *saga = id_at(sweeps_now_ms() - 19 * SWEEPS_DAY_MS);
    char clock[24], keep[24];
    (void)state;
    sweeps_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", old),
            text_of("%s:1:charge", old), "u", "10");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", saga),
            text_of("%s:1:charge", saga), "u", "20");
    snprintf(clock, sizeof(clock), "%s", sweeps_step(s, "payment", "", "", SWEEPS_ANY, 500, "0"));
    assert_string_equal(sweeps_floor(s, "payment"), "");
    snprintf(keep, sizeof(keep), "%lld", (long long)sweeps_bucket_number("payment", saga));
    for (int i = 0; i < 4; i++) {
        sweeps_step(s, "payment", keep, clock, SWEEPS_ANY, 500, "0");
    }
    assert_string_equal(sweeps_floor(s, "payment"), keep);
    assert_string_equal(rig_ask(s, "EXISTS", bucket_of("payment", old)), "0");
    assert_string_equal(rig_ask(s, "HLEN", bucket_of("payment", saga)), "1");
    rig_free(s);
}

/* A bucket is in the index from its first record on, also when that came while memory was full. */
static void test_index(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *id = id_at(sweeps_now_ms());
    (void)state;
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "CONFIG", "SET", "maxmemory", "1");
    rig_ask(s, "FCALL", "payment_refund", "2", bucket_of("payment", id), "payment:user:u",
            text_of("%s:1:charge-undo", id), text_of("%s:1:charge", id));
    assert_string_equal(rig_ask(s, "ZRANGE", "payment:buckets", "0", "-1"),
                        sweeps_bucket_name("payment", id));
    rig_free(s);
}

/* What frees or ends something works when memory is full; what begins something does not. */
static void test_full(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *id = id_at(sweeps_now_ms());
    (void)state;
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", id), text_of("%s:1:charge", id),
            "u", "10");
    rig_ask(s, "CONFIG", "SET", "maxmemory", "1");
    rig_expect(s, RIG_FULL, "FCALL", "payment_create", "2", bucket_of("payment", id),
               "payment:user:v", id_at(sweeps_now_ms()));
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    assert_string_equal(rig_ask(s, "FCALL", "payment_refund", "2", bucket_of("payment", id),
                                "payment:user:u", text_of("%s:1:charge-undo", id),
                                text_of("%s:1:charge", id)),
                        "refunded|u|10|");
    sweeps_step(s, "payment", SWEEPS_ALL, "", SWEEPS_ANY, 500, "0");
    rig_free(s);
}

/* Periods that are long over are merged, a few in each step: the fields do not grow in number with
 * time, and what they say stays. */
static void test_periods(void **state)
{
    struct rig *s = rig_new(&payment_library);
    int64_t bucket_ms = 4096, period_ms = 64 * bucket_ms,
            first_ms = sweeps_now_ms() - 40 * SWEEPS_DAY_MS;
    unsigned periods = 2000 + 60;
    (void)state;
    rig_ask(s, "HSET", "payment:user:u", "credit", "5000", "funded", "5000");
    for (unsigned i = 0; i < 100; i++) { /* the others are far behind */
        int64_t ms = first_ms + (i < 50 ? i : periods + i) * period_ms;
        char id[64];
        snprintf(id, sizeof(id), "%s", id_at(ms));
        rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", id),
                text_of("%s:1:charge", id), "u", "3");
    }
    sweeps_young(s, "payment");
    sweeps_all(s, "payment", 500);
    rig_ask(s, "HGETALL", "payment:folded");
    long long sagas = 0, credits = 0, fields = 0;
    for (unsigned i = 0; i + 1 < rig_count(s); i += 2) {
        long long count, ids, amount;
        if (sscanf(rig_at(s, i + 1), "%lld|%lld|%lld|", &count, &ids, &amount) == 3) {
            sagas += count;
            credits += amount;
            fields++;
        }
    }
    assert_int_equal(sagas, 100);
    assert_int_equal(credits, 300);
    assert_in_range(fields, 51, 53);
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "funded"), "4700");
    rig_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payment),
        cmocka_unit_test(test_all_there_is),
        cmocka_unit_test(test_nothing_and_nonsense),
        cmocka_unit_test(test_stock),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_periods),
    };
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
