/* A host's numeric address, found without blocking the loop. */
#ifndef KASSA_STORE_LOOKUP_H
#define KASSA_STORE_LOOKUP_H

#include "runtime/loop.h"

struct lookup;

/* address: NULL when the name has none. Borrowed for the call. */
typedef void lookup_on_found(void *ctx, const char *address);

/* `pick` chooses among several addresses, wrapping around. on_found is called on the loop, never
 * from inside. Owns: itself, until on_found has returned. */
struct lookup *lookup_start(struct loop *loop, const char *host, unsigned pick,
                            lookup_on_found *on_found, void *ctx);
/* on_found will not be called; for use before it was. NULL is fine. */
void lookup_forget(struct lookup *l);

bool lookup_is_numeric(const char *host);

#endif
