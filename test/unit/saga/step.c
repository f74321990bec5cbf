/* The pure step: every state, every event, every row, over four definitions. What is not in a
 * definition's list of transitions must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "checkout/checkout.h"
#include "runtime/err.h"
#include "test/lib/trip.h"

#define ANY_ROW 99 /* in a list: the event has no row */

struct transition {
    const char *from;
    enum saga_event_kind event;
    unsigned row;
    const char *to;
    int send;
    unsigned send_row;
};

/* A third saga: a ticket is printed and mailed behind the pivot, where nothing refuses. */
enum { SEAT_HOLD = 1, SEAT_FREE, CARD_PAY, CARD_CANCEL, TICKET_PRINT, TICKET_MAIL };
static const struct saga_row seat_rows[] = {
    {.name = "seat",
     .acting = "HOLDING",
     .compensating = "FREEING",
     .stuck = "HELD",
     .action = SEAT_HOLD,
     .compensation = SEAT_FREE},
    {.name = "card",
     .acting = "PAYING",
     .cancelling = "CANCELLING",
     .action = CARD_PAY,
     .cancel = CARD_CANCEL},
    {.name = "ticket", .acting = "PRINTING", .action = TICKET_PRINT},
    {.name = "mail", .acting = "MAILING", .action = TICKET_MAIL},
};
static const struct saga_definition seat_definition = {
    .name = "seat", .completed = "SENT", .aborted = "GIVEN_UP", .rows = seat_rows, .row_count = 4};

/* A fourth: three parcels go from hand to hand on one slip, across the pivot. */
enum { A_DO = 1, A_UNDO, B_DO, B_UNDO, C_DO, C_CANCEL, D_DO };
static const struct saga_row relay_rows[] = {
    {.name = "a",
     .acting = "A",
     .compensating = "NOT_A",
     .stuck = "A_STUCK",
     .action = A_DO,
     .compensation = A_UNDO,
     .passes_on = true},
    {.name = "b",
     .acting = "B",
     .compensating = "NOT_B",
     .stuck = "B_STUCK",
     .action = B_DO,
     .compensation = B_UNDO,
     .passes_on = true},
    {.name = "c",
     .acting = "C",
     .cancelling = "MAYBE_C",
     .action = C_DO,
     .cancel = C_CANCEL,
     .passes_on = true},
    {.name = "d", .acting = "D", .action = D_DO},
};
static const struct saga_definition relay_definition = {
    .name = "relay", .completed = "DONE", .aborted = "UNDONE", .rows = relay_rows, .row_count = 4};

#define E(name) SAGA_EVENT_##name

static const struct transition checkout_transitions[] = {
    {"CHARGING", E(ACTED), 1, "PAID", 0, 0},
    {"CHARGING", E(REFUSED), 0, "FAILED", 0, 0},
    {"CHARGING", E(REFUSED), 1, "REFUNDING", MESSAGE_PAYMENT_REFUND, 0},
    {"CHARGING", E(CANCEL), ANY_ROW, "CANCELLING", MESSAGE_STOCK_CANCEL, 1},
    {"CHARGING", E(DUE), ANY_ROW, "CHARGING", MESSAGE_PAYMENT_CHARGE, 0},
    {"CANCELLING", E(ACTED), 1, "PAID", 0, 0},
    {"CANCELLING", E(REFUSED), 1, "REFUNDING", MESSAGE_PAYMENT_REFUND, 0},
    {"CANCELLING", E(CANCELLED), 1, "REFUNDING", MESSAGE_PAYMENT_REFUND, 0},
    {"CANCELLING", E(DUE), ANY_ROW, "CANCELLING", MESSAGE_STOCK_CANCEL, 1},
    {"REFUNDING", E(COMPENSATED), 0, "FAILED", 0, 0},
    {"REFUNDING", E(STICK), ANY_ROW, "STUCK", 0, 0},
    {"REFUNDING", E(DUE), ANY_ROW, "REFUNDING", MESSAGE_PAYMENT_REFUND, 0},
    {"STUCK", E(COMPENSATED), 0, "FAILED", 0, 0},
    {"STUCK", E(DUE), ANY_ROW, "STUCK", MESSAGE_PAYMENT_REFUND, 0},
};

