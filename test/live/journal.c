/* The journal of a saga in a real store, on a second definition: what is moved, leased, archived,
 * and how often. Who drives a saga is another test (trip.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/err.h"
#include "test/lib/rig.h"
#include "test/lib/story.h"
#include "test/lib/trip.h"

#define NOW_MS  INT64_C(1733754220544)
#define E(name) SAGA_EVENT_##name

struct trip {
    struct rig *store;
    struct args command;
    int64_t now_ms;
    char saga[64];
    struct buf sent;    /* ids of the commands sent, each followed by a space */
    struct buf records; /* texts that `last` borrows */
    unsigned count;     /* records in the last reply */
    struct journal_record last;
};

static int group_setup(void **state)
{
    struct trip *t = mem_new(sizeof(*t));
    t->store = rig_new(&trip_library);
    *state = t;
    return 0;
}

static int group_teardown(void **state)
{
    struct trip *t = *state;
    rig_free(t->store);
    args_free(&t->command);
    buf_free(&t->sent);
    buf_free(&t->records);
    free(t);
    return 0;
}

/* Copies a slice so that it outlives the reply. The buffer must not move: it is reserved. */
static struct slice keep(struct trip *t, struct slice s)
{
    size_t begin = t->records.bytes;
    buf_add_slice(&t->records, s);
    assert_in_range(t->records.bytes, 0, 8000);
    return (struct slice){t->records.data + begin, s.bytes};
}

static void records_read(struct trip *t, struct texts reply, unsigned first)
{
    struct journal_record *r = &t->last;
    for (t->count = 0; journal_record_at(&trip_definition.journal, reply, first + t->count, r);
         t->count++) {
    }
    *r = (struct journal_record){0};
    if (t->count == 0) {
        return;
    }
    assert_true(journal_record_at(&trip_definition.journal, reply, first, r));
    buf_reset(&t->records);
    struct slice *const fields[] = {
        &r->outcome, &r->entity,  &r->saga,      &r->attempt,   &r->state, &r->due_ms,  &r->retries,
        &r->reason,  &r->waiters, &r->frozen[0], &r->frozen[1], &r->story, &r->began_ms};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i] = keep(t, *fields[i]);
    }
}

static void on_record(void *ctx, struct texts reply)
{
    records_read(ctx, reply, 0);
}

/* Behind what time it is. */
static void on_leased(void *ctx, struct texts reply)
{
    records_read(ctx, reply, 1);
}

/* What the outstanding command of the last record is, sent once more. */
static void trip_send(struct trip *t)
{
    const struct saga_definition *def = &trip_definition;
    struct saga_state now;
    struct saga_output due;
    assert_true(saga_state_parse(def, t->last.state, &now));
    if (saga_step(def, now, (struct saga_event){.kind = E(DUE)}, &due) != 0) {
        return; /* it has ended */
    }
    bool is_compensation = due.send == def->rows[due.send_row].compensation;
    saga_command_text(def, SLICE_TEXT("s"), t->last.attempt, due.send_row, is_compensation,
                      &t->sent);
    buf_add_text(&t->sent, due.send == def->rows[due.send_row].cancel ? "? " : " ");
}

/* Calls a function whose answer is a record. */
#define trip_ask(t, ...) trip_ask_words(t, (const char *const[]){__VA_ARGS__, NULL})
static void trip_ask_words(struct trip *t, const char *const *words)
{
    args_reset(&t->command);
    library_call(&t->command, &trip_library, words[0], atoi(words[1]));
    for (words += 2; *words != NULL; words++) {
        args_text(&t->command, *words);
    }
    rig_ask_command(t->store, &t->command, on_record, t);
}

static void assert_story(struct trip *t, const char *from_then_on)
{
    const char *story = story_from(NOW_MS, from_then_on);
    if (!slice_is(t->last.story, story)) {
        fail_msg("the story is %.*s, not %s", SLICE_ARG(t->last.story), story);
    }
}

/* A trip begins, and its first command is sent. */
static void trip_begin(struct trip *t)
{
    snprintf(t->saga, sizeof(t->saga), "%s", id_at(NOW_MS));
    struct saga_output first = saga_begin(&trip_definition);
    rig_clock(t->store, t->now_ms);
    trip_ask(t, "trip_begin", "3", bucket_of("trip", t->saga), "trip:trip:t1", "trip:open", t->saga,
             "t1", "gw/r1", "1000", saga_state_text(&trip_definition, first.next), "Ada", "3");
    assert_true(slice_is(t->last.outcome, "begun"));
}

