/* How many replicas have to have a write (store/copies): with a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "store/copies.h"

#define START_MS   1000
#define DEGRADE_MS 10000
#define LATE_MS    (START_MS + DEGRADE_MS)

/* Sentinel `sentinel` names `master`, the connection comes up, and the master lists the replicas of
 * `listed`, a letter for each; ? before it: in doubt, !: unsure. */
static void list(struct copies *c, const char *listed)
{
    struct copies_list l = {0};
    for (; *listed; listed++) {
        char node[32];
        const char *doubt = *listed == '?' ? COPIES_IN_DOUBT : *listed == '!' ? COPIES_UNSURE : "";
        listed += doubt[0] != '\0';
        snprintf(node, sizeof(node), "%s%c:1", doubt, *listed);
        copies_list_add(&l, c, node);
    }
    copies_listed(c, &l);
}

static void name(struct copies *c, const char *master, unsigned sentinel, const char *listed,
                 int64_t now_ms)
{
    copies_named(c, master, sentinel, now_ms);
    list(c, listed);
}

/* A turn's calls: WAIT, and ROLE. */
static bool flight(struct copies *c, unsigned count, const char *listed, int64_t now_ms)
{
    unsigned needed = copies_needed(c, now_ms);
    list(c, listed);
    return copies_counted(c, needed, count, now_ms);
}

/* Master A with replicas B and C, all in step, of three Sentinels. */
static struct copies whole(void)
{
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    name(&c, "a:1", 0, "bc", START_MS);
    assert_true(flight(&c, 2, "bc", START_MS));
    assert_false(copies_are_missing(&c));
    return c;
}

/* A has lost C; after the time most Sentinels still name A. */
static struct copies without_one(void)
{
    struct copies c = whole();
    assert_false(flight(&c, 1, "b", START_MS));
    assert_true(copies_are_missing(&c));
    name(&c, "a:1", 0, "b", LATE_MS);
    name(&c, "a:1", 1, "b", LATE_MS);
    assert_true(flight(&c, 1, "b", LATE_MS));
    return c;
}

/* B is named in A's place, and has C. */
static struct copies succeeded(void)
{
    struct copies c = whole();
    copies_lost(&c);
    name(&c, "b:1", 1, "c", START_MS);
    assert_false(flight(&c, 1, "c", START_MS));
    name(&c, "b:1", 2, "c", START_MS);
    assert_true(flight(&c, 1, "c", START_MS));
    return c;
}