static const struct transition trip_transitions[] = {
    {"BOOKING_FLIGHT", E(ACTED), 0, "BOOKING_HOTEL", MESSAGE_TRIP_BOOK, 1},
    {"BOOKING_FLIGHT", E(REFUSED), 0, "CALLED_OFF", 0, 0},
    {"BOOKING_FLIGHT", E(CANCEL), ANY_ROW, "DROPPING_FLIGHT", MESSAGE_TRIP_DROP, 0},
    {"BOOKING_FLIGHT", E(DUE), ANY_ROW, "BOOKING_FLIGHT", MESSAGE_TRIP_BOOK, 0},
    {"BOOKING_HOTEL", E(ACTED), 1, "RENTING_CAR", MESSAGE_TRIP_BOOK, 2},
    {"BOOKING_HOTEL", E(REFUSED), 1, "DROPPING_FLIGHT", MESSAGE_TRIP_DROP, 0},
    {"BOOKING_HOTEL", E(CANCEL), ANY_ROW, "DROPPING_HOTEL", MESSAGE_TRIP_DROP, 1},
    {"BOOKING_HOTEL", E(DUE), ANY_ROW, "BOOKING_HOTEL", MESSAGE_TRIP_BOOK, 1},
    {"RENTING_CAR", E(ACTED), 2, "BOOKED", 0, 0},
    {"RENTING_CAR", E(REFUSED), 2, "DROPPING_HOTEL", MESSAGE_TRIP_DROP, 1},
    {"RENTING_CAR", E(CANCEL), ANY_ROW, "CANCELLING_CAR", MESSAGE_TRIP_CANCEL, 2},
    {"RENTING_CAR", E(DUE), ANY_ROW, "RENTING_CAR", MESSAGE_TRIP_BOOK, 2},
    {"CANCELLING_CAR", E(ACTED), 2, "BOOKED", 0, 0},
    {"CANCELLING_CAR", E(REFUSED), 2, "DROPPING_HOTEL", MESSAGE_TRIP_DROP, 1},
    {"CANCELLING_CAR", E(CANCELLED), 2, "DROPPING_HOTEL", MESSAGE_TRIP_DROP, 1},
    {"CANCELLING_CAR", E(DUE), ANY_ROW, "CANCELLING_CAR", MESSAGE_TRIP_CANCEL, 2},
    {"DROPPING_HOTEL", E(COMPENSATED), 1, "DROPPING_FLIGHT", MESSAGE_TRIP_DROP, 0},
    {"DROPPING_HOTEL", E(STICK), ANY_ROW, "HOTEL_STUCK", 0, 0},
    {"DROPPING_HOTEL", E(DUE), ANY_ROW, "DROPPING_HOTEL", MESSAGE_TRIP_DROP, 1},
    {"HOTEL_STUCK", E(COMPENSATED), 1, "DROPPING_FLIGHT", MESSAGE_TRIP_DROP, 0},
    {"HOTEL_STUCK", E(DUE), ANY_ROW, "HOTEL_STUCK", MESSAGE_TRIP_DROP, 1},
    {"DROPPING_FLIGHT", E(COMPENSATED), 0, "CALLED_OFF", 0, 0},
    {"DROPPING_FLIGHT", E(STICK), ANY_ROW, "FLIGHT_STUCK", 0, 0},
    {"DROPPING_FLIGHT", E(DUE), ANY_ROW, "DROPPING_FLIGHT", MESSAGE_TRIP_DROP, 0},
    {"FLIGHT_STUCK", E(COMPENSATED), 0, "CALLED_OFF", 0, 0},
    {"FLIGHT_STUCK", E(DUE), ANY_ROW, "FLIGHT_STUCK", MESSAGE_TRIP_DROP, 0},
};

static const struct transition seat_transitions[] = {
    {"HOLDING", E(ACTED), 0, "PAYING", CARD_PAY, 1},
    {"HOLDING", E(REFUSED), 0, "GIVEN_UP", 0, 0},
    {"HOLDING", E(CANCEL), ANY_ROW, "FREEING", SEAT_FREE, 0},
    {"HOLDING", E(DUE), ANY_ROW, "HOLDING", SEAT_HOLD, 0},
    {"PAYING", E(ACTED), 1, "PRINTING", TICKET_PRINT, 2},
    {"PAYING", E(REFUSED), 1, "FREEING", SEAT_FREE, 0},
    {"PAYING", E(CANCEL), ANY_ROW, "CANCELLING", CARD_CANCEL, 1},
    {"PAYING", E(DUE), ANY_ROW, "PAYING", CARD_PAY, 1},
    {"CANCELLING", E(ACTED), 1, "PRINTING", TICKET_PRINT, 2},
    {"CANCELLING", E(REFUSED), 1, "FREEING", SEAT_FREE, 0},
    {"CANCELLING", E(CANCELLED), 1, "FREEING", SEAT_FREE, 0},
    {"CANCELLING", E(DUE), ANY_ROW, "CANCELLING", CARD_CANCEL, 1},
    {"FREEING", E(COMPENSATED), 0, "GIVEN_UP", 0, 0},
    {"FREEING", E(STICK), ANY_ROW, "HELD", 0, 0},
    {"FREEING", E(DUE), ANY_ROW, "FREEING", SEAT_FREE, 0},
    {"HELD", E(COMPENSATED), 0, "GIVEN_UP", 0, 0},
    {"HELD", E(DUE), ANY_ROW, "HELD", SEAT_FREE, 0},
    {"PRINTING", E(ACTED), 2, "MAILING", TICKET_MAIL, 3},
    {"PRINTING", E(DUE), ANY_ROW, "PRINTING", TICKET_PRINT, 2},
    {"MAILING", E(ACTED), 3, "SENT", 0, 0},
    {"MAILING", E(DUE), ANY_ROW, "MAILING", TICKET_MAIL, 3},
};

