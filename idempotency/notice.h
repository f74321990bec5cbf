/* Completion notices: answers to gateways over Redis pub/sub, one PUBLISH for each gateway and
 * turn. A notice is a hint: at most once. The gateway that misses one asks again (REASK_MS).
 * Channel: kassa.notice.<gateway>. How answers become a payload is the caller's affair (an envelope
 * of broker/message.h); this room knows no messages.
 * Source: protocol.md section 2. */
#ifndef KASSA_IDEMPOTENCY_NOTICE_H
#define KASSA_IDEMPOTENCY_NOTICE_H

#include "idempotency/redis.h"

struct notices;

struct notice_form {
    /* Appends an answer. The payload is empty and *state 0 with the first of it; later *state is
     * what the one before has left there. */
    void (*add)(struct buf *payload, uint64_t *state, const void *answer);
    void (*end)(struct buf *payload);
};

/* `form` is static. */
struct notices *notices_new(struct loop *loop, struct redis *redis, const struct notice_form *form);
void notices_free(struct notices *n); /* NULL is fine */

/* Adds one answer to what `gateway` gets at the end of this turn.
 * Units: at most 256 gateways in a turn; one more is dropped, which is a lost notice. */
void notice_add(struct notices *n, struct slice gateway, const void *answer);

/* Name of a gateway's channel. */
void notice_channel(struct slice gateway, struct buf *out);

#endif
