/* The sweep: drops the once-records of commands that are too old to come again.
 *
 * Records live ONCE_RECORD_DAYS, and a day more for clocks and sagas that took long; a command
 * older than that is parked, not run, so its record is not missed. <name>_sweep of the service's
 * library drops a bucket in small steps and keeps its books.
 * Source: protocol.md section 3. */
#ifndef KASSA_SAGA_SWEEP_H
#define KASSA_SAGA_SWEEP_H

#include "idempotency/redis.h"

#define SWEEP_MS    1000 /* between looks; steps of one bucket follow each other at once */
#define SWEEP_LIMIT 500  /* records of one step: the store is held for about a millisecond */

struct sweep;

struct sweep *sweep_new(struct loop *loop, struct redis *store, const char *name);
void sweep_free(struct sweep *s); /* NULL is fine; before the store is freed */

/* The number of the first bucket that is kept at this time. */
int64_t sweep_keep_from(int64_t wall_ms);

#endif
