/* Replays in a real server: whose they are, and what is found, a part of a bucket after the other.
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

extern const struct library order_library;

#define NOW_MS    ORDERS_NOW_MS
#define BUCKET_MS 4096
#define MANY      700 /* more than a call looks at, and more than the server keeps in one piece */
#define LIMIT     100

static struct rig *store;

static int group_setup(void **state)
{
    (void)state;
    store = rig_new(&order_library);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    rig_free(store);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    rig_ask(store, "FLUSHALL");
    return 0;
}

/* A saga of `order`, begun at wall_ms. */
static const char *begin(const char *order, int64_t wall_ms)
{
    const char *saga = id_at(wall_ms), *bucket = bucket_of("order", saga);
    const char *name = strrchr(bucket, ':') + 1;
    orders_create(store, id_at(wall_ms), order, text_of("user-of-%s", order));
    orders_add(store, id_at(wall_ms), order, "i", "1", "2");
    rig_ask(store, "ZADD", "order:buckets", text_of("%lld", strtoll(name, NULL, 16)), name);
    orders_checkout(store, saga, order, wall_ms);
    return saga;
}

static void end_failed(const char *order, const char *saga, const char *attempt, int64_t wall_ms)
{
    orders_move(store, order, saga, attempt, "CHARGING", "FAILED", "no", wall_ms);
}

#define JOURNAL "order:replay:payment"

static const char *number_of(int64_t wall_ms)
{
    return text_of("%lld", (long long)wall_ms / BUCKET_MS);
}

/* Announces one from `first_ms` on; what it says of itself is in the store's last reply. */
static const char *announce(const char *id, int64_t first_ms, int64_t last_ms, int64_t since_ms)
{
    return rig_ask(store, "FCALL", "order_replay_begin", "2", bucket_of("order", id), JOURNAL, id,
                   text_of("%lld", (long long)since_ms), number_of(first_ms), number_of(last_ms),
                   text_of("%lld", (long long)NOW_MS));
}

/* The order of order_replay_take's texts. */
enum { TAKEN, SINCE, FIRST, LAST, PASS, BUCKET, TOKEN, BEAT, SENT, BEGUN, TAKE_TEXTS };

/* True: it is had now; `token` and `beat`: as somebody saw them. */
static bool take(const char *token, const char *beat)
{
    rig_ask(store, "FCALL", "order_replay_take", "1", JOURNAL, token, beat);
    return strcmp(rig_at(store, TAKEN), "1") == 0;
}

static unsigned step(const char *token, const char *pass, const char *bucket, const char *sent,
                     const char *cursor)
{
    rig_ask(store, "FCALL", "order_replay_step", "2", JOURNAL, "order:buckets", token, pass, bucket,
            sent, cursor, text_of("%d", LIMIT));
    return rig_count(store);
}

/* What a step has handed out: each order, named by a number, is counted. */
static void see(unsigned *seen, unsigned seen_max)
{
    unsigned count = rig_count(store);
    assert_true(count >= 2);
    for (unsigned n = 0; n < count - 2; n++) {
        const char *order = orders_at(store, n, RECORD_ORDER);
        assert_string_equal(orders_at(store, n, RECORD_USER), text_of("user-of-%s", order));
        assert_in_range(atoi(order), 0, seen_max - 1);
        seen[atoi(order)]++;
    }
}

