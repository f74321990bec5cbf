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

/* Sentinels name a master, and it lists so many replicas; its predecessor is one of them, or not.
 */
static void name(struct copies *c, const char *master, unsigned sentinel, unsigned listed,
                 bool is_home_listed)
{
    copies_named(c, master, sentinel);
    copies_listed(c, listed, is_home_listed);
}

/* A turn's calls: WAIT, and ROLE where it has to follow. */
static bool flight(struct copies *c, unsigned count, unsigned listed, bool is_home_listed,
                   int64_t now_ms)
{
    unsigned needed = copies_needed(c, now_ms);
    if (needed < c->all) {
        copies_listed(c, listed, is_home_listed);
    }
    return copies_counted(c, needed, count, now_ms);
}

/* Master A, whom both replicas have followed, of three Sentinels. */
static struct copies whole(void)
{
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    name(&c, "a:1", 0, 2, false);
    assert_true(flight(&c, 2, 2, false, START_MS));
    return c;
}

/* A has lost a replica, and most Sentinels go on naming A. */
static struct copies without_one(void)
{
    struct copies c = whole();
    assert_false(flight(&c, 1, 1, false, START_MS));
    name(&c, "a:1", 0, 1, false);
    name(&c, "a:1", 1, 1, false);
    return c;
}

/* B is named in A's place, and has one replica, which is not A. */
static struct copies succeeded(void)
{
    struct copies c = whole();
    name(&c, "b:1", 1, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS));
    name(&c, "b:1", 2, 1, false);
    return c;
}

static void all_are_needed(void **state)
{
    (void)state;
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    assert_int_equal(copies_needed(&c, START_MS), 2);
    name(&c, "a:1", 0, 2, false);
    assert_false(flight(&c, 1, 2, false, START_MS));
    assert_false(flight(&c, 0, 2, false, START_MS));
    assert_true(flight(&c, 2, 2, false, START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
}

static void without_replicas_nothing_is_waited_for(void **state)
{
    (void)state;
    struct copies c = {0};
    assert_int_equal(copies_needed(&c, START_MS), 0);
    assert_true(flight(&c, 0, 0, false, START_MS));
}

/* Both the time and most of the Sentinels are needed, whichever comes last. */
static void a_missing_one_is_done_without_when_known_to_be_missing(void **state)
{
    (void)state;
    struct copies c = whole();
    assert_false(flight(&c, 1, 1, false, START_MS));
    name(&c, "a:1", 0, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS + DEGRADE_MS)); /* one Sentinel is not most */
    name(&c, "a:1", 0, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS + DEGRADE_MS)); /* nor is the same one twice */
    name(&c, "a:1", 2, 1, false);
    assert_int_equal(copies_needed(&c, START_MS + DEGRADE_MS - 1), 2);
    assert_int_equal(copies_needed(&c, START_MS + DEGRADE_MS), 1);
    assert_true(flight(&c, 1, 1, false, START_MS + DEGRADE_MS));
    assert_false(flight(&c, 0, 1, false, START_MS + DEGRADE_MS)); /* never without any */
}

/* A WAIT for one says "one" also when both have it: ROLE tells. */
static void who_is_back_is_needed_again(void **state)
{
    (void)state;
    struct copies c = without_one();
    assert_true(flight(&c, 1, 1, false, START_MS + DEGRADE_MS));
    assert_false(flight(&c, 1, 2, false, START_MS + DEGRADE_MS));
    assert_int_equal(copies_needed(&c, START_MS + DEGRADE_MS), 2);
    /* What the Sentinels said then is worth nothing now. */
    assert_false(flight(&c, 1, 1, false, START_MS + DEGRADE_MS));
    assert_int_equal(copies_needed(&c, START_MS + 3 * DEGRADE_MS), 2);
}

/* It was listed between two calls, and is gone again: promoted, maybe. */
static void who_was_back_begins_anew(void **state)
{
    (void)state;
    struct copies c = without_one();
    copies_listed(&c, 2, false);
    copies_listed(&c, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS + DEGRADE_MS));
}

