/* What is read, what is refused, and what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/json.h"

static struct json *parse(const char *text)
{
    return json_parse(slice_from(text));
}

/* Members are found with their type, and with no other. */
static void json_get_test(void **state)
{
    (void)state;
    struct json *j = parse(" {\"t\":\"a\\u00e9\\n\",\"i\":-7,\"f\":1.5,\"b\":true,\"z\":null,"
                           "\"a\":[{\"x\":1},2,{}],\"o\":{}} \n");
    assert_non_null(j);
    struct slice text = SLICE_TEXT("untouched");
    int64_t number = 42;
    assert_true(json_get_text(j, "t", &text));
    assert_true(slice_is(text, "a\xc3\xa9\n"));
    assert_true(json_get_int(j, "i", &number));
    assert_int_equal(number, -7);
    const char *others[] = {"t", "f", "b", "z", "a", "o", "absent"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(json_get_int(j, others[i], &number));
        assert_int_equal(number, -7);
    }
    assert_false(json_get_text(j, "i", &text));
    assert_null(json_get_array(j, "o"));

    const struct json *array = json_get_array(j, "a");
    assert_int_equal(json_array_count(array), 3);
    assert_true(json_get_int(json_array_at(array, 0), "x", &number));
    assert_int_equal(number, 1);
    assert_true(json_int(json_array_at(array, 1), &number));
    assert_int_equal(number, 2);
    assert_false(json_is_object(json_array_at(array, 1)));
    assert_true(json_is_object(json_array_at(array, 2)));
    assert_null(json_array_at(array, 3));
    assert_null(json_array_at(j, 0));
    assert_false(json_is_object(array));
    assert_false(json_is_object(NULL));
    assert_int_equal(json_array_count(json_get_array(j, "absent")), 0);
    json_free(j);
    json_free(NULL);
}

/* Whole numbers are exact up to both ends of int64. */
static void json_int_range_test(void **state)
{
    (void)state;
    struct json *j = parse("{\"max\":9223372036854775807,\"min\":-9223372036854775808}");
    int64_t number;
    assert_true(json_get_int(j, "max", &number));
    assert_int_equal(number, INT64_MAX);
    assert_true(json_get_int(j, "min", &number));
    assert_int_equal(number, INT64_MIN);
    json_free(j);
}

/* Everything that two readers could understand differently is refused. */
static void json_refused_test(void **state)
{
    (void)state;
    const char *bad[] = {
        "",
        " ",
        "{",
        "}",
        "{}}",
        "{} {}",
        "{}x",
        "{\"a\":1}garbage",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"o\":{\"a\":1,\"a\":1}}",
        "{\"o\":{\"a\":1},\"o\":2}",
        "[{\"a\":1,\"a\":2},{\"b\":1}]",
        "{\"a\":[[1],{\"b\":1},[{\"b\":1,\"b\":1}]],\"c\":1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":nan}",
        "{\"a\":True}",
        "{\"a\":nul}",
        "{\"a\":9223372036854775808}",
        "{\"a\":-9223372036854775809}",
        "{\"a\":1e999}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":0x10}",
        "{\"a\":12x}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"new\nline\"}",
        "{\"a\":\"open}",
        "{\"a\":\"\xff\"}",
        "{\"\xff\":1}",
        "[\"plain\",\"\xc3\xa9\",\"\xc3\"]",
        "[\"\\\xff\"]",
        "[\"\\\"\xff\"]",
        "{\"a\":\"\\q\"}",
        "{\"a\\u0000b\":1}",
        "{\"a\":1}/* no */",
        "{/* no */\"a\":1}",
        "null",
        "nulltrue",
        "[1]]",
        "[[1}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct json *j = parse(bad[i]);
        if (j) {
            print_message("accepted: %s\n", bad[i]);
        }
        assert_null(j);
    }
    assert_null(json_parse((struct slice){NULL, 0}));
    assert_null(json_parse((struct slice){"{}\0", 3}));
    assert_null(json_parse((struct slice){"{\"a\0\":1}", 8}));
}

/* A refused text leaves nothing behind that the next one would feel. */
static void json_after_refusal_test(void **state)
{
    (void)state;
    assert_null(parse("{\"a\":[1,"));
    struct json *j = parse("{\"a\":1}");
    assert_non_null(j);
    json_free(j);
}

/* Strings may hold what would be structure outside of them. */
static void json_string_test(void **state)
{
    (void)state;
    struct json *j = parse("{\"a:b\":\"{:}[NaN]\\\"\\\\\",\"c\":\"//'\"}");
    struct slice text;
    assert_true(json_get_text(j, "a:b", &text));
    assert_true(slice_is(text, "{:}[NaN]\"\\"));
    json_free(j);
}

