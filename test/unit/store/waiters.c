/* The ring of those who wait for an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/waiters.h"

/* The ring keeps the order while it wraps around and grows. */
static void store_waiters_in_order(void **state)
{
    (void)state;
    struct waiters w = {0};
    uintptr_t in = 0, out = 0;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 7; i++) {
            waiters_push(&w, (struct waiter){.ctx = (void *)++in});
        }
        for (int i = 0; i < 4; i++) {
            assert_int_equal((uintptr_t)waiters_pop(&w).ctx, ++out);
        }
    }
    assert_int_equal(w.count, in - out);
    while (w.count > 0) {
        assert_int_equal((uintptr_t)waiters_pop(&w).ctx, ++out);
    }
    waiters_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_waiters_in_order),
    };
    return cmocka_run_group_tests_name("store/waiters", tests, NULL, NULL);
}
