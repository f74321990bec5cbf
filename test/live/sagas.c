/* Lists of sagas in a real server: which, in what order, and how much a call looks at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "test/lib/orders.h"

extern const struct library order_library;

#define NOW_MS                   ORDERS_NOW_MS
#define checkout(request, order) orders_checkout(store, request, order, NOW_MS)

RIG_FIXTURE(order_library)

/* One part of a list: its records; the cursor stands behind them. */
static unsigned list_from(const char *limit, const char *saga_state, const char *order,
                          const char *cursor)
{
    rig_ask(store, "FCALL", "order_sagas", "2", "order:recent", "order:open", limit, saga_state,
            order, cursor);
    return rig_count(store) - 1;
}

static const char *list_cursor(void)
{
    return rig_at(store, rig_count(store) - 1);
}

/* A list that has one part. */
static unsigned list(const char *limit, const char *saga_state, const char *order)
{
    unsigned count = list_from(limit, saga_state, order, "0");
    assert_string_equal(list_cursor(), "");
    return count;
}

static void assert_listed(unsigned n, const char *saga)
{
    assert_string_equal(orders_at(store, n, RECORD_SAGA), saga);
}

/* Lists: the newest first, over many buckets; by state, by order, the open ones; bounded. */
static void lists(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    char saga[COUNT][64];
    assert_int_equal(list("10", "", ""), 0);
    for (int i = 0; i < COUNT; i++) { /* two in each bucket of 4096 ms */
        snprintf(saga[i], sizeof(saga[i]), "%s", id_at(NOW_MS + i / 2 * 5000 + i % 2));
        orders_with_line(store, text_of("o%d", i % 5)); /* the sixth is the second attempt of o0 */
        assert_string_equal(checkout(saga[i], text_of("o%d", i % 5)), "begun");
        if (i == 0 || i == 3) {
            orders_fail(store, text_of("o%d", i), saga[i], "1", "no");
        } else if (i == 1) {
            orders_pay(store, "o1", saga[i], "1");
        }
    }
    assert_int_equal(list("10", "", ""), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_listed(i, saga[COUNT - 1 - i]);
    }
    assert_int_equal(list("2", "", ""), 2);
    assert_listed(1, saga[4]);
    assert_int_equal(list("10", "FAILED", ""), 2);
    assert_listed(0, saga[3]);
    assert_listed(1, saga[0]);
    assert_int_equal(list("10", "PAID", ""), 1);
    assert_listed(0, saga[1]);
    assert_int_equal(list("10", "REFUNDING", ""), 0);
    assert_int_equal(list("10", "open", ""), 3); /* by due time: the newest are picked later */
    assert_listed(0, saga[5]);
    assert_listed(1, saga[2]);
    assert_listed(2, saga[4]);
    assert_int_equal(list("10", "", "o0"), 1);
    assert_listed(0, saga[5]);
    assert_int_equal(list("10", "CHARGING", "o0"), 1);
    assert_int_equal(list("10", "open", "o0"), 1);
    assert_int_equal(list("10", "FAILED", "o0"), 0);
    assert_int_equal(list("10", "open", "o1"), 0);
    assert_int_equal(list("10", "PAID", "o1"), 1);
    assert_int_equal(list("10", "", "none"), 0);
}

/* A journal that cannot be read hides no other in a list, and is in it itself, without a state. */
static void list_with_the_damaged(void **state)
{
    (void)state;
    char saga[3][64];
    for (int i = 0; i < 3; i++) {
        snprintf(saga[i], sizeof(saga[i]), "%s", id_at(NOW_MS + i));
        orders_with_line(store, text_of("o%d", i));
        checkout(saga[i], text_of("o%d", i));
    }
    rig_ask(store, "HSET", "order:order:o1", "journal", "garbage");
    assert_int_equal(list("10", "", ""), 3);
    assert_listed(0, saga[2]);
    assert_listed(1, saga[1]);
    assert_string_equal(orders_at(store, 1, RECORD_ORDER), "o1");
    assert_string_equal(orders_at(store, 1, RECORD_STATE), "");
    assert_listed(2, saga[0]);
    assert_int_equal(list("10", "CHARGING", ""), 2);
    assert_int_equal(list("10", "open", ""), 3);
    assert_listed(0, saga[0]);
    assert_string_equal(rig_at(store, 1), "saga|o1|");
    assert_listed(2, saga[2]);
}

/* The list of recent sagas is bounded, and the newest are never those that are cut off. */
static void list_is_bounded(void **state)
{
    char newest[64];
    (void)state;
    for (int i = 0; i < 2500; i++) {
        snprintf(newest, sizeof(newest), "%s", id_at(NOW_MS + i));
        orders_with_line(store, text_of("o%d", i));
        assert_string_equal(checkout(newest, text_of("o%d", i)), "begun");
        assert_true(atoi(rig_ask(store, "LLEN", "order:recent")) <= 2000);
    }
    assert_int_equal(list_from("20", "", "", "0"), 20);
    assert_listed(0, newest);
    assert_string_equal(list_cursor(), "");
    assert_int_equal(list_from("100", "", "", "0"), 50);
    assert_listed(0, newest);
    assert_string_equal(list_cursor(), "50");
    assert_int_equal(list_from("100", "", "", "50"), 50);
    assert_string_equal(orders_at(store, 0, RECORD_ORDER), "o2449");
}

/* No call looks at more than a few, whatever is asked for: each one would be waited for by all who
 * need the store. All calls of a list together look at the newest 1000 and no others. */
static void list_is_asked_for_in_parts(void **state)
{
    (void)state;
    for (int i = 0; i < 1200; i++) {
        orders_with_line(store, text_of("o%d", i));
        assert_string_equal(checkout(id_at(NOW_MS + i), text_of("o%d", i)), "begun");
    }
    static const struct {
        const char *state;
        unsigned found;
    } lists[] = {{"STUCK", 0}, {"CHARGING", 1000}, {"open", 1000}};
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char cursor[32] = "0";
        unsigned calls = 0, found = 0;
        for (; cursor[0] != '\0'; calls++) {
            unsigned count = list_from("100", lists[i].state, "", cursor);
            assert_true(count <= 50);
            found += count;
            snprintf(cursor, sizeof(cursor), "%s", list_cursor());
        }
        assert_int_equal(calls, 20);
        assert_int_equal(found, lists[i].found);
    }
}
#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists),
        TEST(list_with_the_damaged),
        TEST(list_is_bounded),
        TEST(list_is_asked_for_in_parts),
    };
    return cmocka_run_group_tests_name("sagas", tests, group_setup, group_teardown);
}
