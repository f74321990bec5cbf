/* Who waits for a reply, in the order of the calls: a ring that grows and is never given back. */
#ifndef KASSA_STORE_WAITERS_H
#define KASSA_STORE_WAITERS_H

#include "store/texts.h"

/* Whose answer it is. Other than calls and questions they are the connection's own (copies.h). */
enum waiter_kind {
    WAITER_CALL,
    WAITER_PUBLISH, /* .. or the WAIT before a WAITAOF: its answer says nothing, unless an error */
    WAITER_KEPT,    /* while one is missing: the list in the data (copies.h) */
    WAITER_WAIT,
    WAITER_ROLE, /* behind a WAIT */
    WAITER_LOOK, /* a ROLE alone */
    WAITER_CAME, /* before a ROLE: has a replica come since? */
    WAITER_TIME,
    WAITER_ASK /* about the server: store_ask */
};

struct waiter {
    enum waiter_kind kind;
    unsigned needed;          /* of a WAIT and its ROLE: replicas */
    texts_on_reply *on_reply; /* NULL: nobody wants to know */
    void *ctx;
    int err;                 /* of an answer that is held back, for on_reply */
    struct texts_box *reply; /* that answer. Owns: it, until on_reply has it */
};

/* Zero-initialised is empty and valid. Owns: ring, until waiters_free. */
struct waiters {
    struct waiter *ring;
    unsigned size; /* a power of two, or 0 */
    unsigned first;
    unsigned count;
};

void waiters_push(struct waiters *w, struct waiter waiter);
struct waiter waiters_pop(struct waiters *w); /* not when empty */
void waiters_free(struct waiters *w);

#endif
