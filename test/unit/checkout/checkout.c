/* What answers mean to the checkout saga, the command that each state asks for, and what its
 * waiters are told (checkout/checkout): the pure parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "checkout/checkout.h"
#include "order/commands.h"
#include "runtime/err.h"
#include "saga/driver.h"

#define SAGA "0193abcd-ef12-7000-8000-000000000001"

static struct journal_record sample(const char *state)
{
    return (struct journal_record){
        .outcome = SLICE_TEXT("moved"),
        .entity = SLICE_TEXT("order_7"),
        .saga = SLICE_TEXT(SAGA),
        .attempt = SLICE_TEXT("2"),
        .state = slice_from(state),
        .began_ms = SLICE_TEXT("1734191476736"),
        .retries = SLICE_TEXT("0"),
        .reason = SLICE_TEXT("out of stock"),
        .waiters = SLICE_TEXT("gw/r1"),
        .story = SLICE_TEXT("CHARGING:1734191476736:0"),
        .frozen = {SLICE_TEXT("user_1"), SLICE_TEXT("9007199254740993"), SLICE_TEXT("a*1,b*20")},
    };
}

/* Exactly six types are answers to the saga, and each means one event. */
static void event_of_every_type(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        enum saga_event_kind kind;
    } answers[] = {
        {MESSAGE_PAYMENT_CHARGED, SAGA_EVENT_ACTED},
        {MESSAGE_PAYMENT_REFUSED, SAGA_EVENT_REFUSED},
        {MESSAGE_PAYMENT_REFUNDED, SAGA_EVENT_COMPENSATED},
        {MESSAGE_STOCK_TAKEN, SAGA_EVENT_ACTED},
        {MESSAGE_STOCK_REFUSED, SAGA_EVENT_REFUSED},
        {MESSAGE_STOCK_CANCELLED, SAGA_EVENT_CANCELLED},
    };
    for (int type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        enum saga_event_kind kind = SAGA_EVENT_STICK, expected = SAGA_EVENT_STICK;
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
            expected = (int)answers[i].type == type ? answers[i].kind : expected;
        }
        assert_int_equal(saga_event_of(&checkout_definition, (enum message_type)type, &kind),
                         expected != SAGA_EVENT_STICK);
        assert_int_equal(kind, expected);
    }
}

/* Every answer to the saga has a handler in the order service, and no type has two. */
static void event_has_a_handler(void **state)
{
    (void)state;
    for (int type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        enum saga_event_kind kind;
        unsigned handlers = 0;
        bool is_event = saga_event_of(&checkout_definition, (enum message_type)type, &kind);
        for (unsigned i = 0; i < order_definition.handler_count; i++) {
            if ((int)order_definition.handlers[i].type == type) {
                handlers++;
                assert_int_equal(order_definition.handlers[i].record == driver_event_record,
                                 is_event);
            }
        }
        assert_in_range(handlers, is_event ? 1 : 0, 1);
    }
}

/* Each open state asks for one command, to one out.queue, with all that the receiver needs. */
static void command_of_every_state(void **state)
{
    (void)state;
    static const struct {
        const char *state, *id, *user, *lines, *undoes, *next;
        enum message_type type;
        enum queue queue;
        bool has_amount;
    } rows[] = {
        {"CHARGING", SAGA ":2:charge", "user_1", "a*1,b*20", NULL, SAGA ":2:take",
         MESSAGE_PAYMENT_CHARGE, QUEUE_PAYMENT, true},
        {"CANCELLING", SAGA ":2:take", NULL, NULL, NULL, NULL, MESSAGE_STOCK_CANCEL, QUEUE_STOCK,
         false},
        {"REFUNDING", SAGA ":2:charge-undo", "user_1", NULL, SAGA ":2:charge", NULL,
         MESSAGE_PAYMENT_REFUND, QUEUE_PAYMENT, false},
        {"STUCK", SAGA ":2:charge-undo", "user_1", NULL, SAGA ":2:charge", NULL,
         MESSAGE_PAYMENT_REFUND, QUEUE_PAYMENT, false},
    };
    struct saga_outgoing out = {0};
    struct buf text = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct journal_record record = sample(rows[i].state);
        assert_int_equal(saga_command_due(&checkout_definition, &record, &out), 0);
        assert_int_equal(out.message.type, rows[i].type);
        assert_int_equal(out.queue, rows[i].queue);
        assert_true(slice_is(out.message.id, rows[i].id));
        assert_true(slice_is(out.message.order, "order_7"));
        assert_true(slice_is(out.message.user, rows[i].user));
        assert_true(slice_is(out.message.lines, rows[i].lines));
        assert_true(slice_is(out.message.undoes, rows[i].undoes));
        assert_true(slice_is(out.message.next, rows[i].next));
        assert_int_equal(message_has(&out.message, amount), rows[i].has_amount);
        assert_true(out.message.amount == (rows[i].has_amount ? INT64_C(9007199254740993) : 0));
        struct envelope_head table = {0};
        buf_reset(&text);
        /* Asserts that nothing required is missing. */
        envelope_add(&message_schema, &text, &table, &out.message);
    }
    saga_outgoing_free(&out);
    buf_free(&text);
}

