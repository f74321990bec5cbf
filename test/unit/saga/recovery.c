/* What is to be done about a due saga (saga/recovery): every state, young and old, asked for
 * seldom and often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "checkout/checkout.h"
#include "saga/recovery.h"
#include "runtime/err.h"

#define BEGAN_MS INT64_C(1734191476736)

static const struct saga_conf conf = {.saga_deadline_ms = 180000, .saga_stuck_retries = 60};

static struct journal_record sample(const char *state, const char *retries)
{
    return (struct journal_record){.state = slice_from(state),
                                   .began_ms = SLICE_TEXT("1734191476736"),
                                   .retries = slice_from(retries)};
}

static enum saga_event_kind event_at(const char *state, const char *retries, int64_t age_ms)
{
    enum saga_event_kind kind = SAGA_EVENT_COUNT;
    struct journal_record record = sample(state, retries);
    assert_int_equal(recovery_event(&checkout_definition, &record, &conf, BEGAN_MS + age_ms, &kind),
                     0);
    return kind;
}

/* For each state: what happens before and after the deadline, asked for seldom and too often. */
static void event_of_every_state(void **state)
{
    (void)state;
    enum { DUE = SAGA_EVENT_DUE, CANCEL = SAGA_EVENT_CANCEL, STICK = SAGA_EVENT_STICK };
    static const struct {
        const char *state;
        int young, old, young_often, old_often;
    } rows[] = {
        {"CHARGING", DUE, CANCEL, DUE, CANCEL},
        {"CANCELLING", DUE, DUE, DUE, DUE}, /* asked already; it has no second deadline */
        {"REFUNDING", DUE, DUE, STICK, STICK},
        {"STUCK", DUE, DUE, DUE, DUE}, /* the alarm rings once, the refund is asked for on */
        {"PAID", DUE, DUE, DUE, DUE},
        {"FAILED", DUE, DUE, DUE, DUE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(event_at(rows[i].state, "0", 0), rows[i].young);
        assert_int_equal(event_at(rows[i].state, "0", 200000), rows[i].old);
        assert_int_equal(event_at(rows[i].state, "60", 0), rows[i].young_often);
        assert_int_equal(event_at(rows[i].state, "60", 200000), rows[i].old_often);
    }
}

/* The deadline is reached when it is reached, to the millisecond; so is the alarm. */
static void event_at_the_bounds(void **state)
{
    (void)state;
    assert_int_equal(event_at("CHARGING", "0", 179999), SAGA_EVENT_DUE);
    assert_int_equal(event_at("CHARGING", "0", 180000), SAGA_EVENT_CANCEL);
    assert_int_equal(event_at("REFUNDING", "59", 0), SAGA_EVENT_DUE);
    assert_int_equal(event_at("REFUNDING", "60", 0), SAGA_EVENT_STICK);
}

/* A clock that has jumped ahead makes a saga old only when it was asked for for a while. */
static void event_long_after_its_time(void **state)
{
    (void)state;
    assert_int_equal(event_at("CHARGING", "0", 359999), SAGA_EVENT_CANCEL);
    assert_int_equal(event_at("CHARGING", "2", 360000), SAGA_EVENT_DUE);
    assert_int_equal(event_at("CHARGING", "3", 360000), SAGA_EVENT_CANCEL);
    assert_int_equal(event_at("CHARGING", "2", 777600000), SAGA_EVENT_DUE);
}

/* A clock that was set back makes no saga old. */
static void event_before_its_time(void **state)
{
    (void)state;
    assert_int_equal(event_at("CHARGING", "0", -3600000), SAGA_EVENT_DUE);
}

/* A record that cannot be read is an error, and nothing is decided. */
static void event_of_unreadable_records(void **state)
{
    (void)state;
    struct journal_record records[] = {sample("NEW", "0"),      sample("", "0"),
                                       sample(NULL, "0"),       sample("CHARGING", ""),
                                       sample("CHARGING", "x"), sample("CHARGING", "0"),
                                       sample("CHARGING", "0")};
    records[5].began_ms = (struct slice){0};
    records[6].began_ms = SLICE_TEXT("yesterday");
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        enum saga_event_kind kind = SAGA_EVENT_COUNT;
        assert_int_equal(recovery_event(&checkout_definition, &records[i], &conf, BEGAN_MS, &kind),
                         -ERR_RECORD);
        assert_int_equal(kind, SAGA_EVENT_COUNT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_of_every_state),        cmocka_unit_test(event_at_the_bounds),
        cmocka_unit_test(event_long_after_its_time),   cmocka_unit_test(event_before_its_time),
        cmocka_unit_test(event_of_unreadable_records),
    };
    return cmocka_run_group_tests_name("saga/recovery", tests, NULL, NULL);
}
