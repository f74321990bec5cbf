/* Messages of another version: held for a while, and then returned to their queue, where a newer
 * consumer may take them. During a rolling renewal one half of the system may know more.
 *
 *   delivery --unknown--> held, LATER_HOLD_MS --> published again, one more return in its header
 *                                                     '--confirm--> acknowledged
 *
 * Held messages count towards the prefetch: an older consumer takes less of the queue. A message
 * that came back LATER_RETURNS_MAX times is not held; its consumer parks it.
 * Source: protocol.md, "Versions side by side". */
#ifndef KASSA_CONSUMER_LATER_H
#define KASSA_CONSUMER_LATER_H

#include "broker/broker.h"

#define LATER_HOLD_MS     3000
#define LATER_RETURNS_MAX 200 /* ten minutes; a count, so that no clock matters */

struct later;

struct later *later_new(struct loop *loop, struct broker *broker);
/* NULL is fine; before the broker is freed. Held messages stay with the broker, unacknowledged. */
void later_free(struct later *l);

/* Takes a message that could not be read because of `err`. on_done runs once when the broker has it
 * again, or has taken it back by itself. False: it came back too often. */
bool later_take(struct later *l, const struct broker_delivery *delivery, int err,
                const char *detail, broker_on_confirm *on_done, void *ctx);

#endif