static int setup(void **state)
{
    struct trip *t = *state;
    rig_ask(t->store, "FLUSHALL");
    buf_reset(&t->records);
    buf_add(&t->records, (char[8192]){0}, 8192); /* keep() needs it not to move */
    buf_reset(&t->sent);
    t->now_ms = NOW_MS;
    trip_begin(t);
    trip_send(t);
    return 0;
}

/* The compare-and-set of a step from `now`, as an orchestrator makes it. */
static void trip_advance(struct trip *t, struct saga_state now, struct saga_event event,
                         const char *reason)
{
    struct saga_output output;
    assert_int_equal(saga_step(&trip_definition, now, event, &output), 0);
    const struct journal_move move = {
        .entity = SLICE_TEXT("t1"),
        .saga = slice_from(t->saga),
        .attempt = SLICE_TEXT("1"),
        .from = now,
        .to = output.next,
        .reason = slice_from(reason),
        .resend_ms = 1000,
    };
    assert_int_equal(
        journal_advance(&trip_definition.journal, &trip_definition, &move, &t->command), 0);
    rig_clock(t->store, t->now_ms);
    rig_ask_command(t->store, &t->command, on_record, t);
    assert_int_equal(t->count, 1);
}

/* An event for the state where the trip is now: it must move, and the next command is sent. */
static void trip_event(struct trip *t, enum saga_event_kind kind, unsigned row, const char *to)
{
    struct saga_state now;
    assert_true(saga_state_parse(&trip_definition, t->last.state, &now));
    t->now_ms += 10;
    trip_advance(t, now, (struct saga_event){kind, row}, kind == E(REFUSED) ? "none left" : "");
    assert_true(slice_is(t->last.outcome, "moved"));
    assert_true(slice_is(t->last.state, to));
    trip_send(t);
}

static void assert_open(struct trip *t, const char *count)
{
    assert_string_equal(rig_ask(t->store, "ZCARD", "trip:open"), count);
}

static void trip_lease(struct trip *t, int64_t limit)
{
    journal_lease(&trip_definition.journal, limit, 1000, 5000, &t->command);
    rig_clock(t->store, t->now_ms);
    rig_ask_command(t->store, &t->command, on_leased, t);
}

/* A trip begins with its own frozen fields, which every record carries. */
static void trip_begins(void **state)
{
    struct trip *t = *state;
    assert_true(slice_is(t->last.entity, "t1"));
    assert_true(slice_is(t->last.saga, t->saga));
    assert_true(slice_is(t->last.attempt, "1"));
    assert_true(slice_is(t->last.state, "BOOKING_FLIGHT"));
    assert_true(slice_is(t->last.waiters, "gw/r1"));
    assert_true(slice_is(t->last.frozen[TRIP_TRAVELLER], "Ada"));
    assert_true(slice_is(t->last.frozen[TRIP_NIGHTS], "3"));
    assert_open(t, "1");
}

/* All goes well: three steps, three commands, one end. */
static void trip_is_booked(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(ACTED), TRIP_FLIGHT, "BOOKING_HOTEL");
    trip_event(t, E(ACTED), TRIP_HOTEL, "RENTING_CAR");
    assert_open(t, "1");
    trip_event(t, E(ACTED), TRIP_CAR, "BOOKED");
    assert_open(t, "0");
    assert_string_equal(t->sent.data, "s:1:flight s:1:hotel s:1:car ");
    assert_story(t, "BOOKING_FLIGHT:0:0,BOOKING_HOTEL:10:0,RENTING_CAR:20:0,BOOKED:30:0");
    assert_true(slice_is(t->last.frozen[TRIP_TRAVELLER], "Ada"));
}

/* No car: hotel and flight are given back, in the reverse order, and the reason stays. */
static void trip_is_compensated_in_reverse(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(ACTED), TRIP_FLIGHT, "BOOKING_HOTEL");
    trip_event(t, E(ACTED), TRIP_HOTEL, "RENTING_CAR");
    trip_event(t, E(REFUSED), TRIP_CAR, "DROPPING_HOTEL");
    trip_event(t, E(COMPENSATED), TRIP_HOTEL, "DROPPING_FLIGHT");
    assert_open(t, "1");
    trip_event(t, E(COMPENSATED), TRIP_FLIGHT, "CALLED_OFF");
    assert_open(t, "0");
    assert_string_equal(t->sent.data,
                        "s:1:flight s:1:hotel s:1:car s:1:hotel-undo s:1:flight-undo ");
    assert_true(slice_is(t->last.reason, "none left"));
    trip_ask(t, "trip_archived", "1", bucket_of("trip", t->saga), t->saga);
    assert_true(slice_is(t->last.state, "CALLED_OFF"));
    assert_true(slice_is(t->last.reason, "none left"));
    assert_story(t, "BOOKING_FLIGHT:0:0,BOOKING_HOTEL:10:0,RENTING_CAR:20:0,"
                    "DROPPING_HOTEL:30:0,DROPPING_FLIGHT:40:0,CALLED_OFF:50:0");
}

