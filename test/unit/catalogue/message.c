/* The wire catalogue: what is written is read again, and what is malformed is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "catalogue/message.h"
#include "runtime/err.h"

#define ID_A "0193a000-0000-7000-8000-000000000001"

/* Every field of `has` with a value that its kind allows. */
static struct message message_sample(enum message_type type, uint64_t has)
{
    struct message m = {.type = type, .has = has};
    struct slice ID = SLICE_TEXT("item_7-B");
    struct slice COMMAND = SLICE_TEXT(ID_A ":1:charge/gw_1");
    struct slice LINES = SLICE_TEXT("a*1,b*20");
    struct slice TEXT = SLICE_TEXT("out of stock: 3 < 4\nnext");
    struct slice VALUE = SLICE_TEXT("{\"says\":\"caf\xc3\xa9\\n\"}");
    int64_t INT = INT64_MAX;
    (void)VALUE; /* of a field of the tests' */
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
#define ASSERT_VALUE         ASSERT_ID
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
    int err = envelope_read(&message_schema, slice_from(text), &e, ret_detail);
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
        uint64_t required;
    } types[] = {
#define X(name, wire, fields, what) {MESSAGE_##name, fields},
        MESSAGE_TYPES(X)
#undef X
    };
    const uint64_t all = (UINT64_C(1) << MESSAGE_FIELD_COUNT) - 1;
    const size_t count = sizeof(types) / sizeof(types[0]);
    struct buf out = {0};
    struct envelope_head table = {0};
    for (size_t i = 0; i < count; i++) {
        struct message few = message_sample(types[i].type, types[i].required);
        struct message many = message_sample(types[i].type, all);
        envelope_add(&message_schema, &out, &table, &few);
        envelope_add(&message_schema, &out, &table, &many);
    }
    envelope_end(&out);
    struct envelope *e;
    const char *detail = "";
    assert_int_equal(envelope_read(&message_schema, buf_slice(&out), &e, &detail), 0);
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
    struct message other = {.type = MESSAGE_STOCK_CANCEL};
    message_set(&other, id, SLICE_TEXT("s:1:take"));
    message_set(&other, order, SLICE_TEXT("8"));
    struct buf out = {0};
    struct envelope_head table = {0};
    envelope_add(&message_schema, &out, &table, &m);
    envelope_add(&message_schema, &out, &table, &m);
    envelope_add(&message_schema, &out, &table, &other);
    message_set(&other, user, SLICE_TEXT("u"));
    envelope_add(&message_schema, &out, &table, &other);
    envelope_end(&out);
    assert_string_equal(
        out.data,
        "{\"v\":2,\"tables\":[{\"type\":\"payment.charge\","
        "\"fields\":[\"id\",\"next\",\"order\",\"user\",\"lines\",\"amount\"],\"rows\":["
        "[\"s:1:charge\",\"s:1:take\",\"7\",\"u\",\"i*2\",12],"
        "[\"s:1:charge\",\"s:1:take\",\"7\",\"u\",\"i*2\",12]]},"
        "{\"type\":\"stock.cancel\",\"fields\":[\"id\",\"order\"],\"rows\":[[\"s:1:take\",\"8\"]]},"
        "{\"type\":\"stock.cancel\",\"fields\":[\"id\",\"order\",\"user\"],"
        "\"rows\":[[\"s:1:take\",\"8\",\"u\"]]}]}");
    buf_free(&out);
}

/* The fields of a head stand in any order, and a type may have several tables; the order of the
 * commands is theirs in the text. */
static void envelope_keeps_order(void **state)
{
    (void)state;
    struct envelope *e;
    const char *detail;
    struct slice body = SLICE_TEXT(
        "{\"tables\":[{\"rows\":[[0,\"a\"],[1,\"b\"]],\"fields\":[\"credit\",\"id\"],\"type\":"
        "\"user\"},"
        "{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"c\"]]},"
        "{\"type\":\"user\",\"fields\":[\"id\",\"credit\"],\"rows\":[[\"d\",3]]}],\"v\":2}");
    assert_int_equal(envelope_read(&message_schema, body, &e, &detail), 0);
    assert_int_equal(envelope_count(e), 4);
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (unsigned i = 0; i < 4; i++) {
        const struct message *m = envelope_at(e, i);
        assert_true(slice_is(m->id, ids[i]));
        assert_int_equal(m->type, i == 2 ? MESSAGE_PONG : MESSAGE_USER);
        assert_int_equal(m->has, i == 2 ? M(id) : M(id) | M(credit));
        assert_int_equal(m->credit, i == 2 ? 0 : i);
    }
    envelope_free(e);
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
        "{\"v\":2}",
        "{\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}]}",
        "{\"v\":\"2\",\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}]}",
        "{\"v\":2,\"tables\":[]}",
        "{\"v\":2,\"tables\":{}}",
        "{\"v\":2,\"tables\":{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}}",
        "{\"v\":2,\"tables\":[7]}",
        "{\"v\":2,\"tables\":[null]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}]} x",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\\u0000b\"]]}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[["
        "9223372036854775808]]}]}",
        "{\"v\":2,\"more\":1,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}"
        "]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}],"
        "\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[]}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"]}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":\"a\"}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":{\"a\":[\"b\"]}}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]],\"more\":1}"
        "]}",
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]},{\"type\":"
        "\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]],\"rows\":[[\"b\"]]}]}",
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
    assert_int_equal(
        envelope_refusal("{\"v\":1,\"commands\":[{\"type\":\"pong\",\"id\":\"a\"}]}", &detail),
        -ERR_VERSION);
    assert_string_equal(detail, "v");
    assert_int_equal(envelope_refusal("{\"v\":3,\"kind\":1}", &detail), -ERR_VERSION);
    assert_int_equal(envelope_refusal("{\"v\":0,\"kind\":1}", &detail), -ERR_DECODE);
}

