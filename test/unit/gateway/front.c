/* The name that nginx gives a request (gateway/front): what one is, and the id it stands for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/front.h"

#define NAME "1795269802.123-0123456789abcdef0123456789abcdef"

/* The same name is the same id, a UUIDv7 of the time in it; another name is another one. */
static void front_ids(void **state)
{
    (void)state;
    struct front front, other;
    int64_t wall_ms;
    assert_true(front_read(SLICE_TEXT(NAME), &front));
    assert_int_equal(front.made_ms, 1795269802123);
    assert_true(slice_is(front.key, "0123456789abcdef0123456789abcdef"));
    assert_string_equal(front_id(&front, false).text, "01a1fe6b-388b-7123-8567-89abcdef0123");
    assert_string_equal(front_id(&front, true).text, "01a1fe6b-388b-7923-8567-89abcdef0123");
    assert_true(uuid_time_ms(slice_from(front_id(&front, false).text), &wall_ms));
    assert_int_equal(wall_ms, front.made_ms);
    assert_true(front_read(SLICE_TEXT("1795269802.123-0f23456789abcdef0123456789abcdef"), &other));
    assert_string_not_equal(front_id(&front, false).text, front_id(&other, false).text);
}

/* Its marks are never those of another version, variant or class. */
static void front_form(void **state)
{
    (void)state;
    struct front front;
    assert_true(front_read(SLICE_TEXT("1795269802.123-ffffffffffffffffffffffffffffffff"), &front));
    assert_string_equal(front_id(&front, false).text, "01a1fe6b-388b-77ff-bfff-ffffffffffff");
    assert_true(front_read(SLICE_TEXT("0.000-00000000000000000000000000000000"), &front));
    assert_string_equal(front_id(&front, true).text, "00000000-0000-7800-8000-000000000000");
}

/* Anything else is none, and leaves the output alone. */
static void front_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "-",
        "1795269802.123",
        "1795269802.123-",
        "1795269802.123-0123456789abcdef0123456789abcde",
        "1795269802.123-0123456789abcdef0123456789abcdef0",
        "1795269802.123-0123456789ABCDEF0123456789ABCDEF",
        "1795269802.123-0123456789abcdef0123456789abcdeg",
        "1795269802.12-0123456789abcdef0123456789abcdef",
        "1795269802.1234-0123456789abcdef0123456789abcdef",
        "1795269802123-0123456789abcdef0123456789abcdef",
        ".123-0123456789abcdef0123456789abcdef",
        "999999999999.123-0123456789abcdef0123456789abcdef",
        "-1795269802.123-0123456789abcdef0123456789abcdef",
        " 1795269802.123-0123456789abcdef0123456789abcdef",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct front front = {.made_ms = 42};
        assert_false(front_read(slice_from(texts[i]), &front));
        assert_int_equal(front.made_ms, 42);
    }
    struct front front;
    assert_false(front_read((struct slice){NULL, 0}, &front));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(front_ids),
        cmocka_unit_test(front_form),
        cmocka_unit_test(front_refuses),
    };
    return cmocka_run_group_tests_name("gateway/front", tests, NULL, NULL);
}
