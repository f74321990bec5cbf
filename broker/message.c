/* Commands and envelopes to and from JSON, driven by the two tables of message.h.
 *
 *   struct message --envelope_add--> text: a row, and a head before it when type or fields change
 *   text --json_parse--> tree --head, looked up once--> rows --> struct message, borrows the tree
 *
 * Every field has a kind, and each kind three functions: is_valid, write, read. Both ways go
 * through is_valid, so that nothing leaves that the receiver would refuse. */
#include "broker/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/err.h"
#include "runtime/json.h"

#define MESSAGE_COMMAND_BYTES_MAX 128
/* The most that ENVELOPE_COMMANDS_MAX can be set to; more was never sent by us. */
#define ENVELOPE_READ_COMMANDS_MAX 4096

struct message_kind {
    bool (*is_valid)(const void *value);
    void (*write)(struct buf *out, const void *value);       /* as JSON */
    bool (*read)(const struct json *value, void *ret_value); /* false: another type of JSON */
};

static bool message_id_is_valid(const void *value)
{
    return slice_is_id(*(const struct slice *)value);
}

/* The bytes of a command id. */
static const bool message_command_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['_'] = true,
    [':'] = true,         ['/'] = true,         ['-'] = true,
};

static bool message_command_is_valid(const void *value)
{
    const struct slice *s = value;
    return s->bytes > 0 && s->bytes <= MESSAGE_COMMAND_BYTES_MAX &&
           slice_consists_of(*s, message_command_bytes);
}

static bool message_lines_is_valid(const void *value)
{
    return lines_are_valid(*(const struct slice *)value);
}

/* Those of a text: printable, and none that JSON escapes but the newline. */
static const bool message_text_bytes[256] = {
    ['\n'] = true,
    [' ' ... '!'] = true,
    ['#' ... '['] = true,
    [']' ... '~'] = true,
};

static bool message_text_is_valid(const void *value)
{
    const struct slice *s = value;
    return s->bytes <= MESSAGE_TEXT_MAX && slice_consists_of(*s, message_text_bytes);
}

static bool message_int_is_valid(const void *value)
{
    return *(const int64_t *)value >= 0;
}

/* What is valid needs no escaping. */
static void message_slice_write(struct buf *out, const void *value)
{
    struct slice s = *(const struct slice *)value;
    char *at = buf_room(out, s.bytes + 2);
    at[0] = '"';
    if (s.bytes > 0) {
        memcpy(at + 1, s.data, s.bytes);
    }
    at[s.bytes + 1] = '"';
}

static void message_text_write(struct buf *out, const void *value)
{
    json_quote(out, *(const struct slice *)value);
}

static bool message_slice_read(const struct json *value, void *ret_value)
{
    return json_text(value, ret_value);
}

static void message_int_write(struct buf *out, const void *value)
{
    buf_add_int(out, *(const int64_t *)value);
}

static bool message_int_read(const struct json *value, void *ret_value)
{
    return json_int(value, ret_value);
}

static const struct message_kind message_kind_ID = {message_id_is_valid, message_slice_write,
                                                    message_slice_read};
static const struct message_kind message_kind_COMMAND = {message_command_is_valid,
                                                         message_slice_write, message_slice_read};
static const struct message_kind message_kind_LINES = {message_lines_is_valid, message_slice_write,
                                                       message_slice_read};
static const struct message_kind message_kind_TEXT = {message_text_is_valid, message_text_write,
                                                      message_slice_read};
static const struct message_kind message_kind_INT = {message_int_is_valid, message_int_write,
                                                     message_int_read};