/* Everything that one pass finds. The number of calls. */
static unsigned walk(int64_t first_ms, int64_t last_ms, int64_t since_ms, unsigned *seen,
                     unsigned seen_max)
{
    char bucket[24], cursor[24] = "0", token[24];
    unsigned calls = 0;
    assert_string_equal(announce(id_at(NOW_MS), first_ms, last_ms, since_ms), "created");
    assert_true(take("", ""));
    snprintf(token, sizeof(token), "%s", rig_at(store, TOKEN));
    snprintf(bucket, sizeof(bucket), "%s", rig_at(store, BUCKET));
    assert_string_equal(bucket, number_of(last_ms));
    while (bucket[0] != '\0') {
        unsigned count = step(token, "0", bucket, "0", cursor);
        see(seen, seen_max);
        snprintf(bucket, sizeof(bucket), "%s", rig_at(store, count - 2));
        snprintf(cursor, sizeof(cursor), "%s", rig_at(store, count - 1));
        assert_true(++calls < 1000);
    }
    assert_string_equal(rig_ask(store, "FCALL", "order_replay_end", "1", JOURNAL, token), "done");
    assert_string_equal(rig_ask(store, "EXISTS", JOURNAL), "0");
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
    rig_ask(store, "DEL", "order:order:1");
    rig_ask(store, "HSET", "order:order:1", "user", "another", "total", "2", "lines", "i*1");
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
    rig_ask(store, "HSET", "order:order:1", "journal", "garbage");
    announce(id_at(NOW_MS), NOW_MS, NOW_MS, NOW_MS);
    assert_true(take("", ""));
    step("2", "0", number_of(NOW_MS), "0", "0");
    assert_int_equal(rig_count(store), 3 + 2);
    unsigned damaged = 0;
    for (unsigned n = 0; n < 3; n++) {
        bool is_damaged = strcmp(orders_at(store, n, RECORD_ORDER), "1") == 0;
        assert_string_equal(orders_at(store, n, RECORD_STATE), is_damaged ? "" : "CHARGING");
        damaged += is_damaged;
    }
    assert_int_equal(damaged, 1);
}

/* The newest bucket comes first. */
static void replay_newest_first(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        begin(text_of("%d", i), NOW_MS + i * BUCKET_MS);
    }
    announce(id_at(NOW_MS), NOW_MS, NOW_MS + 9 * BUCKET_MS, 0);
    assert_true(take("", ""));
    for (int i = 2; i >= 0; i--) {
        unsigned seen[3] = {0};
        const char *bucket =
            i == 2 ? number_of(NOW_MS + 9 * BUCKET_MS) : number_of(NOW_MS + i * BUCKET_MS);
        unsigned count = step("2", "0", bucket, "0", "0");
        see(seen, 3);
        assert_true(seen[i] >= 1 && seen[0] + seen[1] + seen[2] == seen[i]);
        assert_string_equal(rig_at(store, count - 2), number_of(NOW_MS + (i - 1) * BUCKET_MS));
    }
}

/* The answer to an end was lost, so it is made again, and meanwhile another replay has begun. */
static void replay_ends_once(void **state)
{
    char token[24];
    (void)state;
    begin("0", NOW_MS);
    announce(id_at(NOW_MS), NOW_MS, NOW_MS, 0);
    assert_true(take("", ""));
    snprintf(token, sizeof(token), "%s", rig_at(store, TOKEN));
    assert_string_equal(rig_ask(store, "FCALL", "order_replay_end", "1", JOURNAL, token), "done");
    announce(id_at(NOW_MS), NOW_MS, NOW_MS, 0);
    assert_true(take("", ""));
    assert_string_equal(rig_ask(store, "FCALL", "order_replay_end", "1", JOURNAL, token), "lost");
    assert_string_equal(rig_ask(store, "EXISTS", JOURNAL), "1");
}

/* One has it, by a token. Another one gets it only by having seen it stand still, and then the
 * first one's steps, and its end, change nothing any more. */
