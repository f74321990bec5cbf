/* Every field that a command or an answer can have.
 *
 * X(kind, field, what it is). The field's name is its name on the wire. A message says by one of 64
 * bits that a field is there. Kinds (kind.h):
 * ID: slice_is_id (runtime/buf.h). COMMAND: command id, at most 128 of [A-Za-z0-9_:/-].
 * LINES: item*quantity,.. TEXT: printable ASCII and newlines, without '"' and '\'.
 * VALUE: any text in UTF-8 without NUL, such as a JSON text of a client's. INT: 0..2^63-1. */
#ifndef KASSA_CATALOGUE_FIELDS_H
#define KASSA_CATALOGUE_FIELDS_H

#define CATALOGUE_FIELDS(X)                                                                        \
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

#endif
