/* Leases of due sagas in a real server: each to one caller, later and later, and never too late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "test/lib/orders.h"
#include "test/lib/story.h"

extern const struct library order_library;

#define NOW_MS ORDERS_NOW_MS
#define LIMIT  100

RIG_FIXTURE(order_library)

/* Begins a saga of a new order at now_ms; it is due a second later. */
static const char *saga_begin_at(const char *order, int64_t now_ms)
{
    const char *saga = id_at(NOW_MS);
    orders_create(store, id_at(NOW_MS), order, "u");
    orders_add(store, id_at(NOW_MS), order, "i", "2", "10");
    assert_string_equal(orders_checkout(store, saga, order, now_ms), "begun");
    return saga;
}

/* A saga is leased when it is due and not a millisecond before, with all that a re-send needs. */
static void lease_when_due(void **state)
{
    (void)state;
    const char *saga = saga_begin_at("o", NOW_MS);
    assert_int_equal(orders_lease(store, NOW_MS + 999, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, LIMIT), 1);
    assert_string_equal(orders_at(store, 0, RECORD_OUTCOME), "due");
    assert_string_equal(orders_at(store, 0, RECORD_ORDER), "o");
    assert_string_equal(orders_at(store, 0, RECORD_SAGA), saga);
    assert_string_equal(orders_at(store, 0, RECORD_STATE), "CHARGING");
    assert_string_equal(orders_at(store, 0, RECORD_RETRIES), "1");
    assert_string_equal(orders_at(store, 0, RECORD_USER), "u");
    assert_string_equal(orders_at(store, 0, RECORD_TOTAL), "10");
    assert_string_equal(orders_at(store, 0, RECORD_LINES), "i*2");
}

/* A due saga goes to one of two callers, and is not lost when that one never comes back. */
static void lease_to_one(void **state)
{
    (void)state;
    saga_begin_at("o", NOW_MS);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, LIMIT), 1);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 2999, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 3000, LIMIT), 1);
}

/* The waiting doubles, up to its cap, and stays there however often. */
static void lease_backs_off(void **state)
{
    (void)state;
    static const int wait_ms[] = {2000, 4000, 5000, 5000, 5000};
    int64_t due_ms = NOW_MS + 1000;
    saga_begin_at("o", NOW_MS);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(orders_lease(store, due_ms - 1, LIMIT), 0);
        assert_int_equal(orders_lease(store, due_ms, LIMIT), 1);
        assert_string_equal(orders_at(store, 0, RECORD_RETRIES), text_of("%d", i + 1));
        due_ms += i < 5 ? wait_ms[i] : 5000;
        assert_string_equal(orders_journal_at(store, "o", RECORD_DUE_MS),
                            text_of("%lld", (long long)due_ms));
    }
}

/* At most so many in one lease, the most overdue first; the next lease gets the others. */
static void lease_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        saga_begin_at(text_of("o%d", i), NOW_MS + 10 * i);
    }
    for (int i = 0; i < 5; i += 2) {
        unsigned expected = i < 4 ? 2 : 1;
        assert_int_equal(orders_lease(store, NOW_MS + 1500, 2), expected);
        for (unsigned n = 0; n < expected; n++) {
            assert_string_equal(orders_at(store, n, RECORD_ORDER), text_of("o%d", i + (int)n));
        }
    }
    assert_int_equal(orders_lease(store, NOW_MS + 1500, 2), 0);
}

/* A saga that was answered meanwhile is not handed out at the due time of its last state. */
static void lease_after_a_transition(void **state)
{
    (void)state;
    const char *saga = saga_begin_at("o", NOW_MS);
    orders_move(store, "o", saga, "1", "CHARGING", "CANCELLING", "", NOW_MS + 600);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 1599, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 1600, LIMIT), 1);
    assert_string_equal(orders_at(store, 0, RECORD_STATE), "CANCELLING");
    assert_string_equal(orders_at(store, 0, RECORD_RETRIES), "1");
}

/* A saga that was slow once is not looked at later for it: the next command has its own time. */
static void lease_after_a_slow_transition(void **state)
{
    (void)state;
    const char *saga = saga_begin_at("o", NOW_MS);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, LIMIT), 1);
    assert_int_equal(orders_lease(store, NOW_MS + 3000, LIMIT), 1); /* due again at 7000 */
    orders_move(store, "o", saga, "1", "CHARGING", "CANCELLING", "", NOW_MS + 3100);
    assert_int_equal(orders_lease(store, NOW_MS + 4099, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 4100, LIMIT), 1);
    assert_string_equal(orders_at(store, 0, RECORD_RETRIES), "1");
    assert_string_equal(orders_at(store, 0, RECORD_STORY),
                        story_from(NOW_MS, "CHARGING:0:2,CANCELLING:3100:0"));
}

