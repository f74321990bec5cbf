/* How many replicas have to have a write (idempotency/copies): with a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "idempotency/copies.h"

#define START_MS   1000
#define DEGRADE_MS 10000

/* Master A, whom both replicas have followed, of three Sentinels. */
static struct copies whole(void)
{
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    copies_named(&c, "a:1", 0);
    assert_true(copies_counted(&c, 2, START_MS));
    return c;
}

static void all_are_needed(void **state)
{
    (void)state;
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    assert_int_equal(copies_needed(&c, START_MS), 2);
    copies_named(&c, "a:1", 0);
    assert_false(copies_counted(&c, 1, START_MS));
    assert_false(copies_counted(&c, 0, START_MS));
    assert_true(copies_counted(&c, 2, START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
}

static void without_replicas_nothing_is_waited_for(void **state)
{
    (void)state;
    struct copies c = {0};
    assert_int_equal(copies_needed(&c, START_MS), 0);
    assert_true(copies_counted(&c, 0, START_MS));
}

/* A replica is gone: both the time and most of the Sentinels are needed, whichever comes last. */
static void a_missing_one_is_done_without_when_known_to_be_missing(void **state)
{
    (void)state;
    struct copies c = whole();
    assert_false(copies_counted(&c, 1, START_MS));
    copies_named(&c, "a:1", 0);
    assert_false(copies_counted(&c, 1, START_MS + DEGRADE_MS)); /* one Sentinel is not most */
    copies_named(&c, "a:1", 0);
    assert_false(copies_counted(&c, 1, START_MS + DEGRADE_MS)); /* nor is the same one twice */
    copies_named(&c, "a:1", 2);
    assert_int_equal(copies_needed(&c, START_MS + DEGRADE_MS - 1), 2);
    assert_int_equal(copies_needed(&c, START_MS + DEGRADE_MS), 1);
    assert_true(copies_counted(&c, 1, START_MS + DEGRADE_MS));
    assert_false(copies_counted(&c, 0, START_MS + DEGRADE_MS)); /* never without any */
}

static void who_is_back_is_needed_again(void **state)
{
    (void)state;
    struct copies c = whole();
    copies_counted(&c, 1, START_MS);
    copies_named(&c, "a:1", 0);
    copies_named(&c, "a:1", 1);
    assert_true(copies_counted(&c, 1, START_MS + DEGRADE_MS));
    assert_true(copies_counted(&c, 2, START_MS + DEGRADE_MS));
    assert_int_equal(copies_needed(&c, START_MS + DEGRADE_MS), 2);
    /* What the Sentinels said then is worth nothing now. */
    assert_false(copies_counted(&c, 1, START_MS + DEGRADE_MS));
    assert_int_equal(copies_needed(&c, START_MS + 3 * DEGRADE_MS), 2);
}

/* SENTINEL FAILOVER to b: the old master a and its last replica agree for some moments more. The
 * Sentinel that has not heard of it names a; the others' names of b take that back. */
static void a_deposed_master_gets_no_answer(void **state)
{
    (void)state;
    struct copies c = whole();
    assert_false(copies_counted(&c, 1, START_MS));
    copies_named(&c, "a:1", 0);
    copies_named(&c, "b:1", 1);
    copies_named(&c, "a:1", 0);
    assert_false(copies_counted(&c, 1, START_MS + 1));
    copies_named(&c, "a:1", 0);
    assert_false(copies_counted(&c, 1, START_MS + 3 * DEGRADE_MS));
}

static void a_successor_needs_most_sentinels_and_no_time(void **state)
{
    (void)state;
    struct copies c = whole();
    copies_named(&c, "b:1", 1);
    assert_int_equal(copies_needed(&c, START_MS), 2);
    assert_false(copies_counted(&c, 1, START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
    copies_named(&c, "b:1", 2);
    assert_true(copies_counted(&c, 1, START_MS));
    assert_true(copies_counted(&c, 2, START_MS)); /* all follow: b is home now */
    copies_named(&c, "b:1", 0);
    copies_named(&c, "b:1", 1);
    assert_false(copies_counted(&c, 1, START_MS));
    assert_false(copies_counted(&c, 1, START_MS + 1));
}

static void back_to_the_old_master_is_no_succession(void **state)
{
    (void)state;
    struct copies c = whole();
    copies_named(&c, "b:1", 1);
    copies_named(&c, "a:1", 0);
    copies_named(&c, "a:1", 2);
    assert_false(copies_counted(&c, 1, START_MS));
    copies_named(&c, "a:1", 0);
    copies_named(&c, "a:1", 2);
    assert_false(copies_counted(&c, 1, START_MS + DEGRADE_MS - 1));
    assert_true(copies_counted(&c, 1, START_MS + DEGRADE_MS));
}

/* A process that has just begun has followed nobody. */
static void the_first_name_is_no_succession(void **state)
{
    (void)state;
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    copies_named(&c, "b:1", 0);
    copies_named(&c, "b:1", 1);
    assert_false(copies_counted(&c, 1, START_MS));
    assert_false(copies_counted(&c, 1, START_MS + DEGRADE_MS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_needed),
        cmocka_unit_test(without_replicas_nothing_is_waited_for),
        cmocka_unit_test(a_missing_one_is_done_without_when_known_to_be_missing),
        cmocka_unit_test(who_is_back_is_needed_again),
        cmocka_unit_test(a_deposed_master_gets_no_answer),
        cmocka_unit_test(a_successor_needs_most_sentinels_and_no_time),
        cmocka_unit_test(back_to_the_old_master_is_no_succession),
        cmocka_unit_test(the_first_name_is_no_succession),
    };
    return cmocka_run_group_tests_name("copies", tests, NULL, NULL);
}