/* Stands still, and its master has not noticed yet: it may be promoted when it wakes. */
static void who_is_listed_is_not_missing(void **state)
{
    (void)state;
    struct copies c = whole();
    for (int64_t now_ms = START_MS; now_ms < START_MS + 2 * DEGRADE_MS; now_ms += 500) {
        assert_false(flight(&c, 1, 2, false, now_ms));
        name(&c, "a:1", (unsigned)(now_ms / 500 % 3), 2, false);
    }
    assert_false(flight(&c, 1, 1, false, START_MS + 2 * DEGRADE_MS));
}

/* SENTINEL FAILOVER to b: the old master a and its last replica agree for some moments more. The
 * Sentinel that has not heard of it names a; the others' names of b take that back. */
static void a_deposed_master_gets_no_answer(void **state)
{
    (void)state;
    struct copies c = whole();
    assert_false(flight(&c, 1, 1, false, START_MS));
    name(&c, "a:1", 0, 1, false);
    name(&c, "b:1", 1, 0, false);
    name(&c, "a:1", 0, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS + 1));
    name(&c, "a:1", 0, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS + 3 * DEGRADE_MS));
}

static void a_successor_needs_most_sentinels_and_no_time(void **state)
{
    (void)state;
    struct copies c = whole();
    name(&c, "b:1", 1, 1, false);
    assert_int_equal(copies_needed(&c, START_MS), 2);
    assert_false(flight(&c, 1, 1, false, START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
    name(&c, "b:1", 2, 1, false);
    assert_true(flight(&c, 1, 1, false, START_MS));
    assert_true(flight(&c, 2, 2, true, START_MS)); /* all follow: b is home now */
    name(&c, "b:1", 0, 1, false);
    name(&c, "b:1", 1, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS));
    assert_false(flight(&c, 1, 1, false, START_MS + 1));
}

/* The old master follows b, and it is the other one that has gone: promoted, maybe. */
static void a_successor_does_without_the_old_master_only(void **state)
{
    (void)state;
    struct copies c = succeeded();
    assert_true(flight(&c, 1, 1, false, START_MS));
    assert_false(flight(&c, 1, 1, true, START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
    assert_false(flight(&c, 1, 1, true, START_MS + 1));
}

static void back_to_the_old_master_is_no_succession(void **state)
{
    (void)state;
    struct copies c = whole();
    name(&c, "b:1", 1, 1, false);
    name(&c, "a:1", 0, 1, false);
    name(&c, "a:1", 2, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS));
    name(&c, "a:1", 0, 1, false);
    name(&c, "a:1", 2, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS + DEGRADE_MS - 1));
    assert_true(flight(&c, 1, 1, false, START_MS + DEGRADE_MS));
}

/* A process that has just begun has followed nobody. */
static void the_first_name_is_no_succession(void **state)
{
    (void)state;
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    name(&c, "b:1", 0, 1, false);
    name(&c, "b:1", 1, 1, false);
    assert_false(flight(&c, 1, 1, false, START_MS));
    assert_false(flight(&c, 1, 1, false, START_MS + DEGRADE_MS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_needed),
        cmocka_unit_test(without_replicas_nothing_is_waited_for),
        cmocka_unit_test(a_missing_one_is_done_without_when_known_to_be_missing),
        cmocka_unit_test(who_is_back_is_needed_again),
        cmocka_unit_test(who_was_back_begins_anew),
        cmocka_unit_test(who_is_listed_is_not_missing),
        cmocka_unit_test(a_deposed_master_gets_no_answer),
        cmocka_unit_test(a_successor_needs_most_sentinels_and_no_time),
        cmocka_unit_test(a_successor_does_without_the_old_master_only),
        cmocka_unit_test(back_to_the_old_master_is_no_succession),
        cmocka_unit_test(the_first_name_is_no_succession),
    };
    return cmocka_run_group_tests_name("copies", tests, NULL, NULL);
}