static const struct transition relay_transitions[] = {
    {"A", E(ACTED), 0, "B", B_DO, 1},
    {"A", E(ACTED), 1, "C", C_DO, 2},
    {"A", E(ACTED), 2, "D", D_DO, 3},
    {"A", E(ACTED), 3, "DONE", 0, 0},
    {"A", E(REFUSED), 0, "UNDONE", 0, 0},
    {"A", E(REFUSED), 1, "NOT_A", A_UNDO, 0},
    {"A", E(REFUSED), 2, "NOT_B", B_UNDO, 1},
    {"A", E(CANCEL), ANY_ROW, "MAYBE_C", C_CANCEL, 2},
    {"A", E(DUE), ANY_ROW, "A", A_DO, 0},
    {"B", E(ACTED), 1, "C", C_DO, 2},
    {"B", E(ACTED), 2, "D", D_DO, 3},
    {"B", E(ACTED), 3, "DONE", 0, 0},
    {"B", E(REFUSED), 1, "NOT_A", A_UNDO, 0},
    {"B", E(REFUSED), 2, "NOT_B", B_UNDO, 1},
    {"B", E(CANCEL), ANY_ROW, "MAYBE_C", C_CANCEL, 2},
    {"B", E(DUE), ANY_ROW, "B", B_DO, 1},
    {"C", E(ACTED), 2, "D", D_DO, 3},
    {"C", E(ACTED), 3, "DONE", 0, 0},
    {"C", E(REFUSED), 2, "NOT_B", B_UNDO, 1},
    {"C", E(CANCEL), ANY_ROW, "MAYBE_C", C_CANCEL, 2},
    {"C", E(DUE), ANY_ROW, "C", C_DO, 2},
    {"MAYBE_C", E(ACTED), 2, "D", D_DO, 3},
    {"MAYBE_C", E(REFUSED), 2, "NOT_B", B_UNDO, 1},
    {"MAYBE_C", E(CANCELLED), 2, "NOT_B", B_UNDO, 1},
    {"MAYBE_C", E(DUE), ANY_ROW, "MAYBE_C", C_CANCEL, 2},
    {"NOT_B", E(COMPENSATED), 1, "NOT_A", A_UNDO, 0},
    {"NOT_B", E(STICK), ANY_ROW, "B_STUCK", 0, 0},
    {"NOT_B", E(DUE), ANY_ROW, "NOT_B", B_UNDO, 1},
    {"B_STUCK", E(COMPENSATED), 1, "NOT_A", A_UNDO, 0},
    {"B_STUCK", E(DUE), ANY_ROW, "B_STUCK", B_UNDO, 1},
    {"NOT_A", E(COMPENSATED), 0, "UNDONE", 0, 0},
    {"NOT_A", E(STICK), ANY_ROW, "A_STUCK", 0, 0},
    {"NOT_A", E(DUE), ANY_ROW, "NOT_A", A_UNDO, 0},
    {"A_STUCK", E(COMPENSATED), 0, "UNDONE", 0, 0},
    {"A_STUCK", E(DUE), ANY_ROW, "A_STUCK", A_UNDO, 0},
    {"D", E(ACTED), 3, "DONE", 0, 0},
    {"D", E(DUE), ANY_ROW, "D", D_DO, 3},
};

struct subject {
    const struct saga_definition *def;
    const struct transition *transitions;
    size_t count;
    unsigned states; /* that have a name */
};

