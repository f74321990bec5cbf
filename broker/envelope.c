/* Commands and envelopes to and from JSON, driven by a schema.
 *
 *   struct message --envelope_add--> text: a row, and a head before it when type or fields change
 *   text --json_parse--> tree --head, looked up once--> rows --> struct message, borrows the tree
 */
#include "broker/envelope.h"

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/err.h"
#include "runtime/json.h"

/* The most that ENVELOPE_COMMANDS_MAX can be set to; more was never sent by us. */
#define ENVELOPE_READ_COMMANDS_MAX 4096

static const struct envelope_head *envelope_head_of(const struct message *m)
{
    return (const struct envelope_head *)(const void *)m;
}

static const void *envelope_value(const struct message *m, const struct envelope_field *field)
{
    return (const char *)m + field->offset;
}

unsigned envelope_type_find(const struct envelope_schema *schema, struct slice text)
{
    for (unsigned i = 1; i < schema->type_count; i++) {
        const struct envelope_type *type = &schema->types[i];
        if (type->text_bytes == text.bytes && memcmp(type->text, text.data, text.bytes) == 0) {
            return i;
        }
    }
    return 0;
}

/* Errors: field_count when it is not in the schema. */
static unsigned envelope_field_find(const struct envelope_schema *schema, struct slice name)
{
    unsigned i = 0;
    while (i < schema->field_count &&
           (schema->fields[i].name_bytes != name.bytes ||
            memcmp(schema->fields[i].name, name.data, name.bytes) != 0)) {
        i++;
    }
    return i;
}

bool envelope_fits(const struct envelope_schema *schema, const struct message *m)
{
    struct envelope_head head = *envelope_head_of(m);
    if (head.type == 0 || head.type >= schema->type_count ||
        (schema->types[head.type].required & ~head.has) != 0) {
        return false;
    }
    for (uint64_t left = head.has; left != 0; left &= left - 1) {
        const struct envelope_field *field = &schema->fields[__builtin_ctzll(left)];
        if (!field->kind->is_valid(envelope_value(m, field))) {
            return false;
        }
    }
    return true;
}

/* ---- writing ---- */

#define ENVELOPE_TEXT_END "]}"
#define TABLE_TEXT_END    "]}"

static void table_begin(const struct envelope_schema *schema, struct buf *out,
                        struct envelope_head head)
{
    const struct envelope_type *type = &schema->types[head.type];
    assert((type->required & ~head.has) == 0);
    buf_add_text(out, "{\"type\":\"");
    buf_add(out, type->text, type->text_bytes);
    const char *before = "\",\"fields\":[\"";
    for (uint64_t left = head.has; left != 0; left &= left - 1) {
        const struct envelope_field *field = &schema->fields[__builtin_ctzll(left)];
        buf_add_text(out, before);
        buf_add(out, field->name, field->name_bytes);
        before = "\",\"";
    }
    buf_add_text(out, "\"],\"rows\":[");
}

static void row_add(const struct envelope_schema *schema, struct buf *out, const struct message *m)
{
    char before = '[';
    for (uint64_t left = envelope_head_of(m)->has; left != 0; left &= left - 1) {
        const struct envelope_field *field = &schema->fields[__builtin_ctzll(left)];
        const void *value = envelope_value(m, field);
        assert(field->kind->is_valid(value));
        *buf_room(out, 1) = before;
        field->kind->write(out, value);
        before = ',';
    }
    *buf_room(out, 1) = ']';
}

static void envelope_begin(const struct envelope_schema *schema, struct buf *out)
{
    buf_add_text(out, "{\"v\":");
    buf_add_int(out, schema->version);
    buf_add_text(out, ",\"tables\":[");
}

void envelope_add(const struct envelope_schema *schema, struct buf *out,
                  struct envelope_head *table, const struct message *m)
{
    struct envelope_head head = *envelope_head_of(m);
    assert(head.type > 0 && head.type < schema->type_count);
    assert((table->type == 0) == (out->bytes == 0));
    if (table->type == head.type && table->has == head.has) {
        buf_add_text(out, ",");
    } else {
        if (table->type == 0) {
            envelope_begin(schema, out);
        } else {
            buf_add_text(out, TABLE_TEXT_END ",");
        }
        table_begin(schema, out, head);
        *table = head;
    }
    row_add(schema, out, m);
}

