/* Who waits for a reply, in the order of the calls: a ring that grows and is never given back. */
#ifndef KASSA_STORE_WAITERS_H
#define KASSA_STORE_WAITERS_H

#include "store/texts.h"

/* Whose answer it is. But for calls and questions it is the connection's own (copies.h). */
enum waiter_kind {
    WAITER_CALL,
    WAITER_PUBLISH, /* .. or the WAIT before a WAITAOF: its answer says nothing, unless an error */
    WAITER_KEPT,    /* while one is missing: who has all of it, by the data */
    WAITER_WAIT,
    WAITER_ROLE, /* behind a WAIT */
    WAITER_LOOK, /* a ROLE alone */
    WAITER_CAME, /* before a ROLE: has somebody come since? */
    WAITER_TIME,
    WAITER_ASK /* about the server: store_ask */
};

struct waiter {
    enum waiter_kind kind;
    unsigned needed;          /* of a WAIT and its ROLE: replicas */
    texts_on_reply *on_reply; /* NULL: nobody wants to know */
    void *ctx;
    int err;                 /* of an answer that is held back, as on_reply will be told */
    struct texts_box *reply; /* that answer. Owns: it, until who waits is told */
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
