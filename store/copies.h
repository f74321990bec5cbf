/* How many replicas have to have what was written, before anybody concludes anything from it: all
 * there are.
 *
 * One that is missing may have been promoted, without this master knowing it; then what the others
 * acknowledge here is lost. So it is done without only
 * - when the master itself has not listed it for `degrade_ms`, in which the Sentinels tell each
 *   other of a promotion, no replica has come to it in that time, and most of them name this master
 *   still, each asked after that time;
 * - or when it is the old master, in whose place most of them have just named this one, and which
 *   has not come back yet. (Back to the old one is no succession: a Sentinel that has not heard of
 *   the promotion yet says so, too.)
 *
 * A WAIT for fewer than all says no more than that so many have it, even if the missing one is back
 * long since, and is promoted next. So such a WAIT is followed by a ROLE: what is not listed then
 * will take over all that was written before, when it comes back. And it must not come and go
 * unnoticed, nor another one go in its place: it is looked for twice a second, and since a look may
 * be late, because the server is slow or this process stood still, the master is asked how often a
 * replica has come. It counts those that have gone on where they were (sync_partial_ok); so does
 * whoever is about to be promoted, for who was given everything anew is in doubt until he connects
 * again.
 *
 * Nor is it done without before that is written down where all who have what is answered then have
 * it: the master keeps a list of them in its data (deploy/compose/copy.sh), which is asked for
 * before each WAIT while one is missing. Each node on it has to be the master, or listed behind the
 * WAIT. So one that is left out, and promoted by mistake, is known as such. Without a list there is
 * no such rule.
 *
 * What a replica acknowledges is on its disk only when its own file is whole. While it is not known
 * to be, the replica is connected under a name that says so (deploy/compose/redis.sh), and its
 * acknowledgement is taken off the count:
 * - COPIES_IN_DOUBT: it will not be promoted. It is as good as missing;
 * - COPIES_UNSURE: it may be. It counts for nothing, and is not done without.
 * A name holds for one connection: who connects anew has to be asked anew.
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
#define COPIES_WITH_BYTES 512 /* of the list; what is longer lets nobody be done without */

/* What stands before the address of a replica that is not known to have on disk what it has. */
#define COPIES_IN_DOUBT "in-doubt."
#define COPIES_UNSURE   "unsure."

/* Zero-initialised is: none is waited for. The owner sets the first three. */
struct copies {
    unsigned all; /* replicas; 0: none is waited for */
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

/* A Sentinel, by its number, has named the master: of the connection that there is, or of the next
 * one. Who is connected to another one has to go first. `now_ms` is never 0, here and below. */
void copies_named(struct copies *c, const char *node, unsigned sentinel, int64_t now_ms);
/* The list in the master's data: addresses with spaces between. Absent: it keeps none. */
void copies_kept(struct copies *c, struct slice with);
/* The master has listed its replicas. */
void copies_listed(struct copies *c, const struct copies_list *l);
/* It has said how often a replica has come and gone on where it was; -1: it does not say. To be
 * told before it lists them. */
void copies_came(struct copies *c, int64_t comings, int64_t now_ms);
/* It cannot be reached, or another one was named: what was known of it is old. */
void copies_lost(struct copies *c);
/* Has the master, and have the Sentinels, to be asked again each COPIES_LOOK_MS? */
bool copies_are_missing(const struct copies *c);

/* How many are needed now. */
unsigned copies_needed(const struct copies *c, int64_t now_ms);
/* The number for the WAIT that makes sure of `needed`: doubtful ones may be the first to answer. */
unsigned copies_asked(const struct copies *c, unsigned needed);
/* A WAIT for as many as are needed has said `count`, and the ROLE behind it was told. Is it enough?
 */
bool copies_counted(struct copies *c, unsigned needed, unsigned count, int64_t now_ms);

/* What is waited for, in words for an operator: appended to `out`. */
void copies_tell(const struct copies *c, struct buf *out);

#endif
