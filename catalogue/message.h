/* The catalogue: every message, every field. A message is a type and fields; here is the struct,
 * and the schema by which an envelope (broker/envelope.h) carries it.
 *
 *   payment.h, stock.h, order.h, saga.h, answers.h --.
 *   fields.h ----------------------------------------+--> struct message, message_schema, docs
 *
 * X(name, wire type, required fields, what it is). Other fields may come along where noted.
 * docs/protocol.md lists the same tables. Source: protocol.md, "Messages". */
#ifndef KASSA_CATALOGUE_MESSAGE_H
#define KASSA_CATALOGUE_MESSAGE_H

#include "broker/envelope.h"
#include "catalogue/answers.h"
#include "catalogue/fields.h"
#include "catalogue/kind.h"
#include "catalogue/more.h"
#include "catalogue/order.h"
#include "catalogue/payment.h"
#include "catalogue/saga.h"
#include "catalogue/stock.h"

/* A reader takes all of these, a writer makes one that the release before can read as well. So a
 * new version is read by one release and written by the next (protocol.md, "Versions side by
 * side"). */
#define MESSAGE_VERSION_MIN 2
#define MESSAGE_VERSION_MAX 2
#define MESSAGE_VERSION     2 /* that is written */

/* A routing slip names type and queue of what comes next: read by this release, to be written by
 * the next one, for the one before would not understand it. */
#define MESSAGE_SLIP_IS_WRITTEN 0

#define MESSAGE_FIELDS(X) CATALOGUE_FIELDS(X) MORE_FIELDS(X)
#define MESSAGE_TYPES(X)                                                                           \
    PAYMENT_MESSAGES(X)                                                                            \
    STOCK_MESSAGES(X)                                                                              \
    ORDER_MESSAGES(X)                                                                              \
    SAGA_MESSAGES(X)                                                                               \
    ANSWER_MESSAGES(X)                                                                             \
    MORE_MESSAGES(X)

enum message_field {
#define X(kind, field, what) MESSAGE_HAS_##field,
    MESSAGE_FIELDS(X)
#undef X
        MESSAGE_FIELD_COUNT
};

#define M(field) (UINT64_C(1) << MESSAGE_HAS_##field)

enum message_type {
    MESSAGE_NONE,
#define X(name, wire, fields, what) MESSAGE_##name,
    MESSAGE_TYPES(X)
#undef X
        MESSAGE_TYPE_COUNT
};

/* One command or answer. Texts are borrowed: from the envelope when read, from the caller when
 * written. `has` tells which fields are there, as M(field). */
struct message {
    enum message_type type;
    uint64_t has;
#define MESSAGE_FIELD_ID(field)      struct slice field;
#define MESSAGE_FIELD_COMMAND(field) struct slice field;
#define MESSAGE_FIELD_LINES(field)   struct slice field;
#define MESSAGE_FIELD_TEXT(field)    struct slice field;
#define MESSAGE_FIELD_VALUE(field)   struct slice field;
#define MESSAGE_FIELD_INT(field)     int64_t field;
#define X(kind, field, what)         MESSAGE_FIELD_##kind(field)
    MESSAGE_FIELDS(X)
#undef X
};

/* Sets a field and marks it as there. */
#define message_set(m, name, value) ((m)->name = (value), (void)((m)->has |= M(name)))
#define message_has(m, name)        (((m)->has & M(name)) != 0)

extern const struct envelope_schema message_schema;

const char *message_type_text(enum message_type type); /* "payment.charge" */
/* Errors: false for a type that is not in the catalogue. */
bool message_type_parse(struct slice text, enum message_type *ret_type);
const char *message_field_text(enum message_field field);
/* A message of `type`, with those of its required fields that `from` has. Borrowed from that. */
struct message message_pass_on(const struct message *from, enum message_type type);

/* Sets the field from a text, by its kind. Errors: false: it is no number, and the field is one. */
bool message_put(struct message *m, enum message_field field, struct slice text);
/* The field's text; absent when it is not there, or a number. */
struct slice message_text(const struct message *m, enum message_field field);

/* As envelope_fits. */
bool message_is_valid(const struct message *m);

#endif
