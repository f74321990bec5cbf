/* Old records are dropped, and the books stay balanced: payment, stock and order, in a real
 * server. What the sweep is for: protocol.md section 3.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalogue/names.h"
#include "idempotency/once.h"
#include "consumer/sweep.h"
#include "consumer/keep.h"
#include "test/lib/orders.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

extern const struct library payment_library;
extern const struct library stock_library;
extern const struct library order_library;

static int64_t now_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

/* The name of an id's bucket, as it stands in <service>:buckets. */
static const char *bucket_name(const char *service, const char *id)
{
    return bucket_of(service, id) + strlen(service) + strlen(":once:");
}

static int64_t bucket_number(const char *service, const char *id)
{
    return strtoll(bucket_name(service, id), NULL, 16);
}

static const struct once_life life = {.ms = 8 * DAY_MS, .kept_ms = 16 * DAY_MS};

#define AMOUNT_MAX "9223372036854775807"

#define ANY (400 * DAY_MS) /* time that has passed: as much as you like */
#define ALL "99999999999"  /* no saga is open */

/* One step; the slow clock that it leaves. */
static const struct library *library_of(const char *service)
{
    return strcmp(service, "payment") == 0 ? &payment_library
           : strcmp(service, "stock") == 0 ? &stock_library
                                           : &order_library;
}

static const char *sweep_once(struct rig *s, const char *service, const char *keep,
                              const char *seen, int64_t rise_ms, int64_t limit, const char *cursor)
{
    static struct args c;
    args_reset(&c);
    once_sweep(&c, library_of(service), life, keep, seen, rise_ms, limit, cursor);
    rig_ask_command(s, &c, NULL, NULL);
    return text_of("%s", rig_at(s, 0));
}

static const char *floor_of(struct rig *s, const char *service)
{
    return text_of("%s", rig_ask(s, "GET", text_of("%s:floor", service)));
}

/* Sweeps until nothing is left; how many steps that took. */
static unsigned sweep_all(struct rig *s, const char *service, int64_t limit)
{
    unsigned steps = 0;
    char clock[24] = "", cursor[24] = "0";
    do {
        snprintf(clock, sizeof(clock), "%s",
                 sweep_once(s, service, ALL, clock, ANY, limit, cursor));
        snprintf(cursor, sizeof(cursor), "%s", rig_at(s, 1));
        assert_true(++steps < 1000);
    } while (rig_count(s) > 1);
    return steps;
}

/* The floor follows the ids as well as the clock: so there is one of now. */
static void record_young(struct rig *s, const char *service)
{
    const char *id = id_at(now_ms());
    rig_ask(s, "FCALL", text_of("%s_create", service), "2", bucket_of(service, id), "any", id, "1");
}

