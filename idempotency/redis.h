/* The store connection, through hiredis, whose headers only wire.c includes.
 *
 *   redis_call --> pipeline --turn end--> one write --> replies in order --> on_reply, for each
 *
 * A reply means durable: the server runs with appendfsync always and answers after the fsync.
 * On connect: AUTH where a password is set, ROLE must say master, TIME, the library is loaded
 * unless it is there; only then is it up (greeting.h). A lost connection fails every call that is
 * out with -ERR_STORE_DOWN: the effect may have happened or not, so the caller makes the same call,
 * with the same command id, again. A silent one (three times REDIS_TIMEOUT_MS with calls out and no
 * reply at all, longer where a server is slow) is left, and what was out, maybe the cause, fails
 * with -ERR_STORE_TIMEOUT; then not all of it goes out at once again (patience.h). Reconnects at
 * once, then with growing jitter up to 1 s. Names are resolved outside the loop. Source:
 * protocol.md section 3; Redis manual: Functions, Persistence. */
#ifndef KASSA_IDEMPOTENCY_REDIS_H
#define KASSA_IDEMPOTENCY_REDIS_H

#include "runtime/buf.h"
#include "runtime/conf.h"
#include "runtime/loop.h"

struct redis;

/* The functions of a store, made by deploy/embed.sh: their names end in the hash of the source, so
 * that the versions of a library do not replace one another (idempotency/library.lua). */
struct redis_library {
    const char *name; /* "order" */
    const char *hash; /* 8 hex digits */
    const char *source;
};

struct redis_reply; /* a redisReply, borrowed for the call of on_reply */

/* `library` is the functions that are called, or NULL for none. `node` is host:port. `group` names
 * it in logs and metrics. */
struct redis *redis_new(struct loop *loop, const struct conf *conf, const char *group,
                        const char *node, const struct redis_library *library);
/* NULL is fine. Calls that are out fail with -ERR_STORE_DOWN; what is called from there is
 * forgotten. Not from inside a callback of this store: asserted. */
void redis_free(struct redis *r);

/* Milliseconds since 1970 by the server's clock: what it said last, and the time since then by a
 * clock that does not jump. Before its first word, this machine's. Ids are made by it, and whatever
 * else is compared with times in the store. */
int64_t redis_wall_ms(const struct redis *r);

bool redis_is_up(const struct redis *r);
/* Why it answers nothing although it is there: its word, when its data are not for this version
 * (idempotency/library.lua); or that it waits for its replicas, and has for REDIS_TIMEOUT_MS. Else
 * NULL. Borrowed for this turn. */
const char *redis_refusal(const struct redis *r);
/* It is there, and cannot be used because its memory is too full to load the library. */
bool redis_is_full(const struct redis *r);
unsigned redis_outstanding(const struct redis *r);

typedef void redis_on_up(void *ctx);
/* Called each time the store has become usable, after calls that were out have failed. */
void redis_watch_up(struct redis *r, redis_on_up *on_up, void *ctx); /* at most 8 */

#define REDIS_ARGS_MAX 2048

/* Arguments under construction: a command with its bytes copied into one buffer. */
struct redis_command {
    struct buf bytes;
    unsigned count;
    unsigned row;                 /* the first argument of its row; 0: it travels alone */
    bool is_alone;                /* nothing else is to be out at the server meanwhile */
    uint32_t end[REDIS_ARGS_MAX]; /* where each argument ends in bytes */
};
void redis_command_reset(struct redis_command *c);
void redis_command_free(struct redis_command *c);
void redis_arg(struct redis_command *c, struct slice s);
void redis_arg_text(struct redis_command *c, const char *text);
void redis_arg_int(struct redis_command *c, int64_t value);
void redis_arg_join(struct redis_command *c, const char *prefix, struct slice s); /* one argument */
void redis_argf(struct redis_command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Begins a call of a function, of this version's: FCALL <name>_<hash> <key_count>. The keys and the
 * arguments follow. The only place where such a name is made. */
void redis_function(struct redis_command *c, const struct redis_library *library, const char *name,
                    int key_count);
/* The call that says which version comes: answered with the names of libraries that nobody has used
 * for long, or with an error when a newer version has written what this one cannot read. */
void redis_library_greet(const struct redis_library *library, struct redis_command *c);
/* Does a server's error say that it has not got the function? */
bool redis_library_is_missing(struct slice error);

/* The arguments from here on are a row: commands of one turn that are the same before it are sent
 * as one call of the function, with a row for each (idempotency/rows.h). Each is answered alone. */
void redis_row_begins(struct redis_command *c);

/* Errors: 0 with a reply; -ERR_STORE_DOWN (RETRY: the effect is unknown); -ERR_STORE_TIMEOUT (the
 * same, and it was out when the server fell silent: its caller counts that, and makes one that was
 * out too often alone, with is_alone);
 * -ERR_STORE_REPLY (RETRY: the server answered with an error; reply then has its text as slice 0).
 */
typedef void redis_on_reply(void *ctx, int err, const struct redis_reply *reply);
/* When not up, on_reply is called with -ERR_STORE_DOWN at the end of this turn, never from
 * inside. on_reply may be NULL. The command can be reused when this returns. */
void redis_call(struct redis *r, const struct redis_command *c, redis_on_reply *on_reply,
                void *ctx);

/* A question about the server, or one whose answer may be old: it is told at once, whatever the
 * replicas have, and it does not wait behind calls that may not go out yet. Else as redis_call. */
void redis_ask(struct redis *r, const struct redis_command *c, redis_on_reply *on_reply, void *ctx);

/* A reply as texts: a string or an integer is one slice, an array (of strings, integers, nils;
 * nested arrays are flattened) several, or none; nil, and what is behind the last one, is the
 * absent slice: what a store sends is input. */
unsigned redis_reply_count(const struct redis_reply *reply);
struct slice redis_reply_at(const struct redis_reply *reply, unsigned i);

/* Subscribes on a connection of its own; kept subscribed over reconnects. on_message's text is
 * borrowed. Owns: the caller, until redis_subscription_free. */
typedef void redis_on_message(void *ctx, struct slice payload);
struct redis_subscription *redis_subscribe(struct loop *loop, const struct conf *conf,
                                           const char *node, const char *channel,
                                           redis_on_message *on_message, void *ctx);
bool redis_subscription_is_up(const struct redis_subscription *s);
void redis_subscription_free(struct redis_subscription *s); /* NULL is fine; not in on_message */

#endif
