/* A wire to a server, and replies as texts, over hiredis: the only includer of its headers.
 *
 *   redis_wire_send --> hiredis' buffer --(turn's end)--> one write --> server
 *                            on_answer <-- hiredis' reader <-- read <-----'
 *
 * hiredis asks for writability with each command; here that only sets a flag, and the descriptor
 * is watched for writing only while connecting, or when the socket did not take everything.
 * A wire that is given up is detached first and then freed: inside one of its callbacks hiredis
 * frees its part later, and nothing of it may reach us any more by then. */
#include "idempotency/redis.h"

#include <assert.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "idempotency/rows.h"
#include "idempotency/wire.h"

#define REDIS_DIGITS    24    /* of an int64, with room */
#define REDIS_FLAT_KEPT 65536 /* texts; the memory of a larger reply is given back */
#define REDIS_READS_MAX 16    /* in one turn, of 16 KiB each; the others want their turn too */

struct redis_wire {
    redisAsyncContext *ac; /* NULL: over */
    struct loop_watch *watch;
    const struct redis_wire_events *events;
    void *ctx;
    int watched;       /* LOOP_READ, LOOP_WRITE */
    bool is_connected; /* the socket is; until then nothing may be written */
    bool is_dirty;     /* hiredis has bytes for the turn's end */
    bool is_writing;   /* in redisAsyncHandleWrite: to ask for more means that the socket is full */
    unsigned busy;     /* calls into hiredis that are running: the wire lives until they return */
    struct buf request; /* scratch of redis_wire_send */
};

/* ---- replies as texts ---- */

/* The reply in hand, flattened when it is first asked for. One is enough: replies are given out
 * one at a time, by one thread, and are void when on_reply has returned. */
static struct {
    const redisReply *reply; /* NULL: none yet */
    struct slice *texts;
    unsigned count, size;
    unsigned first, shown; /* of the texts, those that redis_reply_show lets be seen */
    char *digits;          /* of integers, REDIS_DIGITS each */
} redis_flat;

static size_t redis_leaves(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY) {
        return 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        count += redis_leaves(reply->element[i]);
    }
    return count;
}

/* Recursion is bounded: hiredis takes more than seven levels for a protocol error. */
static void redis_flatten_add(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY) {
        for (size_t i = 0; i < reply->elements; i++) {
            redis_flatten_add(reply->element[i]);
        }
        return;
    }
    struct slice text = {NULL, 0};
    if (reply->type == REDIS_REPLY_INTEGER) {
        char *digits = redis_flat.digits + (size_t)redis_flat.count * REDIS_DIGITS;
        int bytes = snprintf(digits, REDIS_DIGITS, "%lld", reply->integer);
        text = (struct slice){digits, (size_t)bytes};
    } else if (reply->type != REDIS_REPLY_NIL) {
        text = (struct slice){reply->str, reply->len};
    }
    redis_flat.texts[redis_flat.count++] = text;
}

static void redis_flatten(const redisReply *reply)
{
    size_t leaves = redis_leaves(reply);
    assert(leaves < UINT32_MAX / 2);
    if (leaves > redis_flat.size) {
        free(redis_flat.texts);
        free(redis_flat.digits);
        redis_flat.size = (unsigned)leaves * 2;
        redis_flat.texts = mem_new(redis_flat.size * sizeof(*redis_flat.texts));
        redis_flat.digits = mem_new((size_t)redis_flat.size * REDIS_DIGITS);
    }
    redis_flat.reply = reply;
    redis_flat.count = 0;
    redis_flatten_add(reply);
    redis_flat.first = 0;
    redis_flat.shown = redis_flat.count;
}

void redis_reply_renew(void)
{
    redis_flat.reply = NULL; /* a new reply may lie where the last one lay */
    if (redis_flat.size > REDIS_FLAT_KEPT) {
        free(redis_flat.texts);
        free(redis_flat.digits);
        memset(&redis_flat, 0, sizeof(redis_flat));
    }
}

unsigned redis_reply_count(const struct redis_reply *reply)
{
    if (redis_flat.reply != (const redisReply *)reply) {
        redis_flatten((const redisReply *)reply);
    }
    return redis_flat.shown;
}

void redis_reply_show(const struct redis_reply *reply, unsigned first, unsigned count)
{
    redis_reply_count(reply);
    assert(first + count <= redis_flat.count);
    redis_flat.first = first;
    redis_flat.shown = count;
}

