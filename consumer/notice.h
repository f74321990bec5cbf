/* Completion notices: answers to gateways over Redis pub/sub, one PUBLISH for each gateway and
 * turn. A notice is a hint: at most once. A gateway that misses one retries (REASK_MS).
 * Channel: kassa.notice.<gateway>. The payload is an envelope (broker/envelope.h).
 * Source: protocol.md, "Parking and asking again". */
#ifndef KASSA_CONSUMER_NOTICE_H
#define KASSA_CONSUMER_NOTICE_H

#include "catalogue/message.h"
#include "store/store.h"

struct notices;

struct notices *notices_new(struct loop *loop, struct store *store);
void notices_free(struct notices *n); /* NULL is fine */

/* Adds one answer to what `gateway` gets at the end of this turn.
 * Units: at most 256 gateways in a turn; for one more the notice is lost. */
void notice_add(struct notices *n, struct slice gateway, const struct message *answer);

/* Name of a gateway's channel. */
void notice_channel(struct slice gateway, struct buf *out);

#endif
