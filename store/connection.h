/* A connection to a server that is kept up: found, greeted, watched for silence, and found
 * again.
 *
 *   WAITING --delay--> FINDING --> RESOLVING --> GREETING: greeting.h --> UP
 *      ^                  |            |             |                     |
 *      '------------------'------------'-------------'-- error, silence ---'
 *
 * Its owner, a store (store.h) or a subscription, decides what is sent, and who waits for the
 * answers. How long to bear silence: patience.h. Silence alone does not end it sooner: each
 * REDIS_TIMEOUT_MS of it, the connection asks a Sentinel whether another server is the master.
 * Reconnects at once, then with growing jitter up to 1 s. Names are resolved outside the loop.
 * Source: protocol.md, "The connection", "Silence". */
#ifndef KASSA_STORE_CONNECTION_H
#define KASSA_STORE_CONNECTION_H

#include "store/conf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "store/greeting.h"
#include "store/patience.h"
#include "store/texts.h"

struct connection;

/* None may free the connection. */
struct connection_events {
    /* A command of the greeting is answered. False: not a usable server. */
    bool (*on_greeting)(void *ctx, enum greeting_step step, struct texts reply, bool is_error);
    void (*on_up)(void *ctx);
    /* In the order of what was sent. False: a push, which answers nothing. */
    bool (*on_answer)(void *ctx, struct texts reply, bool is_error);
    /* It was lost, or was not reached. All that was sent fails with `err`: -ERR_STORE_TIMEOUT after
     * silence, else -ERR_STORE_DOWN. */
    void (*on_down)(void *ctx, int err);
    /* A Sentinel, by its number, has named the master that it is, or will be, connected to. */
    void (*on_named)(void *ctx, const char *node, unsigned sentinel);
};

/* `group` names it in logs and metrics; `node` is host:port, or the master's name where conf has
 * Sentinels. `library` NULL: no library. `is_listener`: any server that answers will do.
 * Borrowed for good: library, events. Owns: the caller, until connection_free. */
struct connection *connection_new(struct loop *loop, const struct store_conf *conf,
                                  const char *group, const char *node,
                                  const struct library *library, bool is_listener,
                                  const struct connection_events *events, void *ctx);
void connection_free(struct connection *c); /* NULL is fine; on_down is not called */

bool connection_is_up(const struct connection *c);

/* Only while it is up. The server owes an answer then, and its silence is noticed. */
void connection_send(struct connection *c, const struct args *command);
/* At the turn's end, called by the owner's hook: true when there was something to write. */
bool connection_write(struct connection *c);

/* Moves the reply in hand out, inside on_answer: see wire_take. */
struct texts_box *connection_take(struct connection *c);

/* Asks the next Sentinel for the master, unless one is being asked, or there are none. When it
 * names another one, the connection ends. */
void connection_find(struct connection *c);
/* Ends it: on_down, and the next attempt. */
void connection_drop(struct connection *c, const char *reason);

/* The last reason why it is down, or the last one of connection_say; empty: none. */
const char *connection_reason(const struct connection *c);
/* Logs it with group and node, unless the same was logged just now. */
void connection_say(struct connection *c, enum log_level level, const char *event,
                    const char *reason);
const char *connection_node(const struct connection *c); /* host:port, for logs */

/* Where the owner counts how many calls may be out. */
struct patience *connection_patience(struct connection *c);

#endif
