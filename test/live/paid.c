/* Orders that are paid for good (order/paid.lua), in a real server: packed they answer as before,
 * and they are packed when nobody needs more of them and everybody can read them. How small they
 * are: packed.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "idempotency/once.h"
#include "test/lib/orders.h"
#include "test/lib/packing.h"

extern const struct library order_library;

#define NOW_MS ORDERS_NOW_MS
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct rig *store;

static int group_setup(void **state)
{
    (void)state;
    store = packing_new();
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
    rig_ask(store, "SET", "order:schema", "2|2");
    return 0;
}

static bool is_packed(const char *order)
{
    return rig_ask(store, "EXISTS", text_of("order:order:%s", order))[0] == '0';
}

/* ---- orders ---- */

static struct {
    char order[72], saga[40], tale[8192];
} paid[64];

static unsigned paid_count;

/* All that anybody is told of an order: but not who was told of its end. */
static const char *tale_of(const char *order)
{
    static char tale[8192];
    size_t bytes = 0;
    orders_find(store, order);
    for (unsigned i = 0; i < rig_count(store); i++) {
        bytes += (size_t)snprintf(tale + bytes, sizeof(tale) - bytes, "%s\n", rig_at(store, i));
    }
    rig_ask(store, "FCALL", "order_sagas", "2", "order:recent", "order:open", "10", "", order, "0");
    for (unsigned i = 0; i < RECORD_PARTS; i++) {
        if (i != RECORD_WAITERS) {
            bytes +=
                (size_t)snprintf(tale + bytes, sizeof(tale) - bytes, "%s|", orders_at(store, 0, i));
        }
    }
    return tale;
}

static void order_make(const char *order, const char *user)
{
    orders_create(store, id_at(NOW_MS - 60000), order, user);
}

static void line_add(const char *order, const char *item, const char *pieces, const char *cost)
{
    orders_add(store, id_at(NOW_MS - 50000), order, item, pieces, cost);
}

/* Its next attempt, by one more state on the way if that is named. */
static const char *order_try(const char *order, const char *attempt, const char *by,
                             const char *reason, const char *end)
{
    const char *saga = id_at(NOW_MS), *from = by ? by : "CHARGING";
    orders_checkout(store, saga, order, NOW_MS + 3);
    if (by != NULL) {
        assert_string_equal(
            orders_move(store, order, saga, attempt, "CHARGING", by, reason, NOW_MS + 60), "moved");
    }
    assert_string_equal(orders_move(store, order, saga, attempt, from, end, "", NOW_MS + 200),
                        "moved");
    return saga;
}

static void paid_keep(const char *order, const char *saga)
{
    snprintf(paid[paid_count].order, sizeof(paid[0].order), "%s", order);
    snprintf(paid[paid_count].saga, sizeof(paid[0].saga), "%s", saga);
    snprintf(paid[paid_count].tale, sizeof(paid[0].tale), "%s", tale_of(order));
    paid_count++;
}

/* One with two lines, paid at its first attempt. */
static const char *order_plain(const char *order, const char *user, const char *item,
                               const char *other)
{
    order_make(order, user);
    line_add(order, item, "2", "10");
    line_add(order, other, "1", "4");
    const char *saga = order_try(order, "1", NULL, "", "PAID");
    paid_keep(order, saga);
    return saga;
}

