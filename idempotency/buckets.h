/* The buckets of once-records that a store has, by age: <service>:buckets, a sorted set by which
 * old ones are found and dropped (saga/sweep.h), and young ones looked through (order/replay.c).
 * Whoever writes a record names its bucket here first. Source: once.h; protocol.md section 3. */
#ifndef KASSA_IDEMPOTENCY_BUCKETS_H
#define KASSA_IDEMPOTENCY_BUCKETS_H

#include "idempotency/redis.h"

struct buckets;

/* `service` names the set; it is borrowed for good. Owns: the caller, until buckets_free; the
 * store, longer than that. */
struct buckets *buckets_new(struct redis *store, const char *service);
void buckets_free(struct buckets *b); /* NULL is fine */

/* Before a call that may leave a record in `bucket` (once_bucket): names it, in the same pipeline,
 * unless that is done. */
void buckets_use(struct buckets *b, const char *bucket);

#endif
