/* The journal's calls, argument by argument (saga/journal). What the store makes of them is in
 * test/live/trip.c and test/live/saga.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "order/checkout.h"
#include "runtime/err.h"
#include "test/lib/trip.h"

#define SAGA   "0193abcd-ef12-7000-8000-000000000001"
#define NOW_MS INT64_C(0x0193abcdf000)
#define DAY_MS INT64_C(86400000)

static struct redis_command command;

static int teardown(void **state)
{
    (void)state;
    redis_command_free(&command);
    return 0;
}

static struct slice argument(unsigned i)
{
    uint32_t begin = i == 0 ? 0 : command.end[i - 1];
    return (struct slice){command.bytes.data + begin, command.end[i] - begin};
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

static struct journal_move move_between(struct saga_state from, struct saga_state to)
{
    return (struct journal_move){.entity = SLICE_TEXT("order_7"),
                                 .saga = SLICE_TEXT(SAGA),
                                 .attempt = SLICE_TEXT("2"),
                                 .from = from,
                                 .to = to,
                                 .now_ms = NOW_MS,
                                 .due_ms = NOW_MS + 1000};
}

/* A step forward: the states by name, a due time, nothing to archive. */
static void advance_forward(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 0}, (struct saga_state){SAGA_CANCELLING, 1});
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command), 0);
    assert_arguments((const char *[]){"FCALL", "order_advance", "3", "order:once:0193abcde",
                                      "order:order:order_7", "order:open", "order_7", SAGA, "2",
                                      "CHARGING", "CANCELLING", "1733754220544", "1733754221544",
                                      "", "", NULL});
}

/* The good end has no due time, and needs no archive: a paid order keeps its journal. */
static void advance_to_completed(void **state)
{
    (void)state;
    struct journal_move move = move_between((struct saga_state){SAGA_CANCELLING, 1},
                                            (struct saga_state){SAGA_COMPLETED, 0});
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command), 0);
    assert_arguments((const char *[]){"FCALL", "order_advance", "3", "order:once:0193abcde",
                                      "order:order:order_7", "order:open", "order_7", SAGA, "2",
                                      "CANCELLING", "PAID", "1733754220544", "", "", "", NULL});
}

/* The bad end has no due time, carries the reason and is archived: another attempt may follow. */
static void advance_to_aborted(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 0}, (struct saga_state){SAGA_ABORTED, 0});
    move.reason = SLICE_TEXT("insufficient credit");
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command), 0);
    assert_arguments((const char *[]){"FCALL", "order_advance", "3", "order:once:0193abcde",
                                      "order:order:order_7", "order:open", "order_7", SAGA, "2",
                                      "CHARGING", "FAILED", "1733754220544", "",
                                      "insufficient credit", "1", NULL});
}

/* Being stuck is not an end: the saga stays due. */
static void advance_to_stuck(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_COMPENSATING, 0}, (struct saga_state){SAGA_STUCK, 0});
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command), 0);
    assert_true(slice_is(argument(10), "STUCK"));
    assert_true(slice_is(argument(12), "1733754221544"));
    assert_true(slice_is(argument(14), ""));
}

/* Another journal has its own library, keys and state names; a used command is begun afresh. */
static void advance_of_another_journal(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 1}, (struct saga_state){SAGA_ACTING, 2});
    redis_arg_text(&command, "LEFT OVER");
    move.entity = SLICE_TEXT("t1");
    assert_int_equal(journal_advance(&trip_journal, &trip_definition, &move, &command), 0);
    assert_arguments((const char *[]){
        "FCALL", "trip_advance", "3", "trip:once:0193abcde", "trip:trip:t1", "trip:open", "t1",
        SAGA, "2", "BOOKING_HOTEL", "RENTING_CAR", "1733754220544", "1733754221544", "", "", NULL});
}

/* A saga that is not ours, or older than its records, is not advanced: nothing is built. */
static void advance_refusals(void **state)
{
    (void)state;
    struct journal_move move =
        move_between((struct saga_state){SAGA_ACTING, 0}, (struct saga_state){SAGA_CANCELLING, 1});
    redis_command_reset(&command);
    redis_arg_text(&command, "UNTOUCHED");
    move.saga = SLICE_TEXT("7");
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command),
                     -ERR_FIELD);
    move.saga = SLICE_TEXT(SAGA);
    move.now_ms = NOW_MS + 8 * DAY_MS;
    assert_int_equal(journal_advance(&checkout_journal, &checkout_definition, &move, &command),
                     -ERR_TOO_OLD);
    assert_arguments((const char *[]){"UNTOUCHED", NULL});
}

/* The lease names its set, the time, how many, and the two bounds of the waiting. */
static void lease_arguments(void **state)
{
    (void)state;
    journal_lease(&checkout_journal, NOW_MS, 100, 1000, 5000, &command);
    assert_arguments((const char *[]){"FCALL", "order_lease", "1", "order:open", "1733754220544",
                                      "100", "1000", "5000", NULL});
    journal_lease(&trip_journal, 1, 2, 3, 4, &command);
    assert_arguments(
        (const char *[]){"FCALL", "trip_lease", "1", "trip:open", "1", "2", "3", "4", NULL});
}

/* A record is as wide as the journal's fields and what its entity freezes. */
static void record_width(void **state)
{
    (void)state;
    assert_int_equal(journal_record_width(&checkout_journal), 13);
    assert_int_equal(journal_record_width(&trip_journal), 12);
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
        cmocka_unit_test(record_width),
    };
    return cmocka_run_group_tests_name("saga/journal", tests, NULL, NULL);
}
