/* Slices, the growing buffer, and what every other test takes for granted about them. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/buf.h"
#include "runtime/err.h"

static struct slice text(const char *t)
{
    return slice_from(t);
}

/* Absent and empty are two things. */
static void slice_absent_test(void **state)
{
    (void)state;
    struct slice absent = slice_from(NULL);
    assert_null(absent.data);
    assert_true(slice_equal(absent, (struct slice){NULL, 0}));
    assert_false(slice_equal(absent, text("")));
    assert_false(slice_is(absent, ""));
    assert_true(slice_is(text(""), ""));
    assert_true(slice_is(text("abc"), "abc"));
    assert_false(slice_is(text("abc"), "ab"));
    assert_false(slice_is(text("ab"), "abc"));
}

/* Cutting gives each field once, empty ones too, and then nothing more. */
static void slice_cut_test(void **state)
{
    (void)state;
    struct slice rest = text("/a//b");
    struct slice field;
    const char *expected[] = {"", "a", "", "b"};
    for (int i = 0; i < 4; i++) {
        assert_true(slice_cut(&rest, '/', &field));
        assert_true(slice_is(field, expected[i]));
    }
    assert_false(slice_cut(&rest, '/', &field));
    assert_null(field.data); /* who does not look whether there was one has none */

    rest = text("");
    assert_true(slice_cut(&rest, ',', &field));
    assert_int_equal(field.bytes, 0);
    assert_false(slice_cut(&rest, ',', &field));
}

/* Integers are read up to both ends of int64 and not a step further. */
static void slice_int64_test(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"007", 7},
        {"-12", -12},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t value = 1;
        assert_true(slice_int64(text(good[i].text), &value));
        assert_int_equal(value, good[i].value);
    }
    const char *bad[] = {"",
                         "-",
                         "+1",
                         " 1",
                         "1 ",
                         "1.0",
                         "1e3",
                         "0x10",
                         "--1",
                         "12x",
                         NULL,
                         "9223372036854775808",
                         "-9223372036854775809",
                         "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t value = 42;
        assert_false(slice_int64(text(bad[i]), &value));
        assert_int_equal(value, 42);
    }
}

/* An id has 1 to 64 characters out of 64. */
static void slice_is_id_test(void **state)
{
    (void)state;
    char longest[ID_BYTES_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    assert_true(slice_is_id((struct slice){longest, ID_BYTES_MAX}));
    assert_false(slice_is_id((struct slice){longest, ID_BYTES_MAX + 1}));
    assert_true(slice_is_id(text("aZ09_-")));
    const char *bad[] = {"", NULL, "a b", "a/b", "a%20", "a\n", "\xc3\xa9", "a.b", "{a}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(slice_is_id(text(bad[i])));
    }
    assert_false(slice_is_id((struct slice){"a\0b", 3}));
}

/* A buffer grows past every size it had, keeps its bytes and its terminator. */
static void buf_grow_test(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_string_equal(buf_slice(&b).data, "");
    for (int i = 0; i < 10000; i++) {
        buf_addf(&b, "%04d", i);
        assert_int_equal(strlen(b.data), b.bytes);
        assert_true(b.bytes < b.size);
    }
    assert_int_equal(b.bytes, 40000);
    assert_memory_equal(b.data + 4 * 1234, "12341235", 8);
    buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.size, 0);
}

