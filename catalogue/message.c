/* The tables of the catalogue, as the schema of envelopes. */
#include "catalogue/message.h"

#include <assert.h>
#include <stddef.h>

static const struct envelope_field message_fields[] = {
#define X(kind, field, what)                                                                       \
    {#field, sizeof(#field) - 1, offsetof(struct message, field), &kind_##kind},
    MESSAGE_FIELDS(X)
#undef X
};
static_assert(MESSAGE_FIELD_COUNT <= ENVELOPE_FIELDS_MAX, "struct message.has has 64 bits");

static const struct envelope_type message_types[] = {{"", 0, 0},
#define X(name, wire, fields, what) {wire, sizeof(wire) - 1, fields},
                                                     MESSAGE_TYPES(X)
#undef X
};

static_assert(offsetof(struct message, type) == offsetof(struct envelope_head, type) &&
                  offsetof(struct message, has) == offsetof(struct envelope_head, has) &&
                  sizeof(enum message_type) == sizeof(unsigned),
              "a message begins with an envelope_head");

const struct envelope_schema message_schema = {
    .version_min = MESSAGE_VERSION_MIN,
    .version_max = MESSAGE_VERSION_MAX,
    .version = MESSAGE_VERSION,
    .fields = message_fields,
    .field_count = MESSAGE_FIELD_COUNT,
    .types = message_types,
    .type_count = MESSAGE_TYPE_COUNT,
    .message_bytes = sizeof(struct message),
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

bool message_type_parse(struct slice text, enum message_type *ret_type)
{
    *ret_type = (enum message_type)envelope_type_find(&message_schema, text);
    return *ret_type != MESSAGE_NONE;
}

bool message_put(struct message *m, enum message_field field, struct slice text)
{
    const struct envelope_field *row = &message_fields[field];
    void *at = (char *)m + row->offset;
    if (row->kind != &kind_INT) {
        *(struct slice *)at = text;
    } else if (!slice_int64(text, at)) {
        return false;
    }
    m->has |= UINT64_C(1) << field;
    return true;
}

struct slice message_text(const struct message *m, enum message_field field)
{
    const struct envelope_field *row = &message_fields[field];
    bool is_text = (m->has & UINT64_C(1) << field) != 0 && row->kind != &kind_INT;
    return is_text ? *(const struct slice *)((const char *)m + row->offset)
                   : (struct slice){NULL, 0};
}

struct message message_pass_on(const struct message *from, enum message_type type)
{
    struct message m = *from;
    m.type = type;
    m.has &= message_types[type].required;
    return m;
}

bool message_is_valid(const struct message *m)
{
    return envelope_fits(&message_schema, m);
}
