/* Which versions of a service's functions lie in its store: marks the own one as used, and drops
 * those that no process has used for a day. A process that still needs one loads it again at its
 * next connection, so dropping too much loses nothing.
 * Source: protocol.md, "Versions side by side". */
#ifndef KASSA_STORE_LIBRARIES_H
#define KASSA_STORE_LIBRARIES_H

#include "store/store.h"

#define LIBRARIES_MS 3600000 /* between looks */

struct libraries;

struct libraries *libraries_new(struct loop *loop, struct store *store,
                                const struct library *library);
void libraries_free(struct libraries *l); /* NULL is fine; before the store is freed */

/* A look now. */
void libraries_look(struct libraries *l);

#endif