/* Formatting works for what does not fit into the room that is left. */
static void buf_addf_long_test(void **state)
{
    (void)state;
    struct buf b = {0};
    char long_text[1000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    buf_addf(&b, "<%s>", long_text);
    assert_int_equal(b.bytes, 1001);
    assert_int_equal(b.data[1000], '>');
    buf_addf(&b, "%s", "");
    assert_int_equal(b.bytes, 1001);
    buf_free(&b);
}

/* Dropping from the front keeps the rest, in place and terminated. */
static void buf_drop_front_test(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_drop_front(&b, 0);
    buf_add(&b, "a\0bc", 4);
    buf_drop_front(&b, 2);
    assert_string_equal(b.data, "bc");
    buf_drop_front(&b, 2);
    assert_int_equal(b.bytes, 0);
    assert_string_equal(b.data, "");
    buf_add_slice(&b, (struct slice){NULL, 0});
    buf_add_text(&b, "again");
    assert_string_equal(b.data, "again");
    size_t size = b.size;
    buf_reset(&b);
    assert_int_equal(b.bytes, 0);
    assert_int_equal(b.size, size);
    buf_free(&b);
}

/* mem_text terminates what it copies; the absent slice gives an empty text. */
static void mem_text_test(void **state)
{
    (void)state;
    char *copy = mem_text((struct slice){"abcdef", 3});
    assert_string_equal(copy, "abc");
    free(copy);
    copy = mem_text((struct slice){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
}

/* Every error has a name and a text, whichever sign it comes with. */
static void err_table_test(void **state)
{
    (void)state;
    for (int err = ERR_NONE + 1; err < ERR_END; err++) {
        assert_memory_equal(err_name(err), "ERR_", 4);
        assert_true(strlen(err_text(err)) > 0);
        assert_ptr_equal(err_text(err), err_text(-err));
        assert_int_equal(err_disposition(err), err_disposition(-err));
    }
    assert_string_equal(err_name(-ERR_STORE_FULL), "ERR_STORE_FULL");
    assert_int_equal(err_disposition(-ERR_STORE_FULL), ERR_SHED);
    assert_int_equal(err_disposition(ERR_DECODE), ERR_POISON);
    assert_string_equal(err_text(0), "no error");
}

/* The published test values of FNV-1a (draft-eastlake-fnv, appendix C). */
static void slice_hashes(void **state)
{
    (void)state;
    assert_int_equal(slice_hash(SLICE_TEXT("")), 0x811c9dc5);
    assert_int_equal(slice_hash(SLICE_TEXT("a")), 0xe40c292c);
    assert_int_equal(slice_hash(SLICE_TEXT("foobar")), 0xbf9cf968);
}

/* A copy is terminated, and cut where it does not fit. */
static void slice_copy_test(void **state)
{
    (void)state;
    char text[4] = "xyz";
    slice_copy(SLICE_TEXT("abc"), text, sizeof(text));
    assert_string_equal(text, "abc");
    slice_copy(SLICE_TEXT("defg"), text, sizeof(text));
    assert_string_equal(text, "def");
    slice_copy((struct slice){NULL, 0}, text, sizeof(text));
    assert_string_equal(text, "");
    slice_copy(SLICE_TEXT("h"), text, 1);
    assert_string_equal(text, "");
}

/* A number is printed as printf would. */
static void buf_add_int_test(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 7, 10, -1, 1234567890, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct buf got = {0}, wanted = {0};
        buf_add_int(&got, numbers[i]);
        buf_addf(&wanted, "%lld", (long long)numbers[i]);
        assert_string_equal(got.data, wanted.data);
        buf_free(&got);
        buf_free(&wanted);
    }
}

/* Room is part of the text, and terminated. */
static void buf_room_test(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t bytes = 0; bytes < 200; bytes++) {
        memset(buf_room(&b, bytes), 'x', bytes);
    }
    assert_int_equal(b.bytes, 199 * 200 / 2);
    assert_int_equal(strlen(b.data), b.bytes);
    buf_free(&b);
}

/* Bytes of a set, and none but those. */
static void slice_consists_of_test(void **state)
{
    (void)state;
    static const bool set[256] = {['a'] = true, [0xff] = true};
    assert_true(slice_consists_of(SLICE_TEXT("a\xff\x61"), set));
    assert_false(slice_consists_of(SLICE_TEXT("ab"), set));
    assert_false(slice_consists_of(SLICE_TEXT("\0"), set));
    assert_true(slice_consists_of((struct slice){NULL, 0}, set));
    for (size_t bytes = 1; bytes < 20; bytes++) {
        char text[20];
        memset(text, 'a', sizeof(text));
        assert_true(slice_consists_of((struct slice){text, bytes}, set));
        for (size_t i = 0; i < sizeof(text); i++) {
            text[i] = 'b';
            assert_int_equal(slice_consists_of((struct slice){text, bytes}, set), i >= bytes);
            text[i] = 'a';
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_copy_test),    cmocka_unit_test(buf_add_int_test),
        cmocka_unit_test(buf_room_test),      cmocka_unit_test(slice_consists_of_test),
        cmocka_unit_test(slice_hashes),       cmocka_unit_test(slice_absent_test),
        cmocka_unit_test(slice_cut_test),     cmocka_unit_test(slice_int64_test),
        cmocka_unit_test(slice_is_id_test),   cmocka_unit_test(buf_grow_test),
        cmocka_unit_test(buf_addf_long_test), cmocka_unit_test(buf_drop_front_test),
        cmocka_unit_test(mem_text_test),      cmocka_unit_test(err_table_test),
    };
    return cmocka_run_group_tests_name("runtime/buf", tests, NULL, NULL);
}
