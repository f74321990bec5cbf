/* The wire catalogue: what is written is read again, and what is malformed is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "broker/message.h"
#include "runtime/err.h"

#define ID_A "0193a000-0000-7000-8000-000000000001"

/* Every field of `has` with a value that its kind allows. */
static struct message message_sample(enum message_type type, uint32_t has)
{
    struct message m = {.type = type, .has = has};
    struct slice ID = SLICE_TEXT("item_7-B");
    struct slice COMMAND = SLICE_TEXT(ID_A ":1:charge/gw_1");
    struct slice LINES = SLICE_TEXT("a*1,b*20");
    struct slice TEXT = SLICE_TEXT("out of stock: 3 < 4\nnext");
    int64_t INT = INT64_MAX;
#define X(kind, field, what) m.field = kind;
    MESSAGE_FIELDS(X)
#undef X
    return m;
}

static void message_assert_same(const struct message *a, const struct message *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->has, b->has);
#define ASSERT_ID(field)     assert_true(!message_has(a, field) || slice_equal(a->field, b->field))
#define ASSERT_COMMAND       ASSERT_ID
#define ASSERT_LINES         ASSERT_ID
#define ASSERT_TEXT          ASSERT_ID
#define ASSERT_INT(field)    assert_true(!message_has(a, field) || a->field == b->field)
#define X(kind, field, what) ASSERT_##kind(field);
    MESSAGE_FIELDS(X)
#undef X
}

/* Reads one envelope that must be refused, and gives what was wrong. */
static int envelope_refusal(const char *text, const char **ret_detail)
{
    struct envelope *e = NULL;
    *ret_detail = NULL;
    int err = envelope_read(slice_from(text), &e, ret_detail);
    assert_null(e);
    if (err != 0) {
        assert_non_null(*ret_detail);
    }
    return err;
}

/* Every type of the catalogue comes through, with its required fields and with all fields. */
static void message_round_trip_of_whole_catalogue(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        uint32_t required;
    } types[] = {
#define X(name, wire, fields, what) {MESSAGE_##name, fields},
        MESSAGE_TYPES(X)
#undef X
    };
    const uint32_t all = (1u << MESSAGE_FIELD_COUNT) - 1;
    const size_t count = sizeof(types) / sizeof(types[0]);
    struct buf out = {0};
    envelope_write_begin(&out);
    for (size_t i = 0; i < count; i++) {
        struct message few = message_sample(types[i].type, types[i].required);
        struct message many = message_sample(types[i].type, all);
        buf_add_text(&out, i > 0 ? "," : "");
        message_write(&few, &out);
        buf_add_text(&out, ",");
        message_write(&many, &out);
    }
    envelope_write_end(&out);
    struct envelope *e;
    const char *detail = "";
    assert_int_equal(envelope_read(buf_slice(&out), &e, &detail), 0);
    assert_int_equal(envelope_count(e), 2 * count);
    for (unsigned i = 0; i < count; i++) {
        struct message few = message_sample(types[i].type, types[i].required);
        struct message many = message_sample(types[i].type, all);
        message_assert_same(envelope_at(e, 2 * i), &few);
        message_assert_same(envelope_at(e, 2 * i + 1), &many);
    }
    envelope_free(e);
    envelope_free(NULL);
    buf_free(&out);
}

/* The form on the wire is the documented one, to the byte. */
static void message_wire_form(void **state)
{
    (void)state;
    struct message m = {.type = MESSAGE_PAYMENT_CHARGE};
    message_set(&m, id, SLICE_TEXT("s:1:charge"));
    message_set(&m, order, SLICE_TEXT("7"));
    message_set(&m, user, SLICE_TEXT("u"));
    message_set(&m, amount, 12);
    message_set(&m, next, SLICE_TEXT("s:1:take"));
    message_set(&m, lines, SLICE_TEXT("i*2"));
    struct buf out = {0};
    envelope_write_begin(&out);
    message_write(&m, &out);
    envelope_write_end(&out);
    assert_string_equal(out.data,
                        "{\"v\":1,\"commands\":[{\"type\":\"payment.charge\",\"id\":\"s:1:charge\","
                        "\"next\":\"s:1:take\",\"order\":\"7\",\"user\":\"u\",\"lines\":\"i*2\","
                        "\"amount\":12}]}");
    buf_free(&out);
}

