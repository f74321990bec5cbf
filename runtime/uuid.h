/* UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, then random bits.
 * Ids made here name sagas, requests and entities; their time names the bucket of the records. */
#ifndef KASSA_RUNTIME_UUID_H
#define KASSA_RUNTIME_UUID_H

#include <stdint.h>
#include "runtime/buf.h"

#define UUID_TEXT_BYTES   36
#define UUID_MS_BITS      48
#define UUID_RANDOM_BYTES 10
struct uuid {
    char text[UUID_TEXT_BYTES + 1];
};

/* Ids made in one millisecond by one process are in increasing order. */
struct uuid uuid_make(int64_t wall_ms);

/* The same, marked: the record of its command is kept for as long as a client's key is valid
 * (idempotency/once.lua). It is a UUIDv7 like any other; the first bit of its counter is set. */
struct uuid uuid_make_kept(int64_t wall_ms);

/* One of that time, whose bits other than version, variant and mark are those of `random`:
 * equal inputs give equal ids. kept: as uuid_make_kept. */
struct uuid uuid_of(int64_t wall_ms, const unsigned char random[UUID_RANDOM_BYTES], bool is_kept);

/* From now on ids are a function of `seed` and of the times given; for simulations, where a seed
 * has to repeat to the byte. */
void uuid_seed(uint64_t seed);

/* The time of a UUIDv7 that `id` begins with. Errors: false when it does not begin with one. */
bool uuid_time_ms(struct slice id, int64_t *ret_wall_ms);

#endif