static const struct message_field_row {
    const char *name;
    size_t name_bytes;
    size_t offset; /* in struct message */
    const struct message_kind *kind;
} message_fields[] = {
#define X(kind, field, what)                                                                       \
    {#field, sizeof(#field) - 1, offsetof(struct message, field), &message_kind_##kind},
    MESSAGE_FIELDS(X)
#undef X
};
static_assert(MESSAGE_FIELD_COUNT <= 32, "struct message.has has 32 bits");

static const struct message_type_row {
    const char *text;
    size_t text_bytes;
    uint32_t required;
} message_types[] = {{"", 0, 0},
#define X(name, wire, fields, what) {wire, sizeof(wire) - 1, fields},
                     MESSAGE_TYPES(X) MESSAGE_TYPES_MORE(X)
#undef X
};

const char *message_type_text(enum message_type type)
{
    assert(type >= MESSAGE_NONE && type < MESSAGE_TYPE_COUNT);
    return message_types[type].text;
}

const char *message_field_text(enum message_field field)
{
    assert(field >= 0 && field < MESSAGE_FIELD_COUNT);
    return message_fields[field].name;
}

bool message_put(struct message *m, enum message_field field, struct slice text)
{
    const struct message_field_row *row = &message_fields[field];
    void *at = (char *)m + row->offset;
    if (row->kind != &message_kind_INT) {
        *(struct slice *)at = text;
    } else if (!slice_int64(text, at)) {
        return false;
    }
    m->has |= 1u << field;
    return true;
}

struct slice message_text(const struct message *m, enum message_field field)
{
    const struct message_field_row *row = &message_fields[field];
    bool is_text = (m->has & (1u << field)) != 0 && row->kind != &message_kind_INT;
    return is_text ? *(const struct slice *)((const char *)m + row->offset)
                   : (struct slice){NULL, 0};
}

static enum message_type message_type_find(struct slice text)
{
    for (unsigned i = MESSAGE_NONE + 1; i < MESSAGE_TYPE_COUNT; i++) {
        const struct message_type_row *row = &message_types[i];
        if (row->text_bytes == text.bytes && memcmp(row->text, text.data, text.bytes) == 0) {
            return (enum message_type)i;
        }
    }
    return MESSAGE_NONE;
}

bool message_type_parse(struct slice text, enum message_type *ret_type)
{
    *ret_type = message_type_find(text);
    return *ret_type != MESSAGE_NONE;
}

struct message message_pass_on(const struct message *from, enum message_type type)
{
    struct message m = *from;
    m.type = type;
    m.has &= message_types[type].required;
    return m;
}

/* Errors: MESSAGE_FIELD_COUNT when it is not in the catalogue. */
static unsigned message_field_find(struct slice name)
{
    unsigned i = 0;
    while (i < MESSAGE_FIELD_COUNT &&
           (message_fields[i].name_bytes != name.bytes ||
            memcmp(message_fields[i].name, name.data, name.bytes) != 0)) {
        i++;
    }
    return i;
}

bool message_is_valid(const struct message *m)
{
    if (m->type <= MESSAGE_NONE || m->type >= MESSAGE_TYPE_COUNT ||
        (m->has & message_types[m->type].required) != message_types[m->type].required) {
        return false;
    }
    for (unsigned i = 0; i < MESSAGE_FIELD_COUNT; i++) {
        const struct message_field_row *field = &message_fields[i];
        if ((m->has & (1u << i)) != 0 && !field->kind->is_valid((const char *)m + field->offset)) {
            return false;
        }
    }
    return true;
}

/* ---- writing ---- */

#define ENVELOPE_TEXT_NUMBER(n)      #n
#define ENVELOPE_TEXT_BEGIN(version) "{\"v\":" ENVELOPE_TEXT_NUMBER(version) ",\"tables\":["
#define ENVELOPE_TEXT_END            "]}"
#define TABLE_TEXT_END               "]}"

static void table_begin(struct buf *out, const struct message *m)
{
    const struct message_type_row *type = &message_types[m->type];
    assert((m->has & type->required) == type->required);
    buf_add_text(out, "{\"type\":\"");
    buf_add(out, type->text, type->text_bytes);
    const char *before = "\",\"fields\":[\"";
    for (uint32_t left = m->has; left != 0; left &= left - 1) {
        const struct message_field_row *field = &message_fields[__builtin_ctz(left)];
        buf_add_text(out, before);
        buf_add(out, field->name, field->name_bytes);
        before = "\",\"";
    }
    buf_add_text(out, "\"],\"rows\":[");
}

static void row_add(struct buf *out, const struct message *m)
{
    char before = '[';
    for (uint32_t left = m->has; left != 0; left &= left - 1) {
        const struct message_field_row *field = &message_fields[__builtin_ctz(left)];
        const void *value = (const char *)m + field->offset;
        assert(field->kind->is_valid(value));
        *buf_room(out, 1) = before;
        field->kind->write(out, value);
        before = ',';
    }
    *buf_room(out, 1) = ']';
}

void envelope_add(struct buf *out, uint64_t *table, const struct message *m)
{
    assert(m->type > MESSAGE_NONE && m->type < MESSAGE_TYPE_COUNT);
    assert((*table == 0) == (out->bytes == 0));
    uint64_t same = (uint64_t)m->type << 32 | m->has;
    if (*table == same) {
        buf_add_text(out, ",");
    } else {
        buf_add_text(out, *table == 0 ? ENVELOPE_TEXT_BEGIN(MESSAGE_VERSION) : TABLE_TEXT_END ",");
        table_begin(out, m);
        *table = same;
    }
    row_add(out, m);
}

void envelope_end(struct buf *out)
{
    buf_add_text(out, TABLE_TEXT_END ENVELOPE_TEXT_END);
}

/* ---- reading ---- */

struct envelope {
    struct json *tree; /* what the messages borrow from */
    unsigned count;
    struct message messages[];
};

/* A table's head, looked up. */
struct table {
    enum message_type type;
    uint32_t has;
    unsigned field_count;
    const struct message_field_row *fields[MESSAGE_FIELD_COUNT];
    const struct json *rows;
};

static int table_check_member(void *ctx, const char *key, const struct json *value)
{
    (void)ctx;
    (void)value;
    bool is_known =
        strcmp(key, "type") == 0 || strcmp(key, "fields") == 0 || strcmp(key, "rows") == 0;
    return is_known ? 0 : -ERR_DECODE;
}

static int table_read_field(struct table *t, const struct json *name, const char **ret_detail)
{
    struct slice text;
    if (!json_text(name, &text)) {
        *ret_detail = "a field without a name";
        return -ERR_FIELD;
    }
    unsigned i = message_field_find(text);
    if (i == MESSAGE_FIELD_COUNT) {
        *ret_detail = "a field that is not in the catalogue";
        return -ERR_TYPE;
    }
    if ((t->has & (1u << i)) != 0) {
        *ret_detail = "a field that is named twice";
        return -ERR_FIELD;
    }
    t->has |= 1u << i;
    t->fields[t->field_count++] = &message_fields[i];
    return 0;
}

static int table_read_fields(struct table *t, const struct json *fields, const char **ret_detail)
{
    size_t count = json_array_count(fields);
    for (size_t i = 0; i < count; i++) {
        int err = table_read_field(t, json_array_at(fields, i), ret_detail);
        if (err != 0) {
            return err;
        }
    }
    uint32_t missing = message_types[t->type].required & ~t->has;
    if (missing != 0) {
        *ret_detail = message_fields[__builtin_ctz(missing)].name;
        return -ERR_FIELD;
    }
    return 0;
}

static int table_read_head(const struct json *object, struct table *ret_table,
                           const char **ret_detail)
{
    struct slice type_text;
    *ret_table = (struct table){0};
    if (!json_is_object(object)) {
        *ret_detail = "tables";
        return -ERR_DECODE;
    }
    if (!json_get_text(object, "type", &type_text)) {
        *ret_detail = "type";
        return -ERR_DECODE;
    }
    ret_table->type = message_type_find(type_text);
    if (ret_table->type == MESSAGE_NONE) {
        *ret_detail = "type";
        return -ERR_TYPE;
    }
    if (json_each(object, table_check_member, NULL) != 0) {
        *ret_detail = "a member besides type, fields and rows";
        return -ERR_DECODE;
    }
    ret_table->rows = json_get_array(object, "rows");
    if (json_array_count(ret_table->rows) == 0) {
        *ret_detail = "rows";
        return -ERR_DECODE;
    }
    return table_read_fields(ret_table, json_get_array(object, "fields"), ret_detail);
}

static int table_read_row(const struct table *t, const struct json *row,
                          struct message *ret_message, const char **ret_detail)
{
    if (json_array_count(row) != t->field_count) {
        *ret_detail = "a row that is not as long as its head";
        return -ERR_FIELD;
    }
    ret_message->type = t->type;
    ret_message->has = t->has;
    for (unsigned i = 0; i < t->field_count; i++) {
        const struct message_field_row *field = t->fields[i];
        void *at = (char *)ret_message + field->offset;
        if (!field->kind->read(json_array_at(row, i), at) || !field->kind->is_valid(at)) {
            *ret_detail = field->name;
            return -ERR_FIELD;
        }
    }
    return 0;
}

static int envelope_read_table(struct envelope *e, const struct json *object,
                               const char **ret_detail)
{
    struct table t;
    int err = table_read_head(object, &t, ret_detail);
    size_t count = err == 0 ? json_array_count(t.rows) : 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        err = table_read_row(&t, json_array_at(t.rows, i), &e->messages[e->count], ret_detail);
        e->count++;
    }
    return err;
}