/* Anything that is not an envelope is -ERR_DECODE. */
static void envelope_refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "nonsense",
        "[]",
        "7",
        "{\"v\":1}",
        "{\"commands\":[{\"type\":\"pong\",\"id\":\"a\"}]}",
        "{\"v\":\"1\",\"commands\":[{\"type\":\"pong\",\"id\":\"a\"}]}",
        "{\"v\":1,\"commands\":[]}",
        "{\"v\":1,\"commands\":{}}",
        "{\"v\":1,\"commands\":[7]}",
        "{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\"}",
        "{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\"}]} x",
        "{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\\u0000b\"}]}",
        "{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\",\"id\":\"b\"}]}",
        "{\"v\":1,\"commands\":[{\"type\":\"user\",\"id\":\"a\",\"credit\":9223372036854775808}]}",
        "{\"v\":1,\"more\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\"}]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *detail;
        assert_int_equal(envelope_refusal(texts[i], &detail), -ERR_DECODE);
    }
}

/* Another version is told apart from nonsense, whatever its commands look like. */
static void envelope_refuses_other_version(void **state)
{
    (void)state;
    const char *detail;
    assert_int_equal(envelope_refusal("{\"v\":2,\"commands\":[{\"kind\":1}]}", &detail),
                     -ERR_VERSION);
    assert_string_equal(detail, "v");
}

/* An unknown or absent type makes the whole envelope bad. */
static void envelope_refuses_unknown_type(void **state)
{
    (void)state;
    const char *detail;
    assert_int_equal(envelope_refusal("{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\"},"
                                      "{\"type\":\"payment.steal\",\"id\":\"a\"}]}",
                                      &detail),
                     -ERR_TYPE);
    assert_int_equal(envelope_refusal("{\"v\":1,\"commands\":[{\"id\":\"a\"}]}", &detail),
                     -ERR_TYPE);
    assert_int_equal(envelope_refusal("{\"v\":1,\"commands\":[{\"type\":\"\"}]}", &detail),
                     -ERR_TYPE);
}

/* A field that is missing, malformed or not in the catalogue is named. */
static void envelope_refuses_bad_fields(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *detail; /* NULL: any */
    } rows[] = {
        {"\"type\":\"pong\"", "id"},
        {"\"type\":\"user\",\"id\":\"a\"", "credit"},
        {"\"type\":\"user\",\"id\":\"a\",\"credit\":-1", "credit"},
        {"\"type\":\"user\",\"id\":\"a\",\"credit\":1.5", "credit"},
        {"\"type\":\"user\",\"id\":\"a\",\"credit\":\"1\"", "credit"},
        {"\"type\":\"user\",\"id\":\"a\",\"credit\":null", "credit"},
        {"\"type\":\"pong\",\"id\":\"\"", "id"},
        {"\"type\":\"pong\",\"id\":\"a b\"", "id"},
        {"\"type\":\"pong\",\"id\":7", "id"},
        {"\"type\":\"pong\",\"id\":\"a\",\"order\":\"a:b\"", "order"},
        {"\"type\":\"pong\",\"id\":\"a\",\"lines\":\"a*0\"", "lines"},
        {"\"type\":\"pong\",\"id\":\"a\",\"reason\":\"say \\\"no\\\"\"", "reason"},
        {"\"type\":\"pong\",\"id\":\"a\",\"reason\":\"caf\xc3\xa9\"", "reason"},
        {"\"type\":\"pong\",\"id\":\"a\",\"colour\":\"red\"", NULL},
        {"\"type\":\"pong\",\"id\":\"a\",\"v\":1", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text = {0};
        const char *detail;
        buf_addf(&text, "{\"v\":1,\"commands\":[{%s}]}", rows[i].members);
        assert_int_equal(envelope_refusal(text.data, &detail), -ERR_FIELD);
        if (rows[i].detail != NULL) {
            assert_string_equal(detail, rows[i].detail);
        }
        buf_free(&text);
    }
}

