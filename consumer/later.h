/* Messages of another version: held for a while, and then given back to their queue, in hope of a
 * newer consumer there. While a system is renewed one half of it may know more than the other.
 *
 *   delivery --unknown--> held, LATER_HOLD_MS --> published again, one more return in its header
 *                                                     '--confirm--> acknowledged
 *
 * What is held counts towards the prefetch: a consumer that knows less takes less of the queue. One
 * that came back LATER_RETURNS_MAX times is not held; its consumer parks it.
 * Source: protocol.md, "Versions side by side". */
#ifndef KASSA_CONSUMER_LATER_H
#define KASSA_CONSUMER_LATER_H

#include "broker/broker.h"

#define LATER_HOLD_MS     3000
#define LATER_RETURNS_MAX 200 /* ten minutes of that; counted, so that no clock has a say in it */

struct later;

struct later *later_new(struct loop *loop, struct broker *broker);
/* NULL is fine; before the broker is freed. What is held stays with the broker, unacknowledged. */
void later_free(struct later *l);

/* Takes a message that could not be read because of `err`. on_done runs once when the broker has it
 * again, or has taken it back by itself. False: it came back too often. */
bool later_take(struct later *l, const struct broker_delivery *delivery, int err,
                const char *detail, broker_on_confirm *on_done, void *ctx);

#endif