/* All versions of the range are read, its neighbours are not; what is written is one of them. */
static void envelope_reads_its_versions(void **state)
{
    (void)state;
    assert_in_range(MESSAGE_VERSION, MESSAGE_VERSION_MIN, MESSAGE_VERSION_MAX);
    for (int v = MESSAGE_VERSION_MIN - 1; v <= MESSAGE_VERSION_MAX + 1; v++) {
        struct buf text = {0};
        struct envelope *e = NULL;
        const char *detail;
        bool is_known = v >= MESSAGE_VERSION_MIN && v <= MESSAGE_VERSION_MAX;
        buf_addf(&text,
                 "{\"v\":%d,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],"
                 "\"rows\":[[\"a\"]]}]}",
                 v);
        assert_int_equal(envelope_read(&message_schema, buf_slice(&text), &e, &detail),
                         is_known ? 0 : -ERR_VERSION);
        envelope_free(e);
        buf_free(&text);
    }
}

/* An unknown type makes the whole envelope bad: of another version, perhaps. */
static void envelope_refuses_unknown_type(void **state)
{
    (void)state;
    const char *detail;
    static const char *const texts[] = {
        "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]},"
        "{\"type\":\"payment.steal\",\"fields\":[\"id\"],\"rows\":[[\"a\"]]}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"\"}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"payment.steal\",\"also\":1}]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(envelope_refusal(texts[i], &detail), -ERR_TYPE);
        assert_string_equal(detail, "type");
    }
}

/* So does a field that is not in the catalogue. */
static void envelope_refuses_unknown_field(void **state)
{
    (void)state;
    static const char *const fields[] = {"colour", "v", "type", "i", ""};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct buf text = {0};
        const char *detail;
        buf_addf(&text,
                 "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[\"id\",\"%s\"],"
                 "\"rows\":[[\"a\",\"b\"]]}]}",
                 fields[i]);
        assert_int_equal(envelope_refusal(text.data, &detail), -ERR_TYPE);
        assert_string_equal(detail, "a field that is not in the catalogue");
        buf_free(&text);
    }
}

/* A type that is none, which no version has. */
static void envelope_refuses_no_type(void **state)
{
    (void)state;
    const char *detail;
    static const char *const texts[] = {
        "{\"v\":2,\"tables\":[{\"fields\":[\"id\"],\"rows\":[[\"a\"]]}]}",
        "{\"v\":2,\"tables\":[{\"type\":7,\"fields\":[\"id\"],\"rows\":[[\"a\"]]}]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(envelope_refusal(texts[i], &detail), -ERR_DECODE);
        assert_string_equal(detail, "type");
    }
}

