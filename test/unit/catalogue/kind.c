/* What a field may contain, at the edges of each kind that is more than a set of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "catalogue/kind.h"
#include "runtime/json.h"

/* A value is any text in UTF-8. */
static void value_is_any_text(void **state)
{
    (void)state;
    static const struct slice goods[] = {
        SLICE_TEXT(""),
        SLICE_TEXT("{\"a\":[1,\"\\n\"]}"),
        SLICE_TEXT("tab\tquote\"backslash\\newline\nunit\x1f."),
        SLICE_TEXT("\x7f \xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"),
        SLICE_TEXT("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"),
    };
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        assert_true(kind_VALUE.is_valid(&goods[i]));
    }
}

/* Bytes that are no UTF-8 are none: cut off, too long a form, a surrogate, beyond the last. Nor is
 * NUL. */
static void value_is_nothing_else(void **state)
{
    (void)state;
    static const char *const bads[] = {
        "\x80",
        "\xbf",
        "a\xc3",
        "\xc3(",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xe2\x82",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xe2\x28\xa1",
        "\xf0\x9f\x98",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xf0\x9f\x98(",
    };
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        struct slice bad = slice_from(bads[i]);
        assert_false(kind_VALUE.is_valid(&bad));
    }
    assert_false(kind_VALUE.is_valid(&SLICE_TEXT("a\0b")));
}

/* As long as a text may be, and not a byte longer. */
static void value_is_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    memset(buf_room(&text, KIND_VALUE_MAX), 'x', KIND_VALUE_MAX);
    struct slice value = buf_slice(&text);
    assert_true(kind_VALUE.is_valid(&value));
    buf_add_text(&text, "x");
    value = buf_slice(&text);
    assert_false(kind_VALUE.is_valid(&value));
    buf_free(&text);
}

/* What is written is read again, to the byte. */
static void value_comes_through(void **state)
{
    (void)state;
    struct slice value =
        SLICE_TEXT("{\"caf\xc3\xa9\":\"\\u0000\",\n\t\"\xf0\x9f\x98\x80\":\"/\x1f\x7f\"}");
    struct buf text = {0};
    buf_add_text(&text, "[");
    kind_VALUE.write(&text, &value);
    buf_add_text(&text, "]");
    struct json *tree = json_parse(buf_slice(&text));
    struct slice read;
    assert_non_null(tree);
    assert_true(kind_VALUE.read(json_array_at(tree, 0), &read));
    assert_true(slice_equal(read, value));
    json_free(tree);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_is_any_text),
        cmocka_unit_test(value_is_nothing_else),
        cmocka_unit_test(value_is_bounded),
        cmocka_unit_test(value_comes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
