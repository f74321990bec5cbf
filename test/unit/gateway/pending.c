/* The table of parked requests (gateway/pending): its limit, its chains, its two clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/pending.h"

#define ID_A "0193a000-0000-7000-8000-00000000000a"
#define ID_B "0193a000-0000-7000-8000-00000000000b"

static const struct gateway_conf conf = {.pending_max = 4, .reask_ms = 1000};

static int setup(void **state)
{
    struct pending_table *t = mem_new(sizeof(*t));
    pending_table_init(t, &conf, 240000);
    *state = t;
    return 0;
}

/* Every test ends with an empty table, or one that this can empty. */
static int teardown(void **state)
{
    struct pending_table *t = *state;
    struct pending *p;
    while ((p = pending_any(t)) != NULL) {
        pending_remove(t, p);
        pending_free(p);
    }
    assert_null(t->by_id);
    pending_table_free(t);
    free(t);
    return 0;
}

static struct pending *park(struct pending_table *t, const char *id, int64_t now_ms)
{
    static const struct route route = {.name = "a route"};
    const struct route_text text = {0};
    const struct route_match match = {.route = &route, .row = 7};
    struct pending *p = pending_park(t, &match, &text, now_ms);
    strcpy(p->id.text, id);
    return p;
}

static struct pending *enter(struct pending_table *t, const char *id, int64_t now_ms)
{
    struct pending *p = park(t, id, now_ms);
    pending_enter(t, p);
    return p;
}

static unsigned chain_count(const struct pending_table *t, const char *id)
{
    unsigned count = 0;
    for (struct pending *p = pending_find(t, slice_from(id)); p != NULL; p = p->next_same) {
        count++;
    }
    return count;
}

static bool chain_has(const struct pending_table *t, const char *id, const struct pending *wanted)
{
    for (struct pending *p = pending_find(t, slice_from(id)); p != NULL; p = p->next_same) {
        if (p == wanted) {
            return true;
        }
    }
    return false;
}

/* What is parked has its route, and its command's texts for itself. */
static void park_keeps(void **state)
{
    struct pending_table *t = *state;
    struct route_text text = {2, "o1"};
    struct route_match match = {.row = 3, .command = {.type = MESSAGE_ORDER_FIND}};
    message_set(&match.command, order, ((struct slice){text.at, 2}));
    struct pending *p = pending_park(t, &match, &text, 0);
    memset(&text, 0x5a, sizeof(text));
    memset(&match, 0x5a, sizeof(match));
    assert_int_equal(p->row, 3);
    assert_int_equal(p->command.type, MESSAGE_ORDER_FIND);
    assert_true(slice_is(p->command.order, "o1"));
    assert_int_equal(t->count, 1);
}

/* A parked request is found only after it was entered, by its whole id. */
static void enter_and_find(void **state)
{
    struct pending_table *t = *state;
    struct pending *p = park(t, ID_A, 0);
    assert_int_equal(t->count, 1);
    assert_null(pending_find(t, SLICE_TEXT(ID_A)));
    pending_enter(t, p);
    assert_ptr_equal(pending_find(t, SLICE_TEXT(ID_A)), p);
    assert_null(pending_find(t, SLICE_TEXT(ID_B)));
    assert_null(pending_find(t, SLICE_TEXT("0193a000")));
    assert_null(pending_find(t, SLICE_TEXT(ID_A ":1:charge")));
    assert_null(pending_find(t, SLICE_TEXT("")));
}

/* What is taken is gone from the table and the clocks; taken again it is not there. */
static void take_one(void **state)
{
    struct pending_table *t = *state;
    struct pending *p = enter(t, ID_A, 0);
    struct pending *other = enter(t, ID_B, 0);
    assert_null(pending_take(t, SLICE_TEXT("nobody")));
    assert_ptr_equal(pending_take(t, SLICE_TEXT(ID_A)), p);
    assert_null(p->next_same);
    assert_null(pending_take(t, SLICE_TEXT(ID_A)));
    assert_int_equal(t->count, 1);
    assert_ptr_equal(pending_due(t, 1000), other);
    assert_null(pending_due(t, 1000));
    pending_free(p);
}

