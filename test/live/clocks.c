/* Clocks that jump, as the orders' store sees them, in a real server: what is begun by a clock that
 * differs, and what was written while the store's own was wrong. Source:
 * protocol.md, "One clock for each store". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "test/lib/orders.h"

extern const struct library order_library;

#define NOW_MS  ORDERS_NOW_MS
#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define FAR_MS  INT64_C(60000) /* ahead; behind it is ORDERS_LATE_MS */
#define LIMIT   10

RIG_FIXTURE(order_library)

static void order_of_two(const char *order)
{
    orders_create(store, id_at(NOW_MS), order, "u");
    orders_add(store, id_at(NOW_MS), order, "i", "2", "10");
}

/* A request by a clock that differs begins nothing: no saga that nobody could move, no order that
 * is frozen. And it never will, also when the clocks agree again: its client was told so. */
static void what_is_far_begins_nothing(void **state)
{
    static const int64_t off_ms[] = {FAR_MS + 1, HOUR_MS, 9 * DAY_MS, -ORDERS_LATE_MS - 1,
                                     -9 * DAY_MS};
    (void)state;
    order_of_two("o");
    for (size_t i = 0; i < sizeof(off_ms) / sizeof(off_ms[0]); i++) {
        const char *request = id_at(NOW_MS + off_ms[i]);
        assert_string_equal(orders_checkout(store, request, "o", NOW_MS), "far");
        assert_string_equal(rig_ask(store, "HEXISTS", "order:order:o", "journal"), "0");
        assert_string_equal(rig_ask(store, "ZCARD", "order:open"), "0");
        assert_string_equal(orders_checkout(store, request, "o", NOW_MS + off_ms[i]), "far");
    }
    assert_string_equal(orders_add(store, id_at(NOW_MS), "o", "i", "1", "5"), "order|15");
    assert_string_equal(orders_checkout(store, id_at(NOW_MS), "o", NOW_MS), "begun");
}

/* Clocks may differ by so much, and not by a millisecond less. */
static void what_is_near_begins(void **state)
{
    (void)state;
    order_of_two("ahead");
    order_of_two("behind");
    assert_string_equal(orders_checkout(store, id_at(NOW_MS + FAR_MS), "ahead", NOW_MS), "begun");
    assert_string_equal(orders_checkout(store, id_at(NOW_MS - ORDERS_LATE_MS), "behind", NOW_MS),
                        "begun");
}

/* The same for the requests beside it in one call. */
static void what_is_far_holds_up_nobody(void **state)
{
    const char *far = id_at(NOW_MS + FAR_MS + 1), *near = id_at(NOW_MS + FAR_MS - 4096);
    (void)state;
    order_of_two("o");
    order_of_two("p");
    rig_clock(store, NOW_MS);
    rig_ask(store, "FCALL", "order_checkout", "3", bucket_of("order", far), "order:open",
            "order:recent", "1000", "900000", far, "o", "gw", near, "p", "gw");
    assert_string_equal(orders_at(store, 0, RECORD_OUTCOME), "far");
    assert_string_equal(orders_at(store, 1, RECORD_OUTCOME), "begun");
    assert_string_equal(orders_at(store, 1, RECORD_ORDER), "p");
}

/* A due time that was written while the clock was ahead is none: the saga is sent again at once,
 * and from then on as usual. Whether it was its beginning, a step or a lease that wrote it. */
static void a_due_time_of_another_clock_is_over(void **state)
{
    static const char *const orders[] = {"begun", "moved", "leased"};
    const char *begun = id_at(NOW_MS + HOUR_MS), *moved = id_at(NOW_MS), *leased = id_at(NOW_MS);
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        order_of_two(orders[i]);
    }
    assert_string_equal(orders_checkout(store, leased, "leased", NOW_MS), "begun");
    assert_int_equal(orders_lease(store, NOW_MS + HOUR_MS, LIMIT), 1);
    assert_string_equal(orders_checkout(store, moved, "moved", NOW_MS), "begun");
    assert_int_equal(orders_lease(store, NOW_MS + 1000, 1), 1);
    orders_move(store, "moved", moved, "1", "CHARGING", "REFUNDING", "no", NOW_MS + HOUR_MS);
    assert_string_equal(orders_checkout(store, begun, "begun", NOW_MS + HOUR_MS), "begun");
    for (unsigned i = 0; i < 3; i++) {
        int64_t due_ms = strtoll(orders_journal_at(store, orders[i], RECORD_DUE_MS), NULL, 10);
        assert_true(due_ms > NOW_MS + HOUR_MS);
    }
    assert_int_equal(orders_lease(store, NOW_MS + 1500, LIMIT), 3);
    assert_int_equal(orders_lease(store, NOW_MS + 1500, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 1500 + 5000, LIMIT), 3);
}

/* What is due within twice the longest wait is honest, and waited for. */
static void an_honest_due_time_is_waited_for(void **state)
{
    const char *saga = id_at(NOW_MS);
    (void)state;
    order_of_two("o");
    assert_string_equal(orders_checkout(store, saga, "o", NOW_MS), "begun");
    assert_int_equal(orders_lease(store, NOW_MS - 8000, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 999, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, LIMIT), 1);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_far_begins_nothing),       TEST(what_is_near_begins),
        TEST(what_is_far_holds_up_nobody),      TEST(a_due_time_of_another_clock_is_over),
        TEST(an_honest_due_time_is_waited_for),
    };
    return cmocka_run_group_tests_name("live clocks", tests, group_setup, group_teardown);
}
