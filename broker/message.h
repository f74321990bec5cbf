/* The wire catalogue: every message, every field, in two tables.
 *
 * An AMQP message, and a completion notice, is an envelope of 1..n commands, in order. Those that
 * follow one another with the same type and fields are a table, each of them a row:
 *   {"v":2,"tables":[{"type":"payment.charge","fields":["id","order",..],
 *                     "rows":[["<saga>:1:charge","7",..],..]},..]}
 * So names are sent, and looked up, once for many commands. Receivers deduplicate by command id,
 * never by envelope. docs/protocol.md lists the same tables.
 * Source: protocol.md, "Messages". */
#ifndef KASSA_BROKER_MESSAGE_H
#define KASSA_BROKER_MESSAGE_H

#include <stdint.h>
#include "runtime/buf.h"

/* A reader takes all of these, a writer makes one that the release before can read as well. So a
 * new version is read by one release and written by the next (protocol.md, "Versions side by
 * side"). */
#define MESSAGE_VERSION_MIN 2
#define MESSAGE_VERSION_MAX 2
#define MESSAGE_VERSION     2 /* that is written */
#define MESSAGE_TEXT_MAX    65536

/* A routing slip names type and queue of what comes next: read by this release, to be written by
 * the next one, for the one before would not understand it. */
#define MESSAGE_SLIP_IS_WRITTEN 0

/* X(kind, field, what it is). The field's name is its name on the wire.
 * ID: slice_is_id (runtime/buf.h). COMMAND: command id, at most 128 of [A-Za-z0-9_:/-].
 * LINES: item*quantity,.. TEXT: printable ASCII and newlines, without '"' and '\'.
 * INT: 0..2^63-1. */
#define MESSAGE_FIELDS(X)                                                                          \
    X(COMMAND, id, "command id: what the receiver deduplicates by; an answer repeats it")          \
    X(COMMAND, undoes, "id of the command that this one compensates")                              \
    X(COMMAND, next, "id of the command to send on when this one has acted: the routing slip")     \
    X(ID, gateway, "gateway that waits for the answer")                                            \
    X(ID, order, "order id")                                                                       \
    X(ID, user, "user id")                                                                         \
    X(ID, item, "item id")                                                                         \
    X(ID, saga, "saga id")                                                                         \
    X(LINES, lines, "items and quantities of an order")                                            \
    X(TEXT, reason, "why it was refused; goes to the client")                                      \
    X(TEXT, state, "state of a saga")                                                              \
    X(TEXT, story, "sagas, one a line, in the journal's form")                                     \
    X(INT, amount, "credits, or pieces, of this command")                                          \
    X(INT, credit, "credits of a user")                                                            \
    X(INT, stock, "pieces of an item")                                                             \
    X(INT, price, "credits for a piece")                                                           \
    X(INT, quantity, "pieces")                                                                     \
    X(INT, total, "credits for an order")                                                          \
    X(INT, paid, "1: paid")                                                                        \
    X(INT, async, "1: tell when it has begun, not when it has ended")                              \
    X(INT, count, "entities to make")                                                              \
    X(INT, items, "item ids 0..items-1 to draw from")                                              \
    X(INT, users, "user ids 0..users-1 to draw from")                                              \
    X(INT, limit, "sagas to list at most")                                                         \
    X(ID, service, "service whose store may have lost its tail")                                   \
    X(INT, since,                                                                                  \
      "ms since 1970: what the store had by then it still has; or records up to then are gone")    \
    X(TEXT, next_type, "type of the command to send on")                                           \
    X(TEXT, next_queue, "queue that it goes to")

enum message_field {
#define X(kind, field, what) MESSAGE_HAS_##field,
    MESSAGE_FIELDS(X)
#undef X
        MESSAGE_FIELD_COUNT
};

#define M(field) (1u << MESSAGE_HAS_##field)

