/* UUIDv7: form, order, and the time they carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/uuid.h"

#define WALL_MS 1795269802123

/* Version and variant are where RFC 9562 has them, and an id is an id of ours. */
static void uuid_form_test(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct uuid id = uuid_make(WALL_MS + i);
        assert_int_equal(strlen(id.text), UUID_TEXT_BYTES);
        assert_int_equal(strspn(id.text, "0123456789abcdef-"), UUID_TEXT_BYTES);
        assert_int_equal(id.text[14], '7');
        assert_non_null(strchr("89ab", id.text[19]));
        assert_true(slice_is_id(slice_from(id.text)));
    }
}

/* Within a millisecond they increase, and so they are all different. */
static void uuid_order_test(void **state)
{
    (void)state;
    struct uuid last = uuid_make(WALL_MS);
    for (int i = 0; i < 100000; i++) {
        struct uuid next = uuid_make(WALL_MS);
        assert_true(strcmp(last.text, next.text) < 0);
        last = next;
    }
}

/* The random part differs: two ids of neighbours cannot be guessed from each other. */
static void uuid_random_test(void **state)
{
    (void)state;
    struct uuid a = uuid_make(WALL_MS);
    struct uuid b = uuid_make(WALL_MS);
    assert_string_not_equal(a.text + 24, b.text + 24);
}

/* The time comes back, also from an id that something follows. */
static void uuid_time_test(void **state)
{
    (void)state;
    const int64_t times[] = {0, 1, WALL_MS, ((int64_t)1 << 48) - 1};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct uuid id = uuid_make(times[i]);
        int64_t wall_ms = -1;
        assert_true(uuid_time_ms(slice_from(id.text), &wall_ms));
        assert_int_equal(wall_ms, times[i]);
    }
    int64_t wall_ms;
    assert_true(uuid_time_ms(SLICE_TEXT("0193ABCD-0000-7000-8000-000000000000.charge"), &wall_ms));
    assert_int_equal(wall_ms, 0x0193ABCD0000);
}

/* One whose record is kept for a client is marked in its 16th place, and is a UUIDv7 like the
 * others, which never have that mark. */
static void uuid_kept_test(void **state)
{
    (void)state;
    struct uuid last = uuid_make_kept(WALL_MS);
    for (int i = 0; i < 100000; i++) {
        struct uuid plain = uuid_make(WALL_MS + i % 7), kept = uuid_make_kept(WALL_MS + i % 7);
        int64_t wall_ms;
        assert_non_null(strchr("01234567", plain.text[15]));
        assert_non_null(strchr("89abcdef", kept.text[15]));
        assert_int_equal(kept.text[14], '7');
        assert_true(uuid_time_ms(slice_from(kept.text), &wall_ms));
        assert_int_equal(wall_ms, WALL_MS + i % 7);
        assert_string_not_equal(kept.text, last.text);
        last = kept;
    }
}

/* Anything else has no time. */
static void uuid_not_test(void **state)
{
    (void)state;
    const char *bad[] = {
        NULL,
        "",
        "17",
        "0193abcd-0000-7000-8000-00000000000",  /* short */
        "0193abcd-0000-4000-8000-000000000000", /* another version */
        "0193abcd-0000-7000-c000-000000000000", /* another variant */
        "0193abcd-0000-7000-8000-00000000000g", /* not hexadecimal */
        "0193abcd00000-7000-8000-000000000000", /* a dash missing */
        "0193abc--0000-7000-8000-000000000000", /* one too many */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t wall_ms = 42;
        assert_false(uuid_time_ms(slice_from(bad[i]), &wall_ms));
        assert_int_equal(wall_ms, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuid_form_test),   cmocka_unit_test(uuid_order_test),
        cmocka_unit_test(uuid_random_test), cmocka_unit_test(uuid_time_test),
        cmocka_unit_test(uuid_kept_test),   cmocka_unit_test(uuid_not_test),
    };
    return cmocka_run_group_tests_name("runtime/uuid", tests, NULL, NULL);
}