/* A refusal of the first step ends the trip at once: nothing was done, nothing is undone. */
static void trip_is_refused_at_once(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(REFUSED), TRIP_FLIGHT, "CALLED_OFF");
    assert_string_equal(t->sent.data, "s:1:flight ");
    assert_open(t, "0");
}

/* Given up while a step that can be undone is out: that one too is compensated, unanswered as it
 * is, for its compensation leaves a tombstone. */
static void trip_is_cancelled_early(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(ACTED), TRIP_FLIGHT, "BOOKING_HOTEL");
    trip_event(t, E(CANCEL), 0, "DROPPING_HOTEL");
    trip_event(t, E(COMPENSATED), TRIP_HOTEL, "DROPPING_FLIGHT");
    trip_event(t, E(COMPENSATED), TRIP_FLIGHT, "CALLED_OFF");
    assert_string_equal(t->sent.data, "s:1:flight s:1:hotel s:1:hotel-undo s:1:flight-undo ");
}

/* Given up while the pivot is out, which tells that it is done: the trip goes forward. */
static void trip_cancel_or_tell_told(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(ACTED), TRIP_FLIGHT, "BOOKING_HOTEL");
    trip_event(t, E(ACTED), TRIP_HOTEL, "RENTING_CAR");
    trip_event(t, E(CANCEL), 0, "CANCELLING_CAR");
    trip_event(t, E(ACTED), TRIP_CAR, "BOOKED");
    assert_string_equal(t->sent.data, "s:1:flight s:1:hotel s:1:car s:1:car? ");
}

/* Given up while the pivot is out, which is cancelled: the trip goes back, all the way. */
static void trip_cancel_or_tell_cancelled(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(ACTED), TRIP_FLIGHT, "BOOKING_HOTEL");
    trip_event(t, E(ACTED), TRIP_HOTEL, "RENTING_CAR");
    trip_event(t, E(CANCEL), 0, "CANCELLING_CAR");
    trip_event(t, E(CANCELLED), TRIP_CAR, "DROPPING_HOTEL");
    trip_event(t, E(COMPENSATED), TRIP_HOTEL, "DROPPING_FLIGHT");
    trip_event(t, E(COMPENSATED), TRIP_FLIGHT, "CALLED_OFF");
}

/* A compensation that does not succeed is stuck, stays due, is asked for on, and can be mended. */
static void trip_is_stuck_and_mended(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(ACTED), TRIP_FLIGHT, "BOOKING_HOTEL");
    trip_event(t, E(REFUSED), TRIP_HOTEL, "DROPPING_FLIGHT");
    trip_event(t, E(STICK), 0, "FLIGHT_STUCK");
    assert_open(t, "1");
    t->now_ms += 1000;
    trip_lease(t, 10);
    assert_int_equal(t->count, 1);
    trip_send(t);
    trip_event(t, E(COMPENSATED), TRIP_FLIGHT, "CALLED_OFF");
    assert_string_equal(t->sent.data,
                        "s:1:flight s:1:hotel s:1:flight-undo s:1:flight-undo s:1:flight-undo ");
    assert_open(t, "0");
}

/* Two orchestrators have the same answer: one moves the saga, the other is told where it is. */
static void trip_stale_compare_and_set(void **state)
{
    struct trip *t = *state;
    const struct saga_state flight = {SAGA_ACTING, TRIP_FLIGHT};
    trip_advance(t, flight, (struct saga_event){E(ACTED), TRIP_FLIGHT}, "");
    assert_true(slice_is(t->last.outcome, "moved"));
    trip_advance(t, flight, (struct saga_event){E(ACTED), TRIP_FLIGHT}, "");
    assert_true(slice_is(t->last.outcome, "stale"));
    assert_true(slice_is(t->last.state, "BOOKING_HOTEL"));
    assert_story(t, "BOOKING_FLIGHT:0:0,BOOKING_HOTEL:0:0");
    /* and one that thinks otherwise cannot undo what was decided */
    trip_advance(t, flight, (struct saga_event){E(REFUSED), TRIP_FLIGHT}, "none left");
    assert_true(slice_is(t->last.outcome, "stale"));
    assert_true(slice_is(t->last.reason, ""));
    assert_open(t, "1");
}