/* Command ids and texts are accepted up to their limits and refused one byte later. */
static void envelope_limits_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        size_t bytes_max;
    } rows[] = {
        {"{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"", 128},
        {"{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\",\"order\":\"", ID_BYTES_MAX},
        {"{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\",\"story\":\"", MESSAGE_TEXT_MAX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t over = 0; over <= 1; over++) {
            struct buf text = {0};
            struct envelope *e = NULL;
            const char *detail;
            buf_add_text(&text, rows[i].before);
            for (size_t n = 0; n < rows[i].bytes_max + over; n++) {
                buf_add_text(&text, "x");
            }
            buf_add_text(&text, "\"}]}");
            assert_int_equal(envelope_read(buf_slice(&text), &e, &detail),
                             over == 0 ? 0 : -ERR_FIELD);
            envelope_free(e);
            buf_free(&text);
        }
    }
}

/* An envelope may hold as many commands as ENVELOPE_COMMANDS_MAX can be set to, and no more. */
static void envelope_limits_commands(void **state)
{
    (void)state;
    struct message m = {.type = MESSAGE_PONG};
    message_set(&m, id, SLICE_TEXT("a"));
    for (unsigned count = 4096; count <= 4097; count++) {
        struct buf text = {0};
        struct envelope *e = NULL;
        const char *detail;
        envelope_write_begin(&text);
        for (unsigned i = 0; i < count; i++) {
            buf_add_text(&text, i > 0 ? "," : "");
            message_write(&m, &text);
        }
        envelope_write_end(&text);
        assert_int_equal(envelope_read(buf_slice(&text), &e, &detail),
                         count == 4096 ? 0 : -ERR_DECODE);
        envelope_free(e);
        buf_free(&text);
    }
}

/* Lines come off one by one, the largest quantity included. */
static void lines_are_cut(void **state)
{
    (void)state;
    struct slice rest = SLICE_TEXT("a*1,b_-2*9007199254740991");
    struct slice item;
    int64_t quantity;
    assert_true(lines_are_valid(rest));
    assert_true(lines_next(&rest, &item, &quantity));
    assert_true(slice_is(item, "a") && quantity == 1);
    assert_true(lines_next(&rest, &item, &quantity));
    assert_true(slice_is(item, "b_-2") && quantity == INT64_C(9007199254740991));
    assert_false(lines_next(&rest, &item, &quantity));
    assert_true(lines_are_valid(SLICE_TEXT("")));
    assert_true(lines_are_valid((struct slice){NULL, 0}));
}

/* Anything else is refused, wherever in the text it is. */
static void lines_refuse_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ",",           "a",
        "a*",          "*1",
        "a*0",         "a*-1",
        "a*1,",        ",a*1",
        "a*1,,b*1",    "a*1 ",
        "a*1*2",       "a*1.0",
        "a b*1",       "a*9007199254740992",
        "a*1,b*1,a*1", "a*99999999999999999999",
        "a*1;b*1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(lines_are_valid(slice_from(texts[i])));
    }
}

/* At most LINES_MAX lines, each another item: as many as one take can carry. */
static void lines_are_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i < LINES_MAX; i++) {
        buf_addf(&text, "%si%d*1", i > 0 ? "," : "", i);
    }
    assert_true(lines_are_valid(buf_slice(&text)));
    buf_add_text(&text, ",more*1");
    assert_false(lines_are_valid(buf_slice(&text)));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_round_trip_of_whole_catalogue),
        cmocka_unit_test(message_wire_form),
        cmocka_unit_test(envelope_refuses_what_is_none),
        cmocka_unit_test(envelope_refuses_other_version),
        cmocka_unit_test(envelope_refuses_unknown_type),
        cmocka_unit_test(envelope_refuses_bad_fields),
        cmocka_unit_test(envelope_limits_are_exact),
        cmocka_unit_test(envelope_limits_commands),
        cmocka_unit_test(lines_are_cut),
        cmocka_unit_test(lines_refuse_malformed),
        cmocka_unit_test(lines_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
