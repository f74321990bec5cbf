/* The load generator's schedule: due times never move, whatever the service does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/schedule.h"

#define SECOND INT64_C(1000000000)
#define BEGIN  (5 * SECOND)

static void schedule_open_loop(void **state)
{
    (void)state;
    const struct options o = {.rate = 1000, .from = 7, .count = UINT64_MAX};
    struct schedule s;
    int64_t due_ns;
    schedule_begin(&s, &o, BEGIN);
    for (unsigned i = 0; i < 3000; i++) {
        /* Asked at any time, late as well: the answer is the same. */
        assert_true(schedule_next(&s, BEGIN + 9 * SECOND, &due_ns));
        assert_in_range(due_ns - BEGIN - i * (SECOND / 1000), 0, 1);
        assert_int_equal(schedule_take(&s), 7 + i);
    }
}

/* After the end, what was due before it is still to be taken, and nothing else. */
static void schedule_open_loop_end(void **state)
{
    (void)state;
    const struct options o = {.rate = 100, .count = UINT64_MAX};
    struct schedule s;
    int64_t due_ns;
    schedule_begin(&s, &o, BEGIN);
    for (unsigned i = 0; i < 40; i++) {
        schedule_take(&s);
    }
    schedule_end(&s, BEGIN + SECOND);
    assert_int_equal(schedule_missed(&s), 60);
    for (unsigned i = 0; i < 60; i++) {
        assert_true(schedule_next(&s, BEGIN + 2 * SECOND, &due_ns));
        schedule_take(&s);
    }
    assert_false(schedule_next(&s, BEGIN + 2 * SECOND, &due_ns));
    assert_int_equal(schedule_missed(&s), 0);
}

static void schedule_closed_loop(void **state)
{
    (void)state;
    const struct options o = {.count = 2};
    struct schedule s = {0};
    int64_t due_ns;
    assert_false(schedule_next(&s, BEGIN, &due_ns)); /* not begun */
    assert_false(schedule_is_used_up(&s));
    schedule_begin(&s, &o, BEGIN);
    assert_true(schedule_next(&s, BEGIN + 3, &due_ns));
    assert_int_equal(due_ns, BEGIN + 3);
    schedule_take(&s);
    assert_false(schedule_is_used_up(&s));
    schedule_take(&s);
    assert_true(schedule_is_used_up(&s));
    assert_false(schedule_next(&s, BEGIN + 4, &due_ns));
    schedule_begin(&s, &o, BEGIN);
    schedule_end(&s, BEGIN + 1);
    assert_false(schedule_next(&s, BEGIN + 1, &due_ns));
    assert_int_equal(schedule_missed(&s), 0);
}

/* Drawn numbers: within the bounds, both of them drawn, and the same in each run. */
static void schedule_random_numbers(void **state)
{
    (void)state;
    const struct options o = {.count = UINT64_MAX, .is_random = true, .low = 10, .high = 13};
    struct schedule s, again;
    unsigned seen = 0;
    schedule_begin(&s, &o, BEGIN);
    schedule_begin(&again, &o, BEGIN);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t n = schedule_take(&s);
        assert_in_range(n, 10, 13);
        assert_int_equal(n, schedule_take(&again));
        seen |= 1u << n;
    }
    assert_int_equal(seen, 15u << 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule_open_loop),
        cmocka_unit_test(schedule_open_loop_end),
        cmocka_unit_test(schedule_closed_loop),
        cmocka_unit_test(schedule_random_numbers),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