/* How many commands there are, before any of them is looked at. */
static size_t envelope_count_rows(const struct json *tables)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_count(tables); i++) {
        count += json_array_count(json_get_array(json_array_at(tables, i), "rows"));
    }
    return count;
}

static int envelope_check_member(void *ctx, const char *key, const struct json *value)
{
    (void)ctx;
    (void)value;
    return strcmp(key, "v") == 0 || strcmp(key, "tables") == 0 ? 0 : -ERR_DECODE;
}

/* The envelope without what is in the tables. */
static int envelope_read_head(const struct json *tree, const struct json **ret_tables,
                              const char **ret_detail)
{
    int64_t version;
    if (!json_get_int(tree, "v", &version) || version < 1) {
        *ret_detail = "v";
        return -ERR_DECODE;
    }
    if (version < MESSAGE_VERSION_MIN || version > MESSAGE_VERSION_MAX) {
        *ret_detail = "v";
        return -ERR_VERSION;
    }
    const struct json *tables = json_get_array(tree, "tables");
    if (json_array_count(tables) == 0) {
        *ret_detail = "tables";
        return -ERR_DECODE;
    }
    if (json_each(tree, envelope_check_member, NULL) != 0) {
        *ret_detail = "a member besides v and tables";
        return -ERR_DECODE;
    }
    *ret_tables = tables;
    return 0;
}