void envelope_end(struct buf *out)
{
    buf_add_text(out, TABLE_TEXT_END ENVELOPE_TEXT_END);
}

/* ---- reading ---- */

struct envelope {
    const struct envelope_schema *schema;
    struct json *tree; /* what the messages borrow from */
    unsigned count;
    alignas(max_align_t) char messages[]; /* message_bytes each */
};

static void *envelope_slot(struct envelope *e, unsigned i)
{
    return e->messages + i * e->schema->message_bytes;
}

/* A table's head, looked up. */
struct table {
    const struct envelope_schema *schema;
    struct envelope_head head;
    unsigned field_count;
    const struct envelope_field *fields[ENVELOPE_FIELDS_MAX];
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
    unsigned i = envelope_field_find(t->schema, text);
    if (i == t->schema->field_count) {
        *ret_detail = "a field that is not in the catalogue";
        return -ERR_TYPE;
    }
    if ((t->head.has & (UINT64_C(1) << i)) != 0) {
        *ret_detail = "a field that is named twice";
        return -ERR_FIELD;
    }
    t->head.has |= UINT64_C(1) << i;
    t->fields[t->field_count++] = &t->schema->fields[i];
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
    uint64_t missing = t->schema->types[t->head.type].required & ~t->head.has;
    if (missing != 0) {
        *ret_detail = t->schema->fields[__builtin_ctzll(missing)].name;
        return -ERR_FIELD;
    }
    return 0;
}

static int table_read_head(const struct envelope_schema *schema, const struct json *object,
                           struct table *ret_table, const char **ret_detail)
{
    struct slice type_text;
    *ret_table = (struct table){.schema = schema};
    if (!json_is_object(object)) {
        *ret_detail = "tables";
        return -ERR_DECODE;
    }
    if (!json_get_text(object, "type", &type_text)) {
        *ret_detail = "type";
        return -ERR_DECODE;
    }
    ret_table->head.type = envelope_type_find(schema, type_text);
    if (ret_table->head.type == 0) {
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

static int table_read_row(const struct table *t, const struct json *row, void *ret_message,
                          const char **ret_detail)
{
    if (json_array_count(row) != t->field_count) {
        *ret_detail = "a row that is not as long as its head";
        return -ERR_FIELD;
    }
    *(struct envelope_head *)ret_message = t->head;
    for (unsigned i = 0; i < t->field_count; i++) {
        const struct envelope_field *field = t->fields[i];
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
    int err = table_read_head(e->schema, object, &t, ret_detail);
    size_t count = err == 0 ? json_array_count(t.rows) : 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        err = table_read_row(&t, json_array_at(t.rows, i), envelope_slot(e, e->count), ret_detail);
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
static int envelope_read_head(const struct envelope_schema *schema, const struct json *tree,
                              const struct json **ret_tables, const char **ret_detail)
{
    int64_t version;
    if (!json_get_int(tree, "v", &version) || version < 1) {
        *ret_detail = "v";
        return -ERR_DECODE;
    }
    if (version < schema->version_min || version > schema->version_max) {
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

int envelope_read(const struct envelope_schema *schema, struct slice body,
                  struct envelope **ret_envelope, const char **ret_detail)
{
    struct json *tree = json_parse(body);
    if (tree == NULL) {
        *ret_detail = "json";
        return -ERR_DECODE;
    }
    const struct json *tables = NULL;
    int err = envelope_read_head(schema, tree, &tables, ret_detail);
    size_t count = envelope_count_rows(tables);
    if (err == 0 && count > ENVELOPE_READ_COMMANDS_MAX) {
        *ret_detail = "too many commands";
        err = -ERR_DECODE;
    }
    if (err != 0) {
        json_free(tree);
        return err;
    }
    struct envelope *e = mem_new(sizeof(*e) + count * schema->message_bytes);
    e->schema = schema;
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
    return (const struct message *)(const void *)(e->messages + i * e->schema->message_bytes);
}

void envelope_free(struct envelope *e)
{
    if (e == NULL) {
        return;
    }
    json_free(e->tree);
    free(e);
}
