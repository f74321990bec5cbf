/* What the replay finds in a real server: the sagas of a time, a part of a bucket after the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/orders.h"

extern const struct redis_library order_library;

#define NOW_MS    ORDERS_NOW_MS
#define BUCKET_MS 4096
#define MANY      700 /* more than a call looks at, and more than the server keeps in one piece */
#define LIMIT     100

static struct store *store;

static int group_setup(void **state)
{
    (void)state;
    store = store_new(&order_library);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    store_free(store);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    store_ask(store, "FLUSHALL");
    return 0;
}

/* A saga of `order`, begun at wall_ms. */
static const char *begin(const char *order, int64_t wall_ms)
{
    const char *saga = id_at(wall_ms), *bucket = bucket_of("order", saga);
    const char *name = strrchr(bucket, ':') + 1;
    orders_create(store, id_at(wall_ms), order, text_of("user-of-%s", order));
    orders_add(store, id_at(wall_ms), order, "i", "1", "2");
    store_ask(store, "ZADD", "order:buckets", text_of("%lld", strtoll(name, NULL, 16)), name);
    orders_checkout(store, saga, order, wall_ms);
    return saga;
}

static void end_failed(const char *order, const char *saga, const char *attempt, int64_t wall_ms)
{
    orders_move(store, order, saga, attempt, "CHARGING", "FAILED", "no", wall_ms);
}

/* Everything that is found from `first_ms` on; `seen` counts what each order, named by a number,
 * was found with. The number of calls. */
static unsigned walk(int64_t first_ms, int64_t last_ms, int64_t since_ms, unsigned *seen,
                     unsigned seen_max)
{
    char bucket[24], cursor[24] = "0";
    unsigned calls = 0;
    snprintf(bucket, sizeof(bucket), "%lld", (long long)first_ms / BUCKET_MS);
    while (bucket[0] != '\0') {
        store_ask(store, "FCALL_RO", "order_replay", "1", "order:buckets", bucket,
                  text_of("%lld", (long long)last_ms / BUCKET_MS), cursor, text_of("%d", LIMIT),
                  text_of("%lld", (long long)since_ms), "PAID", "FAILED");
        unsigned count = store_count(store);
        assert_true(count >= 2);
        for (unsigned n = 0; n < count - 2; n++) {
            const char *order = orders_at(store, n, RECORD_ORDER);
            const char *user = orders_at(store, n, RECORD_USER);
            assert_string_equal(user, text_of("user-of-%s", order));
            assert_in_range(atoi(order), 0, seen_max - 1);
            seen[atoi(order)]++;
        }
        snprintf(bucket, sizeof(bucket), "%s", store_at(store, count - 2));
        snprintf(cursor, sizeof(cursor), "%s", store_at(store, count - 1));
        assert_true(++calls < 1000);
    }
    return calls;
}

/* A bucket that is larger than a call is walked through in parts, and the next one follows. */
static void replay_in_parts(void **state)
{
    unsigned seen[MANY + 1] = {0};
    (void)state;
    for (int i = 0; i < MANY; i++) {
        begin(text_of("%d", i), NOW_MS);
    }
    begin(text_of("%d", MANY), NOW_MS + 3 * BUCKET_MS);
    unsigned calls = walk(NOW_MS - BUCKET_MS, NOW_MS + 4 * BUCKET_MS, NOW_MS, seen, MANY + 1);
    assert_true(calls > 3 * MANY / LIMIT); /* each saga has three records there */
    for (int i = 0; i <= MANY; i++) {
        assert_true(seen[i] >= 1);
    }
}

/* Only buckets between the two bounds are looked into. */
static void replay_within(void **state)
{
    unsigned seen[3] = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        begin(text_of("%d", i), NOW_MS + i * BUCKET_MS);
    }
    walk(NOW_MS + BUCKET_MS, NOW_MS + BUCKET_MS, 0, seen, 3);
    assert_true(seen[0] == 0 && seen[1] == 1 && seen[2] == 0);
}

/* What is open, and what has ended since; not what had ended before. */
static void replay_since(void **state)
{
    unsigned seen[3] = {0};
    (void)state;
    begin("0", NOW_MS);
    end_failed("1", begin("1", NOW_MS), "1", NOW_MS + 999);
    end_failed("2", begin("2", NOW_MS), "1", NOW_MS + 1000);
    walk(NOW_MS, NOW_MS, NOW_MS + 1000, seen, 3);
    assert_true(seen[0] == 1 && seen[1] == 0 && seen[2] == 1);
}

/* A saga that was followed by another is found too, with the user it charged: also when a batch has
 * made the order anew, which is another user's by now; the other one is forgotten then. */
static void replay_archived(void **state)
{
    unsigned seen[2] = {0};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *order = text_of("%d", i);
        end_failed(order, begin(order, NOW_MS), "1", NOW_MS);
        orders_checkout(store, id_at(NOW_MS), order, NOW_MS);
    }
    store_ask(store, "DEL", "order:order:1");
    store_ask(store, "HSET", "order:order:1", "user", "another", "total", "2", "lines", "i*1");
    walk(NOW_MS, NOW_MS, NOW_MS, seen, 2);
    assert_int_equal(seen[0], 2);
    assert_int_equal(seen[1], 1);
}

/* A journal that cannot be read is found as well, without its parts, to be told of: the others are
 * not lost for it. */
static void replay_of_the_damaged(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        begin(text_of("%d", i), NOW_MS);
    }
    store_ask(store, "HSET", "order:order:1", "journal", "garbage");
    store_ask(store, "FCALL_RO", "order_replay", "1", "order:buckets",
              text_of("%lld", (long long)NOW_MS / BUCKET_MS),
              text_of("%lld", (long long)NOW_MS / BUCKET_MS), "0", "1000",
              text_of("%lld", (long long)NOW_MS), "PAID", "FAILED");
    assert_int_equal(store_count(store), 3 + 2);
    unsigned damaged = 0;
    for (unsigned n = 0; n < 3; n++) {
        bool is_damaged = strcmp(orders_at(store, n, RECORD_ORDER), "1") == 0;
        assert_string_equal(orders_at(store, n, RECORD_STATE), is_damaged ? "" : "CHARGING");
        damaged += is_damaged;
    }
    assert_int_equal(damaged, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replay_in_parts), TEST(replay_within),         TEST(replay_since),
        TEST(replay_archived), TEST(replay_of_the_damaged),
    };
    return cmocka_run_group_tests_name("replay", tests, group_setup, group_teardown);
}