#define SUBJECT(name, states)                                                                      \
    {                                                                                              \
        &name##_definition, name##_transitions,                                                    \
            sizeof(name##_transitions) / sizeof(name##_transitions[0]), states                     \
    }

static const struct subject subjects[] = {
    SUBJECT(checkout, 6),
    SUBJECT(trip, 10),
    SUBJECT(seat, 9),
    SUBJECT(relay, 11),
};
#define SUBJECT_COUNT (sizeof(subjects) / sizeof(subjects[0]))

/* Every state that has a name; the ends have no row. */
static unsigned states_of(const struct saga_definition *def, struct saga_state *ret_states)
{
    unsigned count = 0;
    for (int phase = SAGA_ACTING; phase <= SAGA_STUCK; phase++) {
        for (unsigned row = 0; row < def->row_count; row++) {
            struct saga_state state = {.phase = (enum saga_phase)phase, .row = row};
            bool is_end = phase == SAGA_COMPLETED || phase == SAGA_ABORTED;
            if (saga_state_text(def, state) != NULL && (!is_end || row == 0)) {
                ret_states[count++] = state;
            }
        }
    }
    return count;
}

static const struct transition *transition_find(const struct subject *s, const char *from,
                                                struct saga_event event)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct transition *t = &s->transitions[i];
        if (strcmp(t->from, from) == 0 && t->event == event.kind &&
            (t->row == ANY_ROW || t->row == event.row)) {
            return t;
        }
    }
    return NULL;
}

static bool is_end(const struct saga_definition *def, const char *state)
{
    return strcmp(state, def->completed) == 0 || strcmp(state, def->aborted) == 0;
}

static void assert_transition(const struct subject *s, struct saga_state now,
                              struct saga_event event)
{
    const struct saga_output untouched = {.next = {SAGA_STUCK, 7}, .send = -1, .send_row = 77};
    struct saga_output output = untouched;
    const char *from = saga_state_text(s->def, now);
    const struct transition *t = transition_find(s, from, event);
    int err = saga_step(s->def, now, event, &output);
    if (t == NULL) {
        assert_int_equal(err, -ERR_TRANSITION);
        assert_memory_equal(&output, &untouched, sizeof(output));
        return;
    }
    assert_int_equal(err, 0);
    assert_string_equal(saga_state_text(s->def, output.next), t->to);
    assert_int_equal(output.send, t->send);
    assert_int_equal(output.send_row, t->send_row);
    assert_int_equal(output.has_ended, is_end(s->def, t->to));
}

/* Each state x event x row gives the listed output, or is refused with the output untouched. */
static void step_every_pair(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        const struct subject *s = &subjects[i];
        struct saga_state states[6 * SAGA_STEPS_MAX];
        unsigned count = states_of(s->def, states);
        assert_int_equal(count, s->states);
        for (unsigned j = 0; j < count; j++) {
            for (int kind = 0; kind < SAGA_EVENT_COUNT; kind++) {
                /* one row more than there are: an answer from another version's definition */
                for (unsigned row = 0; row <= s->def->row_count; row++) {
                    assert_transition(
                        s, states[j],
                        (struct saga_event){.kind = (enum saga_event_kind)kind, .row = row});
                }
            }
        }
    }
}

/* A saga begins with the action of its first step. */
static void step_begin(void **state)
{
    (void)state;
    static const char *const first[] = {"CHARGING", "BOOKING_FLIGHT", "HOLDING", "A"};
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        struct saga_output output = saga_begin(subjects[i].def);
        assert_string_equal(saga_state_text(subjects[i].def, output.next), first[i]);
        assert_int_equal(output.send, subjects[i].def->rows[0].action);
        assert_int_equal(output.send_row, 0);
        assert_false(output.has_ended);
    }
}

/* An open saga always has a command that can be sent again, and an ended one never has. */
static void step_due_names_the_outstanding_command(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        const struct saga_definition *def = subjects[i].def;
        struct saga_state states[6 * SAGA_STEPS_MAX];
        unsigned count = states_of(def, states);
        for (unsigned j = 0; j < count; j++) {
            struct saga_output due = {0};
            int err = saga_step(def, states[j], (struct saga_event){E(DUE), 0}, &due);
            if (is_end(def, saga_state_text(def, states[j]))) {
                assert_int_equal(err, -ERR_TRANSITION);
                continue;
            }
            assert_int_equal(err, 0);
            assert_int_not_equal(due.send, 0);
            assert_int_equal(due.next.phase, states[j].phase);
            assert_int_equal(due.next.row, states[j].row);
        }
    }
}

