/* Idempotency-Key: the header's text, and the claim that is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idempotency/key.h"

static struct slice key_argument(const struct args *c, unsigned i)
{
    return args_at(c, i);
}

/* Bare and quoted forms are the same key. */
static void key_parse_forms(void **state)
{
    (void)state;
    struct slice key;
    assert_true(key_parse(slice_from("abc_DEF-12"), &key));
    assert_true(slice_is(key, "abc_DEF-12"));
    assert_true(key_parse(slice_from("\"abc_DEF-12\""), &key));
    assert_true(slice_is(key, "abc_DEF-12"));
}

/* 8 to 64 characters are a key, quotes not counted. */
static void key_parse_lengths(void **state)
{
    (void)state;
    char text[80];
    for (size_t bytes = 0; bytes < 70; bytes++) {
        struct slice key;
        memset(text, 'k', sizeof(text));
        assert_int_equal(key_parse((struct slice){text, bytes}, &key), bytes >= 8 && bytes <= 64);
        text[0] = text[bytes + 1] = '"';
        assert_int_equal(key_parse((struct slice){text, bytes + 2}, &key),
                         bytes >= 8 && bytes <= 64);
    }
}

/* Anything else is refused, and the output untouched. */
static void key_parse_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\"12345678", "12345678\"",      "\"\"",        "\"",         "1234 5678", "12345678\r\n",
        "1234567.8",  "\"\"1234567\"\"", "'123456789'", "12345678:a",
    };
    struct slice key = SLICE_TEXT("kept");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(key_parse(slice_from(texts[i]), &key));
    }
    assert_false(key_parse((struct slice){NULL, 0}, &key));
    assert_true(slice_is(key, "kept"));
}

/* The claim names the slot and how many days keys live; which day it is, the store knows. */
static void key_claim_arguments(void **state)
{
    (void)state;
    struct args *c = mem_new(sizeof(*c));
    int64_t slot, days;
    key_claim(c, SLICE_TEXT("order-77-a"), SLICE_TEXT("POST /x"), SLICE_TEXT("0193:1"), 3);
    assert_int_equal(c->count, 8);
    assert_true(slice_is(key_argument(c, 0), "FCALL"));
    char function[32];
    snprintf(function, sizeof(function), "key_claim_%s", key_library.hash);
    assert_true(slice_is(key_argument(c, 1), function));
    assert_true(slice_is(key_argument(c, 2), "0"));
    assert_true(slice_is(key_argument(c, 3), "order-77-a"));
    assert_true(slice_is(key_argument(c, 4), "0193:1"));
    assert_true(slice_is(key_argument(c, 5), "POST /x"));
    assert_true(slice_int64(key_argument(c, 6), &slot));
    assert_in_range(slot, 0, KEY_SLOTS - 1);
    assert_true(slice_int64(key_argument(c, 7), &days));
    assert_int_equal(days, 3);
    args_free(c);
    free(c);
}

/* Keys that differ in one character only, as counters do, spread over the slots. */
static void key_slots_spread(void **state)
{
    (void)state;
    static unsigned hits[KEY_SLOTS];
    struct args *c = mem_new(sizeof(*c));
    unsigned most = 0;
    for (unsigned i = 0; i < KEY_SLOTS * 16; i++) {
        char key[32];
        int64_t slot = KEY_SLOTS;
        snprintf(key, sizeof(key), "request-%08u", i);
        key_claim(c, slice_from(key), SLICE_TEXT("f"), SLICE_TEXT("c"), 1);
        assert_true(slice_int64(key_argument(c, 6), &slot));
        assert_in_range(slot, 0, KEY_SLOTS - 1);
        hits[slot]++;
        most = hits[slot] > most ? hits[slot] : most;
    }
    assert_in_range(most, 16, 64);
    args_free(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_parse_forms),   cmocka_unit_test(key_parse_lengths),
        cmocka_unit_test(key_parse_refuses), cmocka_unit_test(key_claim_arguments),
        cmocka_unit_test(key_slots_spread),
    };
    return cmocka_run_group_tests_name("idempotency/key", tests, NULL, NULL);
}
