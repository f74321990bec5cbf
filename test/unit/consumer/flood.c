/* What is written once, and what is parked once (consumer/flood). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "consumer/flood.h"

/* One line a second, whatever comes; the next one says how many were left out. */
static void one_line_a_second(void **state)
{
    (void)state;
    struct flood_lines lines = {0};
    unsigned left_out = 99;
    assert_true(flood_lets_line(&lines, 0, &left_out));
    assert_int_equal(left_out, 0);
    for (int64_t ms = 0; ms < FLOOD_LINE_MS; ms++) {
        assert_false(flood_lets_line(&lines, ms, &left_out));
    }
    assert_true(flood_lets_line(&lines, FLOOD_LINE_MS, &left_out));
    assert_int_equal(left_out, FLOOD_LINE_MS);
    assert_true(flood_lets_line(&lines, 5 * FLOOD_LINE_MS, &left_out));
    assert_int_equal(left_out, 0);
}

/* The same command is parked once as long as it is sent again and again; another kind, another id
 * is another command; and what comes after a rest is parked anew, for a person put it back. */
static void one_copy_of_a_command(void **state)
{
    (void)state;
    struct flood_parked *p = calloc(1, sizeof(*p));
    int64_t ms = 1;
    struct slice id = SLICE_TEXT("saga:1:charge");
    assert_false(flood_was_parked(p, MESSAGE_PAYMENT_CHARGE, id, ms));
    assert_false(flood_was_parked(p, MESSAGE_PAYMENT_REFUND, id, ms));
    assert_false(flood_was_parked(p, MESSAGE_PAYMENT_CHARGE, SLICE_TEXT("saga:2:charge"), ms));
    for (int i = 0; i < 10; i++) {
        ms += FLOOD_PARKED_MS - 1;
        assert_true(flood_was_parked(p, MESSAGE_PAYMENT_CHARGE, id, ms));
    }
    ms += FLOOD_PARKED_MS;
    assert_false(flood_was_parked(p, MESSAGE_PAYMENT_CHARGE, id, ms));
    assert_true(flood_was_parked(p, MESSAGE_PAYMENT_CHARGE, id, ms));
    free(p);
}

/* The oldest ones are forgotten. */
static void so_many_are_remembered(void **state)
{
    (void)state;
    struct flood_parked *p = calloc(1, sizeof(*p));
    char id[24];
    for (int i = 0; i <= FLOOD_PARKED_MAX; i++) {
        snprintf(id, sizeof(id), "command-%d", i);
        assert_false(flood_was_parked(p, MESSAGE_STOCK_TAKE, slice_from(id), 1));
    }
    assert_true(flood_was_parked(p, MESSAGE_STOCK_TAKE, SLICE_TEXT("command-1"), 1));
    assert_false(flood_was_parked(p, MESSAGE_STOCK_TAKE, SLICE_TEXT("command-0"), 1));
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_a_second),
        cmocka_unit_test(one_copy_of_a_command),
        cmocka_unit_test(so_many_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