static void all_are_needed(void **state)
{
    (void)state;
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    assert_int_equal(copies_needed(&c, START_MS), 2);
    name(&c, "a:1", 0, "bc", START_MS);
    assert_false(flight(&c, 1, "bc", START_MS));
    assert_false(flight(&c, 0, "bc", START_MS));
    assert_true(flight(&c, 2, "bc", START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
}

static void without_replicas_nothing_is_waited_for(void **state)
{
    (void)state;
    struct copies c = {0};
    assert_int_equal(copies_needed(&c, START_MS), 0);
    assert_true(flight(&c, 0, "", START_MS));
    assert_false(copies_are_missing(&c));
}

static void a_missing_one_is_done_without_when_known_to_be_missing(void **state)
{
    (void)state;
    struct copies c = without_one();
    assert_int_equal(copies_needed(&c, LATE_MS), 1);
    assert_false(flight(&c, 0, "b", LATE_MS)); /* never without any */
}

/* The list in the master's data is of who has all of it: whoever is on it is not done without. */
static void a_missing_one_is_done_without_when_that_is_written_down(void **state)
{
    static const char *const too_long[] = {"a b c", "a c", "b c", "a b aa", "c"};
    static const char *const enough[] = {"a b", "b", "a", ""};
    char longest[COPIES_WITH_BYTES + 1];
    (void)state;
    struct copies c = without_one();
    for (unsigned i = 0; i < sizeof(too_long) / sizeof(too_long[0]); i++) {
        copies_kept(&c, slice_from(enough[i % 4]));
        assert_true(flight(&c, 1, "b", LATE_MS));
        copies_kept(&c, slice_from(too_long[i]));
        assert_false(flight(&c, 1, "b", LATE_MS));
        assert_int_equal(copies_needed(&c, LATE_MS), 2);
        copies_kept(&c, slice_from(enough[i % 4]));
        assert_false(flight(&c, 1, "b", LATE_MS)); /* all were needed when it was asked */
    }
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    copies_kept(&c, slice_from(longest));
    assert_false(flight(&c, 1, "b", LATE_MS));
    copies_kept(&c, (struct slice){NULL, 0});
    assert_false(flight(&c, 1, "b", LATE_MS));
    assert_true(flight(&c, 1, "b", LATE_MS));
}

/* What Sentinels have said before the time was over says nothing of what they know then. */
static void names_count_after_the_time_only(void **state)
{
    (void)state;
    struct copies c = whole();
    assert_false(flight(&c, 1, "b", START_MS));
    for (unsigned sentinel = 0; sentinel < 3; sentinel++) {
        name(&c, "a:1", sentinel, "b", LATE_MS - 1);
    }
    assert_int_equal(copies_needed(&c, LATE_MS), 2);
    name(&c, "a:1", 0, "b", LATE_MS);
    assert_int_equal(copies_needed(&c, LATE_MS), 2); /* one is not most */
    name(&c, "a:1", 0, "b", LATE_MS);
    assert_int_equal(copies_needed(&c, LATE_MS), 2); /* nor is the same one twice */
    name(&c, "a:1", 2, "b", LATE_MS);
    assert_int_equal(copies_needed(&c, LATE_MS), 1);
}

/* A WAIT for one says "one" also when both have it: ROLE tells. */
static void who_is_back_is_needed_again(void **state)
{
    (void)state;
    struct copies c = without_one();
    assert_false(flight(&c, 1, "bc", LATE_MS));
    assert_int_equal(copies_needed(&c, LATE_MS), 2);
    assert_false(flight(&c, 1, "b", LATE_MS)); /* and the time begins anew */
    assert_int_equal(copies_needed(&c, LATE_MS + 3 * DEGRADE_MS), 2);
}

/* It was listed between two calls, and is gone again: promoted, maybe. */
static void who_was_back_begins_anew(void **state)
{
    (void)state;
    struct copies c = without_one();
    list(&c, "bc");
    list(&c, "b");
    assert_false(flight(&c, 1, "b", LATE_MS));
}

/* It came and went between two looks, which were late: the server was slow, or this process stood
 * still. Nobody has seen it but the master, who counts. */
static void who_came_and_went_unseen_begins_anew(void **state)
{
    (void)state;
    struct copies c = without_one();
    copies_came(&c, 7, LATE_MS + 1); /* who was it, before that? */
    assert_int_equal(copies_needed(&c, LATE_MS + 1), 2);
    name(&c, "a:1", 0, "b", LATE_MS + 1 + DEGRADE_MS);
    name(&c, "a:1", 1, "b", LATE_MS + 1 + DEGRADE_MS);
    copies_came(&c, 7, LATE_MS + 1 + DEGRADE_MS);
    assert_true(flight(&c, 1, "b", LATE_MS + 1 + DEGRADE_MS));
    copies_came(&c, 8, LATE_MS + 2 + DEGRADE_MS);
    assert_false(flight(&c, 1, "b", LATE_MS + 2 + DEGRADE_MS));
    copies_came(&c, -1, LATE_MS + 2 + 3 * DEGRADE_MS); /* nor when it does not say */
    assert_false(flight(&c, 1, "b", LATE_MS + 2 + 3 * DEGRADE_MS));
}

/* C comes to its new master, and is not the one that this one is master instead of. */
static void who_follows_a_successor_may_come(void **state)
{
    (void)state;
    struct copies c = whole();
    copies_lost(&c);
    name(&c, "b:1", 1, "", START_MS);
    assert_false(flight(&c, 0, "", START_MS));
    copies_came(&c, 0, START_MS);
    copies_came(&c, 1, START_MS);
    name(&c, "b:1", 2, "c", START_MS);
    assert_false(flight(&c, 1, "c", START_MS));
    copies_came(&c, 1, START_MS);
    assert_true(flight(&c, 1, "c", START_MS));
    copies_came(&c, 2, START_MS); /* A, maybe */
    assert_false(flight(&c, 1, "c", START_MS));
}

/* C is back, and B is gone: as many as before, but B may have been promoted. */
static void another_one_is_missing(void **state)
{
    (void)state;
    struct copies c = without_one();
    list(&c, "");
    list(&c, "b");
    assert_int_equal(copies_needed(&c, LATE_MS), 1);
    list(&c, "c");
    assert_int_equal(copies_needed(&c, LATE_MS), 2);
    c = without_one();
    assert_false(flight(&c, 1, "c", LATE_MS));
}

/* The time in which nobody has seen the master is none in which it has missed a replica. */
static void a_master_out_of_sight(void **state)
{
    (void)state;
    struct copies c = without_one();
    copies_lost(&c);
    name(&c, "a:1", 0, "b", LATE_MS);
    name(&c, "a:1", 1, "b", LATE_MS);
    assert_false(flight(&c, 1, "b", LATE_MS));
}

/* Stands still, and its master has not noticed yet: it may be promoted when it wakes. */
static void who_is_listed_is_not_missing(void **state)
{
    (void)state;
    struct copies c = whole();
    int64_t now_ms = START_MS;
    for (; now_ms < START_MS + 2 * DEGRADE_MS; now_ms += 500) {
        assert_false(flight(&c, 1, "bc", now_ms));
        name(&c, "a:1", (unsigned)(now_ms / 500 % 3), "bc", now_ms);
    }
    assert_false(flight(&c, 1, "b", now_ms));
}

/* SENTINEL FAILOVER to b: the old master a and its last replica agree for some moments more. The
 * Sentinel that has not heard of it names a; the others' names of b take that back. */
static void a_deposed_master_gets_no_answer(void **state)
{
    (void)state;
    struct copies c = whole();
    assert_false(flight(&c, 1, "c", START_MS));
    name(&c, "a:1", 0, "c", LATE_MS);
    name(&c, "b:1", 1, "", LATE_MS);
    name(&c, "a:1", 0, "c", LATE_MS);
    assert_false(flight(&c, 1, "c", LATE_MS));
    name(&c, "a:1", 0, "c", LATE_MS + 3 * DEGRADE_MS);
    assert_false(flight(&c, 1, "c", LATE_MS + 3 * DEGRADE_MS));
}

static void a_successor_needs_most_sentinels_and_no_time(void **state)
{
    (void)state;
    struct copies c = succeeded();
    assert_true(flight(&c, 2, "ac", START_MS)); /* all follow: b is home now */
    name(&c, "b:1", 0, "c", START_MS);
    name(&c, "b:1", 1, "c", START_MS);
    assert_false(flight(&c, 1, "c", START_MS));
    assert_false(flight(&c, 1, "c", START_MS + 1));
}

/* The old master follows b, and it is the other one that has gone: promoted, maybe. Nor is it an
 * old master that has been back. */
static void a_successor_does_without_the_old_master_only(void **state)
{
    (void)state;
    struct copies c = succeeded();
    assert_false(flight(&c, 1, "a", START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
    assert_false(flight(&c, 1, "c", START_MS + 1));
}

static void back_to_the_old_master_is_no_succession(void **state)
{
    (void)state;
    struct copies c = whole();
    name(&c, "b:1", 1, "", START_MS);
    name(&c, "a:1", 0, "c", START_MS);
    name(&c, "a:1", 2, "c", START_MS);
    assert_false(flight(&c, 1, "c", START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
}

/* A process that has just begun has followed nobody. */
static void the_first_name_is_no_succession(void **state)
{
    (void)state;
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    name(&c, "b:1", 0, "c", START_MS);
    name(&c, "b:1", 1, "c", START_MS);
    assert_false(flight(&c, 1, "c", START_MS));
    assert_int_equal(copies_needed(&c, START_MS), 2);
}

/* Of three, one is gone for long; that does not make another one dispensable. */
static void of_three_one_is_missing(void **state)
{
    (void)state;
    struct copies c = {.all = 3, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    name(&c, "a:1", 0, "bcd", START_MS);
    assert_true(flight(&c, 3, "bcd", START_MS));
    assert_false(flight(&c, 2, "bc", START_MS));
    name(&c, "a:1", 0, "bc", LATE_MS);
    name(&c, "a:1", 1, "bc", LATE_MS);
    assert_true(flight(&c, 2, "bc", LATE_MS));
    assert_false(flight(&c, 1, "b", LATE_MS));
    name(&c, "a:1", 2, "b", LATE_MS);
    assert_false(flight(&c, 1, "b", LATE_MS));
}

/* C has acknowledged, and nothing of it is on its disk yet. */
static void who_is_in_doubt_does_not_count(void **state)
{
    (void)state;
    struct copies c = {.all = 2, .degrade_ms = DEGRADE_MS, .sentinels = 3};
    name(&c, "a:1", 0, "b?c", START_MS);
    assert_int_equal(copies_asked(&c, copies_needed(&c, START_MS)), 2);
    assert_false(flight(&c, 2, "b?c", START_MS));
    assert_true(copies_are_missing(&c));
    assert_false(flight(&c, 2, "bc", START_MS)); /* it was in doubt when it was counted, maybe */
    assert_true(flight(&c, 2, "bc", START_MS));
    assert_false(copies_are_missing(&c));
}

/* It is as good as missing. Of the two acknowledgements one is B's, so that is enough; with one
 * alone nobody knows whose it is. */
static void who_is_in_doubt_for_long_is_done_without(void **state)
{
    (void)state;
    struct copies c = without_one();
    list(&c, "b?c");
    assert_int_equal(copies_needed(&c, LATE_MS), 1);
    assert_int_equal(copies_asked(&c, 1), 2);
    assert_true(flight(&c, 2, "b?c", LATE_MS));
    assert_false(flight(&c, 1, "b?c", LATE_MS));
}

/* It came, acknowledged and went while the WAIT lasted. */
static void who_was_in_doubt_before_does_not_count(void **state)
{
    (void)state;
    struct copies c = without_one();
    list(&c, "b?c");
    assert_false(flight(&c, 1, "b", LATE_MS));
}

/* In doubt is the old master, in whose place B was named: B goes on with C. */
static void a_successor_does_without_the_old_master_in_doubt(void **state)
{
    (void)state;
    struct copies c = succeeded();
    list(&c, "c?a");
    assert_true(flight(&c, 2, "c?a", START_MS));
    assert_false(flight(&c, 1, "c?a", START_MS));
}

/* Who may be promoted is waited for, and has to have it on disk. */
static void who_is_unsure_is_needed_and_does_not_count(void **state)
{
    (void)state;
    struct copies c = without_one();
    assert_false(flight(&c, 2, "b!c", LATE_MS));
    assert_int_equal(copies_needed(&c, LATE_MS), 2);
    name(&c, "a:1", 0, "b!c", LATE_MS + 3 * DEGRADE_MS);
    name(&c, "a:1", 1, "b!c", LATE_MS + 3 * DEGRADE_MS);
    assert_false(flight(&c, 2, "b!c", LATE_MS + 3 * DEGRADE_MS));
    c = succeeded();
    assert_false(flight(&c, 2, "c!a", START_MS));
    assert_false(flight(&c, 1, "!c", START_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_needed),
        cmocka_unit_test(without_replicas_nothing_is_waited_for),
        cmocka_unit_test(a_missing_one_is_done_without_when_known_to_be_missing),
        cmocka_unit_test(a_missing_one_is_done_without_when_that_is_written_down),
        cmocka_unit_test(names_count_after_the_time_only),
        cmocka_unit_test(who_is_back_is_needed_again),
        cmocka_unit_test(who_was_back_begins_anew),
        cmocka_unit_test(who_came_and_went_unseen_begins_anew),
        cmocka_unit_test(who_follows_a_successor_may_come),
        cmocka_unit_test(another_one_is_missing),
        cmocka_unit_test(a_master_out_of_sight),
        cmocka_unit_test(who_is_listed_is_not_missing),
        cmocka_unit_test(a_deposed_master_gets_no_answer),
        cmocka_unit_test(a_successor_needs_most_sentinels_and_no_time),
        cmocka_unit_test(a_successor_does_without_the_old_master_only),
        cmocka_unit_test(back_to_the_old_master_is_no_succession),
        cmocka_unit_test(the_first_name_is_no_succession),
        cmocka_unit_test(of_three_one_is_missing),
        cmocka_unit_test(who_is_in_doubt_does_not_count),
        cmocka_unit_test(who_is_in_doubt_for_long_is_done_without),
        cmocka_unit_test(who_was_in_doubt_before_does_not_count),
        cmocka_unit_test(a_successor_does_without_the_old_master_in_doubt),
        cmocka_unit_test(who_is_unsure_is_needed_and_does_not_count),
    };
    return cmocka_run_group_tests_name("copies", tests, NULL, NULL);
}
