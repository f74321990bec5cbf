/* One connection to a server, from its socket to its end.
 *
 *   wire_send --> out --(turn's end: wire_write)--> one send --> server
 *   on_answer <-- texts <-- reader.h <------------- recv <---------'
 *
 * What a server pushes to a subscriber comes like an answer. */
#ifndef KASSA_STORE_WIRE_H
#define KASSA_STORE_WIRE_H

#include "runtime/loop.h"
#include "store/args.h"
#include "store/texts.h"

struct wire;

/* What happens to a wire. wire_close is allowed inside each. */
struct wire_events {
    /* Something came from the server. */
    void (*on_heard)(void *ctx);
    /* An answer, in the order of what was sent, or a push. Borrowed, unless it is taken. */
    void (*on_answer)(void *ctx, struct texts reply, bool is_error);
    /* It has ended, and is freed when this returns. Not called after wire_close. */
    void (*on_lost)(void *ctx, const char *reason);
};

/* Begins to connect; commands may be sent at once. `address` is numeric, `events` static.
 * Owns: the caller, until wire_close or on_lost. Errors: NULL, with a reason. */
struct wire *wire_open(struct loop *loop, const char *address, int port,
                       const struct wire_events *events, void *ctx, char *ret_reason,
                       size_t reason_size);
void wire_close(struct wire *w); /* NULL is fine */

/* True when the server has accepted the connection. */
bool wire_is_connected(const struct wire *w);

/* Appends a command to what is written at the turn's end. */
void wire_send(struct wire *w, const struct args *c);

/* The turn's end: true when there was something to write. May call on_lost. */
bool wire_write(struct wire *w);

/* Moves the current reply out of the wire: it lives on when on_answer returns, whatever happens to
 * the wire. Only inside on_answer, once. Owns: the caller, until texts_box_free. */
struct texts_box *wire_take(struct wire *w);

#endif