/* Charges, refunds and payments of nine days ago are dropped; funded = credit + what is left. */
static void test_payment(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_at(now_ms() - 9 * DAY_MS), *young = id_at(now_ms() - 6 * DAY_MS);
    const char *old_bucket = bucket_of("payment", old);
    const char *young_bucket = bucket_of("payment", young);
    (void)state;
    record_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", old_bucket, text_of("%s:1:charge", old), "u", "10");
    rig_ask(s, "FCALL", "payment_charge", "1", old_bucket, text_of("%s:2:charge", old), "u", "7");
    rig_ask(s, "FCALL", "payment_refund", "2", old_bucket, "payment:user:u",
            text_of("%s:2:charge-undo", old), text_of("%s:2:charge", old));
    rig_ask(s, "FCALL", "payment_pay", "2", old_bucket, "payment:user:u", old, "u", "5");
    rig_ask(s, "FCALL", "payment_charge", "1", young_bucket, text_of("%s:1:charge", young), "u",
            "20");
    assert_true(sweep_all(s, "payment", 500) >= 1);
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
    record_young(s, "payment");
    for (int64_t i = 0; i < 64; i++) {
        const char *user = text_of("u%d", (int)i), *key = text_of("payment:user:%s", user);
        const char *old = id_at(now_ms() - 9 * DAY_MS + i);
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
    assert_true(sweep_all(s, "payment", 2) >= 1);
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
    const char *old = id_at(now_ms() - 9 * DAY_MS);
    const char *bucket = bucket_of("payment", old);
    (void)state;
    record_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket, text_of("%s:1:charge", old), "u", "0");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket, "payment:user:u", old, "u", "5");
    rig_ask(s, "HSET", bucket, text_of("%s:2:charge", old), "charged|u|much|");
    assert_true(sweep_all(s, "payment", 500) >= 1);
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
    const char *old = id_at(now_ms() - 9 * DAY_MS);
    const char *bucket = bucket_of("stock", old);
    (void)state;
    rig_ask(s, "HSET", "stock:item:a", "quantity", "10", "price", "1", "added", "10");
    rig_ask(s, "HSET", "stock:item:b", "quantity", "10", "price", "1", "added", "10", "gen", "1");
    record_young(s, "stock");
    rig_ask(s, "FCALL", "stock_take", "1", bucket, text_of("%s:1:take", old), "a*3,b*4");
    rig_ask(s, "FCALL", "stock_subtract", "2", bucket, "stock:item:a", old, "a", "2");
    rig_ask(s, "HSET", "stock:item:b", "quantity", "50", "price", "1", "added", "50", "gen", "2");
    sweep_all(s, "stock", 500);
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
    snprintf(old, sizeof(old), "%s", id_at(now_ms() - 9 * DAY_MS));
    snprintf(bucket, sizeof(bucket), "%s", bucket_of("payment", old));
    record_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "5000", "funded", "5000");
    for (int i = 0; i < 3000; i++) {
        rig_ask(s, "FCALL", "payment_charge", "1", bucket, text_of("%s:%d:charge", old, i), "u",
                "1");
    }
    assert_true(sweep_all(s, "payment", 100) > 10);
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "funded"), "2000");
    assert_string_equal(rig_ask(s, "HGET", "payment:user:u", "credit"), "2000");
    rig_free(s);
}

/* What is below the floor is refused, and changes nothing; what has a record is told again. */
static void test_refused(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_at(now_ms() - 9 * DAY_MS), *later = id_at(now_ms() - 7 * DAY_MS);
    const char *late_bucket = bucket_of("payment", later);
    (void)state;
    record_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket_of("payment", old), "payment:user:u", old, "u",
            "5");
    rig_ask(s, "FCALL", "payment_pay", "2", late_bucket, "payment:user:u", later, "u", "7");
    sweep_all(s, "payment", 500);
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
    const char *old = id_at(now_ms()), *bucket = bucket_of("payment", old);
    const char *ahead = id_at(now_ms() + 9 * DAY_MS);
    char clock[24], floor[24];
    (void)state;
    sweep_once(s, "payment", ALL, "", 0, 500, "0"); /* of an empty store: it has no clock yet */
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket, text_of("%s:1:charge", old), "u", "10");
    snprintf(clock, sizeof(clock), "%s", sweep_once(s, "payment", ALL, "", 0, 500, "0"));
    assert_true(strtoll(clock, NULL, 10) > now_ms() - DAY_MS);
    snprintf(floor, sizeof(floor), "%s", floor_of(s, "payment"));
    rig_clock(s, now_ms() + 9 * DAY_MS);
    sweep_once(s, "payment", ALL, clock, ANY, 500, "0");
    assert_in_range(strtoll(floor_of(s, "payment"), NULL, 10) - strtoll(floor, NULL, 10), 0, 1);
    snprintf(clock, sizeof(clock), "%s", rig_ask(s, "GET", "payment:clock"));
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", ahead),
            text_of("%s:1:charge", ahead), "u", "10");
    const char *moved = sweep_once(s, "payment", ALL, clock, 5000, 500, "0");
    assert_int_equal(strtoll(moved, NULL, 10) - strtoll(clock, NULL, 10), 10000);
    assert_string_equal(sweep_once(s, "payment", ALL, clock, ANY, 500, "0"), moved); /* stale */
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
    const char *old = id_at(now_ms() - 20 * DAY_MS), *saga = id_at(now_ms() - 19 * DAY_MS);
    char clock[24], keep[24];
    (void)state;
    record_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", old),
            text_of("%s:1:charge", old), "u", "10");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", saga),
            text_of("%s:1:charge", saga), "u", "20");
    snprintf(clock, sizeof(clock), "%s", sweep_once(s, "payment", "", "", ANY, 500, "0"));
    assert_string_equal(floor_of(s, "payment"), "");
    snprintf(keep, sizeof(keep), "%lld", (long long)bucket_number("payment", saga));
    for (int i = 0; i < 4; i++) {
        sweep_once(s, "payment", keep, clock, ANY, 500, "0");
    }
    assert_string_equal(floor_of(s, "payment"), keep);
    assert_string_equal(rig_ask(s, "EXISTS", bucket_of("payment", old)), "0");
    assert_string_equal(rig_ask(s, "HLEN", bucket_of("payment", saga)), "1");
    rig_free(s);
}