/* Walks every path of events from `now`; past the pivot no path may abort. */
static void walk(const struct saga_definition *def, struct saga_state now, bool is_past_pivot,
                 unsigned depth)
{
    assert_in_range(depth, 0, 20); /* no cycles: DUE is left out */
    for (unsigned n = 0; n < SAGA_EVENT_COUNT * def->row_count; n++) {
        struct saga_output output;
        unsigned kind = n / def->row_count, row = n % def->row_count;
        struct saga_event event = {.kind = (enum saga_event_kind)kind, .row = row};
        if (kind == E(DUE) || saga_step(def, now, event, &output) != 0) {
            continue;
        }
        bool is_pivot = kind == E(ACTED) && def->rows[row].compensating == NULL;
        assert_non_null(saga_state_text(def, output.next));
        assert_false((is_past_pivot || is_pivot) && output.next.phase != SAGA_ACTING &&
                     output.next.phase != SAGA_COMPLETED);
        if (!output.has_ended) {
            walk(def, output.next, is_past_pivot || is_pivot, depth + 1);
        }
    }
}

/* No order of events whatever leads past the pivot and then back. */
static void step_never_back_past_the_pivot(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        walk(subjects[i].def, saga_begin(subjects[i].def).next, false, 0);
    }
}

/* Every state's name leads back to the state, and other names to none. */
static void state_names_round_trip(void **state)
{
    (void)state;
    static const char *const strange[] = {"", "charging", "CHARGIN", "CHARGINGX", "NEW", "open"};
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        const struct saga_definition *def = subjects[i].def;
        struct saga_state states[6 * SAGA_STEPS_MAX], parsed;
        unsigned count = states_of(def, states);
        for (unsigned j = 0; j < count; j++) {
            const char *name = saga_state_text(def, states[j]);
            assert_true(saga_state_parse(def, slice_from(name), &parsed));
            assert_int_equal(parsed.phase, states[j].phase);
            assert_int_equal(parsed.row, states[j].row);
        }
        for (size_t j = 0; j < sizeof(strange) / sizeof(strange[0]); j++) {
            assert_false(saga_state_parse(def, slice_from(strange[j]), &parsed));
        }
        assert_false(saga_state_parse(def, (struct slice){0}, &parsed));
    }
    struct saga_state parsed;
    assert_false(saga_state_parse(&trip_definition, SLICE_TEXT("CHARGING"), &parsed));
    assert_null(saga_state_text(&checkout_definition, (struct saga_state){SAGA_ACTING, 1}));
    assert_null(saga_state_text(&checkout_definition, (struct saga_state){SAGA_CANCELLING, 0}));
    assert_null(saga_state_text(&checkout_definition, (struct saga_state){SAGA_COMPENSATING, 1}));
    assert_null(saga_state_text(&checkout_definition, (struct saga_state){SAGA_STUCK, 1}));
}

/* The answer of a row that was passed on is awaited where the slip began; one that comes when the
 * pivot is asked to cancel, there. */
static void awaits_where_the_slip_began(void **state)
{
    (void)state;
    static const struct {
        const struct saga_definition *def;
        struct saga_event event;
        const char *awaited;
    } rows[] = {
        {&checkout_definition, {E(REFUSED), 0}, "CHARGING"},
        {&checkout_definition, {E(ACTED), 1}, "CHARGING"},
        {&checkout_definition, {E(REFUSED), 1}, "CHARGING"},
        {&checkout_definition, {E(CANCELLED), 1}, "CANCELLING"},
        {&checkout_definition, {E(COMPENSATED), 0}, "REFUNDING"},
        {&trip_definition, {E(ACTED), 1}, "BOOKING_HOTEL"},
        {&relay_definition, {E(ACTED), 3}, "A"},
        {&relay_definition, {E(COMPENSATED), 1}, "NOT_B"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct saga_output output;
        struct saga_state now = saga_awaits(rows[i].def, rows[i].event);
        assert_string_equal(saga_state_text(rows[i].def, now), rows[i].awaited);
        assert_int_equal(saga_step(rows[i].def, now, rows[i].event, &output), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_every_pair),
        cmocka_unit_test(step_begin),
        cmocka_unit_test(awaits_where_the_slip_began),
        cmocka_unit_test(step_due_names_the_outstanding_command),
        cmocka_unit_test(step_never_back_past_the_pivot),
        cmocka_unit_test(state_names_round_trip),
    };
    return cmocka_run_group_tests_name("saga/step", tests, NULL, NULL);
}