/* An ended saga asks for nothing: who follows it looks at that first. And a record that cannot be
 * read is said to be so. */
static void command_of_other_records(void **state)
{
    (void)state;
    static const struct {
        const char *state, *total;
        int err;
    } rows[] = {
        {"PAID", "1", -ERR_RECORD},
        {"FAILED", "1", -ERR_RECORD},
        {"NEW", "1", -ERR_RECORD},
        {"", "1", -ERR_RECORD},
        {NULL, "1", -ERR_RECORD},
        {"CHARGING", "", -ERR_RECORD},
        {"CHARGING", NULL, -ERR_RECORD},
        {"CHARGING", "1.5", -ERR_RECORD},
        {"CHARGING", "9223372036854775808", -ERR_RECORD},
    };
    struct saga_outgoing out = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        out.message = (struct message){.type = MESSAGE_PONG};
        out.queue = QUEUE_COUNT;
        struct journal_record record = sample(rows[i].state);
        record.frozen[1] = slice_from(rows[i].total);
        assert_int_equal(saga_command_due(&checkout_definition, &record, &out), rows[i].err);
        assert_int_equal(out.message.type, MESSAGE_PONG);
        assert_int_equal(out.queue, QUEUE_COUNT);
    }
    saga_outgoing_free(&out);
}

/* The command that a state asks for can be answered: its id leads back to the saga. */
static void command_id_leads_back(void **state)
{
    (void)state;
    static const char *const open[] = {"CHARGING", "CANCELLING", "REFUNDING", "STUCK"};
    struct saga_outgoing out = {0};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        struct saga_command parsed;
        struct journal_record record = sample(open[i]);
        assert_int_equal(saga_command_due(&checkout_definition, &record, &out), 0);
        assert_true(saga_command_parse(&checkout_definition, out.message.id, &parsed));
        assert_true(slice_equal(parsed.saga, record.saga));
        assert_true(slice_equal(parsed.attempt, record.attempt));
        assert_int_equal(parsed.row, out.queue == QUEUE_STOCK);
    }
    saga_outgoing_free(&out);
}

/* What a participant is told again, for each state and service: what stands is done again, what
 * does not is undone; a step that the saga has not come to is left alone. */
static void replay_of_every_state(void **state)
{
    (void)state;
    static const struct {
        const char *state, *story;
        const char *payment, *stock; /* NULL: nothing */
    } rows[] = {
        {"CHARGING", "CHARGING:0:0", "payment.charge", "payment.charge"}, /* and so the take */
        {"CANCELLING", "CHARGING:0:0,CANCELLING:9:0", "payment.charge", "stock.cancel"},
        {"PAID", "CHARGING:0:0,PAID:9:0", "payment.charge", "stock.take"},
        {"PAID", "PAID:0:0", NULL, NULL}, /* no lines */
        {"REFUNDING", "CHARGING:0:0,REFUNDING:5:0", "payment.refund", "stock.cancel"},
        {"STUCK", "CHARGING:0:0,REFUNDING:7:0,STUCK:8:0", "payment.refund", "stock.cancel"},
        {"FAILED", "CHARGING:0:0,FAILED:5:0", "payment.refund", NULL},
        {"FAILED", "CHARGING:0:0,REFUNDING:7:0,FAILED:9:0", "payment.refund", "stock.cancel"},
    };
    static const char *const services[] = {"payment", "stock"};
    struct saga_outgoing out = {0};
    struct buf text = {0};
    unsigned row;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct journal_record record = sample(rows[i].state);
        record.story = slice_from(rows[i].story);
        for (unsigned s = 0; s < 2; s++) {
            const char *expected = s == 0 ? rows[i].payment : rows[i].stock;
            assert_true(saga_row_of(&checkout_definition, slice_from(services[s]), &row));
            int err = saga_command_again(&checkout_definition, &record, row, &out);
            assert_int_equal(err, expected == NULL ? -ERR_TRANSITION : 0);
            if (expected != NULL) {
                assert_string_equal(message_type_text(out.message.type), expected);
                assert_int_equal(out.queue, expected[0] == 'p' ? QUEUE_PAYMENT : QUEUE_STOCK);
                struct envelope_head table = {0};
                buf_reset(&text);
                envelope_add(&message_schema, &text, &table,
                             &out.message); /* asserts that nothing required is missing */
            }
        }
    }
    assert_false(saga_row_of(&checkout_definition, SLICE_TEXT("gateway"), &row));
    saga_outgoing_free(&out);
    buf_free(&text);
}

/* An archived saga has no total any more, and its refund needs none; without a user there is none
 * either. */
