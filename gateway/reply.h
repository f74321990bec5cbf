/* Replies: an answer from inside -> status, headers and body for the client. Pure.
 * Source: README.md, "The API". */
#ifndef KASSA_GATEWAY_REPLY_H
#define KASSA_GATEWAY_REPLY_H

#include "gateway/routes.h"

struct reply {
    unsigned status;
    struct buf body;
    bool has_retry_after;
    struct slice saga; /* for the Saga-Id header; borrowed from the answer */
};

/* The reply to `command`, of that route, that `answer` makes. Errors: false when the answer is not
 * an end, only progress (saga.running for a client that waits), or none that this route gets. Owns:
 * the caller, reply_free. */
bool reply_make(const struct route *route, const struct message *command,
                const struct message *answer, struct reply *ret_reply);
/* {"error":sentence} */
struct reply reply_error(unsigned status, struct slice sentence);
/* The reply at the deadline, when nothing is known: never a 4xx, never a 200. */
struct reply reply_pending(void);
void reply_free(struct reply *reply);

#endif