/* X(name, wire type, required fields, what it is). Other fields may come along where noted. */
#define MESSAGE_TYPES(X)                                                                           \
    /* gateway -> payment */                                                                       \
    X(PAYMENT_PING, "payment.ping", M(id) | M(gateway), "is the service and its store there?")     \
    X(PAYMENT_CREATE, "payment.create", M(id) | M(gateway) | M(user), "new user")                  \
    X(PAYMENT_FIND, "payment.find", M(id) | M(gateway) | M(user), "read a user")                   \
    X(PAYMENT_FUND, "payment.fund", M(id) | M(gateway) | M(user) | M(amount), "add credit")        \
    X(PAYMENT_PAY, "payment.pay", M(id) | M(gateway) | M(user) | M(amount), "take credit")         \
    X(PAYMENT_INIT, "payment.init", M(id) | M(gateway) | M(count) | M(credit), "batch of users")   \
    /* gateway -> stock */                                                                         \
    X(STOCK_PING, "stock.ping", M(id) | M(gateway), "is the service and its store there?")         \
    X(STOCK_CREATE, "stock.create", M(id) | M(gateway) | M(item) | M(price), "new item")           \
    X(STOCK_FIND, "stock.find", M(id) | M(gateway) | M(item), "read an item")                      \
    X(STOCK_ADD, "stock.add", M(id) | M(gateway) | M(item) | M(quantity), "add pieces")            \
    X(STOCK_SUBTRACT, "stock.subtract", M(id) | M(gateway) | M(item) | M(quantity),                \
      "take pieces outside a saga")                                                                \
    X(STOCK_INIT, "stock.init", M(id) | M(gateway) | M(count) | M(stock) | M(price),               \
      "batch of items")                                                                            \
    X(STOCK_QUOTE, "stock.quote", M(id) | M(gateway) | M(order) | M(item) | M(quantity),           \
      "look up the price, then pass on as order.add")                                              \
    /* gateway -> order */                                                                         \
    X(ORDER_PING, "order.ping", M(id) | M(gateway), "is the service and its store there?")         \
    X(ORDER_CREATE, "order.create", M(id) | M(gateway) | M(order) | M(user), "new order")          \
    X(ORDER_FIND, "order.find", M(id) | M(gateway) | M(order), "read an order")                    \
    X(ORDER_ADD, "order.add", M(id) | M(gateway) | M(order) | M(item) | M(quantity) | M(price),    \
      "add a line; comes from stock, with the price")                                              \
    X(ORDER_INIT, "order.init", M(id) | M(gateway) | M(count) | M(items) | M(users) | M(price),    \
      "batch of orders")                                                                           \
    X(ORDER_CHECKOUT, "order.checkout", M(id) | M(gateway) | M(order),                             \
      "begin the saga named id, or attach to the one that runs; async")                            \
    X(ORDER_SAGA, "order.saga", M(id) | M(gateway) | M(saga), "tell one saga")                     \
    X(ORDER_CANCEL, "order.cancel", M(id) | M(gateway) | M(saga), "give a saga up, or tell")       \
    X(ORDER_SAGAS, "order.sagas", M(id) | M(gateway) | M(limit), "list sagas; order, state")       \
    /* payment or stock -> order */                                                                \
    X(ORDER_REPLAY, "order.replay", M(id) | M(service) | M(since),                                 \
      "the store is another server: send again what it may have lost")                             \
    /* order -> payment, and its answers */                                                        \
    X(PAYMENT_CHARGE, "payment.charge", M(id) | M(order) | M(user) | M(amount),                    \
      "step 1; with a slip to step 2, next and what that is made of: payment sends it on")         \
    X(PAYMENT_REFUND, "payment.refund", M(id) | M(undoes) | M(order) | M(user),                    \
      "compensation of step 1")                                                                    \
    X(PAYMENT_CHARGED, "payment.charged", M(id) | M(order), "done; when it came without a slip")   \
    X(PAYMENT_REFUSED, "payment.refused", M(id) | M(order) | M(reason), "not enough credit")       \
    X(PAYMENT_REFUNDED, "payment.refunded", M(id) | M(order), "given back, or never taken")        \
    /* order -> stock, and its answers */                                                          \
    X(STOCK_TAKE, "stock.take", M(id) | M(order) | M(lines), "step 2, the pivot; from payment")    \
    X(STOCK_CANCEL, "stock.cancel", M(id) | M(order), "cancel step 2, or tell that it is done")    \
    X(STOCK_TAKEN, "stock.taken", M(id) | M(order), "done")                                        \
    X(STOCK_REFUSED, "stock.refused", M(id) | M(order) | M(reason), "not enough of an item")       \
    X(STOCK_CANCELLED, "stock.cancelled", M(id) | M(order), "never taken, and never will be")      \
    /* anyone -> gateway, as notices */                                                            \
    X(PONG, "pong", M(id), "the service and its store are there")                                  \
    X(UNKNOWN, "unknown", M(id) | M(reason), "no such entity: 404")                                \
    X(REFUSED, "refused", M(id) | M(reason), "a recorded no: 400; saga")                           \
    X(CONFLICT, "conflict", M(id) | M(reason), "not now: 409")                                     \
    X(LATER, "later", M(id) | M(reason), "nothing was begun, try again: 429")                      \
    X(EXPIRED, "expired", M(id), "too old to be told from a repeat: 422; since")                   \
    X(BROKEN, "broken", M(id) | M(reason), "the store's record cannot be read: 500")               \
    X(CREATED, "created", M(id), "entity or batch is there; user, item or order")                  \
    X(USER, "user", M(id) | M(credit), "a user as it is now; user")                                \
    X(ITEM, "item", M(id) | M(stock), "an item as it is now; price")                               \
    X(ORDER, "order", M(id) | M(order) | M(total), "an order as it is now; user, lines, paid")     \
    X(SAGA_RUNNING, "saga.running", M(id) | M(saga), "begun, not ended; state")                    \
    X(SAGA_PAID, "saga.paid", M(id) | M(order) | M(total), "the order is paid; saga")              \
    X(SAGAS, "sagas", M(id) | M(story), "sagas, one a line")

