/* Exactly-once effects: where records lie, and the Lua every function library begins with.
 *
 * A command's answer is stored in the same atomic function call as its effect, under the command
 * id, in a bucket hash named from the time in that id: <prefix>:once:<9 hex digits>, 4096 ms
 * each. So there is no Redis key for each saga, and records are dropped a bucket at a time
 * (sweep.h). The store itself refuses a command whose bucket lies below its floor, that is,
 * whose record may have been dropped (-ERR_TOO_OLD): no clock of a caller decides that.
 * once.lua has the duplicate check, for one command and for the rows of a call (rows.h), the
 * floor, the tombstones and the exact arithmetic.
 * Source: protocol.md, "A step is one function call in the store", "Command ids are deterministic",
 * "Once-records". */
#ifndef KASSA_IDEMPOTENCY_ONCE_H
#define KASSA_IDEMPOTENCY_ONCE_H

#include "idempotency/conf.h"
#include "store/store.h"

#define ONCE_BUCKET_TEXT_BYTES 9
#define ONCE_BUCKET_SHIFT      12 /* the last 3 of the 12 hex digits of the time: 4096 ms */

/* First 9 hex digits of the UUIDv7 that the command id begins with.
 * Errors: -ERR_FIELD when it does not begin with one. */
int once_bucket(struct slice command_id, char ret_bucket[ONCE_BUCKET_TEXT_BYTES + 1]);

#define ONCE_LIFE_LEAST_MS 600000

/* How long records live. When memory is tight (memory.h) those that no client's key stands for go
 * earlier. */
struct once_life {
    int64_t ms, kept_ms;
};
struct once_life once_life(const struct once_conf *conf, bool is_tight);

/* What an error of the store that means -ERR_TOO_OLD says: up to when records may have been
 * dropped. Errors: false: it does not say. Units: ms since 1970. */
bool once_floor(struct slice error, int64_t *ret_floor_ms);

/* A command that was refused as too old, by a floor: is it sure that it never acted? Made for a
 * request that began `elapsed_ms` ago, nobody had its id before; the floor goes at most twice as
 * fast as time passes, and further at once by no more than memory that got tight takes off the life
 * of a record. So one that is older than that was below the floor all the time.
 * Source: protocol.md, "The floor". */
bool once_never_acted(const struct once_conf *conf, struct slice command_id, int64_t floor_ms,
                      int64_t elapsed_ms);

/* Builds a step of the sweep (sweep.h) over a service's records. `keep`: the number of the
 * first bucket that an open saga may need; empty: nobody knows, and nothing is dropped. */
void once_sweep(struct args *c, const struct library *library, struct once_life life,
                const char *keep, const char *seen, int64_t rise_ms, int64_t limit,
                const char *cursor);

/* The number of the bucket of ids made then. Units: ms since 1970. */
int64_t once_bucket_number(int64_t ms);

#endif
