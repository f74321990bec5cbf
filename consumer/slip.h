/* The routing slip: what a participant sends on when it has done its step, which saves the way
 * by the orchestrator. It travels in the command: `next` is the id of the next command,
 * `next_type` and `next_queue` are its type and queue, and its fields are among the command's.
 * So no participant knows the step behind it. If the passed-on command is lost, the orchestrator
 * re-sends the first one, whose record passes it on again. Source: protocol.md, "A checkout,
 * from request to answer". */
#ifndef KASSA_CONSUMER_SLIP_H
#define KASSA_CONSUMER_SLIP_H

#include "consumer/consumer.h"

/* True when the command carries one. */
bool slip_is_there(const struct message *in);

/* The next command, borrowed from `in`. Errors: -ERR_FIELD (POISON): it cannot be followed, so
 * the command must not act. To be called before a command is recorded. */
int slip_read(const struct message *in, struct message *ret_next, enum queue *ret_queue);

/* Beat 3: passes it on. The slip was read before. */
enum consumer_next slip_send(struct consumer_work *work);

#endif