struct slice redis_reply_at(const struct redis_reply *reply, unsigned i)
{
    unsigned count = redis_reply_count(reply);
    return i < count ? redis_flat.texts[redis_flat.first + i] : (struct slice){NULL, 0};
}

/* hiredis frees each reply when its callback returns, by a function that can be replaced: ours
 * leaves the one that is to be kept. */
static const struct redis_reply *redis_kept;

static void redis_reply_free(void *reply)
{
    if (redis_kept == reply) {
        redis_kept = NULL;
    } else {
        freeReplyObject(reply);
    }
}

void redis_reply_keep(const struct redis_reply *reply)
{
    assert(redis_kept == NULL);
    redis_kept = reply;
}

void redis_reply_release(const struct redis_reply *reply)
{
    freeReplyObject((void *)reply);
}

/* All readers share the one table: it has to outlive each of them. */
static void redis_wire_own_replies(redisAsyncContext *ac)
{
    static redisReplyObjectFunctions functions;
    if (functions.freeObject == NULL) {
        functions = *ac->c.reader->fn;
        functions.freeObject = redis_reply_free;
    }
    ac->c.reader->fn = &functions;
}

/* ---- hiredis on our loop ---- */

static void redis_wire_watch(struct redis_wire *w, int watched)
{
    if (watched != w->watched) {
        w->watched = watched;
        loop_watch_set(w->watch, watched);
    }
}

static void redis_hook_add_read(void *ctx)
{
    struct redis_wire *w = ctx;
    redis_wire_watch(w, w->watched | LOOP_READ);
}

static void redis_hook_del_read(void *ctx)
{
    struct redis_wire *w = ctx;
    redis_wire_watch(w, w->watched & ~LOOP_READ);
}

static void redis_hook_add_write(void *ctx)
{
    struct redis_wire *w = ctx;
    if (!w->is_connected || w->is_writing) {
        redis_wire_watch(w, w->watched | LOOP_WRITE);
    } else {
        w->is_dirty = true;
    }
}

static void redis_hook_del_write(void *ctx)
{
    struct redis_wire *w = ctx;
    redis_wire_watch(w, w->watched & ~LOOP_WRITE);
}

/* From here on nothing happens to the wire any more. Owns: hiredis' part is the caller's. */
static redisAsyncContext *redis_wire_detach(struct redis_wire *w)
{
    redisAsyncContext *ac = w->ac;
    w->ac = NULL;
    ac->data = NULL;
    memset(&ac->ev, 0, sizeof(ac->ev));
    loop_watch_free(w->watch); /* before the descriptor is closed */
    return ac;
}

static void redis_wire_release(struct redis_wire *w)
{
    if (!w->ac && w->busy == 0) {
        buf_free(&w->request);
        free(w);
    }
}

/* hiredis has found the connection broken, has answered what was open with NULL, and will free
 * its part when this returns. */
static void redis_hook_cleanup(void *ctx)
{
    struct redis_wire *w = ctx;
    redisAsyncContext *ac = redis_wire_detach(w);
    w->events->on_lost(w->ctx, ac->c.err ? ac->c.errstr : "closed");
    redis_wire_release(w);
}

static void redis_wire_handle_write(struct redis_wire *w)
{
    w->is_dirty = false;
    w->is_writing = true;
    w->busy++;
    redisAsyncHandleWrite(w->ac);
    w->busy--;
    w->is_writing = false;
    if (w->ac) {
        w->is_connected = (w->ac->c.flags & REDIS_CONNECTED) != 0;
    }
}

/* hiredis reads 16 KiB at a time. All answers that are there are taken in one turn, for what they
 * cause travels together: twice as many in a turn are half as many messages. */
static void redis_wire_handle_read(struct redis_wire *w)
{
    int left = 1;
    for (int reads = 0; left > 0 && reads < REDIS_READS_MAX; reads++) {
        redisAsyncHandleRead(w->ac);
        if (!w->ac || ioctl(w->ac->c.fd, FIONREAD, &left) != 0) {
            left = 0;
        }
    }
}

static void redis_wire_on_ready(void *ctx, int events)
{
    struct redis_wire *w = ctx;
    w->busy++;
    if (events & LOOP_WRITE) {
        redis_wire_handle_write(w);
    }
    if (w->ac && (events & LOOP_READ)) {
        w->events->on_heard(w->ctx);
        redis_wire_handle_read(w);
    }
    if (w->ac && (events & LOOP_ERROR)) {
        /* Neither reading nor writing has shown what is wrong, and nothing is watched now. */
        redisAsyncContext *ac = redis_wire_detach(w);
        w->events->on_lost(w->ctx, "descriptor error");
        redisAsyncFree(ac);
    }
    w->busy--;
    redis_wire_release(w);
}

