/* Records as texts, taken apart strictly (audit/record). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "audit/record.h"

#define SAGA "0193abcd-ef12-7000-8000-000000000001"

/* Every form of command id that there is, and none other. */
static void commands(void **state)
{
    static const struct {
        const char *id;
        int kind; /* -1: none of ours */
        unsigned attempt;
    } ids[] = {
        {SAGA, RECORD_PLAIN, 0},
        {SAGA ":0", RECORD_CHUNK, 0},
        {SAGA ":12:charge", RECORD_CHARGE, 12},
        {SAGA ":1:charge-undo", RECORD_REFUND, 1},
        {SAGA ":4294967295:take", RECORD_TAKE, UINT32_MAX},
        {SAGA ":4294967296:take", -1, 0},
        {SAGA ":0:take", -1, 0},
        {SAGA ":1:take-undo", -1, 0},
        {SAGA ":1:take:", -1, 0},
        {SAGA ":x", -1, 0},
        {SAGA ":", -1, 0},
        {SAGA "0", -1, 0},
        {"0193ABCD-ef12-7000-8000-000000000001", -1, 0},
        {"", -1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct record_command c = {.kind = RECORD_PLAIN};
        assert_int_equal(record_command_parse(slice_from(ids[i].id), &c), ids[i].kind >= 0);
        if (ids[i].kind >= 0) {
            char text[37];
            assert_int_equal(c.kind, ids[i].kind);
            assert_int_equal(c.attempt, ids[i].attempt);
            record_key_text(&c.key, text);
            assert_string_equal(text, SAGA);
            assert_int_equal(record_key_ms(&c.key), 0x0193abcdef12);
            assert_int_equal(record_key_bucket(&c.key), 0x0193abcde);
        }
    }
}

/* Payment's records: what each says was taken or given back. */
static void payments(void **state)
{
    struct record_payment p, q;
    (void)state;
    assert_true(record_payment_parse(SLICE_TEXT("charged|u-1|9223372036854775807|"), &p));
    assert_true(p.outcome == OUTCOME_DONE && !p.is_refund && p.amount == INT64_MAX);
    assert_true(slice_is(p.user, "u-1") && p.gen.bytes == 0);
    assert_true(record_payment_parse(SLICE_TEXT("refunded|u-1|9223372036854775807|"), &q));
    assert_true(q.outcome == OUTCOME_DONE && q.is_refund && q.tail == p.tail);
    assert_true(record_payment_parse(SLICE_TEXT("refunded|u-1|9223372036854775807|g"), &q));
    assert_true(q.tail != p.tail);
    assert_true(record_payment_parse(SLICE_TEXT("paid|7|3|g1|40"), &p));
    assert_true(p.is_payment && p.amount == 3 && slice_is(p.gen, "g1"));
    assert_true(record_payment_parse(SLICE_TEXT("refunded"), &p));
    assert_int_equal(p.outcome, OUTCOME_REFUSED);
    assert_true(record_payment_parse(SLICE_TEXT("cancelled"), &p));
    assert_int_equal(p.outcome, OUTCOME_CANCELLED);
    assert_true(record_payment_parse(SLICE_TEXT("user|12"), &p));
    assert_int_equal(p.outcome, OUTCOME_OTHER);
    assert_false(record_payment_parse(SLICE_TEXT("charged|u|-1|"), &p));
    assert_false(record_payment_parse(SLICE_TEXT("charged|u|1"), &p));
    assert_false(record_payment_parse(SLICE_TEXT("charged"), &p));
    assert_false(record_payment_parse(SLICE_TEXT("stolen|u|1|"), &p));
    assert_false(record_payment_parse((struct slice){NULL, 0}, &p));
}

/* Stock's records, line by line. */
static void takes(void **state)
{
    struct record_stock s;
    struct slice item, gen;
    int64_t pieces;
    (void)state;
    assert_true(record_stock_parse(SLICE_TEXT("taken|a*1*,b*20*g1"), &s));
    assert_true(record_taken_next(&s.lines, &item, &pieces, &gen));
    assert_true(slice_is(item, "a") && pieces == 1 && gen.bytes == 0);
    assert_true(record_taken_next(&s.lines, &item, &pieces, &gen));
    assert_true(slice_is(item, "b") && pieces == 20 && slice_is(gen, "g1"));
    assert_false(record_taken_next(&s.lines, &item, &pieces, &gen));
    assert_true(record_stock_parse(SLICE_TEXT("subtracted|a*1*|9"), &s));
    assert_true(s.is_subtract && slice_is(s.lines, "a*1*"));
    assert_false(record_stock_parse(SLICE_TEXT("taken|a*1"), &s));
    assert_false(record_stock_parse(SLICE_TEXT("taken|a*x*"), &s));
    assert_false(record_stock_parse(SLICE_TEXT("taken|a*1*,"), &s));
    assert_false(record_stock_parse(SLICE_TEXT("taken"), &s));
}

/* The once-records of checkouts, and which states are open. */
static void orders(void **state)
{
    struct record_order o;
    (void)state;
    assert_true(record_order_parse(SLICE_TEXT("begun|o|" SAGA), &o));
    assert_true(o.kind == ORDER_BEGUN && slice_is(o.order, "o") && slice_is(o.saga, SAGA));
    assert_true(record_order_parse(
        SLICE_TEXT("ended|o|s|3|FAILED|0|0|out of stock|g/r|u|2|i*1|x:0:0"), &o));
    assert_true(o.kind == ORDER_ENDED && slice_is(o.attempt, "3") && slice_is(o.state, "FAILED"));
    assert_true(slice_is(o.order, "o") && slice_is(o.saga, "s"));
    assert_false(record_order_parse(SLICE_TEXT("ended|o|s|3|FAILED|0|0|out of stock|g/r|u|2|i*1"),
                                    &o)); /* torn */
    assert_false(record_order_parse(SLICE_TEXT("ended|o"), &o));
    assert_true(record_order_parse(SLICE_TEXT("unknown"), &o));
    assert_int_equal(o.kind, ORDER_OTHER);
    assert_false(record_order_parse(SLICE_TEXT("begun|o"), &o));
    assert_false(record_order_parse(SLICE_TEXT("begin|o|x"), &o));
    assert_true(record_state_is_open(record_state_parse(SLICE_TEXT("STUCK"))));
    assert_false(record_state_is_open(record_state_parse(SLICE_TEXT("PAID"))));
    assert_int_equal(record_state_parse(SLICE_TEXT("paid")), STATE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),
        cmocka_unit_test(payments),
        cmocka_unit_test(takes),
        cmocka_unit_test(orders),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
