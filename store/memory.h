/* How much memory a store uses, and whether it is short of it. A full store refuses writes
 * (noeviction), so new work has to be refused before.
 *
 *   INFO memory, each MEMORY_MS --> used, limit --> tight from 70 % on, until below 65 %
 *                                              '--> short from 90 % on, until below 85 %
 *
 * While it is tight, records are dropped earlier (once.h), so it may never get short. A store
 * that is too full to load the library is short as well, and cannot be asked. Used is what the
 * server itself compares with its limit; the limit may be changed while it runs.
 * Source: protocol.md, "A store that is nearly full"; Redis manual: INFO, maxmemory. */
#ifndef KASSA_STORE_MEMORY_H
#define KASSA_STORE_MEMORY_H

#include "store/store.h"

#define MEMORY_MS 1000
/* Percent of the limit: where each begins, and where it ends. */
#define MEMORY_TIGHT_PART  70
#define MEMORY_LOOSE_PART  65
#define MEMORY_SHORT_PART  90
#define MEMORY_ENOUGH_PART 85

/* ---- pure ---- */

/* Units: bytes. A limit of 0: none. */
struct memory_use {
    int64_t used, limit;
};

/* Reads what INFO says. Errors: false when it is not that, or not all. */
bool memory_read(struct slice info, struct memory_use *ret_use);
/* True when it is tight, or short, given whether it was before. */
bool memory_is_tight_of(struct memory_use use, bool was_tight);
bool memory_is_short_of(struct memory_use use, bool was_short);

/* ---- of a store ---- */

struct memory;

/* Called after each answer that says so, and once at its end. */
typedef void memory_on_short(void *ctx, bool is_short);

/* `group`: the store's, static text. on_short may be NULL. Owns: the caller, until memory_free; the
 * store outlives its timer, and its calls have been told off before memory_free. */
struct memory *memory_new(struct loop *loop, struct store *store, const char *group,
                          memory_on_short *on_short, void *ctx);
void memory_free(struct memory *m); /* NULL is fine */

/* By the last answer; a store that is away is not short of memory, but one that has no room for the
 * library is. NULL is fine: no. */
bool memory_is_short(const struct memory *m);
/* The same, of tight: a store that is short is tight. */
bool memory_is_tight(const struct memory *m);

#endif