static void replay_to_one(void **state)
{
    (void)state;
    begin("0", NOW_MS);
    announce(id_at(NOW_MS), NOW_MS, NOW_MS, 0);
    assert_true(take("", ""));
    assert_string_equal(rig_at(store, TOKEN), "2");
    assert_string_equal(rig_at(store, BEAT), "1");
    assert_false(take("", ""));
    assert_int_equal(rig_count(store), TAKE_TEXTS);
    assert_false(take("1", "0")); /* as it was seen before */
    assert_true(step("2", "1", number_of(NOW_MS), "7", "0") >= 2);
    assert_false(take("2", "1")); /* it has moved since */
    assert_string_equal(rig_at(store, PASS), "1");
    assert_string_equal(rig_at(store, SENT), "7");
    assert_true(take("2", "2"));
    assert_string_equal(rig_at(store, TOKEN), "3");
    assert_int_equal(step("2", "0", number_of(NOW_MS), "99", "0"), 0);
    assert_string_equal(rig_ask(store, "FCALL", "order_replay_end", "1", JOURNAL, "2"), "lost");
    assert_string_equal(rig_ask(store, "HGET", JOURNAL, "sent"), "7");
}

/* A second announcement widens the one that is under way: it begins anew, and who had it has it no
 * more. The same one again, delivered twice, changes nothing; nor does it when all is done. */
static void replay_widened(void **state)
{
    const char *one = id_at(NOW_MS), *two = id_at(NOW_MS);
    (void)state;
    announce(one, NOW_MS, NOW_MS + BUCKET_MS, 2000);
    assert_true(take("", ""));
    step("2", "1", number_of(NOW_MS), "7", "0");
    announce(one, NOW_MS, NOW_MS + BUCKET_MS, 2000);
    assert_false(take("", ""));
    assert_string_equal(rig_at(store, PASS), "1");
    announce(two, NOW_MS - BUCKET_MS, NOW_MS + 2 * BUCKET_MS, 3000);
    assert_int_equal(step("2", "1", number_of(NOW_MS), "8", "0"), 0);
    assert_true(take("", ""));
    assert_string_equal(rig_at(store, SINCE), "2000");
    assert_string_equal(rig_at(store, FIRST), number_of(NOW_MS - BUCKET_MS));
    assert_string_equal(rig_at(store, LAST), number_of(NOW_MS + 2 * BUCKET_MS));
    assert_string_equal(rig_at(store, BUCKET), number_of(NOW_MS + 2 * BUCKET_MS));
    assert_string_equal(rig_at(store, PASS), "0");
    assert_string_equal(rig_at(store, SENT), "7");
    assert_string_equal(rig_at(store, TOKEN), "4");
    rig_ask(store, "FCALL", "order_replay_end", "1", JOURNAL, "4");
    announce(two, NOW_MS, NOW_MS, 0);
    assert_string_equal(rig_ask(store, "EXISTS", JOURNAL), "0");
    assert_false(take("", ""));
    assert_int_equal(rig_count(store), 1);
}

/* A replay that goes back beyond the oldest record that is left says so when it ends. */
static void replay_short(void **state)
{
    (void)state;
    rig_ask(store, "SET", "order:floor", number_of(NOW_MS));
    announce(id_at(NOW_MS), NOW_MS - BUCKET_MS, NOW_MS, 0);
    assert_true(take("", ""));
    rig_ask(store, "FCALL", "order_replay_end", "1", JOURNAL, "2");
    assert_string_equal(rig_at(store, 1),
                        text_of("%lld", (long long)NOW_MS / BUCKET_MS * BUCKET_MS));
    announce(id_at(NOW_MS), NOW_MS, NOW_MS, 0);
    assert_true(take("", ""));
    rig_ask(store, "FCALL", "order_replay_end", "1", JOURNAL, "4"); /* no token comes twice */
    assert_string_equal(rig_at(store, 0), "done");
    assert_string_equal(rig_at(store, 1), "");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replay_short),        TEST(replay_in_parts), TEST(replay_within),
        TEST(replay_since),        TEST(replay_archived), TEST(replay_of_the_damaged),
        TEST(replay_newest_first), TEST(replay_to_one),   TEST(replay_ends_once),
        TEST(replay_widened),
    };
    return cmocka_run_group_tests_name("replay", tests, group_setup, group_teardown);
}
