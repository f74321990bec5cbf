/* Orders in a real server: made, filled, frozen, made in batches. Their sagas are in saga.c and
 * lease.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/lines.h"
#include "catalogue/message.h"
#include "test/lib/orders.h"

extern const struct library order_library;

#define NOW_MS ORDERS_NOW_MS

RIG_FIXTURE(order_library)

static const char *add(const char *order, const char *item, const char *pieces, const char *cost)
{
    return orders_add(store, id_at(NOW_MS), order, item, pieces, cost);
}

static void assert_order(const char *order, const char *user, const char *total, const char *lines,
                         const char *paid)
{
    assert_string_equal(orders_find(store, order), "order");
    assert_int_equal(rig_count(store), 5);
    assert_string_equal(rig_at(store, 1), user);
    assert_string_equal(rig_at(store, 2), total);
    assert_string_equal(rig_at(store, 3), lines);
    assert_string_equal(rig_at(store, 4), paid);
    assert_true(lines_are_valid(slice_from(rig_at(store, 3))));
}

/* An order is made once: the repeat of a create does not empty one that was filled meanwhile. */
static void create_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    assert_string_equal(orders_find(store, "o"), "unknown");
    assert_int_equal(rig_count(store), 1);
    assert_string_equal(orders_create(store, id, "o", "u"), "created");
    assert_order("o", "u", "0", "", "0");
    add("o", "i", "2", "10");
    assert_string_equal(orders_create(store, id, "o", "u"), "created");
    assert_order("o", "u", "10", "i*2", "0");
}

/* A line is added once, and the repeat hears the same total even after the order has grown. */
static void add_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    orders_create(store, id_at(NOW_MS), "o", "u");
    assert_string_equal(orders_add(store, id, "o", "i", "2", "10"), "order|10");
    assert_string_equal(add("o", "j", "1", "7"), "order|17");
    assert_string_equal(orders_add(store, id, "o", "i", "2", "10"), "order|10");
    assert_order("o", "u", "17", "i*2,j*1", "0");
}

/* The same item adds up in its place; items with similar names are different ones. */
static void add_merges(void **state)
{
    (void)state;
    orders_create(store, id_at(NOW_MS), "o", "u");
    add("o", "1", "2", "2");
    add("o", "11", "3", "3");
    add("o", "a-1", "1", "1");
    add("o", "1", "5", "5");
    add("o", "a-1", "9", "9");
    assert_order("o", "u", "20", "1*7,11*3,a-1*10", "0");
}

/* Items given away for nothing are lines like others. */
static void add_of_no_cost(void **state)
{
    (void)state;
    orders_create(store, id_at(NOW_MS), "o", "u");
    assert_string_equal(add("o", "i", "2", "0"), "order|0");
    assert_order("o", "u", "0", "i*2", "0");
}

/* An order has at most so many different items; more of one that is there is welcome. */
static void add_lines_limit(void **state)
{
    (void)state;
    const char *refused = id_at(NOW_MS);
    orders_create(store, id_at(NOW_MS), "o", "u");
    add("o", "a", "1", "1");
    add("o", "b", "1", "1");
    add("o", "c", "1", "1");
    assert_string_equal(orders_add(store, refused, "o", "d", "1", "1"),
                        "refused|too many items in the order");
    assert_string_equal(add("o", "b", "1", "1"), "order|4");
    assert_string_equal(orders_add(store, refused, "o", "d", "1", "1"),
                        "refused|too many items in the order");
    assert_order("o", "u", "4", "a*1,b*2,c*1", "0");
}

/* A line holds less than 2^53 pieces, added at once or bit by bit: what it says is what is taken,
 * and every line can travel in a message. */
