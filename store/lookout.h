/* While replicas of a store are missing, or slow: polls for them twice a second, and reports
 * what is missing, in /metrics, in the log, and to callers of the store that ask why it does not
 * answer.
 *
 *   missing --> store_degraded 1, on_look each COPIES_LOOK_MS, until all are back
 *   a flight is short for REDIS_TIMEOUT_MS --> store_waits --enough have it--> store_goes_on
 *
 * Slow is not dead, and so the second may last. Source: protocol.md, "One flight at a time". */
#ifndef KASSA_STORE_LOOKOUT_H
#define KASSA_STORE_LOOKOUT_H

#include "runtime/loop.h"
#include "store/connection.h"
#include "store/copies.h"

struct lookout;

/* Called to ask the master for its replicas. */
typedef void lookout_on_look(void *ctx);

/* Borrows copies and connection. Owns: the caller, until lookout_free (NULL is fine). */
struct lookout *lookout_new(struct loop *loop, const char *group, const struct copies *copies,
                            struct connection *connection, int64_t timeout_ms,
                            lookout_on_look *on_look, void *ctx);
void lookout_free(struct lookout *l);

void lookout_see(struct lookout *l);    /* the view of the replicas may have changed */
void lookout_short(struct lookout *l);  /* too few replicas have a flight */
void lookout_enough(struct lookout *l); /* .. and now they have it */
void lookout_lost(struct lookout *l);   /* the connection has ended */

/* What has been missing for long; NULL: nothing. Borrowed for this turn. */
const char *lookout_sentence(const struct lookout *l);

#endif