/* Every form of id, of amount and of story that there is. */
static void orders_of_all_kinds(void)
{
    static const char *const names[] = {"0",
                                        "7",
                                        "4711",
                                        "9999999",
                                        "007",
                                        "123456789012345",
                                        "1234567890123456",
                                        "99999999999999999999",
                                        "a",
                                        "o-1",
                                        "abcdefghijklmno",
                                        "abcdefghijklmn",
                                        "_",
                                        "0193ABCD-ef12-7000-8000-000000000001",
                                        "0193abcd-ef12-4000-8000-000000000001",
                                        "0193abcd-ef12-7000-8000-00000000000",
                                        "2251799813685247",
                                        "2251799813685248"};
    char long_name[65];
    memset(long_name, 'x', 64);
    long_name[64] = '\0';
    paid_count = 0;
    for (int i = 0; i < 8; i++) {
        order_plain(id_at(NOW_MS - 70000), id_at(NOW_MS - 300 * DAY_MS),
                    id_at(NOW_MS - i * 100 * DAY_MS), id_at(NOW_MS - 90000));
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        order_plain(names[i], names[(i + 1) % 18], names[(i + 2) % 18], names[(i + 3) % 18]);
    }
    order_plain(long_name, long_name, long_name, "1");
    /* ids from a clock that is ahead: of the order, of user and items */
    order_plain(id_at(NOW_MS + 40000), id_at(NOW_MS + 50000), id_at(NOW_MS + 50000), "2");
    order_make("large", "1");
    line_add("large", "1", "9007199254740991", "9223372036854775807");
    line_add("large", "2", "63", "0");
    line_add("large", "3", "64", "0");
    paid_keep("large", order_try("large", "1", NULL, "", "PAID"));
    order_make("empty", "1");
    const char *saga = id_at(NOW_MS);
    assert_string_equal(orders_checkout(store, saga, "empty", NOW_MS), "paid");
    paid_keep("empty", saga);
    order_make("again", "1");
    line_add("again", "1", "1", "1");
    for (int i = 1; i < 70; i++) {
        order_try("again", text_of("%d", i), NULL, "insufficient credit", "FAILED");
    }
    paid_keep("again", order_try("again", "70", NULL, "", "PAID"));
    order_make("late", "1");
    line_add("late", "1", "1", "1");
    paid_keep("late", order_try("late", "1", "CANCELLING", "the checkout took too long", "PAID"));
    order_make("asked", "1");
    line_add("asked", "1", "1", "1");
    const char *asked = id_at(NOW_MS);
    orders_checkout(store, asked, "asked", NOW_MS);
    assert_int_equal(orders_lease(store, NOW_MS + 2000, 10), 1);
    assert_int_equal(orders_lease(store, NOW_MS + 20000, 10), 1);
    orders_move(store, "asked", asked, "1", "CHARGING", "PAID", "", NOW_MS + 20100);
    paid_keep("asked", asked);
}

/* Packed, each order tells the same as before, and is not to be changed or paid again. */
static void they_answer_as_before(void **state)
{
    (void)state;
    orders_of_all_kinds();
    packing_later(store, NOW_MS + 20 * DAY_MS);
    packing_all(store);
    assert_string_equal(packing_count(store), text_of("%u", paid_count));
    for (unsigned i = 0; i < paid_count; i++) {
        const char *order = paid[i].order, *saga = paid[i].saga;
        assert_true(is_packed(order));
        assert_string_equal(tale_of(order), paid[i].tale);
        assert_string_equal(orders_add(store, id_at(NOW_MS + 20 * DAY_MS), order, "i", "1", "1"),
                            "conflict|the order is paid");
        assert_string_equal(
            orders_checkout(store, id_at(NOW_MS + 20 * DAY_MS), order, NOW_MS + 20 * DAY_MS),
            "paid");
        assert_string_equal(orders_at(store, 0, RECORD_SAGA), saga);
        /* an answer that comes late */
        assert_string_equal(orders_move(store, order, saga, orders_at(store, 0, RECORD_ATTEMPT),
                                        "CHARGING", "PAID", "", NOW_MS + 20 * DAY_MS),
                            "stale");
        assert_string_equal(orders_at(store, 0, RECORD_STATE), "PAID");
    }
    assert_string_equal(rig_ask(store, "EXISTS", "order:open"), "0");
}

/* A record that is younger than the saga: of a request that attached to it, or of a replay that
 * reads the bucket at this moment. */
static void records_find_them(void **state)
{
    (void)state;
    const char *late = id_at(NOW_MS + 30000);
    paid_count = 0;
    order_make("o", "u");
    line_add("o", "i", "1", "1");
    const char *saga = id_at(NOW_MS);
    orders_checkout(store, saga, "o", NOW_MS);
    assert_string_equal(orders_checkout(store, late, "o", NOW_MS + 30000), "running");
    orders_move(store, "o", saga, "1", "CHARGING", "PAID", "", NOW_MS + 30100);
    packing_later(store, NOW_MS + PACKING_LIFE_MS + 20000);
    packing_all(store);
    assert_true(is_packed("o"));
    assert_string_equal(rig_ask(store, "EXISTS", bucket_of("order", late)), "1");
    assert_string_equal(orders_checkout(store, late, "o", NOW_MS + PACKING_LIFE_MS + 20000),
                        "paid");
    assert_string_equal(orders_at(store, 0, RECORD_SAGA), saga);
    rig_ask(store, "HSET", bucket_of("order", saga), saga, text_of("begun|o|%s", saga));
    assert_string_equal(
        rig_ask(store, "FCALL", "order_saga", "1", bucket_of("order", saga), saga),
        text_of("saga|%s", strchr(rig_ask(store, "FCALL", "order_sagas", "2", "order:recent",
                                          "order:open", "10", "", "o", "0"),
                                  '|') +
                               1));
    rig_ask(store, "ZADD", "order:open", "1", "o");
    assert_int_equal(orders_lease(store, NOW_MS + PACKING_LIFE_MS + 20000, 10), 0);
    assert_string_equal(rig_ask(store, "EXISTS", "order:open"), "0");
}

