/* A store: calls of it and their answers, over a connection that is kept up.
 *
 *   store_call --> pipeline --turn end--> one write --> replies in order --> on_reply, for each
 *
 * A reply means durable: the server runs with appendfsync always and answers after the fsync; and
 * where there are replicas, that they have it (flight.h).
 * On connect: AUTH where a password is set, ROLE must say master, TIME, the library is loaded
 * unless it is there; only then is it up (greeting.h). A lost connection fails every call that is
 * out with -ERR_STORE_DOWN: the effect may have happened or not, so the caller makes the same call,
 * with the same command id, again. A silent one (three times REDIS_TIMEOUT_MS with calls out and no
 * reply at all, longer where a server is slow) is dropped, and the calls that were out, one of them
 * maybe the cause, fail with -ERR_STORE_TIMEOUT; their retries do not all go out at once
 * (patience.h). Source: protocol.md, "Rules"; Redis manual: Functions, Persistence. */
#ifndef KASSA_STORE_STORE_H
#define KASSA_STORE_STORE_H

#include "store/conf.h"
#include "runtime/loop.h"
#include "store/args.h"
#include "store/library.h"
#include "store/texts.h"

struct store;

/* `library` is the functions that are called, or NULL for none. `node` is host:port, or the
 * master's name where conf has Sentinels. `group` names it in logs and metrics. */
struct store *store_new(struct loop *loop, const struct store_conf *conf, const char *group,
                        const char *node, const struct library *library);
/* NULL is fine. Calls that are out fail with -ERR_STORE_DOWN; calls made from there are
 * forgotten. Not from inside a callback of this store: asserted. */
void store_free(struct store *s);

/* Milliseconds since 1970 by the server's clock: its last TIME, and the time since then by a
 * clock that does not jump. Before the first TIME, this machine's. Use it for ids, and for all that
 * is compared with times in the store. */
int64_t store_wall_ms(const struct store *s);

bool store_is_up(const struct store *s);
/* Why it answers nothing although it is there: its error, when its data are not for this version
 * (library.lua); or that it has waited for its replicas for REDIS_TIMEOUT_MS. Else NULL.
 * Borrowed for this turn. */
const char *store_refusal(const struct store *s);
/* True when its memory is too full to load the library, so it cannot be used. */
bool store_is_full(const struct store *s);
unsigned store_outstanding(const struct store *s);

typedef void store_on_up(void *ctx);
/* Called each time the store has become usable, after calls that were out have failed. */
void store_watch_up(struct store *s, store_on_up *on_up, void *ctx); /* at most 8 */

/* When it is not up, on_reply is called with -ERR_STORE_DOWN at the end of this turn, never from
 * inside. on_reply may be NULL. The command can be reused when this returns. */
void store_call(struct store *s, const struct args *c, texts_on_reply *on_reply, void *ctx);

/* A question about the server, or one whose answer may be stale: answered at once, whatever the
 * replicas have, and not queued behind calls that may not go out yet. Else as store_call. */
void store_ask(struct store *s, const struct args *c, texts_on_reply *on_reply, void *ctx);

#endif
