/* How many replicas have to have what was written, before anybody concludes anything from it: all
 * there are.
 *
 * One that is missing may have been promoted, without this master knowing it; then what the others
 * acknowledge here is lost. So it is done without only
 * - when the master itself does not list it among its replicas, and most Sentinels have named this
 *   master since, and that for `degrade_ms`, in which they tell each other of a promotion;
 * - or when it is the old master, and they have just named this one in its place. (Back to the old
 *   one is no succession: a Sentinel that has not heard of the promotion yet says so, too.)
 *
 * A WAIT for fewer than all says no more than that so many have it, even if the missing one is back
 * long since, and is promoted next. So such a WAIT is followed by a ROLE: what is not listed then
 * will take over all that was written before, when it comes back. And it is looked for twice a
 * second, for it must not come and go unnoticed.
 * Source: protocol.md section 3; Redis manual: WAIT, ROLE, Sentinel. */
#ifndef KASSA_IDEMPOTENCY_COPIES_H
#define KASSA_IDEMPOTENCY_COPIES_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/conf.h"

#define COPIES_LOOK_MS    500                 /* between two ROLEs, while one is missing */
#define COPIES_NODE_BYTES (CONF_TEXT_MAX + 8) /* of host:port, terminated */

/* Zero-initialised is: none is waited for. The owner sets the first three. */
struct copies {
    unsigned all; /* replicas; 0: none is waited for */
    int64_t degrade_ms;
    unsigned sentinels; /* how many there are, at most 32 */

    unsigned have;       /* what the last WAIT said */
    int64_t short_ms;    /* since when one is missing; 0: none is */
    uint32_t named;      /* by which Sentinels, since then: bits */
    bool is_home_listed; /* `home` was among those that the master has listed last */
    bool is_successor;   /* `master` was named in place of `home`, and not all follow it yet */
    char master[COPIES_NODE_BYTES]; /* by the Sentinel that was asked last */
    char home[COPIES_NODE_BYTES];   /* the master that all have followed last; empty: none yet */
};

/* The number for the next WAIT. Below c->all: ROLE has to follow it. `now_ms` is never 0, here and
 * below. */
unsigned copies_needed(const struct copies *c, int64_t now_ms);

/* ROLE has told of so many replicas; is c->home one of them? */
void copies_listed(struct copies *c, unsigned count, bool is_home_listed);

/* A WAIT for `needed` has said `count`; if ROLE had to follow it, that was told before. Is it
 * enough? */
bool copies_counted(struct copies *c, unsigned needed, unsigned count, int64_t now_ms);

/* A Sentinel, by its number, has named the master. Not while a connection is used: who is still
 * connected to another one has to go first. */
void copies_named(struct copies *c, const char *node, unsigned sentinel);

#endif
