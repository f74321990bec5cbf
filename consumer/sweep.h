/* The sweep: looks each second for records that are too old to be needed, and drops them in
 * small steps.
 *
 *   step(seen, rise_ms, cursor) --> store: advances its clock, drops a little --> clock, cursor
 *       ^                                                                               |
 *       '---- at once, while there is a cursor; else each second <----------------------'
 *
 * Age is measured by the slow clock of the store (clock.lua), which advances only as far as this
 * process has seen time pass by a clock that does not jump, and at most twice as fast: so a
 * clock that jumps, here, in the store or where ids are made, drops nothing.
 * Source: protocol.md, "How long", "The floor". */
#ifndef KASSA_CONSUMER_SWEEP_H
#define KASSA_CONSUMER_SWEEP_H

#include "store/store.h"

#define SWEEP_MS    1000 /* between looks; steps follow each other at once */
#define SWEEP_LIMIT 500  /* records of one step: the store is held for about a millisecond */

struct sweep;

/* Builds a step. seen: the slow clock of the last reply, empty at first; rise_ms: the time since
 * then; cursor: where to resume, "0" at first. The reply is the slow clock, and the next
 * cursor; without one nothing is left to drop. */
typedef void sweep_step(void *ctx, struct args *c, const char *seen, int64_t rise_ms,
                        const char *cursor);

/* Owns: the caller, until sweep_free; the store, longer than that. */
struct sweep *sweep_new(struct loop *loop, struct store *store, sweep_step *step, void *ctx);
void sweep_free(struct sweep *s); /* NULL is fine; before the store is freed */

#endif
