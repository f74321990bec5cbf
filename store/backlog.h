/* Calls that may not go out yet (patience.h, flight.h), in their order, with copies of their
 * commands. On a healthy connection there are none. */
#ifndef KASSA_STORE_BACKLOG_H
#define KASSA_STORE_BACKLOG_H

#include <sys/queue.h>

#include "store/args.h"
#include "store/waiters.h"

struct backlog_call;

struct backlog {
    STAILQ_HEAD(, backlog_call) calls;
    unsigned count;
};

void backlog_init(struct backlog *b);
void backlog_push(struct backlog *b, const struct args *c, struct waiter waiter);
bool backlog_is_alone(const struct backlog *b); /* the first one; not when empty */
/* Takes the first one out; `ret_command` NULL: it will not be sent. Not when empty. */
struct waiter backlog_pop(struct backlog *b, struct args *ret_command);

#endif