static void add_quantity_limit(void **state)
{
    (void)state;
    orders_create(store, id_at(NOW_MS), "o", "u");
    assert_string_equal(add("o", "i", "9223372036854775807", "0"), "refused|quantity too large");
    assert_string_equal(add("o", "i", "9007199254740993", "0"), "refused|quantity too large");
    assert_string_equal(add("o", "i", "9007199254740992", "0"), "refused|quantity too large");
    assert_string_equal(add("o", "i", "9007199254740991", "5"), "order|5");
    assert_string_equal(add("o", "i", "1", "1"), "refused|quantity too large");
    assert_string_equal(add("o", "i", "2", "1"), "refused|quantity too large");
    assert_string_equal(add("o", "i", "9007199254740991", "1"), "refused|quantity too large");
    assert_order("o", "u", "5", "i*9007199254740991", "0");
    add("o", "j", "9007199254740990", "0");
    assert_string_equal(add("o", "j", "1", "0"), "order|5");
    assert_order("o", "u", "5", "i*9007199254740991,j*9007199254740991", "0");
}

/* A total is exact up to 2^63-1; what would not fit is refused and leaves no line behind. */
static void add_total_limit(void **state)
{
    (void)state;
    orders_create(store, id_at(NOW_MS), "o", "u");
    add("o", "i", "1", "9007199254740993");
    assert_order("o", "u", "9007199254740993", "i*1", "0");
    assert_string_equal(add("o", "j", "1", "9223372036854775807"), "refused|total cost too large");
    assert_string_equal(add("o", "j", "1", "9223372036854775808"), "refused|total cost too large");
    assert_order("o", "u", "9007199254740993", "i*1", "0");
    assert_string_equal(add("o", "j", "1", "9214364837600034814"), "order|9223372036854775807");
    assert_string_equal(add("o", "k", "1", "1"), "refused|total cost too large");
    assert_order("o", "u", "9223372036854775807", "i*1,j*1", "0");
}

/* An order that was unknown stays unknown to the same command, though it exists by now. */
static void add_to_unknown(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    assert_string_equal(orders_add(store, id, "o", "i", "1", "1"), "unknown");
    assert_string_equal(rig_ask(store, "EXISTS", "order:order:o"), "0");
    orders_create(store, id_at(NOW_MS), "o", "u");
    assert_string_equal(orders_add(store, id, "o", "i", "1", "1"), "unknown");
    assert_order("o", "u", "0", "", "0");
}

/* Nothing is added while a checkout runs, in any of its states, nor to a paid order; to one whose
 * checkout failed, it is. The repeat of a command that came at the wrong time changes nothing. */
static void add_conflicts(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS), *other = id_at(NOW_MS), *early = id_at(NOW_MS);
    static const char *const path[] = {"CHARGING", "CANCELLING", "REFUNDING", "STUCK", "FAILED"};
    orders_create(store, id_at(NOW_MS), "o", "u");
    add("o", "i", "1", "1");
    orders_checkout(store, saga, "o", NOW_MS);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(orders_add(store, i == 0 ? early : id_at(NOW_MS), "o", "j", "1", "1"),
                            "conflict|a checkout of the order is running");
        assert_string_equal(
            orders_move(store, "o", saga, "1", path[i], path[i + 1], "no", NOW_MS + i), "moved");
    }
    assert_string_equal(add("o", "k", "1", "1"), "order|2");
    assert_string_equal(orders_add(store, early, "o", "j", "1", "1"),
                        "conflict|a checkout of the order is running");
    orders_checkout(store, other, "o", NOW_MS);
    orders_move(store, "o", other, "2", "CHARGING", "CANCELLING", "", NOW_MS);
    orders_move(store, "o", other, "2", "CANCELLING", "PAID", "", NOW_MS);
    assert_string_equal(add("o", "j", "1", "1"), "conflict|the order is paid");
    assert_order("o", "u", "2", "i*1,k*1", "1");
}

/* "a*1,b*1": two different items below `items`, or one of them twice when there is but one. */
static void assert_drawn(const char *lines, int items)
{
    int first, second, end = 0;
    if (items == 1) {
        assert_string_equal(lines, "0*2");
        return;
    }
    assert_int_equal(sscanf(lines, "%d*1,%d*1%n", &first, &second, &end), 2);
    assert_int_equal(lines[end], '\0');
    assert_in_range(first, 0, items - 1);
    assert_in_range(second, 0, items - 1);
    assert_int_not_equal(first, second);
}

