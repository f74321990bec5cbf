/* Completion notices: answers to gateways over Redis pub/sub, one PUBLISH for each gateway and
 * turn. A notice is a hint: at most once. The gateway that misses one asks again (REASK_MS).
 * Channel: kassa.notice.<gateway>. The payload is an envelope (broker/message.h).
 * Source: protocol.md section 2. */
#ifndef KASSA_CONSUMER_NOTICE_H
#define KASSA_CONSUMER_NOTICE_H

#include "catalogue/message.h"
#include "store/store.h"

struct notices;

struct notices *notices_new(struct loop *loop, struct store *store);
void notices_free(struct notices *n); /* NULL is fine */

/* Adds one answer to what `gateway` gets at the end of this turn.
 * Units: at most 256 gateways in a turn; one more is dropped, which is a lost notice. */
void notice_add(struct notices *n, struct slice gateway, const struct message *answer);

/* Name of a gateway's channel. */
void notice_channel(struct slice gateway, struct buf *out);

#endif
