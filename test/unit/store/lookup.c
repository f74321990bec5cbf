/* Names of hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/lookup.h"

/* Numeric hosts need no look-up. */
static void store_lookup_numeric(void **state)
{
    (void)state;
    assert_true(lookup_is_numeric("127.0.0.1"));
    assert_true(lookup_is_numeric("::1"));
    assert_false(lookup_is_numeric("localhost"));
    assert_false(lookup_is_numeric("127.0.0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_lookup_numeric),
    };
    return cmocka_run_group_tests_name("store/lookup", tests, NULL, NULL);
}