/* A lease hands out what to send again, at doubling distances up to the cap, to one caller. */
static void trip_lease_backs_off(void **state)
{
    struct trip *t = *state;
    static const int64_t wait_ms[] = {1000, 2000, 4000, 5000, 5000};
    for (size_t i = 0; i < sizeof(wait_ms) / sizeof(wait_ms[0]); i++) {
        t->now_ms += wait_ms[i] - 1;
        trip_lease(t, 10);
        assert_int_equal(t->count, 0);
        t->now_ms += 1;
        trip_lease(t, 10);
        assert_int_equal(t->count, 1);
        assert_true(slice_is(t->last.outcome, "due"));
        assert_true(slice_is(t->last.frozen[TRIP_NIGHTS], "3"));
        trip_send(t);
        trip_lease(t, 10);
        assert_int_equal(t->count, 0);
    }
    assert_string_equal(t->sent.data,
                        "s:1:flight s:1:flight s:1:flight s:1:flight s:1:flight s:1:flight ");
}

/* The begin is exactly once, like every command: its repeat begins no second attempt. */
static void trip_begin_once(void **state)
{
    struct trip *t = *state;
    trip_event(t, E(ACTED), TRIP_FLIGHT, "BOOKING_HOTEL");
    trip_ask(t, "trip_begin", "3", bucket_of("trip", t->saga), "trip:trip:t1", "trip:open", t->saga,
             "t1", "gw/r1", "1", "2", "BOOKING_FLIGHT", "Bob", "9");
    assert_true(slice_is(t->last.attempt, "1"));
    assert_true(slice_is(t->last.state, "BOOKING_HOTEL"));
    assert_true(slice_is(t->last.frozen[TRIP_TRAVELLER], "Ada"));
}

/* Who attaches is told too: each once, and no more than the journal's limit of them. */
static void trip_attach(void **state)
{
    struct trip *t = *state;
    for (int i = 1; i < 70; i++) {
        for (int twice = 0; twice < 2; twice++) {
            rig_ask(t->store, "FCALL", "trip_attach", "1", "trip:trip:t1", text_of("gw/r%d", i));
        }
    }
    assert_null(strstr(rig_at(t->store, 0), "gw/r65"));
    assert_non_null(strstr(rig_at(t->store, 0), "gw/r64"));
    unsigned waiters = 1;
    for (const char *c = rig_at(t->store, 0); *c != '\0'; c++) {
        waiters += *c == ',';
    }
    assert_int_equal(waiters, 64);
}

/* Whatever events come, in whatever order and however often: the journal goes only where the pure
 * step goes, from where the journal was, and comes to one end. */
static void trip_random_events(void **state)
{
    struct trip *t = *state;
    const char *given = getenv("KASSA_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u (KASSA_TEST_SEED)\n", seed);
    for (int run = 0; run < 100; run++) {
        rig_ask(t->store, "DEL", "trip:trip:t1");
        trip_begin(t);
        struct saga_state truth = saga_begin(&trip_definition).next;
        while (truth.phase != SAGA_COMPLETED && truth.phase != SAGA_ABORTED) {
            struct saga_event event = {(enum saga_event_kind)(rand_r(&seed) % SAGA_EVENT_COUNT),
                                       (unsigned)rand_r(&seed) % 3};
            struct saga_state thought = {(enum saga_phase)(rand_r(&seed) % 3),
                                         (unsigned)rand_r(&seed) % 3};
            struct saga_output output;
            thought = rand_r(&seed) % 2 ? truth : thought;
            if (event.kind == E(DUE) || saga_state_text(&trip_definition, thought) == NULL ||
                saga_step(&trip_definition, thought, event, &output) != 0) {
                continue;
            }
            bool is_true = thought.phase == truth.phase && thought.row == truth.row;
            t->now_ms++;
            trip_advance(t, thought, event, "");
            assert_true(slice_is(t->last.outcome, is_true ? "moved" : "stale"));
            truth = is_true ? output.next : truth;
            assert_true(slice_is(t->last.state, saga_state_text(&trip_definition, truth)));
        }
        assert_open(t, "0");
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trip_begins),
        TEST(trip_is_booked),
        TEST(trip_is_compensated_in_reverse),
        TEST(trip_is_refused_at_once),
        TEST(trip_is_cancelled_early),
        TEST(trip_cancel_or_tell_told),
        TEST(trip_cancel_or_tell_cancelled),
        TEST(trip_is_stuck_and_mended),
        TEST(trip_stale_compare_and_set),
        TEST(trip_lease_backs_off),
        TEST(trip_begin_once),
        TEST(trip_attach),
        TEST(trip_random_events),
    };
    return cmocka_run_group_tests_name("journal", tests, group_setup, group_teardown);
}