/* Any single value is a text: a number and a string too. */
static void json_single_test(void **state)
{
    (void)state;
    int64_t number;
    struct slice text;
    struct json *j = parse("12");
    assert_true(json_int(j, &number));
    assert_int_equal(number, 12);
    json_free(j);
    j = json_parse((struct slice){"123", 2}); /* and not a byte more */
    assert_true(json_int(j, &number));
    assert_int_equal(number, 12);
    json_free(j);
    j = parse("\"x\"");
    assert_true(json_text(j, &text));
    json_free(j);
    j = parse("true");
    assert_non_null(j);
    json_free(j);
}

/* Sixteen levels are read, seventeen are not. */
static void json_depth_test(void **state)
{
    (void)state;
    struct json *j = parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
    assert_non_null(j);
    json_free(j);
    assert_null(parse("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"));
    assert_null(parse("[[[[[[[[[[[[[[[[{\"a\":1}]]]]]]]]]]]]]]]]"));
}

static int json_on_sum(void *ctx, const char *key, const struct json *value)
{
    int64_t number;
    if (!json_int(value, &number)) {
        return -9;
    }
    *(int64_t *)ctx += number * (int64_t)strlen(key);
    return 0;
}

/* Each member is visited once, in order, until one says stop. */
static void json_each_test(void **state)
{
    (void)state;
    int64_t sum = 0;
    struct json *j = parse("{\"a\":1,\"bb\":10}");
    assert_int_equal(json_each(j, json_on_sum, &sum), 0);
    assert_int_equal(sum, 21);
    json_free(j);
    sum = 0;
    j = parse("{\"a\":1,\"b\":\"x\",\"c\":5}");
    assert_int_equal(json_each(j, json_on_sum, &sum), -9);
    assert_int_equal(sum, 1);
    json_free(j);
    assert_int_equal(json_each(NULL, json_on_sum, &sum), 0);
}

/* What is written is compact, keeps slashes and order, and reads back. */
static void json_write_test(void **state)
{
    (void)state;
    struct buf out = {0};
    json_open(&out, NULL, '{');
    json_add_text(&out, "path", (struct slice){"/a/\"b\"xx", 6});
    json_add_int(&out, "n", INT64_MIN);
    json_add_bool(&out, "ok", true);
    json_add_text(&out, "brackets", SLICE_TEXT("[{"));
    json_open(&out, "a", '[');
    json_add_text(&out, NULL, SLICE_TEXT("i"));
    json_add_int(&out, NULL, 2);
    json_open(&out, NULL, '{');
    json_close(&out, '}');
    json_open(&out, NULL, '[');
    json_close(&out, ']');
    json_add_bool(&out, NULL, false);
    json_close(&out, ']');
    json_add_null(&out, "z");
    json_close(&out, '}');
    assert_string_equal(out.data,
                        "{\"path\":\"/a/\\\"b\\\"\",\"n\":-9223372036854775808,\"ok\":true,"
                        "\"brackets\":\"[{\",\"a\":[\"i\",2,{},[],false],\"z\":null}");
    struct json *j = json_parse(buf_slice(&out));
    assert_non_null(j);
    json_free(j);
    buf_free(&out);
}

/* Every byte that JSON does not take as it is is escaped; the reader finds the same text. NUL is
 * escaped too, and refused by the reader. */
static void json_escape_test(void **state)
{
    (void)state;
    struct buf out = {0}, all = {0};
    json_add_text(&out, NULL, SLICE_TEXT("\"\\/\b\f\n\r\t\x01\x1f \x7f~\xc3\xa9"));
    assert_string_equal(out.data, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f \x7f~\xc3\xa9\"");
    for (int c = 1; c < 128; c++) {
        buf_add(&all, &(char){(char)c}, 1);
    }
    buf_reset(&out);
    json_add_text(&out, NULL, buf_slice(&all));
    struct json *j = json_parse(buf_slice(&out));
    struct slice text;
    assert_true(json_text(j, &text));
    assert_true(slice_equal(text, buf_slice(&all)));
    json_free(j);
    buf_reset(&out);
    json_add_text(&out, NULL, (struct slice){"a\0b", 3});
    assert_string_equal(out.data, "\"a\\u0000b\"");
    assert_null(json_parse(buf_slice(&out)));
    buf_reset(&out);
    json_add_text(&out, NULL, (struct slice){NULL, 0});
    assert_string_equal(out.data, "\"\"");
    buf_free(&out);
    buf_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_get_test),     cmocka_unit_test(json_int_range_test),
        cmocka_unit_test(json_refused_test), cmocka_unit_test(json_after_refusal_test),
        cmocka_unit_test(json_string_test),  cmocka_unit_test(json_single_test),
        cmocka_unit_test(json_depth_test),   cmocka_unit_test(json_each_test),
        cmocka_unit_test(json_write_test),   cmocka_unit_test(json_escape_test),
    };
    return cmocka_run_group_tests_name("runtime/json", tests, NULL, NULL);
}
