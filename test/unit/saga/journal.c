/* The journal's calls, argument by argument (saga/journal). What the store makes of them is in
 * test/live/trip.c and test/live/saga.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "checkout/checkout.h"
#include "saga/journal.h"
#include "saga/step.h"
#include "runtime/err.h"
#include "test/lib/trip.h"

#define SAGA   "0193abcd-ef12-7000-8000-000000000001"
#define NOW_MS INT64_C(0x0193abcdf000)

extern const struct library trip_library;

static struct args command;

static int teardown(void **state)
{
    (void)state;
    args_free(&command);
    return 0;
}

static struct slice argument(unsigned i)
{
    return args_at(&command, i);
}

/* A function's name in the store. */
static const char *named(const struct library *library, const char *name)
{
    static char text[64];
    snprintf(text, sizeof(text), "%s_%s", name, library->hash);
    return text;
}

static void assert_arguments(const char *const *expected)
{
    unsigned i = 0;
    for (; expected[i] != NULL; i++) {
        assert_in_range(i, 0, command.count - 1);
        struct slice got = argument(i);
        if (!slice_is(got, expected[i])) {
            fail_msg("argument %u is \"%.*s\", not \"%s\"", i, SLICE_ARG(got), expected[i]);
        }
    }
    assert_int_equal(command.count, i);
}

/* Moves of one turn between the same states travel together: what differs between them is the row.
 */
static void assert_row(unsigned first)
{
    assert_int_equal(command.row, first);
    assert_true(slice_is(argument(first), "order_7"));
}

static struct journal_move move_between(struct saga_state from, struct saga_state to)
{
    return (struct journal_move){.entity = SLICE_TEXT("order_7"),
                                 .saga = SLICE_TEXT(SAGA),
                                 .attempt = SLICE_TEXT("2"),
                                 .from = from,
                                 .to = to,
                                 .resend_ms = 1000};
}

/* A step forward: the states by name, a due time, nothing to archive. */
static void advance_forward(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 0}, (struct saga_state){SAGA_CANCELLING, 1});
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &move, &command), 0);
    assert_arguments((const char *[]){"FCALL", named(&order_library, "order_advance"), "1",
                                      "order:open", "CHARGING", "CANCELLING", "1000", "", "order_7",
                                      SAGA, "2", "", NULL});
    assert_row(8);
}

/* The good end has no due time, and needs no archive: a paid order keeps its journal. */
static void advance_to_completed(void **state)
{
    (void)state;
    struct journal_move move = move_between((struct saga_state){SAGA_CANCELLING, 1},
                                            (struct saga_state){SAGA_COMPLETED, 0});
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &move, &command), 0);
    assert_arguments((const char *[]){"FCALL", named(&order_library, "order_advance"), "1",
                                      "order:open", "CANCELLING", "PAID", "", "", "order_7", SAGA,
                                      "2", "", NULL});
}

/* The bad end has no due time, carries the reason and is archived: another attempt may follow. */
static void advance_to_aborted(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 0}, (struct saga_state){SAGA_ABORTED, 0});
    move.reason = SLICE_TEXT("insufficient credit");
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &move, &command), 0);
    assert_arguments((const char *[]){"FCALL", named(&order_library, "order_advance"), "1",
                                      "order:open", "CHARGING", "FAILED", "", "1", "order_7", SAGA,
                                      "2", "insufficient credit", NULL});
}

/* Being stuck is not an end: the saga stays due. */
static void advance_to_stuck(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_COMPENSATING, 0}, (struct saga_state){SAGA_STUCK, 0});
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &move, &command), 0);
    assert_true(slice_is(argument(5), "STUCK"));
    assert_true(slice_is(argument(6), "1000"));
    assert_true(slice_is(argument(7), ""));
}

/* Another journal has its own library, keys and state names; a used command is begun afresh. */
static void advance_of_another_journal(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 1}, (struct saga_state){SAGA_ACTING, 2});
    args_text(&command, "LEFT OVER");
    move.entity = SLICE_TEXT("t1");
    assert_int_equal(journal_advance(&trip_definition.journal, &trip_definition, &move, &command),
                     0);
    assert_arguments((const char *[]){"FCALL", named(&trip_library, "trip_advance"), "1",
                                      "trip:open", "BOOKING_HOTEL", "RENTING_CAR", "1000", "", "t1",
                                      SAGA, "2", "", NULL});
}

