/* Completion notices: answers to gateways over Redis pub/sub, one PUBLISH for each gateway and
 * turn. A notice is a hint: at most once. The gateway that misses one asks again (REASK_MS).
 * Channel: kassa.notice.<gateway>. Payload: head, objects with ',' in between, tail. What that
 * makes is the caller's affair (an envelope of broker/message.h); this room knows no messages.
 * Source: protocol.md section 2. */
#ifndef KASSA_IDEMPOTENCY_NOTICE_H
#define KASSA_IDEMPOTENCY_NOTICE_H

#include "idempotency/redis.h"

struct notices;

/* `head` and `tail` are static texts. */
struct notices *notices_new(struct loop *loop, struct redis *redis, const char *head,
                            const char *tail);
void notices_free(struct notices *n); /* NULL is fine */

/* Adds one object to what `gateway` gets at the end of this turn.
 * Units: at most 256 gateways in a turn; one more is dropped, which is a lost notice. */
void notice_add(struct notices *n, struct slice gateway, struct slice object);

/* Name of a gateway's channel. */
void notice_channel(struct slice gateway, struct buf *out);

#endif
