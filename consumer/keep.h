/* Which records open sagas may need: those from the bucket of the oldest one on.
 *
 *   orders' store --order_oldest, a part at a time--> the oldest open saga, by the time in its id
 *                                                          |
 *          kassa:keep, in the store of the keys  <---delay-'
 *                 |
 *                 '--> payment, stock: each process reads it
 *
 * Who has the journal (the owner) looks for the oldest open saga, and says so a while later: the
 * records of a saga are kept for that while after its end, in case that end is lost with the tail
 * of a store. What was said once stays true: a saga that ended does not begin again, and none
 * begins whose id is older than KEEP_LATE_MS (order_checkout). So an owner that has just started
 * begins with what was said last. Nobody knows it, nothing is dropped.
 * Source: protocol.md section 3.3. */
#ifndef KASSA_CONSUMER_KEEP_H
#define KASSA_CONSUMER_KEEP_H

#include "idempotency/once.h"

#define KEEP_MS    5000 /* between two looks */
#define KEEP_LIMIT 100  /* sagas looked at in one call: the store is held for a fraction of a ms */

/* How old the id of a saga may be when it begins, which is more than a gateway waits; and how long
 * the owner's word is held back: together the least life of a record. */
#define KEEP_LATE_MS  300000
#define KEEP_DELAY_MS (ONCE_LIFE_LEAST_MS - KEEP_LATE_MS)

struct keep;

/* `store` has the journal, `library` its functions; NULL: this is not the owner. `shared` is where
 * the owner's word lies. delay_ms: KEEP_DELAY_MS, but for a test. Owns: the caller, until
 * keep_free; the stores, longer than that. */
struct keep *keep_new(struct loop *loop, struct store *store, const struct library *library,
                      struct store *shared, int64_t delay_ms);
void keep_free(struct keep *k); /* NULL is fine; after the stores were freed */

/* The number of the first bucket that may be needed. false: it is not known. */
bool keep_from(const struct keep *k, int64_t *ret_bucket);

#endif
