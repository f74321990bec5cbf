/* The routing slip: what a participant sends on when it has done its step, which spares the way by
 * the orchestrator. A command brings it along: `next` is the id of what comes then, `next_type` and
 * `next_queue` say what that is and where it goes, and its fields are among the command's. So no
 * participant knows what comes behind it. If what was sent on is lost, the command is sent again,
 * and its record sends it on again. Source: protocol.md section 2. */
#ifndef KASSA_CONSUMER_SLIP_H
#define KASSA_CONSUMER_SLIP_H

#include "consumer/consumer.h"

/* Does the command come with one? */
bool slip_is_there(const struct message *in);

/* What comes next, borrowed from `in`. Errors: -ERR_FIELD (POISON): it cannot be followed, so
 * nothing is to be done of it. To be asked before a command is recorded. */
int slip_read(const struct message *in, struct message *ret_next, enum queue *ret_queue);

/* Beat 3: sends it on. The slip was read before. */
enum consumer_next slip_send(struct consumer_work *work);

#endif
