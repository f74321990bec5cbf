/* What a definition may be, and the ids of its commands (saga/step). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "checkout/checkout.h"
#include "test/lib/trip.h"

#define SAGA "0193a000-0000-7000-8000-000000000001"

/* A definition of its own for each test to spoil. */
struct spoiled {
    struct saga_row rows[SAGA_STEPS_MAX + 1];
    struct saga_definition def;
};

static int setup(void **state)
{
    static struct spoiled s;
    s = (struct spoiled){.def = trip_definition};
    memcpy(s.rows, trip_definition.rows, trip_definition.row_count * sizeof(s.rows[0]));
    s.def.rows = s.rows;
    *state = &s;
    return 0;
}

static void assert_sound(const struct saga_definition *def)
{
    struct buf text = {0};
    assert_null(saga_definition_fault(def, &text));
    buf_free(&text);
}

/* It says what is wrong, and of which saga. */
static void assert_fault(const struct spoiled *s, const char *expected)
{
    struct buf text = {0};
    const char *fault = saga_definition_fault(&s->def, &text);
    assert_non_null(fault);
    assert_non_null(strstr(fault, expected));
    assert_non_null(strstr(fault, "saga trip"));
    buf_free(&text);
}

/* The definitions in use are sound, and so is one whose last steps are behind the pivot. */
static void definition_sound(void **state)
{
    struct spoiled *s = *state;
    assert_sound(&checkout_definition);
    assert_sound(&trip_definition);
    assert_sound(&s->def);
    s->rows[3] = (struct saga_row){.name = "mail",
                                   .acting = "MAILING",
                                   .action = 9,
                                   .participant = "mail",
                                   .fields = {SAGA_FIELD_NONE},
                                   .undo_fields = {SAGA_FIELD_NONE}};
    s->def.row_count = 4;
    assert_sound(&s->def);
}

/* A saga whose every step can be compensated has no pivot, and that is sound. */
static void definition_without_pivot(void **state)
{
    struct spoiled *s = *state;
    s->def.row_count = 2;
    assert_sound(&s->def);
}

/* A saga has at least one step, and no more than SAGA_STEPS_MAX. */
static void definition_step_count(void **state)
{
    struct spoiled *s = *state;
    s->def.row_count = 0;
    assert_fault(s, "a saga has 1 to 8 steps");
    for (unsigned i = 0; i <= SAGA_STEPS_MAX; i++) {
        s->rows[i] = trip_definition.rows[TRIP_FLIGHT];
    }
    s->def.row_count = SAGA_STEPS_MAX;
    assert_sound(&s->def);
    s->def.row_count = SAGA_STEPS_MAX + 1;
    assert_fault(s, "a saga has 1 to 8 steps");
}

/* A slip needs somebody to go to. */
static void definition_slip(void **state)
{
    struct spoiled *s = *state;
    s->rows[0].passes_on = s->rows[1].passes_on = true;
    assert_sound(&s->def);
    s->rows[2].passes_on = true;
    assert_fault(s, "the last step has nothing to pass on");
}

/* Both ends have a name, or the journal could not tell them. */
static void definition_ends(void **state)
{
    struct spoiled *s = *state;
    s->def.completed = NULL;
    assert_fault(s, "both ends need a name");
    s->def =
        (struct saga_definition){.name = "trip", .completed = "A", .rows = s->rows, .row_count = 3};
    assert_fault(s, "both ends need a name");
}

/* A step without a name, a state or an action cannot be run. */
static void definition_step_incomplete(void **state)
{
    struct spoiled *s = *state;
    const char *fault = "it needs a name, an action and, unless it is passed on, a state";
    const struct saga_row good = s->rows[TRIP_HOTEL];
    s->rows[TRIP_HOTEL].name = NULL;
    assert_fault(s, fault);
    s->rows[TRIP_HOTEL] = good;
    s->rows[TRIP_HOTEL].acting = NULL;
    assert_fault(s, fault);
    s->rows[TRIP_HOTEL] = good;
    s->rows[TRIP_HOTEL].action = 0;
    assert_fault(s, fault);
}

/* A compensation is a command, a state to wait in and one to be stuck in: all or none. */
static void definition_compensation_incomplete(void **state)
{
    struct spoiled *s = *state;
    const char *fault = "a compensation needs its command and its two states, or none of them";
    const struct saga_row good = s->rows[TRIP_FLIGHT];
    s->rows[TRIP_FLIGHT].compensating = NULL;
    assert_fault(s, fault);
    s->rows[TRIP_FLIGHT] = good;
    s->rows[TRIP_FLIGHT].compensation = 0;
    assert_fault(s, fault);
    s->rows[TRIP_FLIGHT] = good;
    s->rows[TRIP_FLIGHT].stuck = NULL;
    assert_fault(s, fault);
}

/* A cancel is a command and a state to wait in: both or neither. */
static void definition_cancel_incomplete(void **state)
{
    struct spoiled *s = *state;
    const char *fault = "a cancel needs its command and its state, or neither";
    s->rows[TRIP_CAR].cancel = 0;
    assert_fault(s, fault);
    s->rows[TRIP_CAR] = trip_definition.rows[TRIP_CAR];
    s->rows[TRIP_CAR].cancelling = NULL;
    assert_fault(s, fault);
}

