/* An AMQP message, and a completion notice, is an envelope of 1..n commands, in order. Those that
 * follow one another with the same type and fields are a table, each of them a row:
 *   {"v":2,"tables":[{"type":"<type>","fields":["<field>",..],"rows":[[<value>,..],..]},..]}
 * So names are sent, and looked up, once for many commands. Receivers deduplicate by command id,
 * never by envelope.
 *
 * Which types and fields there are is handed in as a schema; the catalogue has the system's own.
 * Source: protocol.md, "Messages". */
#ifndef KASSA_BROKER_ENVELOPE_H
#define KASSA_BROKER_ENVELOPE_H

#include <stdint.h>
#include "runtime/buf.h"

struct json;
struct message; /* as the schema describes it; it begins with an envelope_head */

struct envelope_head {
    unsigned type; /* row of the schema's types; 0: none */
    uint64_t has;  /* 1 << row of the schema's fields, for each that is there */
};

#define ENVELOPE_FIELDS_MAX 64 /* bits of `has` */

/* What all fields of a kind have in common. Both ways go through is_valid, so that nothing leaves
 * that the receiver would refuse. */
struct envelope_kind {
    bool (*is_valid)(const void *value);
    void (*write)(struct buf *out, const void *value);       /* as JSON */
    bool (*read)(const struct json *value, void *ret_value); /* false: another type of JSON */
};

struct envelope_field {
    const char *name;
    size_t name_bytes;
    size_t offset; /* in struct message */
    const struct envelope_kind *kind;
};

struct envelope_type {
    const char *text; /* on the wire */
    size_t text_bytes;
    uint64_t required; /* as has */
};

struct envelope_schema {
    int version_min, version_max; /* that are read */
    int version;                  /* that is written */
    const struct envelope_field *fields;
    unsigned field_count;
    const struct envelope_type *types; /* the first is none */
    unsigned type_count;
    size_t message_bytes; /* of struct message */
};

/* Appends one command to an envelope under construction: an empty buf and a *table of zeros begin
 * one, envelope_end completes it. *table says which table is open at the end of `out`. A missing
 * required field or a malformed text is a programmer's error and asserted. */
void envelope_add(const struct envelope_schema *schema, struct buf *out,
                  struct envelope_head *table, const struct message *m);
void envelope_end(struct buf *out);

/* Whether the message has the fields of its type, each in its form. For one that is made from a
 * store's record: who makes one from checked parts need not ask. */
bool envelope_fits(const struct envelope_schema *schema, const struct message *m);

/* Errors: the type's row is 0 for a text that is none. */
unsigned envelope_type_find(const struct envelope_schema *schema, struct slice text);

struct envelope; /* a decoded one; its messages borrow from it */

/* Errors: -ERR_DECODE, -ERR_FIELD (POISON), -ERR_VERSION, -ERR_TYPE (LATER); *ret_detail then names
 * the offending type or field, static text; any bad command makes the whole envelope bad.
 * Owns: the caller, until envelope_free. */
int envelope_read(const struct envelope_schema *schema, struct slice body,
                  struct envelope **ret_envelope, const char **ret_detail);
unsigned envelope_count(const struct envelope *e);
const struct message *envelope_at(const struct envelope *e, unsigned i);
void envelope_free(struct envelope *e); /* NULL is fine */

#endif
