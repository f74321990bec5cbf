/* Which server is a group's master, according to the Sentinels that watch it.
 *
 *   master_ask --> Sentinel 1 --silent, or does not know--> Sentinel 2 --> .. --> on_master
 *
 * One answer is a hint and no more: the Sentinel may be cut off, or about to be outvoted. The
 * connection asks the server itself for its ROLE, and trusts no write before WAIT (flight.h).
 * Source: protocol.md, "The master"; Redis manual: Sentinel clients. */
#ifndef KASSA_STORE_MASTER_H
#define KASSA_STORE_MASTER_H

#include "runtime/conf.h"
#include "runtime/loop.h"

struct master;

/* The master, and the number of the Sentinel that named it; host NULL: none of them knows one.
 * Borrowed for the call; the question has ended. */
typedef void master_on_found(void *ctx, const char *host, int port, unsigned sentinel);

#define MASTER_ASK_MS 300 /* for one Sentinel */

/* Asks the Sentinels, host:port separated by commas, in turn, beginning with the `first`-th.
 * `password` is theirs, empty: none. The texts are borrowed until the question ends. on_found is
 * called on the loop, never from inside. Owns: itself, until on_found or master_forget. */
struct master *master_ask(struct loop *loop, const char *sentinels, const char *password,
                          const char *group, unsigned first, master_on_found *on_found, void *ctx);
void master_forget(struct master *m); /* on_found will not be called. NULL is fine */

#endif
