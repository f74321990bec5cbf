/* Which records open sagas may need: those from the bucket of the oldest one on.
 *
 *   orders' store --order_oldest, a part at a time--> the oldest open saga, by the time in its id
 *                                                          |
 *          kassa:keep, in the store of the keys  <---delay-'
 *                 |
 *                 '--> payment, stock: each process reads it
 *
 * The service that has the journal (the owner) looks for the oldest open saga, and publishes it
 * after a delay: the records of a saga outlive its end by that, in case the end is lost with a tail
 * of a store. A published value stays true: a saga that ended does not begin again, and none
 * begins whose id is older than KEEP_LATE_MS (order_checkout). So an owner that has just started
 * begins with the last published one. While it is unknown, nothing is dropped.
 * Source: protocol.md, "The floor". */
#ifndef KASSA_CONSUMER_KEEP_H
#define KASSA_CONSUMER_KEEP_H

#include "idempotency/once.h"

#define KEEP_MS    5000 /* between two looks */
#define KEEP_LIMIT 100  /* sagas looked at in one call: the store is held for a fraction of a ms */

/* How old the id of a saga may be when it begins, which is more than a gateway waits; and the
 * owner's delay: together the least life of a record. */
#define KEEP_LATE_MS  300000
#define KEEP_DELAY_MS (ONCE_LIFE_LEAST_MS - KEEP_LATE_MS)

struct keep;

/* `store` has the journal, `library` its functions; NULL: this is not the owner. `shared` has
 * kassa:keep. delay_ms: KEEP_DELAY_MS, except in a test. Owns: the caller, until
 * keep_free; the stores, longer than that. */
struct keep *keep_new(struct loop *loop, struct store *store, const struct library *library,
                      struct store *shared, int64_t delay_ms);
void keep_free(struct keep *k); /* NULL is fine; after the stores were freed */

/* The number of the first bucket that may be needed. false: unknown. */
bool keep_from(const struct keep *k, int64_t *ret_bucket);

#endif