int envelope_read(struct slice body, struct envelope **ret_envelope, const char **ret_detail)
{
    struct json *tree = json_parse(body);
    if (tree == NULL) {
        *ret_detail = "json";
        return -ERR_DECODE;
    }
    const struct json *tables = NULL;
    int err = envelope_read_head(tree, &tables, ret_detail);
    size_t count = envelope_count_rows(tables);
    if (err == 0 && count > ENVELOPE_READ_COMMANDS_MAX) {
        *ret_detail = "too many commands";
        err = -ERR_DECODE;
    }
    if (err != 0) {
        json_free(tree);
        return err;
    }
    struct envelope *e = mem_new(sizeof(*e) + count * sizeof(e->messages[0]));
    e->tree = tree;
    for (size_t i = 0; i < json_array_count(tables) && err == 0; i++) {
        err = envelope_read_table(e, json_array_at(tables, i), ret_detail);
    }
    if (err != 0) {
        envelope_free(e);
        return err;
    }
    *ret_envelope = e;
    return 0;
}

unsigned envelope_count(const struct envelope *e)
{
    return e->count;
}

const struct message *envelope_at(const struct envelope *e, unsigned i)
{
    assert(i < e->count);
    return &e->messages[i];
}

void envelope_free(struct envelope *e)
{
    if (e == NULL) {
        return;
    }
    json_free(e->tree);
    free(e);
}
