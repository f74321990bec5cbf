/* The pace of attempts to connect, and of telling why they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/pace.h"

/* At once, then after growing times with jitter, never above PACE_MAX_MS. */
static void store_pace_grows(void **state)
{
    (void)state;
    struct pace p = {0};
    int64_t most_ms = PACE_FIRST_MS;
    assert_int_equal(pace_lost(&p, 1, 7), 0);
    for (uint32_t i = 0; i < 100; i++) {
        int64_t delay_ms = pace_lost(&p, 1, i * 2654435761u);
        assert_in_range(delay_ms, most_ms / 2, most_ms);
        most_ms = most_ms * 2 < PACE_MAX_MS ? most_ms * 2 : PACE_MAX_MS;
    }
}

/* Only a store that was up for a while is met at once again. */
static void store_pace_forgives(void **state)
{
    (void)state;
    struct pace p = {0};
    pace_lost(&p, 1000, 0);
    pace_lost(&p, 1000, 0);
    pace_up(&p, 2000);
    assert_true(pace_lost(&p, 2000 + PACE_STEADY_MS - 1, 0) > 0);
    pace_up(&p, 5000);
    assert_int_equal(pace_lost(&p, 5000 + PACE_STEADY_MS, 0), 0);
}

/* A reason is told once, again when it changes, again after a while. */
static void store_pace_tells(void **state)
{
    (void)state;
    struct pace p = {0};
    assert_true(pace_tell(&p, 0, "a"));
    assert_true(pace_tell(&p, 1000, "b"));
    assert_false(pace_tell(&p, 1001, "b"));
    assert_true(pace_tell(&p, 1002, "a"));
    assert_true(pace_tell(&p, 1002 + PACE_TELL_MS, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_pace_grows),
        cmocka_unit_test(store_pace_forgives),
        cmocka_unit_test(store_pace_tells),
    };
    return cmocka_run_group_tests_name("store/pace", tests, NULL, NULL);
}
