/* Arguments of a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "store/store.h"

/* Arguments lie back to back; empty ones and any byte are allowed. */
static void store_command_bytes(void **state)
{
    (void)state;
    struct args *c = mem_new(sizeof(*c));
    char longer[1000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    for (int round = 0; round < 2; round++) {
        args_reset(c);
        args_text(c, "HSET");
        args_add(c, (struct slice){NULL, 0});
        args_add(c, (struct slice){"a\0b", 3});
        args_int(c, INT64_MIN);
        args_format(c, "u:%s:%d", "7", 8);
        args_format(c, "%s", longer);
        assert_int_equal(c->count, 6);
        assert_int_equal(c->end[0], 4);
        assert_int_equal(c->end[1], 4);
        assert_int_equal(c->end[2], 7);
        assert_int_equal(c->end[3], 27);
        assert_int_equal(c->end[4], 32);
        assert_int_equal(c->end[5], 32 + 999);
        assert_memory_equal(c->bytes.data, "HSETa\0b-9223372036854775808u:7:8xxx", 35);
    }
    args_free(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_command_bytes),
    };
    return cmocka_run_group_tests_name("store/args", tests, NULL, NULL);
}
