/* One connection to a server, from its socket to its end: what wire.c, which alone knows hiredis,
 * does for redis.c, which keeps a connection up. */
#ifndef KASSA_IDEMPOTENCY_WIRE_H
#define KASSA_IDEMPOTENCY_WIRE_H

#include "idempotency/redis.h"

struct redis_wire;

/* What happens to a wire. redis_wire_close is allowed inside each. */
struct redis_wire_events {
    /* Something came from the server. */
    void (*on_heard)(void *ctx);
    /* An answer, in the order of what was sent, or a message to a listener. */
    void (*on_answer)(void *ctx, const struct redis_reply *reply, bool is_error);
    /* It is over, and gone when this returns. Not called after redis_wire_close. */
    void (*on_lost)(void *ctx, const char *reason);
};

/* Begins to connect; commands may be sent at once. `address` is numeric.
 * Owns: the caller, until redis_wire_close or on_lost. Errors: NULL, with a reason. */
struct redis_wire *redis_wire_open(struct loop *loop, const char *address, int port,
                                   const struct redis_wire_events *events, void *ctx,
                                   char *ret_reason, size_t reason_size);
void redis_wire_close(struct redis_wire *w); /* NULL is fine */

/* Has the server taken the connection? */
bool redis_wire_is_connected(const struct redis_wire *w);

/* Appends a command to what is written at the turn's end. */
void redis_wire_send(struct redis_wire *w, const struct redis_command *c);
void redis_wire_listen(struct redis_wire *w, const char *channel);
/* For a wire that listens. Its answer is heard but not told. */
void redis_wire_ping(struct redis_wire *w);

/* The turn's end: true when there was something to write. May call on_lost. */
bool redis_wire_write(struct redis_wire *w);

/* What an error of the server means. Errors: -ERR_STORE_DOWN: it is not the server to talk to, or
 * has lost our library; -ERR_STORE_FULL, -ERR_TOO_OLD; else -ERR_STORE_REPLY. */
int redis_error_of(struct slice text);

/* Before a new reply is given out: what was remembered of the last one is void. */
void redis_reply_renew(void);

/* The reply in hand lives on when on_answer returns, until it is released, whatever becomes of the
 * wire. Only inside on_answer. */
void redis_reply_keep(const struct redis_reply *reply);
void redis_reply_release(const struct redis_reply *reply);

#endif