/* A batch draws each order's user and two items, within their numbers, at the given cost. */
static void init_draws(void **state)
{
    (void)state;
    static const int items[] = {1, 2, 3, 1000};
    for (int i = 0; i < 4; i++) {
        unsigned users_seen = 0;
        assert_string_equal(orders_init(store, id_at(NOW_MS), 50, items[i], 5, "14", 7 + i),
                            "created");
        for (int order = 0; order < 50; order++) {
            assert_string_equal(orders_find(store, text_of("%d", order)), "order");
            int user = atoi(rig_at(store, 1));
            assert_in_range(user, 0, 4);
            users_seen |= 1u << user;
            assert_string_equal(rig_at(store, 2), "14");
            assert_drawn(rig_at(store, 3), items[i]);
            assert_string_equal(rig_at(store, 4), "0");
        }
        assert_int_equal(users_seen, 31);
        assert_string_equal(orders_find(store, "50"), "unknown");
    }
}

/* The repeat of a batch changes nothing, and its seed alone decides what is drawn. */
static void init_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    char drawn[20][32];
    orders_init(store, id, 20, 1000, 1000, "2", 42);
    for (int order = 0; order < 20; order++) {
        orders_find(store, text_of("%d", order));
        snprintf(drawn[order], sizeof(drawn[order]), "%s", rig_at(store, 3));
    }
    add("3", "x", "1", "1");
    assert_string_equal(orders_init(store, id, 20, 1000, 1000, "2", 42), "created");
    orders_find(store, "3");
    assert_string_equal(rig_at(store, 2), "3");
    orders_init(store, id_at(NOW_MS), 20, 1000, 1000, "2", 42);
    for (int order = 0; order < 20; order++) {
        orders_find(store, text_of("%d", order));
        assert_string_equal(rig_at(store, 3), drawn[order]);
    }
}

/* A batch makes ended orders anew, and leaves those alone whose saga holds money: and says so. */
static void init_leaves_running_orders(void **state)
{
    (void)state;
    const char *paid = id_at(NOW_MS), *failed = id_at(NOW_MS), *running = id_at(NOW_MS);
    orders_init(store, id_at(NOW_MS), 4, 10, 10, "2", 1);
    orders_checkout(store, paid, "0", NOW_MS);
    orders_move(store, "0", paid, "1", "CHARGING", "CANCELLING", "", NOW_MS);
    orders_move(store, "0", paid, "1", "CANCELLING", "PAID", "", NOW_MS);
    orders_checkout(store, failed, "1", NOW_MS);
    orders_move(store, "1", failed, "1", "CHARGING", "FAILED", "no", NOW_MS);
    orders_checkout(store, running, "2", NOW_MS);
    orders_move(store, "2", running, "1", "CHARGING", "CANCELLING", "", NOW_MS);
    assert_string_equal(orders_init(store, id_at(NOW_MS), 4, 10, 10, "8", 2),
                        "conflict|a checkout of these orders is running");
    for (int order = 0; order < 4; order++) {
        orders_find(store, text_of("%d", order));
        assert_string_equal(rig_at(store, 2), order == 2 ? "2" : "8");
        assert_string_equal(rig_at(store, 4), "0");
    }
    assert_string_equal(orders_move(store, "2", running, "1", "CANCELLING", "PAID", "", NOW_MS),
                        "moved");
    assert_string_equal(orders_checkout(store, id_at(NOW_MS), "0", NOW_MS), "begun");
    assert_string_equal(orders_at(store, 0, RECORD_ATTEMPT), "1");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_once),     TEST(add_once),        TEST(add_merges),
        TEST(add_of_no_cost),  TEST(add_lines_limit), TEST(add_quantity_limit),
        TEST(add_total_limit), TEST(add_to_unknown),  TEST(add_conflicts),
        TEST(init_draws),      TEST(init_once),       TEST(init_leaves_running_orders),
    };
    return cmocka_run_group_tests_name("order", tests, group_setup, group_teardown);
}