/* The first step that cannot be undone must be cancellable: else a saga could only be guessed. */
static void definition_pivot_without_cancel(void **state)
{
    struct spoiled *s = *state;
    s->rows[TRIP_CAR].cancel = 0;
    s->rows[TRIP_CAR].cancelling = NULL;
    assert_fault(s, "the pivot needs a cancel, every step before it a compensation");
    *s = (struct spoiled){.def = s->def};
    s->def.rows = s->rows;
    s->rows[0] = (struct saga_row){.name = "only", .acting = "ACTING", .action = 1};
    s->def.row_count = 1;
    assert_fault(s, "the pivot needs a cancel, every step before it a compensation");
}

/* What comes behind the pivot is never undone, so it must not claim that it can be. */
static void definition_compensation_behind_the_pivot(void **state)
{
    struct spoiled *s = *state;
    s->rows[3] = trip_definition.rows[TRIP_HOTEL];
    s->def.row_count = 4;
    assert_fault(s, "a step behind the pivot is never compensated");
}

/* Command ids name the saga, the attempt and the step, and lead back to them. */
static void command_round_trip(void **state)
{
    (void)state;
    static const struct saga_definition *const defs[] = {&checkout_definition, &trip_definition};
    struct buf id = {0};
    for (size_t d = 0; d < 2; d++) {
        for (unsigned row = 0; row < defs[d]->row_count; row++) {
            for (int undo = 0; undo <= (defs[d]->rows[row].compensation != 0); undo++) {
                struct saga_command command = {0};
                buf_reset(&id);
                saga_command_text(defs[d], SLICE_TEXT(SAGA), SLICE_TEXT("12"), row, undo, &id);
                assert_true(saga_command_parse(defs[d], buf_slice(&id), &command));
                assert_true(slice_is(command.saga, SAGA));
                assert_true(slice_is(command.attempt, "12"));
                assert_int_equal(command.row, row);
            }
        }
    }
    buf_free(&id);
}

/* The text of an id is the documented one: other services look for its parts. */
static void command_form(void **state)
{
    (void)state;
    struct buf id = {0};
    saga_command_text(&checkout_definition, SLICE_TEXT(SAGA), SLICE_TEXT("1"), 0, false, &id);
    assert_string_equal(id.data, SAGA ":1:charge");
    buf_reset(&id);
    saga_command_text(&checkout_definition, SLICE_TEXT(SAGA), SLICE_TEXT("1"), 0, true, &id);
    assert_string_equal(id.data, SAGA ":1:charge-undo");
    buf_reset(&id);
    saga_command_text(&checkout_definition, SLICE_TEXT(SAGA), SLICE_TEXT("3"), 1, false, &id);
    assert_string_equal(id.data, SAGA ":3:take");
    buf_free(&id);
}

/* What is not the id of a command of this definition is refused, and the output is untouched. */
static void command_refusals(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "s",
        "s:1",
        "s:1:",
        "s:1:flight",
        "s:1:charge:",
        "s:1:charge:x",
        "s:1:charges",
        "s:1:CHARGE",
        "s:1:-undo",
        "s:1:charge-und",
        "s:1:charge-undo-undo",
        "s:1:take-undo", /* the pivot has no compensation */
        "s:0:charge",
        "s:-1:charge",
        "s::charge",
        "s:x:charge",
        "s:1x:charge",
        "s:9223372036854775808:charge",
        ":1:charge",
        "s t:1:charge",
        "s\n:1:charge",
        "01234567890123456789012345678901234567890123456789012345678901234:1:charge",
    };
    const struct saga_command untouched = {.row = 77};
    struct saga_command command = untouched;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (saga_command_parse(&checkout_definition, slice_from(texts[i]), &command)) {
            fail_msg("\"%s\" was taken for a command id", texts[i]);
        }
    }
    assert_false(saga_command_parse(&checkout_definition, (struct slice){0}, &command));
    assert_memory_equal(&command, &untouched, sizeof(command));
    assert_true(saga_command_parse(&checkout_definition, SLICE_TEXT("s:1:charge"), &command));
    assert_true(saga_command_parse(&checkout_definition,
                                   SLICE_TEXT("s:9223372036854775807:charge-undo"), &command));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(definition_sound, setup),
        cmocka_unit_test_setup(definition_without_pivot, setup),
        cmocka_unit_test_setup(definition_step_count, setup),
        cmocka_unit_test_setup(definition_slip, setup),
        cmocka_unit_test_setup(definition_ends, setup),
        cmocka_unit_test_setup(definition_step_incomplete, setup),
        cmocka_unit_test_setup(definition_compensation_incomplete, setup),
        cmocka_unit_test_setup(definition_cancel_incomplete, setup),
        cmocka_unit_test_setup(definition_pivot_without_cancel, setup),
        cmocka_unit_test_setup(definition_compensation_behind_the_pivot, setup),
        cmocka_unit_test(command_round_trip),
        cmocka_unit_test(command_form),
        cmocka_unit_test(command_refusals),
    };
    return cmocka_run_group_tests_name("saga/definition", tests, NULL, NULL);
}
