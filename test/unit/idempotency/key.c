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

#define PERIOD_MS (INT64_C(86400000) * KEY_PERIOD_DAYS)
#define NOW_MS    (PERIOD_MS * 2900 + 12345)

static struct slice key_argument(const struct redis_command *c, unsigned i)
{
    size_t start = i ? c->end[i - 1] : 0;
    return (struct slice){c->bytes.data + start, c->end[i] - start};
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

/* The claim names this period's hash and its neighbours', all of the same slot. */
static void key_claim_arguments(void **state)
{
    (void)state;
    struct redis_command *c = mem_new(sizeof(*c));
    unsigned slot, slot_before;
    key_claim(c, SLICE_TEXT("order-77-a"), SLICE_TEXT("POST /x"), SLICE_TEXT("0193:1"), NOW_MS);
    assert_int_equal(c->count, 10);
    assert_true(slice_is(key_argument(c, 0), "FCALL"));
    assert_true(slice_is(key_argument(c, 1), "kassa_key_claim"));
    assert_true(slice_is(key_argument(c, 2), "3"));
    assert_int_equal(sscanf(key_argument(c, 3).data, "kassa:keys:2900:%u", &slot), 1);
    assert_int_equal(sscanf(key_argument(c, 4).data, "kassa:keys:2899:%u", &slot_before), 1);
    assert_memory_equal(key_argument(c, 5).data, "kassa:keys:2901:", 16);
    assert_in_range(slot, 0, KEY_SLOTS - 1);
    assert_memory_equal(key_argument(c, 3).data + 16, key_argument(c, 4).data + 16,
                        key_argument(c, 3).bytes - 16);
    assert_true(slice_is(key_argument(c, 6), "order-77-a"));
    assert_true(slice_is(key_argument(c, 7), "0193:1"));
    assert_true(slice_is(key_argument(c, 8), "POST /x"));
    redis_command_free(c);
    free(c);
}

/* A hash outlives the whole of the next period, in which it is still looked into. */
static void key_claim_expiry(void **state)
{
    (void)state;
    struct redis_command *c = mem_new(sizeof(*c));
    int64_t expire_at;
    key_claim(c, SLICE_TEXT("12345678"), SLICE_TEXT("f"), SLICE_TEXT("c"), NOW_MS);
    assert_true(slice_int64(key_argument(c, 9), &expire_at));
    assert_int_equal(expire_at, 2902 * PERIOD_MS / 1000);
    redis_command_free(c);
    free(c);
}

/* Keys that differ in one character only, as counters do, spread over the slots. */
static void key_slots_spread(void **state)
{
    (void)state;
    static unsigned hits[KEY_SLOTS];
    struct redis_command *c = mem_new(sizeof(*c));
    unsigned most = 0;
    for (unsigned i = 0; i < KEY_SLOTS * 16; i++) {
        char key[32];
        unsigned slot = KEY_SLOTS;
        snprintf(key, sizeof(key), "request-%08u", i);
        key_claim(c, slice_from(key), SLICE_TEXT("f"), SLICE_TEXT("c"), NOW_MS);
        struct slice name = key_argument(c, 3);
        while (slice_cut(&name, ':', &(struct slice){0})) {
            int64_t number;
            if (slice_int64(name, &number)) {
                slot = (unsigned)number;
            }
        }
        assert_in_range(slot, 0, KEY_SLOTS - 1);
        hits[slot]++;
        most = hits[slot] > most ? hits[slot] : most;
    }
    assert_in_range(most, 16, 64);
    redis_command_free(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_parse_forms),   cmocka_unit_test(key_parse_lengths),
        cmocka_unit_test(key_parse_refuses), cmocka_unit_test(key_claim_arguments),
        cmocka_unit_test(key_claim_expiry),  cmocka_unit_test(key_slots_spread),
    };
    return cmocka_run_group_tests_name("idempotency/key", tests, NULL, NULL);
}