/* Requests with the same key wait for one command, and are all taken when it is answered. */
static void take_chain(void **state)
{
    struct pending_table *t = *state;
    enter(t, ID_A, 0);
    enter(t, ID_A, 0);
    struct pending *other = enter(t, ID_B, 0);
    enter(t, ID_A, 0);
    assert_int_equal(t->count, 4);
    struct pending *taken = pending_take(t, SLICE_TEXT(ID_A));
    unsigned count = 0;
    for (struct pending *next; taken != NULL; taken = next, count++) {
        next = taken->next_same;
        pending_free(taken);
    }
    assert_int_equal(count, 3);
    assert_int_equal(t->count, 1);
    assert_null(pending_find(t, SLICE_TEXT(ID_A)));
    assert_ptr_equal(pending_find(t, SLICE_TEXT(ID_B)), other);
}

/* Members of a chain may leave in any order: those who stay are found, all of them. */
static void remove_chain_in_every_order(void **state)
{
    struct pending_table *t = *state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct pending *other = enter(t, ID_B, 0);
    for (int order = 0; order < 6; order++) {
        struct pending *p[3];
        bool is_there[3] = {true, true, true};
        for (int i = 0; i < 3; i++) {
            p[i] = enter(t, ID_A, 0);
        }
        for (unsigned left = 3; left > 0; left--) {
            int leaver = orders[order][3 - left];
            assert_int_equal(chain_count(t, ID_A), left);
            pending_remove(t, p[leaver]);
            assert_null(p[leaver]->next_same);
            pending_free(p[leaver]);
            is_there[leaver] = false;
            for (int i = 0; i < 3; i++) {
                assert_int_equal(is_there[i] && chain_has(t, ID_A, p[i]), is_there[i]);
            }
            assert_int_equal(t->count, left); /* and the other */
        }
        assert_null(pending_find(t, SLICE_TEXT(ID_A)));
    }
    assert_ptr_equal(pending_find(t, SLICE_TEXT(ID_B)), other);
}

/* One who joins after the first has left finds the chain, and is taken with it. */
static void join_after_the_first_left(void **state)
{
    struct pending_table *t = *state;
    struct pending *first = enter(t, ID_A, 0);
    struct pending *second = enter(t, ID_A, 0);
    pending_remove(t, first);
    pending_free(first);
    struct pending *third = enter(t, ID_A, 0);
    assert_int_equal(chain_count(t, ID_A), 2);
    struct pending *taken = pending_take(t, SLICE_TEXT(ID_A));
    assert_true((taken == second && second->next_same == third) ||
                (taken == third && third->next_same == second));
    pending_free(second);
    pending_free(third);
    assert_int_equal(t->count, 0);
}

/* A request whose key is still being claimed can be removed too. */
static void remove_before_enter(void **state)
{
    struct pending_table *t = *state;
    struct pending *p = park(t, ID_A, 0);
    pending_remove(t, p);
    pending_free(p);
    assert_int_equal(t->count, 0);
}

/* The table is full at its limit, entered or not, and has room again when one has left. */
static void full_table(void **state)
{
    struct pending_table *t = *state;
    struct pending *p[4];
    for (int i = 0; i < 4; i++) {
        assert_false(pending_is_full(t));
        p[i] = i % 2 ? enter(t, ID_A, 0) : park(t, ID_B, 0);
    }
    assert_true(pending_is_full(t));
    pending_remove(t, p[0]);
    pending_free(p[0]);
    assert_false(pending_is_full(t));
    pending_take(t, SLICE_TEXT(ID_A));
    pending_free(p[1]);
    pending_free(p[3]);
    assert_int_equal(t->count, 1);
}