/* What is young, open, failed or cannot be read stays as it is. */
static void others_stay(void **state)
{
    (void)state;
    paid_count = 0;
    order_plain("young", "u", "i", "j");
    order_make("open", "u");
    line_add("open", "i", "1", "1");
    orders_checkout(store, id_at(NOW_MS), "open", NOW_MS);
    order_make("failed", "u");
    line_add("failed", "i", "1", "1");
    order_try("failed", "1", NULL, "insufficient credit", "FAILED");
    packing_later(store, NOW_MS + 7 * DAY_MS);
    packing_all(store);
    assert_false(is_packed("young"));
    static const char *const damages[][2] = {
        {"journal", "garbage"}, {"total", "9"}, {"lines", "i*2,j*01"}, {"user", "v"}};
    for (int i = 0; i < 4; i++) {
        order_plain(text_of("damaged-%d", i), "u", "i", "j");
        rig_ask(store, "HSET", text_of("order:order:damaged-%d", i), damages[i][0], damages[i][1]);
    }
    packing_later(store, NOW_MS + 20 * DAY_MS);
    packing_all(store);
    assert_true(is_packed("young"));
    assert_false(is_packed("open") || is_packed("failed"));
    for (int i = 0; i < 4; i++) {
        assert_false(is_packed(text_of("damaged-%d", i)));
    }
    assert_string_equal(packing_count(store), "1");
}

/* 200 of them, while nothing may be packed. */
static void orders_whose_records_go(void)
{
    rig_ask(store, "SET", "order:schema", "1|2");
    for (int i = 0; i < 200; i++) {
        paid_count = 0;
        order_plain(text_of("%d", i), "u", "i", "j");
    }
    packing_later(store, NOW_MS + 20 * DAY_MS);
    packing_all(store);
}

/* A version that knows nothing of this may read: nothing is packed. When none may any more, those
 * whose records have gone meanwhile are found. */
static void not_before_all_can_read(void **state)
{
    (void)state;
    orders_whose_records_go();
    assert_string_equal(rig_ask(store, "EXISTS", "order:paid"), "0");
    assert_string_equal(rig_ask(store, "ZCARD", "order:buckets"), "1"); /* of now */
    rig_ask(store, "SET", "order:schema", "2|2");
    packing_all(store);
    assert_string_equal(packing_count(store), "200");
    assert_string_equal(rig_ask(store, "HGET", "order:paid", "walked"), "1");
}

/* Nothing was dropped yet: who walked now would find nothing, and never again. */
static void no_walk_without_a_floor(void **state)
{
    (void)state;
    packing_all(store);
    paid_count = 0;
    order_plain("o", "u", "i", "j");
    rig_ask(store, "DEL", "order:buckets", "order:clock");
    packing_all(store);
    assert_string_equal(rig_ask(store, "EXISTS", "order:paid"), "0");
    packing_later(store, NOW_MS + 20 * DAY_MS);
    packing_all(store);
    assert_string_equal(packing_count(store), "1");
}

/* The walk's cursor is good for one run of one server: another one begins anew, and misses none. */
static void walk_begins_anew(void **state)
{
    (void)state;
    orders_whose_records_go();
    rig_ask(store, "SET", "order:schema", "2|2");
    char cursor[24] = "walkabcdef:127";
    do {
        packing_step(store, "", cursor);
        snprintf(cursor, sizeof(cursor), "%s", rig_at(store, 1));
        assert_true(strlen(cursor) < sizeof(cursor) - 1);
    } while (strcmp(cursor, "0") != 0);
    assert_string_equal(packing_count(store), "200");
}

