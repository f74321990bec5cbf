/* Answers that every service gives, as notices: message.h has the columns. */
#ifndef KASSA_CATALOGUE_ANSWERS_H
#define KASSA_CATALOGUE_ANSWERS_H

#define ANSWER_MESSAGES(X)                                                                         \
    /* anyone -> gateway */                                                                        \
    X(PONG, "pong", M(id), "the service and its store are there")                                  \
    X(UNKNOWN, "unknown", M(id) | M(reason), "no such entity: 404")                                \
    X(REFUSED, "refused", M(id) | M(reason), "a recorded no: 400; saga")                           \
    X(CONFLICT, "conflict", M(id) | M(reason), "not now: 409")                                     \
    X(LATER, "later", M(id) | M(reason), "nothing was begun, try again: 429")                      \
    X(EXPIRED, "expired", M(id), "too old to be told from a repeat: 422; since")                   \
    X(BROKEN, "broken", M(id) | M(reason), "the store's record cannot be read: 500")               \
    X(CREATED, "created", M(id), "entity or batch is there; user, item or order")

#endif