/* Asked for again after REASK_MS, the longest waiting first, each once, and then again later. */
static void due_in_order(void **state)
{
    struct pending_table *t = *state;
    struct pending *a = enter(t, ID_A, 5000);
    struct pending *b = enter(t, ID_B, 5400);
    assert_null(pending_due(t, 5000));
    assert_null(pending_due(t, 5999));
    assert_ptr_equal(pending_due(t, 6000), a);
    assert_null(pending_due(t, 6000));
    struct pending *c = park(t, "c", 6000);
    assert_ptr_equal(pending_due(t, 9000), b);
    assert_ptr_equal(pending_due(t, 9000), a);
    assert_ptr_equal(pending_due(t, 9000), c);
    assert_null(pending_due(t, 9999));
    assert_ptr_equal(pending_due(t, 10000), b);
}

/* A read is asked for again after twice as long each time, up to a limit; others are not held up.
 */
static void reads_are_asked_for_less(void **state)
{
    struct pending_table *t = *state;
    struct pending *read = enter(t, ID_A, 0);
    struct pending *other = enter(t, ID_B, 0);
    int64_t asked[8];
    unsigned asks = 0, others = 0;
    read->is_read = true;
    for (int64_t now_ms = 0; now_ms <= 40000; now_ms += 500) {
        struct pending *p;
        while ((p = pending_due(t, now_ms)) != NULL) {
            if (p == read) {
                asked[asks++] = now_ms;
            } else {
                assert_ptr_equal(p, other);
                others++;
            }
        }
    }
    static const int64_t expected[] = {1000, 3000, 7000, 15000, 23000, 31000, 39000};
    assert_int_equal(asks, 7);
    assert_memory_equal(asked, expected, sizeof(expected));
    assert_int_equal(others, 40);
    pending_remove(t, read);
    pending_free(read);
    assert_ptr_equal(pending_any(t), other);
}

/* One that leaves between two others is not asked for, and the others are. */
static void due_without_the_removed(void **state)
{
    struct pending_table *t = *state;
    struct pending *a = enter(t, ID_A, 0);
    struct pending *b = enter(t, ID_A, 0);
    struct pending *c = enter(t, ID_B, 0);
    pending_remove(t, b);
    pending_free(b);
    assert_ptr_equal(pending_due(t, 1000), a);
    assert_ptr_equal(pending_due(t, 1000), c);
    assert_null(pending_due(t, 1000));
}

/* The deadline counts from the parking, however often it was asked since. */
static void deadline_of_each(void **state)
{
    struct pending_table *t = *state;
    struct pending *p = enter(t, ID_A, 5000);
    assert_false(pending_is_late(t, p, 5000));
    pending_due(t, 6000);
    assert_false(pending_is_late(t, p, 244999));
    assert_true(pending_is_late(t, p, 245000));
}

/* Those who wait for an id that is refused stay parked, and are entered under another one. */
static void withdraw_and_enter_again(void **state)
{
    struct pending_table *t = *state;
    struct pending *first = enter(t, ID_A, 0), *second = enter(t, ID_A, 10);
    struct pending *list = pending_withdraw(t, slice_from(ID_A));
    assert_ptr_equal(list, first);
    assert_ptr_equal(list->next_same, second);
    assert_null(pending_find(t, slice_from(ID_A)));
    assert_null(pending_withdraw(t, slice_from(ID_A)));
    assert_int_equal(t->count, 2);
    for (struct pending *p = list, *next; p != NULL; p = next) {
        next = p->next_same;
        p->next_same = NULL;
        assert_false(p->is_claimed);
        strcpy(p->id.text, ID_B);
        pending_enter(t, p);
    }
    assert_int_equal(chain_count(t, ID_B), 2);
    assert_ptr_equal(pending_due(t, 1000), first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(park_keeps),
        TEST(enter_and_find),
        TEST(take_one),
        TEST(take_chain),
        TEST(remove_chain_in_every_order),
        TEST(join_after_the_first_left),
        TEST(remove_before_enter),
        TEST(withdraw_and_enter_again),
        TEST(full_table),
        TEST(due_in_order),
        TEST(reads_are_asked_for_less),
        TEST(due_without_the_removed),
        TEST(deadline_of_each),
    };
    return cmocka_run_group_tests_name("gateway/pending", tests, NULL, NULL);
}