/* A batch makes it anew: it is not paid, and can be, and is packed once more. */
static void made_anew(void **state)
{
    (void)state;
    paid_count = 0;
    for (int i = 0; i < 3; i++) {
        order_plain(text_of("%d", i), "u", "i", "j");
    }
    packing_later(store, NOW_MS + 20 * DAY_MS);
    packing_all(store);
    assert_string_equal(packing_count(store), "3");
    const char *id = id_at(NOW_MS + 20 * DAY_MS);
    assert_string_equal(orders_init(store, id, 2, 5, 5, "2", 7), "created");
    assert_string_equal(packing_count(store), "1");
    assert_string_equal(orders_find(store, "1"), "order");
    assert_string_equal(rig_at(store, 4), "0");
    assert_string_equal(orders_find(store, "2"), "order");
    assert_string_equal(rig_at(store, 4), "1");
    const char *saga = id_at(NOW_MS + 20 * DAY_MS);
    assert_string_equal(orders_checkout(store, saga, "1", NOW_MS + 20 * DAY_MS), "begun");
    orders_move(store, "1", saga, "1", "CHARGING", "PAID", "", NOW_MS + 20 * DAY_MS);
    packing_later(store, NOW_MS + 40 * DAY_MS);
    packing_all(store);
    assert_string_equal(packing_count(store), "2");
    orders_find(store, "1");
    assert_string_equal(rig_at(store, 4), "1");
}

/* Packed bytes that are damaged are an error, and never "no such order". */
static void damage_is_told(void **state)
{
    (void)state;
    paid_count = 0;
    order_plain("4711", "u", "i", "j");
    packing_later(store, NOW_MS + 20 * DAY_MS);
    packing_all(store);
    rig_ask(store, "HSET", "order:paid:0", "4711", "\x05");
    rig_expect(store, RIG_ERROR, "FCALL", "order_find", "2", "order:once:0", "order:order:4711",
               "-");
    rig_wait(store);
    assert_int_equal(rig_misanswered(store), 0);
}

static const char *greet(int64_t clock_ms)
{
    rig_ask(store, "SET", "order:clock", text_of("%lld", (long long)clock_ms));
    rig_ask(store, "FCALL", "order_greet", "2", "order:schema", "order:libraries");
    return text_of("%s", rig_ask(store, "GET", "order:schema"));
}

/* The mark allows it when for a day there was nobody in the store who cannot read it. */
static void mark_allows_it_after_a_day(void **state)
{
    (void)state;
    rig_ask(store, "DEL", "order:schema");
    rig_ask(store, "ZADD", "order:buckets", "1", "000000001"); /* an older version was here */
    rig_ask(store, "ZADD", "order:libraries", "1", "kassa_order_older");
    assert_string_equal(greet(0), "1|2");
    assert_string_equal(greet(NOW_MS), "1|2");
    assert_string_equal(greet(NOW_MS + DAY_MS - 1), "1|2");
    assert_string_equal(greet(NOW_MS + 2 * DAY_MS), "1|2"); /* the older one is still there */
    rig_ask(store, "ZREM", "order:libraries", "kassa_order_older");
    rig_ask(store, "ZADD", "order:libraries", "1", "kassa_order_newer");
    assert_string_equal(greet(NOW_MS + 2 * DAY_MS), "1|2"); /* of this nobody knows */
    rig_ask(store, "HSET", "order:readers", "kassa_order_newer", "3");
    assert_string_equal(greet(NOW_MS + DAY_MS - 1), "1|2");
    assert_string_equal(greet(NOW_MS + DAY_MS), "2|2");
    assert_string_equal(rig_ask(store, "EXISTS", "order:readers"), "0");
    assert_string_equal(greet(NOW_MS + DAY_MS), "2|2");
}

/* Into a new store nobody comes who cannot read it. */
static void mark_of_a_new_store(void **state)
{
    (void)state;
    rig_ask(store, "DEL", "order:schema", "order:buckets");
    assert_string_equal(greet(0), "2|2");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_answer_as_before),
        TEST(records_find_them),
        TEST(others_stay),
        TEST(not_before_all_can_read),
        TEST(no_walk_without_a_floor),
        TEST(walk_begins_anew),
        TEST(made_anew),
        TEST(damage_is_told),
        TEST(mark_allows_it_after_a_day),
        TEST(mark_of_a_new_store),
    };
    return cmocka_run_group_tests_name("live/paid", tests, group_setup, group_teardown);
}
