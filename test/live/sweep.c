/* Old records are dropped, and the books stay balanced: payment, stock and order, in a real
 * server. What the sweep is for: protocol.md section 3, "Records live 7 days". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "idempotency/once.h"
#include "saga/sweep.h"
#include "test/lib/store.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

extern const char payment_library[];
extern const char stock_library[];
extern const char order_library[];

static int64_t now_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

/* The name of an id's bucket, as it stands in <service>:buckets. */
static const char *bucket_name(const char *service, const char *id)
{
    return bucket_of(service, id) + strlen(service) + strlen(":once:");
}

static void bucket_enter(struct store *s, const char *service, const char *id)
{
    const char *name = bucket_name(service, id);
    store_ask(s, "ZADD", text_of("%s:buckets", service), text_of("%lld", strtoll(name, NULL, 16)),
              name);
}

/* Sweeps until nothing is left; how many steps that took. */
static unsigned sweep_all(struct store *s, const char *service, const char *limit)
{
    unsigned steps = 0;
    char keep_from[24], cursor[24] = "0";
    snprintf(keep_from, sizeof(keep_from), "%lld", (long long)sweep_keep_from(now_ms()));
    for (;;) {
        const char *next = store_ask(s, "FCALL", text_of("%s_sweep", service), "1",
                                     text_of("%s:buckets", service), keep_from, limit, cursor);
        if (next[0] == '\0') {
            break;
        }
        snprintf(cursor, sizeof(cursor), "%s", next);
        assert_true(++steps < 1000);
    }
    return steps;
}

/* Charges, refunds and payments of nine days ago are dropped; funded = credit + what is left. */
static void test_payment(void **state)
{
    struct store *s = store_new(payment_library);
    const char *old = id_at(now_ms() - 9 * DAY_MS), *young = id_at(now_ms() - 6 * DAY_MS);
    const char *old_bucket = bucket_of("payment", old);
    const char *young_bucket = bucket_of("payment", young);
    (void)state;
    store_ask(s, "HSET", "payment:user:u", "credit", "100", "funded", "100");
    store_ask(s, "FCALL", "payment_charge", "1", old_bucket, text_of("%s:1:charge", old), "u",
              "10");
    store_ask(s, "FCALL", "payment_charge", "1", old_bucket, text_of("%s:2:charge", old), "u", "7");
    store_ask(s, "FCALL", "payment_refund", "2", old_bucket, "payment:user:u",
              text_of("%s:2:charge-undo", old), text_of("%s:2:charge", old));
    store_ask(s, "FCALL", "payment_pay", "2", old_bucket, "payment:user:u", old, "u", "5");
    store_ask(s, "FCALL", "payment_charge", "1", young_bucket, text_of("%s:1:charge", young), "u",
              "20");
    bucket_enter(s, "payment", old);
    bucket_enter(s, "payment", young);
    assert_true(sweep_all(s, "payment", "500") >= 1);
    assert_string_equal(store_ask(s, "EXISTS", old_bucket), "0");
    assert_string_equal(store_ask(s, "HLEN", young_bucket), "1");
    assert_string_equal(store_ask(s, "ZCARD", "payment:buckets"), "1");
    assert_string_equal(store_ask(s, "HGET", "payment:user:u", "credit"), "65");
    assert_string_equal(store_ask(s, "HGET", "payment:user:u", "funded"), "85"); /* 65 + 20 */
    store_free(s);
}

/* What was taken from an item that a later batch made anew is not held against the new one. */
static void test_stock(void **state)
{
    struct store *s = store_new(stock_library);
    const char *old = id_at(now_ms() - 9 * DAY_MS);
    const char *bucket = bucket_of("stock", old);
    (void)state;
    store_ask(s, "HSET", "stock:item:a", "quantity", "10", "price", "1", "added", "10");
    store_ask(s, "HSET", "stock:item:b", "quantity", "10", "price", "1", "added", "10", "gen", "1");
    store_ask(s, "FCALL", "stock_take", "1", bucket, text_of("%s:1:take", old), "a*3,b*4");
    store_ask(s, "FCALL", "stock_subtract", "2", bucket, "stock:item:a", old, "a", "2");
    store_ask(s, "HSET", "stock:item:b", "quantity", "50", "price", "1", "added", "50", "gen", "2");
    bucket_enter(s, "stock", old);
    sweep_all(s, "stock", "500");
    assert_string_equal(store_ask(s, "EXISTS", bucket), "0");
    assert_string_equal(store_ask(s, "HGET", "stock:item:a", "quantity"), "5");
    assert_string_equal(store_ask(s, "HGET", "stock:item:a", "added"), "5");
    assert_string_equal(store_ask(s, "HGET", "stock:item:b", "added"), "50");
    store_free(s);
}

/* A large bucket goes in steps, none of which holds the store for long, and every record counts
 * exactly once. */
static void test_steps(void **state)
{
    struct store *s = store_new(payment_library);
    char old[64], bucket[64]; /* the texts' ring is shorter than the loop */
    (void)state;
    snprintf(old, sizeof(old), "%s", id_at(now_ms() - 9 * DAY_MS));
    snprintf(bucket, sizeof(bucket), "%s", bucket_of("payment", old));
    store_ask(s, "HSET", "payment:user:u", "credit", "5000", "funded", "5000");
    for (int i = 0; i < 3000; i++) {
        store_ask(s, "FCALL", "payment_charge", "1", bucket, text_of("%s:%d:charge", old, i), "u",
                  "1");
    }
    bucket_enter(s, "payment", old);
    assert_true(sweep_all(s, "payment", "100") > 10);
    assert_string_equal(store_ask(s, "HGET", "payment:user:u", "funded"), "2000");
    assert_string_equal(store_ask(s, "HGET", "payment:user:u", "credit"), "2000");
    store_free(s);
}

/* The process's own sweep finds and drops what is old, by itself. */
static void test_timer(void **state)
{
    struct store *s = store_new(order_library);
    const char *old = id_at(now_ms() - 9 * DAY_MS);
    const char *bucket = bucket_of("order", old);
    int64_t until_ms = loop_now_ms(store_loop(s)) + 10 * SWEEP_MS;
    (void)state;
    store_ask(s, "FCALL", "order_checkout", "3", bucket, "order:open", "order:recent", "1", "2",
              "CHARGING", "PAID", "FAILED", old, "none", "g");
    bucket_enter(s, "order", old);
    assert_string_equal(store_ask(s, "HLEN", bucket), "1");
    struct sweep *sweep = sweep_new(store_loop(s), store_redis(s), "order");
    while (loop_now_ms(store_loop(s)) < until_ms && store_ask(s, "EXISTS", bucket)[0] != '0') {
        loop_turn(store_loop(s), true);
    }
    assert_string_equal(store_ask(s, "EXISTS", bucket), "0");
    assert_string_equal(store_ask(s, "ZCARD", "order:buckets"), "0");
    sweep_free(sweep);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payment),
        cmocka_unit_test(test_stock),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