/* A saga that is not ours is not advanced: nothing is built. */
static void advance_refusals(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 0}, (struct saga_state){SAGA_CANCELLING, 1});
    args_reset(&command);
    args_text(&command, "UNTOUCHED");
    move.saga = SLICE_TEXT("7");
    assert_int_equal(
        journal_advance(&checkout_definition.journal, &checkout_definition, &move, &command),
        -ERR_FIELD);
    assert_arguments((const char *[]){"UNTOUCHED", NULL});
}

/* The lease names its set, how many, and the two bounds of the waiting; the time is the store's. */
static void lease_arguments(void **state)
{
    (void)state;
    journal_lease(&checkout_definition.journal, 100, 1000, 5000, &command);
    assert_arguments((const char *[]){"FCALL", named(&order_library, "order_lease"), "1",
                                      "order:open", "100", "1000", "5000", NULL});
    journal_lease(&trip_definition.journal, 2, 3, 4, &command);
    assert_arguments((const char *[]){"FCALL", named(&trip_library, "trip_lease"), "1", "trip:open",
                                      "2", "3", "4", NULL});
}

static struct journal_record record_read(const struct journal *journal, const char *text)
{
    return journal_record_read(journal, slice_from(text));
}

/* A record's parts, of which those that the entity freezes are before the story. */
static void record_parts(void **state)
{
    (void)state;
    struct journal_record r = record_read(
        &checkout_definition.journal, "due|o7|" SAGA "|2|CHARGING|90|3|why|g/r,h/s|u|14|i*1,j*2|"
                                      "CHARGING:60:1,REFUNDING:80:0");
    assert_true(slice_is(r.outcome, "due") && slice_is(r.entity, "o7"));
    assert_true(slice_is(r.saga, SAGA) && slice_is(r.attempt, "2"));
    assert_true(slice_is(r.state, "CHARGING") && slice_is(r.due_ms, "90"));
    assert_true(slice_is(r.retries, "3") && slice_is(r.reason, "why"));
    assert_true(slice_is(r.waiters, "g/r,h/s"));
    assert_true(slice_is(r.frozen[0], "u") && slice_is(r.frozen[1], "14"));
    assert_true(slice_is(r.frozen[2], "i*1,j*2"));
    assert_true(slice_is(r.story, "CHARGING:60:1,REFUNDING:80:0"));
    assert_true(slice_is(r.began_ms, "60"));
    assert_true(journal_has_entered(&r, "REFUNDING") && !journal_has_entered(&r, "PAID"));
    r = record_read(&trip_definition.journal, "due|t1|" SAGA "|1|BOOKED|0|0|||Ada|3|BOOKED:60:0");
    assert_true(slice_is(r.reason, "") && slice_is(r.waiters, ""));
    assert_true(slice_is(r.frozen[1], "3") && slice_is(r.story, "BOOKED:60:0"));
}

/* What is missing is absent, and is not taken from elsewhere: an outcome alone, a journal cut off
 * at any place, nothing at all. */
static void record_cut_off(void **state)
{
    (void)state;
    static const char text[] = "due|o7|" SAGA "|2|CHARGING|90|3|why|g/r|u|14|i*1|CHARGING:60:1";
    struct journal_record r = record_read(&checkout_definition.journal, "stale");
    assert_true(slice_is(r.outcome, "stale") && r.entity.data == NULL && r.state.data == NULL);
    r = journal_record_read(&checkout_definition.journal, (struct slice){NULL, 0});
    assert_true(r.outcome.data == NULL && r.began_ms.data == NULL);
    for (size_t bytes = 0; bytes < sizeof(text) - sizeof("CHARGING:60:1"); bytes++) {
        r = journal_record_read(&checkout_definition.journal, (struct slice){text, bytes});
        assert_true(r.story.data == NULL && r.began_ms.data == NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(advance_forward, teardown),
        cmocka_unit_test_teardown(advance_to_completed, teardown),
        cmocka_unit_test_teardown(advance_to_aborted, teardown),
        cmocka_unit_test_teardown(advance_to_stuck, teardown),
        cmocka_unit_test_teardown(advance_of_another_journal, teardown),
        cmocka_unit_test_teardown(advance_refusals, teardown),
        cmocka_unit_test_teardown(lease_arguments, teardown),
        cmocka_unit_test(record_parts),
        cmocka_unit_test(record_cut_off),
    };
    return cmocka_run_group_tests_name("saga/journal", tests, NULL, NULL);
}