/* A test's own types, for sagas of its own: a header that defines MESSAGE_TYPES_MORE(X). */
#ifdef KASSA_MESSAGES_MORE
#include KASSA_MESSAGES_MORE
#else
#define MESSAGE_TYPES_MORE(X)
#endif

enum message_type {
    MESSAGE_NONE,
#define X(name, wire, fields, what) MESSAGE_##name,
    MESSAGE_TYPES(X) MESSAGE_TYPES_MORE(X)
#undef X
        MESSAGE_TYPE_COUNT
};

/* One command or answer. Texts are borrowed: from the envelope when read, from the caller when
 * written. `has` tells which fields are there, as 1u << MESSAGE_HAS_<field>. */
struct message {
    enum message_type type;
    uint32_t has;
#define MESSAGE_FIELD_ID(field)      struct slice field;
#define MESSAGE_FIELD_COMMAND(field) struct slice field;
#define MESSAGE_FIELD_LINES(field)   struct slice field;
#define MESSAGE_FIELD_TEXT(field)    struct slice field;
#define MESSAGE_FIELD_INT(field)     int64_t field;
#define X(kind, field, what)         MESSAGE_FIELD_##kind(field)
    MESSAGE_FIELDS(X)
#undef X
};

/* Sets a field and marks it as there. */
#define message_set(m, name, value) ((m)->name = (value), (void)((m)->has |= M(name)))
#define message_has(m, name)        (((m)->has & M(name)) != 0)

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

/* Whether it has the fields of its type, each in its form. For one that is made from a store's
 * record: who makes one from checked parts need not ask. */
bool message_is_valid(const struct message *m);

/* Appends one command to an envelope under construction: an empty buf and a *table of 0 begin one,
 * envelope_end completes it. *table says which table is open at the end of `out`. A missing
 * required field or a malformed text is a programmer's error and asserted. */
void envelope_add(struct buf *out, uint64_t *table, const struct message *m);
void envelope_end(struct buf *out);

struct envelope; /* a decoded one; its messages borrow from it */

/* Errors: -ERR_DECODE, -ERR_FIELD (POISON), -ERR_VERSION, -ERR_TYPE (LATER); *ret_detail then names
 * the offending type or field, static text; any bad command makes the whole envelope bad.
 * Owns: the caller, until envelope_free. */
int envelope_read(struct slice body, struct envelope **ret_envelope, const char **ret_detail);
unsigned envelope_count(const struct envelope *e);
const struct message *envelope_at(const struct envelope *e, unsigned i);
void envelope_free(struct envelope *e); /* NULL is fine */

/* Lines of an order, at most; ORDER_LINES_MAX is bounded by it. */
#define LINES_MAX 500

/* "a*1,b*20": cuts the next line off. Errors: false at the end and for malformed text;
 * `lines_are_valid` tells beforehand. Units: pieces, 1..2^53-1, each item once,
 * at most LINES_MAX lines. */
bool lines_next(struct slice *rest, struct slice *ret_item, int64_t *ret_quantity);
bool lines_are_valid(struct slice lines); /* the empty text is valid: no lines */

#endif
