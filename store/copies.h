/* How many replicas must have a write before anything follows from it: all of them.
 *
 * A missing replica may have been promoted without this master knowing it; then writes that only
 * the others acknowledge here are lost. We do without a replica in only two cases:
 * 1. The master itself has not listed it for `degrade_ms`, long enough for the Sentinels to
 *    gossip a promotion; no replica has connected in that time, and after it most Sentinels
 *    still name this master.
 * 2. It is the old master, most Sentinels have just named this one in its place, and it has not
 *    come back yet. (Falling back to the old master does not count as a succession: a Sentinel
 *    that has not heard of the promotion yet names it, too.)
 *
 * A WAIT for fewer than all proves only that so many have the write, even if the missing replica
 * has long been back and is promoted next. So a ROLE follows such a WAIT: a replica that is not
 * listed then will copy everything written before, when it comes back. It must not come and go
 * unnoticed, nor another one leave in its place. So the connection looks twice a second; and
 * since a look may be late, because the server is slow or this process stood still, it asks the
 * master how often a replica has come. sync_partial_ok counts those that resumed their stream;
 * every replica about to be promoted has done so, for one that took a full sync is in doubt
 * until it reconnects.
 *
 * Nor do we do without a replica before that is written where every node with all answered
 * writes has it: the master keeps a list of these nodes in its data (deploy/compose/copy.sh),
 * which the connection reads before each WAIT while one is missing. Each node on it must be the
 * master, or listed behind the WAIT. So a node that is left out, and promoted by mistake, can be
 * recognised. Without a list there is no such rule.
 *
 * What a replica acknowledges is on its disk only when its own file is whole. Until that is
 * certain, the replica connects under a name that says so (deploy/compose/redis.sh), and its
 * acknowledgement does not count:
 * - COPIES_IN_DOUBT: it will not be promoted. It is as good as missing;
 * - COPIES_UNSURE: it may be promoted. It does not count, and we do not do without it.
 *
 * A name is valid for one connection: after a reconnect the replica must prove itself again.
 * Source: protocol.md, "All replicas, unless one is known to be missing", "On a disk"; Redis
 * manual: WAIT, ROLE, Sentinel. */
#ifndef KASSA_STORE_COPIES_H
#define KASSA_STORE_COPIES_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/conf.h"

#define COPIES_LOOK_MS    500                 /* between two ROLEs, while one is missing */
#define COPIES_NODE_BYTES (CONF_TEXT_MAX + 8) /* of host:port, terminated */
#define COPIES_WITH_BYTES 512 /* of the list; a longer one: every replica is needed */

/* Before the address of a replica whose disk may lack what it has in memory. */
#define COPIES_IN_DOUBT "in-doubt."
#define COPIES_UNSURE   "unsure."

/* Zero-initialised: no replica is needed. The owner sets the first three. */
struct copies {
    unsigned all; /* replicas; 0: none is needed */
    int64_t degrade_ms;
    unsigned sentinels; /* how many there are, at most 32 */

    unsigned have;                  /* what the last WAIT said, without the doubtful ones */
    unsigned doubtful, doubted;     /* listed last, and the time before: not sure to be on disk */
    unsigned unsure;                /* of those listed last: they may be promoted */
    int64_t short_ms;               /* since when the same ones are missing; 0: none is */
    uint32_t which;                 /* who was listed last, while one was missing; 0: nobody */
    int64_t comings;                /* of replicas, ever, by the master, and 1 more; 0: not known */
    uint32_t named;                 /* by which Sentinels, since `master` is this one: bits */
    uint32_t named_lately;          /* .. and degrade_ms after short_ms, or later */
    bool is_written;                /* who is missing is on no list of those who have all */
    bool is_successor;              /* named in place of `home`, which is not back yet */
    char with[COPIES_WITH_BYTES];   /* the list in the data; empty: none */
    char master[COPIES_NODE_BYTES]; /* by the Sentinel that was asked last */
    char home[COPIES_NODE_BYTES];   /* the master that all have followed last; empty: none yet */
};

/* The replicas that a ROLE lists. Zero-initialised is none. */
struct copies_list {
    unsigned count;    /* of those that are sure */
    unsigned doubtful; /* of the others */
    unsigned unsure;   /* of these: may be promoted */
    unsigned kept;     /* of those that are sure: on the list in the data */
    uint32_t which;    /* the same for the same nodes, in any order */
    bool has_home;     /* c->home is one of them */
};
void copies_list_add(struct copies_list *l, const struct copies *c, const char *node);

/* A Sentinel, by its number, has named the master: of the present connection, or of the next
 * one. A connection to another one has to end first. `now_ms` is never 0, here and below. */
void copies_named(struct copies *c, const char *node, unsigned sentinel, int64_t now_ms);
/* The list in the master's data: addresses with spaces between. Absent: it keeps none. */
void copies_kept(struct copies *c, struct slice with);
/* The master has listed its replicas. */
void copies_listed(struct copies *c, const struct copies_list *l);
/* It has said how often a replica has come and resumed; -1: it does not say. To be called before
 * copies_listed. */
void copies_came(struct copies *c, int64_t comings, int64_t now_ms);
/* It cannot be reached, or another one was named: what was known of it is stale. */
void copies_lost(struct copies *c);
/* True while master and Sentinels are to be polled each COPIES_LOOK_MS. */
bool copies_are_missing(const struct copies *c);

/* How many are needed now. */
unsigned copies_needed(const struct copies *c, int64_t now_ms);
/* The number for the WAIT that makes sure of `needed`: doubtful ones may be the first to answer. */
unsigned copies_asked(const struct copies *c, unsigned needed);
/* A WAIT for as many as are needed has said `count`, and the ROLE behind it has answered. True when
 * it is enough. */
bool copies_counted(struct copies *c, unsigned needed, unsigned count, int64_t now_ms);

/* What is missing, in words for an operator: appended to `out`. */
void copies_tell(const struct copies *c, struct buf *out);

#endif