/* An ended saga is nobody's: also when its order was left in the set by mistake. */
static void lease_of_the_ended(void **state)
{
    (void)state;
    const char *saga = saga_begin_at("o", NOW_MS);
    orders_move(store, "o", saga, "1", "CHARGING", "FAILED", "no", NOW_MS + 5);
    assert_int_equal(orders_lease(store, NOW_MS + 9000, LIMIT), 0);
    rig_ask(store, "ZADD", "order:open", "1", "o");
    rig_ask(store, "ZADD", "order:open", "1", "none");
    assert_int_equal(orders_lease(store, NOW_MS + 9000, LIMIT), 0);
    assert_string_equal(rig_ask(store, "EXISTS", "order:open"), "0");
    assert_string_equal(rig_ask(store, "EXISTS", "order:order:none"), "0");
}

/* One who slept over his lease finds the saga moved on, and cannot move it himself. */
static void lease_overslept(void **state)
{
    (void)state;
    const char *saga = saga_begin_at("o", NOW_MS);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, LIMIT), 1);
    assert_int_equal(orders_lease(store, NOW_MS + 3000, LIMIT), 1);
    assert_string_equal(
        orders_move(store, "o", saga, "1", "CHARGING", "REFUNDING", "late", NOW_MS + 3001),
        "moved");
    assert_string_equal(
        orders_move(store, "o", saga, "1", "CHARGING", "REFUNDING", "late", NOW_MS + 3002),
        "stale");
    assert_string_equal(orders_at(store, 0, RECORD_STORY),
                        story_from(NOW_MS, "CHARGING:0:2,REFUNDING:3001:0"));
}

/* Another attempt's lease begins with its own patience. */
static void lease_of_the_next_attempt(void **state)
{
    (void)state;
    const char *first = saga_begin_at("o", NOW_MS), *second = id_at(NOW_MS);
    orders_lease(store, NOW_MS + 1000, LIMIT);
    orders_lease(store, NOW_MS + 3000, LIMIT);
    orders_move(store, "o", first, "1", "CHARGING", "FAILED", "no", NOW_MS + 3100);
    orders_checkout(store, second, "o", NOW_MS + 3200);
    assert_int_equal(orders_lease(store, NOW_MS + 4199, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 4200, LIMIT), 1);
    assert_string_equal(orders_at(store, 0, RECORD_SAGA), second);
    assert_string_equal(orders_at(store, 0, RECORD_RETRIES), "1");
}

/* A journal that cannot be read is handed out without its parts, to be told of, and looked at again
 * later; it holds up nobody, however many of them there are. */
static void lease_of_the_damaged(void **state)
{
    (void)state;
    static const char *const damaged[] = {"", "garbage",
                                          "s|1|CHARGING|x|0||g/r|u|1|i*1|CHARGING:1:0",
                                          "s|1|CHARGING|1|x||g/r|u|1|i*1|CHARGING:1:0"};
    for (int i = 0; i < 4; i++) {
        const char *order = text_of("damaged-%d", i);
        saga_begin_at(order, NOW_MS - 10);
        rig_ask(store, "HSET", text_of("order:order:%s", order), "journal", damaged[i]);
    }
    saga_begin_at("o", NOW_MS);
    assert_int_equal(orders_lease(store, NOW_MS + 1000, 4), 4);
    for (unsigned n = 0; n < 4; n++) {
        assert_string_equal(rig_at(store, n), text_of("due|damaged-%u|", n));
    }
    assert_int_equal(orders_lease(store, NOW_MS + 1000, 4), 1);
    assert_string_equal(orders_at(store, 0, RECORD_ORDER), "o");
    assert_int_equal(orders_lease(store, NOW_MS + 2999, LIMIT), 0);
    assert_int_equal(orders_lease(store, NOW_MS + 6000, LIMIT), 5);
    assert_string_equal(rig_ask(store, "HGET", "order:order:damaged-1", "journal"), "garbage");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lease_when_due),
        TEST(lease_to_one),
        TEST(lease_backs_off),
        TEST(lease_limit),
        TEST(lease_after_a_transition),
        TEST(lease_after_a_slow_transition),
        TEST(lease_of_the_ended),
        TEST(lease_overslept),
        TEST(lease_of_the_next_attempt),
        TEST(lease_of_the_damaged),
    };
    return cmocka_run_group_tests_name("lease", tests, group_setup, group_teardown);
}
