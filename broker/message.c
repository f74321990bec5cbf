/* Commands and envelopes to and from JSON, driven by the two tables of message.h.
 *
 *   struct message --message_write--> {"type":..,"id":..} --envelope_write_*--> envelope
 *                    (as text: what is valid needs no escaping but newlines)
 *   envelope --envelope_read--> json tree --rows of fields--> struct message (borrows the tree)
 *
 * Every field has a kind, and each kind three functions: is_valid, write, read. Both ways go
 * through is_valid, so that nothing leaves that the receiver would refuse. */
#include "broker/message.h"

#include <assert.h>
#include <inttypes.h>
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

static bool message_command_is_valid(const void *value)
{
    const struct slice *s = value;
    if (s->bytes == 0 || s->bytes > MESSAGE_COMMAND_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < s->bytes; i++) {
        char c = s->data[i];
        bool is_alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alphanumeric && c != '_' && c != ':' && c != '/' && c != '-') {
            return false;
        }
    }
    return true;
}

static bool message_lines_is_valid(const void *value)
{
    return lines_are_valid(*(const struct slice *)value);
}

static bool message_text_is_valid(const void *value)
{
    const struct slice *s = value;
    if (s->bytes > MESSAGE_TEXT_MAX) {
        return false;
    }
    for (size_t i = 0; i < s->bytes; i++) {
        char c = s->data[i];
        bool is_printable = (c >= ' ' && c <= '~') || c == '\n';
        if (!is_printable || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

static bool message_int_is_valid(const void *value)
{
    return *(const int64_t *)value >= 0;
}

static void message_slice_write(struct buf *out, const void *value)
{
    buf_add(out, "\"", 1);
    buf_add_slice(out, *(const struct slice *)value);
    buf_add(out, "\"", 1);
}

static void message_text_write(struct buf *out, const void *value)
{
    struct slice rest = *(const struct slice *)value, line;
    const char *before = "\"";
    while (slice_cut(&rest, '\n', &line)) {
        buf_add_text(out, before);
        buf_add_slice(out, line);
        before = "\\n";
    }
    buf_add(out, "\"", 1);
}

static bool message_slice_read(const struct json *value, void *ret_value)
{
    return json_text(value, ret_value);
}

static void message_int_write(struct buf *out, const void *value)
{
    buf_addf(out, "%" PRId64, *(const int64_t *)value);
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
    const char *member; /* as it stands before the value: ,"name": */
    size_t offset;      /* in struct message */
    const struct message_kind *kind;
} message_fields[] = {
#define X(kind, field, what)                                                                       \
    {#field, ",\"" #field "\":", offsetof(struct message, field), &message_kind_##kind},
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
                     MESSAGE_TYPES(X)
#undef X
};

const char *message_type_text(enum message_type type)
{
    assert(type >= MESSAGE_NONE && type < MESSAGE_TYPE_COUNT);
    return message_types[type].text;
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

/* Errors: MESSAGE_FIELD_COUNT when it is not in the catalogue. */
static unsigned message_field_find(const char *name)
{
    unsigned i = 0;
    while (i < MESSAGE_FIELD_COUNT && strcmp(message_fields[i].name, name) != 0) {
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

void message_write(const struct message *m, struct buf *out)
{
    assert(m->type > MESSAGE_NONE && m->type < MESSAGE_TYPE_COUNT);
    const struct message_type_row *type = &message_types[m->type];
    assert((m->has & type->required) == type->required);
    buf_add_text(out, "{\"type\":\"");
    buf_add(out, type->text, type->text_bytes);
    buf_add(out, "\"", 1);
    for (uint32_t left = m->has; left != 0; left &= left - 1) {
        const struct message_field_row *field = &message_fields[__builtin_ctz(left)];
        const void *value = (const char *)m + field->offset;
        assert(field->kind->is_valid(value));
        buf_add_text(out, field->member);
        field->kind->write(out, value);
    }
    buf_add(out, "}", 1);
}

#define ENVELOPE_TEXT_NUMBER(n)      #n
#define ENVELOPE_TEXT_BEGIN(version) "{\"v\":" ENVELOPE_TEXT_NUMBER(version) ",\"commands\":["

void envelope_write_begin(struct buf *out)
{
    buf_add_text(out, ENVELOPE_TEXT_BEGIN(MESSAGE_VERSION));
}

void envelope_write_end(struct buf *out)
{
    buf_add_text(out, "]}");
}

struct envelope {
    struct json *tree; /* what the messages borrow from */
    unsigned count;
    struct message messages[];
};

struct envelope_reading {
    struct message *message;
    const char *detail; /* what is wrong, static text */
};

static int envelope_read_member(void *ctx, const char *key, const struct json *value)
{
    struct envelope_reading *reading = ctx;
    if (strcmp(key, "type") == 0) {
        return 0; /* was looked at before all others */
    }
    unsigned i = message_field_find(key);
    if (i == MESSAGE_FIELD_COUNT) {
        reading->detail = "a field that is not in the catalogue";
        return -ERR_FIELD;
    }
    const struct message_field_row *field = &message_fields[i];
    void *at = (char *)reading->message + field->offset;
    if (!field->kind->read(value, at) || !field->kind->is_valid(at)) {
        reading->detail = field->name;
        return -ERR_FIELD;
    }
    reading->message->has |= 1u << i;
    return 0;
}

static int envelope_read_command(const struct json *object, struct message *ret_message,
                                 const char **ret_detail)
{
    struct slice type_text;
    if (!json_get_text(object, "type", &type_text)) {
        *ret_detail = "type";
        return -ERR_TYPE;
    }
    ret_message->type = message_type_find(type_text);
    if (ret_message->type == MESSAGE_NONE) {
        *ret_detail = "type";
        return -ERR_TYPE;
    }
    struct envelope_reading reading = {.message = ret_message};
    int err = json_each(object, envelope_read_member, &reading);
    if (err != 0) {
        *ret_detail = reading.detail;
        return err;
    }
    uint32_t missing = message_types[ret_message->type].required & ~ret_message->has;
    if (missing != 0) {
        *ret_detail = message_fields[__builtin_ctz(missing)].name;
        return -ERR_FIELD;
    }
    return 0;
}

static int envelope_check_member(void *ctx, const char *key, const struct json *value)
{
    (void)ctx;
    (void)value;
    return strcmp(key, "v") == 0 || strcmp(key, "commands") == 0 ? 0 : -ERR_DECODE;
}

/* The envelope without what is in the commands. */
static int envelope_read_head(const struct json *tree, const struct json **ret_commands,
                              const char **ret_detail)
{
    int64_t version;
    if (!json_get_int(tree, "v", &version)) {
        *ret_detail = "v";
        return -ERR_DECODE;
    }
    if (version != MESSAGE_VERSION) {
        *ret_detail = "v";
        return -ERR_VERSION;
    }
    const struct json *commands = json_get_array(tree, "commands");
    size_t count = commands != NULL ? json_array_count(commands) : 0;
    if (count == 0 || count > ENVELOPE_READ_COMMANDS_MAX) {
        *ret_detail = "commands";
        return -ERR_DECODE;
    }
    if (json_each(tree, envelope_check_member, NULL) != 0) {
        *ret_detail = "a member besides v and commands";
        return -ERR_DECODE;
    }
    *ret_commands = commands;
    return 0;
}

int envelope_read(struct slice body, struct envelope **ret_envelope, const char **ret_detail)
{
    struct json *tree = json_parse(body);
    if (tree == NULL) {
        *ret_detail = "json";
        return -ERR_DECODE;
    }
    const struct json *commands;
    int err = envelope_read_head(tree, &commands, ret_detail);
    if (err != 0) {
        json_free(tree);
        return err;
    }
    size_t count = json_array_count(commands);
    struct envelope *e = mem_new(sizeof(*e) + count * sizeof(e->messages[0]));
    e->tree = tree;
    e->count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        const struct json *object = json_array_at(commands, i);
        if (object == NULL) {
            *ret_detail = "commands";
            err = -ERR_DECODE;
        } else {
            err = envelope_read_command(object, &e->messages[i], ret_detail);
        }
        if (err != 0) {
            envelope_free(e);
            return err;
        }
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