/* A bucket is in the index from its first record on, also when that came while memory was full. */
static void test_index(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *id = id_at(now_ms());
    (void)state;
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "CONFIG", "SET", "maxmemory", "1");
    rig_ask(s, "FCALL", "payment_refund", "2", bucket_of("payment", id), "payment:user:u",
            text_of("%s:1:charge-undo", id), text_of("%s:1:charge", id));
    assert_string_equal(rig_ask(s, "ZRANGE", "payment:buckets", "0", "-1"),
                        bucket_name("payment", id));
    rig_free(s);
}

/* What frees or ends something works when memory is full; what begins something does not. */
static void test_full(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *id = id_at(now_ms());
    (void)state;
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_charge", "1", bucket_of("payment", id), text_of("%s:1:charge", id),
            "u", "10");
    rig_ask(s, "CONFIG", "SET", "maxmemory", "1");
    rig_expect(s, RIG_FULL, "FCALL", "payment_create", "2", bucket_of("payment", id),
               "payment:user:v", id_at(now_ms()));
    rig_wait(s);
    assert_int_equal(rig_misanswered(s), 0);
    assert_string_equal(rig_ask(s, "FCALL", "payment_refund", "2", bucket_of("payment", id),
                                "payment:user:u", text_of("%s:1:charge-undo", id),
                                text_of("%s:1:charge", id)),
                        "refunded|u|10|");
    sweep_once(s, "payment", ALL, "", ANY, 500, "0");
    rig_free(s);
}