/* A field that is missing or malformed is named. */
static void envelope_refuses_bad_fields(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *fields;
        const char *row;
        const char *detail;
    } rows[] = {
        {"pong", "", "", "id"},
        {"pong", "\"order\"", "\"a\"", "id"},
        {"user", "\"id\"", "\"a\"", "credit"},
        {"user", "\"id\",\"credit\"", "\"a\",-1", "credit"},
        {"user", "\"id\",\"credit\"", "\"a\",1.5", "credit"},
        {"user", "\"id\",\"credit\"", "\"a\",\"1\"", "credit"},
        {"user", "\"id\",\"credit\"", "\"a\",null", "credit"},
        {"user", "\"id\",\"credit\"", "\"a\",[1]", "credit"},
        {"pong", "\"id\"", "\"\"", "id"},
        {"pong", "\"id\"", "\"a b\"", "id"},
        {"pong", "\"id\"", "7", "id"},
        {"pong", "\"id\"", "[\"a\"]", "id"},
        {"pong", "\"id\"", "{\"id\":\"a\"}", "id"},
        {"pong", "\"id\",\"order\"", "\"a\",\"a:b\"", "order"},
        {"pong", "\"id\",\"lines\"", "\"a\",\"a*0\"", "lines"},
        {"pong", "\"id\",\"reason\"", "\"a\",\"say \\\"no\\\"\"", "reason"},
        {"pong", "\"id\",\"reason\"", "\"a\",\"caf\xc3\xa9\"", "reason"},
        {"pong", "\"id\",7", "\"a\",7", "a field without a name"},
        {"pong", "\"id\",null", "\"a\",null", "a field without a name"},
        {"pong", "\"id\",\"id\"", "\"a\",\"a\"", "a field that is named twice"},
        {"user", "\"id\",\"credit\",\"id\"", "\"a\",1,\"b\"", "a field that is named twice"},
        {"pong", "\"id\"", "", "a row that is not as long as its head"},
        {"pong", "\"id\"", "\"a\",\"b\"", "a row that is not as long as its head"},
        {"user", "\"id\",\"credit\"", "\"a\"", "a row that is not as long as its head"},
        {"user", "\"id\",\"credit\"", "\"a\",1,null", "a row that is not as long as its head"},
        {"user", "\"id\",\"credit\"", "\"a\",1],[\"b\"", "a row that is not as long as its head"},
        {"user", "\"id\",\"credit\"", "\"a\",1],[\"b\",2,3",
         "a row that is not as long as its head"},
        {"user", "\"id\",\"credit\"", "\"a\",1],[\"b\",\"\"", "credit"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text = {0};
        const char *detail;
        buf_addf(&text, "{\"v\":2,\"tables\":[{\"type\":\"%s\",\"fields\":[%s],\"rows\":[[%s]]}]}",
                 rows[i].type, rows[i].fields, rows[i].row);
        assert_int_equal(envelope_refusal(text.data, &detail), -ERR_FIELD);
        assert_string_equal(detail, rows[i].detail);
        buf_free(&text);
    }
}

/* A head without fields, and a row that is no array, are refused by name too. */
static void envelope_refuses_other_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        const char *detail;
    } rows[] = {
        {"\"rows\":[[\"a\"]]", "id"},
        {"\"fields\":\"id\",\"rows\":[[\"a\"]]", "id"},
        {"\"fields\":{\"id\":1},\"rows\":[[\"a\"]]", "id"},
        {"\"fields\":[\"id\"],\"rows\":[\"a\"]", "a row that is not as long as its head"},
        {"\"fields\":[\"id\"],\"rows\":[null]", "a row that is not as long as its head"},
        {"\"fields\":[\"id\"],\"rows\":[{\"id\":\"a\"}]", "a row that is not as long as its head"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text = {0};
        const char *detail;
        buf_addf(&text, "{\"v\":2,\"tables\":[{\"type\":\"pong\",%s}]}", rows[i].rest);
        assert_int_equal(envelope_refusal(text.data, &detail), -ERR_FIELD);
        assert_string_equal(detail, rows[i].detail);
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
        {"\"id\"],\"rows\":[[\"", 128},
        {"\"id\",\"order\"],\"rows\":[[\"a\",\"", ID_BYTES_MAX},
        {"\"id\",\"story\"],\"rows\":[[\"a\",\"", KIND_TEXT_MAX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t over = 0; over <= 1; over++) {
            struct buf text = {0};
            struct envelope *e = NULL;
            const char *detail;
            buf_add_text(&text, "{\"v\":2,\"tables\":[{\"type\":\"pong\",\"fields\":[");
            buf_add_text(&text, rows[i].before);
            for (size_t n = 0; n < rows[i].bytes_max + over; n++) {
                buf_add_text(&text, "x");
            }
            buf_add_text(&text, "\"]]}]}");
            assert_int_equal(envelope_read(&message_schema, buf_slice(&text), &e, &detail),
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
    struct message other = m;
    message_set(&other, order, SLICE_TEXT("7"));
    for (unsigned n = 0; n < 4; n++) {
        unsigned count = 4096 + n % 2;
        bool is_mixed = n >= 2; /* a table for each command */
        struct buf text = {0};
        struct envelope *e = NULL;
        const char *detail;
        struct envelope_head table = {0};
        for (unsigned i = 0; i < count; i++) {
            envelope_add(&message_schema, &text, &table, is_mixed && i % 2 == 1 ? &other : &m);
        }
        envelope_end(&text);
        assert_int_equal(envelope_read(&message_schema, buf_slice(&text), &e, &detail),
                         count == 4096 ? 0 : -ERR_DECODE);
        envelope_free(e);
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_round_trip_of_whole_catalogue),
        cmocka_unit_test(message_wire_form),
        cmocka_unit_test(envelope_keeps_order),
        cmocka_unit_test(envelope_refuses_what_is_none),
        cmocka_unit_test(envelope_refuses_other_version),
        cmocka_unit_test(envelope_reads_its_versions),
        cmocka_unit_test(envelope_refuses_unknown_type),
        cmocka_unit_test(envelope_refuses_unknown_field),
        cmocka_unit_test(envelope_refuses_no_type),
        cmocka_unit_test(envelope_refuses_bad_fields),
        cmocka_unit_test(envelope_refuses_other_shapes),
        cmocka_unit_test(envelope_limits_are_exact),
        cmocka_unit_test(envelope_limits_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