static void replay_of_an_archived_saga(void **state)
{
    (void)state;
    struct saga_outgoing out = {0};
    struct journal_record record = sample("FAILED");
    record.frozen[1] = record.frozen[2] = (struct slice){0};
    assert_int_equal(saga_command_again(&checkout_definition, &record, 0, &out), 0);
    assert_true(slice_is(out.message.id, SAGA ":2:charge-undo"));
    assert_true(slice_is(out.message.undoes, SAGA ":2:charge"));
    assert_true(slice_is(out.message.user, "user_1"));
    record.frozen[0] = (struct slice){0};
    assert_int_equal(saga_command_again(&checkout_definition, &record, 0, &out), -ERR_RECORD);
    saga_outgoing_free(&out);
}

/* Which answers mean that a store has lost what it had said. Everything else is late or repeated.
 */
static void denial_of_every_state(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        enum saga_event_kind kind;
        unsigned row;
        bool is_denial;
    } rows[] = {
        {"PAID", SAGA_EVENT_ACTED, 1, false},         {"PAID", SAGA_EVENT_REFUSED, 0, true},
        {"PAID", SAGA_EVENT_REFUSED, 1, true},        {"PAID", SAGA_EVENT_CANCELLED, 1, true},
        {"CANCELLING", SAGA_EVENT_REFUSED, 0, false}, /* it was cancelled while it charged */
        {"CHARGING", SAGA_EVENT_CANCELLED, 1, false}, {"REFUNDING", SAGA_EVENT_REFUSED, 0, false},
        {"REFUNDING", SAGA_EVENT_REFUSED, 1, false},  {"FAILED", SAGA_EVENT_ACTED, 1, true},
        {"FAILED", SAGA_EVENT_REFUSED, 0, false},     {"FAILED", SAGA_EVENT_CANCELLED, 1, false},
        {"FAILED", SAGA_EVENT_COMPENSATED, 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct saga_state at;
        assert_true(saga_state_parse(&checkout_definition, slice_from(rows[i].state), &at));
        assert_int_equal(
            saga_is_denial(at, (struct saga_event){.kind = rows[i].kind, .row = rows[i].row}),
            rows[i].is_denial);
    }
}

/* A paid saga tells the order and its exact total. */
static void outcome_paid(void **state)
{
    (void)state;
    struct journal_record record = sample("PAID");
    struct message outcome = saga_outcome(&checkout_definition, &record, SLICE_TEXT("r9"));
    assert_int_equal(outcome.type, MESSAGE_SAGA_PAID);
    assert_true(slice_is(outcome.id, "r9"));
    assert_true(slice_is(outcome.saga, SAGA));
    assert_true(slice_is(outcome.order, "order_7"));
    assert_true(outcome.total == INT64_C(9007199254740993));
    assert_false(message_has(&outcome, reason));
}

/* A failed saga tells why, and needs nothing of the order: that may be another one by now. */
static void outcome_failed(void **state)
{
    (void)state;
    struct journal_record record = sample("FAILED");
    memset(record.frozen, 0, sizeof(record.frozen));
    struct message outcome = saga_outcome(&checkout_definition, &record, SLICE_TEXT("r9"));
    assert_int_equal(outcome.type, MESSAGE_REFUSED);
    assert_true(slice_is(outcome.id, "r9"));
    assert_true(slice_is(outcome.saga, SAGA));
    assert_true(slice_is(outcome.reason, "out of stock"));
    assert_false(message_has(&outcome, total));
}

/* A journal that cannot be read has no outcome: least of all that nothing was charged. */
static void outcome_unreadable(void **state)
{
    (void)state;
    struct journal_record record = sample("PAID");
    struct message outcome = saga_outcome(&checkout_definition, &record, SLICE_TEXT("r9"));
    assert_true(message_is_valid(&outcome));
    record.frozen[1] = SLICE_TEXT("-7");
    outcome = saga_outcome(&checkout_definition, &record, SLICE_TEXT("r9"));
    assert_false(message_is_valid(&outcome));
    const char *const states[] = {"", "PAYED", "CHARGING", "STUCK"};
    for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        record = sample(states[i]);
        outcome = saga_outcome(&checkout_definition, &record, SLICE_TEXT("r9"));
        assert_false(message_is_valid(&outcome));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_of_every_type),
        cmocka_unit_test(event_has_a_handler),
        cmocka_unit_test(command_of_every_state),
        cmocka_unit_test(command_of_other_records),
        cmocka_unit_test(command_id_leads_back),
        cmocka_unit_test(outcome_paid),
        cmocka_unit_test(outcome_failed),
        cmocka_unit_test(outcome_unreadable),
        cmocka_unit_test(replay_of_every_state),
        cmocka_unit_test(denial_of_every_state),
        cmocka_unit_test(replay_of_an_archived_saga),
    };
    return cmocka_run_group_tests_name("checkout/checkout", tests, NULL, NULL);
}