bool redis_wire_write(struct redis_wire *w)
{
    if (!w->is_dirty || (w->watched & LOOP_WRITE)) {
        return false;
    }
    w->busy++;
    redis_wire_handle_write(w);
    w->busy--;
    redis_wire_release(w);
    return true;
}

/* ---- to the server and back ---- */

/* Calls that are open when a connection ends are answered with NULL; their owner knows from
 * on_lost, which follows. */
static void redis_wire_on_reply(redisAsyncContext *ac, void *answer, void *unused)
{
    (void)unused;
    struct redis_wire *w = ac->data;
    const redisReply *reply = answer;
    if (w && reply) {
        redis_reply_renew();
        w->events->on_answer(w->ctx, answer, reply->type == REDIS_REPLY_ERROR);
    }
}

/* "*3\r\n" or "$11\r\n" */
static void redis_add_head(struct buf *out, char kind, uint32_t number)
{
    *buf_room(out, 1) = kind;
    buf_add_int(out, number);
    buf_add(out, "\r\n", 2);
}

/* As it goes over the wire. hiredis would do it as well, but prints each length by a format. */
static struct slice redis_wire_format(struct redis_wire *w, const struct redis_command *c)
{
    struct buf *out = &w->request;
    uint32_t start = 0;
    buf_reset(out);
    redis_add_head(out, '*', c->count);
    for (unsigned i = 0; i < c->count; i++) {
        uint32_t bytes = c->end[i] - start;
        redis_add_head(out, '$', bytes);
        if (bytes > 0) {
            buf_add(out, c->bytes.data + start, bytes);
        }
        buf_add(out, "\r\n", 2);
        start = c->end[i];
    }
    return buf_slice(out);
}

void redis_wire_send(struct redis_wire *w, const struct redis_command *c)
{
    struct slice request = redis_wire_format(w, c);
    int failed =
        redisAsyncFormattedCommand(w->ac, redis_wire_on_reply, NULL, request.data, request.bytes);
    assert(failed == REDIS_OK); /* refused only by a connection that is over, or without memory */
}

void redis_wire_listen(struct redis_wire *w, const char *channel)
{
    const char *argv[] = {"SUBSCRIBE", channel};
    redisAsyncCommandArgv(w->ac, redis_wire_on_reply, NULL, 2, argv, NULL);
}

/* Past hiredis' list of callbacks: the answer to a PING of a subscribed connection has the form
 * of a message, finds no callback there, and the entry would stay in the list for good. */
void redis_wire_ping(struct redis_wire *w)
{
    const char *argv[] = {"PING"};
    redisAppendCommandArgv(&w->ac->c, 1, argv, NULL);
    w->is_dirty = true;
}

/* ---- its beginning and its end ---- */

struct redis_wire *redis_wire_open(struct loop *loop, const char *address, int port,
                                   const struct redis_wire_events *events, void *ctx,
                                   char *ret_reason, size_t reason_size)
{
    int on = 1;
    redisAsyncContext *ac = redisAsyncConnect(address, port);
    assert(ac); /* out of memory */
    if (ac->err) {
        snprintf(ret_reason, reason_size, "%s", ac->errstr);
        redisAsyncFree(ac);
        return NULL;
    }
    redis_wire_own_replies(ac);
    struct redis_wire *w = mem_new(sizeof(*w));
    w->ac = ac;
    w->events = events;
    w->ctx = ctx;
    ac->data = w;
    ac->ev.data = w;
    ac->ev.addRead = redis_hook_add_read;
    ac->ev.delRead = redis_hook_del_read;
    ac->ev.addWrite = redis_hook_add_write;
    ac->ev.delWrite = redis_hook_del_write;
    ac->ev.cleanup = redis_hook_cleanup;
    fcntl(ac->c.fd, F_SETFD, FD_CLOEXEC);
    setsockopt(ac->c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(ac->c.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    /* hiredis writes with write(): to a server that has gone, that would end this process. */
    signal(SIGPIPE, SIG_IGN);
    w->watch = loop_watch_new(loop, ac->c.fd, redis_wire_on_ready, w);
    redis_wire_watch(w, LOOP_WRITE);
    return w;
}

bool redis_wire_is_connected(const struct redis_wire *w)
{
    return w->is_connected;
}

void redis_wire_close(struct redis_wire *w)
{
    if (w) {
        redisAsyncFree(redis_wire_detach(w));
        redis_wire_release(w);
    }
}