/* The oldest open saga is found, a part at a time; one that cannot be read may be of any age. */
static void test_oldest(void **state)
{
    struct rig *s = rig_new(&order_library);
    char oldest[24], cursor[24] = "0";
    int64_t began_ms = now_ms() - 600000, found = INT64_MAX;
    (void)state;
    for (int i = 0; i < 300; i++) {
        const char *order = text_of("o%d", i);
        const char *saga = id_at(began_ms + i % 7 * 1000 + (i == 211 ? -5000 : 0));
        orders_create(s, id_at(now_ms()), order, "u");
        orders_add(s, id_at(now_ms()), order, "i", "1", "1");
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

/* Periods that are long over are merged, a few in each step: the fields do not grow in number with
 * time, and what they say stays. */
static void test_periods(void **state)
{
    struct rig *s = rig_new(&payment_library);
    int64_t bucket_ms = 4096, period_ms = 64 * bucket_ms, first_ms = now_ms() - 40 * DAY_MS;
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
    record_young(s, "payment");
    sweep_all(s, "payment", 500);
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

static void order_sweep(void *ctx, struct args *c, const char *seen, int64_t rise_ms,
                        const char *cursor)
{
    char keep[24] = "";
    int64_t bucket;
    if (keep_from(ctx, &bucket)) {
        snprintf(keep, sizeof(keep), "%lld", (long long)bucket);
    }
    once_sweep(c, &order_library, life, keep, seen, rise_ms, SWEEP_LIMIT, cursor);
}

/* A process finds and drops what is old by itself, when it knows that no saga needs it. */
static void test_timer(void **state)
{
    struct rig *s = rig_new(&order_library);
    const char *old = id_at(now_ms() - 9 * DAY_MS);
    const char *bucket = bucket_of("order", old);
    int64_t until_ms = loop_now_ms(rig_loop(s)) + 40 * SWEEP_MS;
    (void)state;
    record_young(s, "order");
    orders_checkout(s, old, "none", now_ms());
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

/* What a client's key stands for is answered as before when its record's first copy has been
 * dropped, and acts if it never did; what no key stands for is refused then. The books balance all
 * the same. */
static void test_kept(void **state)
{
    struct rig *s = rig_new(&payment_library);
    const char *old = id_kept_at(now_ms() - 9 * DAY_MS), *plain = id_at(now_ms() - 9 * DAY_MS);
    const char *never = id_kept_at(now_ms() - 9 * DAY_MS), *bucket = bucket_of("payment", old);
    (void)state;
    record_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket, "payment:user:u", old, "u", "5");
    sweep_all(s, "payment", 500);
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
    sweep_all(s, "payment", 500);
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
    const char *batch = id_kept_at(now_ms() - 9 * DAY_MS), *bucket = bucket_of("payment", batch);
    const char *chunk = text_of("%s:0", batch);
    (void)state;
    record_young(s, "payment");
    rig_ask(s, "FCALL", "payment_init", "1", bucket, chunk, "0", "2", "9", "gen");
    rig_ask(s, "HINCRBY", "payment:user:1", "credit", "-4");
    sweep_all(s, "payment", 500);
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
    const char *first = id_kept_at(now_ms() - 20 * DAY_MS);
    const char *second = id_kept_at(now_ms() - 18 * DAY_MS);
    char keep[24], clock[24];
    (void)state;
    record_young(s, "payment");
    rig_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket_of("payment", first), "payment:user:u", first,
            "u", "5");
    rig_ask(s, "FCALL", "payment_pay", "2", bucket_of("payment", second), "payment:user:u", second,
            "u", "5");
    snprintf(keep, sizeof(keep), "%lld", (long long)bucket_number("payment", second));
    snprintf(clock, sizeof(clock), "%s", sweep_once(s, "payment", keep, "", ANY, 500, "0"));
    for (int i = 0; i < 8; i++) {
        sweep_once(s, "payment", keep, clock, ANY, 500, "0");
    }
    assert_string_equal(rig_ask(s, "GET", "payment:kept:floor"), keep);
    assert_string_equal(rig_ask(s, "ZRANGE", "payment:kept:buckets", "0", "-1"),
                        bucket_name("payment", second));
    sweep_all(s, "payment", 500);
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
    int64_t old_ms = now_ms() - 9 * DAY_MS;
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
    record_young(s, "order");
    sweep_all(s, "order", 500);
    assert_string_equal(rig_ask(s, "EXISTS", bucket_of("order", saga)), "0");
    assert_string_equal(orders_checkout(s, with_key, "o", now_ms()), "failed");
    assert_string_equal(orders_at(s, 0, RECORD_SAGA), saga);
    assert_string_equal(orders_at(s, 0, RECORD_REASON), "no");
    assert_string_equal(orders_checkout(s, own, "o", now_ms()), "failed");
    assert_string_equal(orders_at(s, 0, RECORD_REASON), "nor now");
    struct args c = {0};
    orders_checkout_build(&c, without, "o");
    rig_expect_command(s, RIG_TOO_OLD, &c);
    rig_wait(s);
    args_free(&c);
    rig_ask(s, "DEL", text_of("order:kept:%s", bucket_name("order", saga)));
    rig_ask(s, "HSET", text_of("order:kept:%s", bucket_name("order", saga)), with_key,
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
        cmocka_unit_test(test_payment),       cmocka_unit_test(test_nothing_and_nonsense),
        cmocka_unit_test(test_stock),         cmocka_unit_test(test_steps),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_keep),          cmocka_unit_test(test_index),
        cmocka_unit_test(test_full),          cmocka_unit_test(test_oldest),
        cmocka_unit_test(test_periods),       cmocka_unit_test(test_timer),
        cmocka_unit_test(test_keep_is_heard), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_kept_chunk),    cmocka_unit_test(test_kept_is_dropped),
        cmocka_unit_test(test_kept_attached), cmocka_unit_test(test_all_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
