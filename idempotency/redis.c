/* A store that is kept up: calls, who waits for them, greeting, silence, and the next attempt.
 *
 *   redis_call --> [backlog, while not all may go out] --> wire --(turn's end)--> server
 *                                                    '---> out: who waits <------ answers, in order
 *                                                           | connection lost
 *                                                           v
 *      on_reply(-ERR_STORE_DOWN or -ERR_STORE_TIMEOUT) <--- failed, told at the turn's end
 *
 *   WAITING --delay--> FINDING --> RESOLVING --> GREETING: greeting.h --> UP
 *      ^                  |            |             |                     |
 *      '------------------'------------'-------------'-- error, silence ---'
 *
 * Where there are replicas, an answer is held back until they have what led to it, and the next
 * calls wait so long: flight.h. How long silence is borne, and how many calls go out after it:
 * patience.h. Silence alone does not decide sooner, but asks: each REDIS_TIMEOUT_MS of it a
 * Sentinel, whether another is the master.
 */
#include "idempotency/redis.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "idempotency/backlog.h"
#include "idempotency/flight.h"
#include "idempotency/greeting.h"
#include "idempotency/lookup.h"
#include "idempotency/master.h"
#include "idempotency/pace.h"
#include "idempotency/patience.h"
#include "idempotency/push.h"
#include "idempotency/rows.h"
#include "idempotency/waiters.h"
#include "idempotency/wire.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"

#define REDIS_UP_MAX     8
#define REDIS_CALLS_MAX  (1u << 20) /* out or waiting; one more fails as if the store were down */
#define REDIS_SUSPECT_MS 10 /* a silent connection gets this much more: it may be us who slept */
#define REDIS_NUDGE_MS   1
#define REDIS_CLOCK_MS   1000 /* between two questions what time it is */

enum redis_state {
    REDIS_WAITING,
    REDIS_FINDING, /* the Sentinels are asked where the master is */
    REDIS_RESOLVING,
    REDIS_GREETING,
    REDIS_UP,
    REDIS_GONE
};

struct redis_watcher {
    redis_on_up *on_up;
    void *ctx;
};

struct redis {
    struct loop *loop;
    char group[64];
    char host[CONF_TEXT_MAX];
    int port;
    char user[CONF_TEXT_MAX];              /* empty: the default one */
    char password[CONF_TEXT_MAX];          /* empty: none */
    char sentinels[CONF_TEXT_MAX];         /* empty: host and port stay as they are */
    char sentinel_password[CONF_TEXT_MAX]; /* empty: none */
    char master[CONF_TEXT_MAX];            /* its name there */
    int64_t timeout_ms;                    /* of silence, until a Sentinel is asked */
    redis_on_push *on_push;                /* NULL: a store, not a listener */
    void *push_ctx;

    enum redis_state state;
    struct greeting greeting; /* while GREETING */
    struct pace pace;
    bool is_up_news;         /* that it is down was logged, so that it is up is worth a line too */
    struct master *finding;  /* while FINDING; of a listener that is UP: is it still the master? */
    unsigned questions;      /* to the Sentinels: each goes to another one first */
    struct lookup *lookup;   /* while RESOLVING a name */
    struct redis_wire *wire; /* while GREETING and UP */
    uint64_t epoch;          /* grows with each wire that is over */

    int64_t heard_ms;         /* when the server said something last, or began to owe an answer */
    bool is_owed;             /* a listener's SUBSCRIBE or PING is not answered yet */
    bool is_timing;           /* the timer runs, for silence */
    bool is_suspect;          /* it found silence once */
    struct loop_timer *timer; /* WAITING: the next attempt; GREETING, UP: silence */
    struct loop_timer *look;  /* runs while a replica is missing, and we are up */
    bool is_looking;
    struct loop_timer *clock; /* what time is it there? */
    int64_t ahead_ms;         /* its clock, of loop_now_ms */
    bool is_dated;            /* it has said what time it is */
    struct loop_timer *nudge; /* makes a turn happen soon, whatever else does */

    struct rows *rows; /* calls that are gathered in this turn */
    unsigned depth;    /* callbacks of the owner that are running now */
    struct patience patience;
    struct backlog backlog;       /* calls that may not go out yet */
    struct redis_command command; /* the one of them that goes out */
    struct waiters out;
    struct flight flight;
    int64_t short_ms; /* since when too few replicas have a flight; 0: enough have it */
    struct buf waits; /* a sentence about that; empty: it does not last long yet */
    struct waiters failed;
    struct redis_watcher watchers[REDIS_UP_MAX];
    unsigned watcher_count;

    struct stat_value *stat_calls, *stat_errors, *stat_reconnects, *stat_up, *stat_flushes;
    struct stat_value *stat_degraded, *stat_silences;
};

/* ---- calls and their answers ---- */

static void redis_tell(struct redis *r, struct waiter waiter, int err,
                       const struct redis_reply *reply)
{
    if (err) {
        stat_add(r->stat_errors, 1);
        if (reply != NULL) { /* the server says so; whoever called may have nothing to say of it */
            log_warn("store_refused", "group=%s text=%s", r->group,
                     log_quote(redis_reply_at(reply, 0)));
        }
    }
    if (waiter.on_reply) {
        r->depth++;
        waiter.on_reply(waiter.ctx, err, reply);
        r->depth--;
    }
}

static void redis_fail(struct redis *r, struct waiter waiter, int err)
{
    waiter.err = err;
    waiter.reply = NULL;
    waiters_push(&r->failed, waiter);
    if (r->failed.count == 1) {
        loop_timer_start(r->nudge, REDIS_NUDGE_MS, 0);
    }
}

/* Tells those that failed so far. Who calls again meanwhile, in vain, is told another time:
 * otherwise a caller that does not wait for the store to be up would hold the loop forever. */
static void redis_tell_failed(struct redis *r)
{
    for (unsigned left = r->failed.count; left > 0; left--) {
        struct waiter waiter = waiters_pop(&r->failed);
        redis_tell(r, waiter, waiter.err, NULL);
    }
}

/* Only so that there is a turn. */
static void redis_on_nudge(void *ctx)
{
    (void)ctx;
}

static void redis_find(struct redis *r);

static bool redis_is_waited_for(const struct redis *r)
{
    return r->state == REDIS_GREETING || r->out.count > 0 || r->is_owed;
}

/* From now on the server owes an answer. */
static void redis_owed(struct redis *r)
{
    if (!redis_is_waited_for(r)) {
        r->heard_ms = loop_now_ms(r->loop);
    }
    if (!r->is_timing) {
        r->is_timing = true;
        r->is_suspect = false;
        loop_timer_start(r->timer, r->timeout_ms, 0);
    }
}

/* One flight at a time: a server reads nothing from a connection that is blocked in a WAIT, so what
 * comes meanwhile would be a flight for each turn, one behind the other. It gathers instead. */
static bool redis_may_send(const struct redis *r, bool is_alone)
{
    return !flight_is_out(&r->flight) && patience_lets(&r->patience, is_alone);
}

static void redis_send(struct redis *r, const struct redis_command *c, struct waiter waiter)
{
    redis_owed(r);
    r->flight.is_begun = true;
    patience_sent(&r->patience, c->is_alone);
    waiters_push(&r->out, waiter);
    redis_wire_send(r->wire, c);
}

static void redis_send_backlog(struct redis *r)
{
    while (r->backlog.count > 0 && redis_may_send(r, backlog_is_alone(&r->backlog))) {
        struct waiter waiter = backlog_pop(&r->backlog, &r->command);
        redis_send(r, &r->command, waiter);
    }
}

static void redis_call_now(void *ctx, const struct redis_command *c, redis_on_reply *on_reply,
                           void *reply_ctx)
{
    struct redis *r = ctx;
    struct waiter waiter = {.on_reply = on_reply, .ctx = reply_ctx};
    if (r->state != REDIS_UP || r->out.count + r->backlog.count >= REDIS_CALLS_MAX) {
        redis_fail(r, waiter, -ERR_STORE_DOWN);
    } else if (r->backlog.count > 0 || !redis_may_send(r, c->is_alone)) {
        backlog_push(&r->backlog, c, waiter);
    } else {
        redis_send(r, c, waiter);
    }
}

static void redis_send_own(void *ctx, struct waiter waiter, const struct redis_command *c)
{
    struct redis *r = ctx;
    waiters_push(&r->out, waiter);
    redis_wire_send(r->wire, c);
}

/* ---- the server's clock ---- */

int64_t redis_wall_ms(const struct redis *r)
{
    return r->is_dated ? loop_now_ms(r->loop) + r->ahead_ms : loop_wall_ms(r->loop);
}

/* Seconds since 1970, and microseconds of the next. */
static void redis_dated(struct redis *r, const struct redis_reply *reply)
{
    int64_t s, us;
    if (redis_reply_count(reply) == 2 && slice_int64(redis_reply_at(reply, 0), &s) &&
        slice_int64(redis_reply_at(reply, 1), &us)) {
        r->ahead_ms = s * 1000 + us / 1000 - loop_now_ms(r->loop);
        r->is_dated = true;
    }
}

static void redis_on_clock(void *ctx)
{
    static struct redis_command c;
    struct redis *r = ctx;
    if (r->state == REDIS_UP) {
        redis_command_reset(&c);
        redis_arg_text(&c, "TIME");
        redis_owed(r);
        redis_send_own(r, (struct waiter){.kind = WAITER_TIME}, &c);
    }
}

/* ---- replicas ---- */

/* Who is missing? And who is the master, by now? */
static void redis_on_look(void *ctx)
{
    struct redis *r = ctx;
    if (r->state != REDIS_UP || !copies_are_missing(&r->flight.copies)) {
        loop_timer_stop(r->look);
        r->is_looking = false;
        stat_set(r->stat_degraded, copies_are_missing(&r->flight.copies));
        return;
    }
    redis_owed(r);
    flight_look(redis_send_own, r);
    redis_find(r);
}

static void redis_look(struct redis *r)
{
    bool is_degraded = copies_are_missing(&r->flight.copies);
    stat_set(r->stat_degraded, is_degraded);
    if (is_degraded && !r->is_looking) {
        r->is_looking = true;
        loop_timer_start(r->look, COPIES_LOOK_MS, COPIES_LOOK_MS);
    }
}

static void redis_release(struct redis *r)
{
    for (unsigned left = r->flight.held.count; left > 0; left--) {
        struct waiter waiter = waiters_pop(&r->flight.held);
        redis_reply_renew();
        redis_tell(r, waiter, waiter.err, waiter.reply);
        redis_reply_release(waiter.reply);
    }
}

void redis_call(struct redis *r, const struct redis_command *c, redis_on_reply *on_reply, void *ctx)
{
    assert(c->count > 0);
    if (r->state == REDIS_GONE) {
        return; /* from an on_reply that redis_free calls: there is no later to tell it */
    }
    stat_add(r->stat_calls, 1);
    if (c->row > 0 && !c->is_alone) {
        rows_add(r->rows, c, on_reply, ctx);
    } else {
        redis_call_now(r, c, on_reply, ctx);
    }
}

void redis_ask(struct redis *r, const struct redis_command *c, redis_on_reply *on_reply, void *ctx)
{
    struct waiter waiter = {.kind = WAITER_ASK, .on_reply = on_reply, .ctx = ctx};
    assert(c->count > 0);
    if (r->state == REDIS_UP) {
        redis_owed(r);
        redis_send_own(r, waiter, c);
    } else if (r->state != REDIS_GONE) {
        redis_fail(r, waiter, -ERR_STORE_DOWN);
    }
}

/* ---- the end of a connection ---- */

static void redis_say(struct redis *r, enum log_level level, const char *event, const char *reason)
{
    if (pace_tell(&r->pace, loop_now_ms(r->loop), reason)) {
        r->is_up_news = true;
        log_write(level, event, "group=%s node=%s:%d reason=%s", r->group, r->host, r->port,
                  log_quote(slice_from(reason)));
    }
}

/* In the order of the calls. What was out fails with `err`; what was answered, or had not been sent
 * yet, is not to blame for anything. */
static void redis_fail_all(struct redis *r, int err)
{
    while (r->flight.held.count > 0) {
        struct waiter waiter = waiters_pop(&r->flight.held);
        redis_reply_release(waiter.reply);
        redis_fail(r, waiter, -ERR_STORE_DOWN);
    }
    while (r->out.count > 0) {
        struct waiter waiter = waiters_pop(&r->out);
        if (waiter.kind == WAITER_CALL || waiter.kind == WAITER_ASK) {
            redis_fail(r, waiter, err);
        }
    }
    while (r->backlog.count > 0) {
        redis_fail(r, backlog_pop(&r->backlog, NULL), -ERR_STORE_DOWN);
    }
}

/* The connection is over, or the attempt at one: everything that is out fails, another attempt is
 * due, and what was known of the master is old. */
static void redis_end(struct redis *r, const char *reason, int err)
{
    uint32_t dice = 0;
    crash_point("redis.down");
    redis_say(r, LOG_WARN, "store_down", reason);
    copies_lost(&r->flight.copies);
    flight_lost(&r->flight);
    patience_lost(&r->patience);
    master_forget(r->finding);
    r->finding = NULL;
    r->wire = NULL;
    r->epoch++;
    r->is_owed = r->is_timing = false;
    r->state = REDIS_WAITING;
    buf_reset(&r->waits);
    r->short_ms = 0;
    stat_set(r->stat_up, 0);
    stat_add(r->stat_reconnects, 1);
    redis_fail_all(r, err);
    if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) != (ssize_t)sizeof(dice)) {
        dice = (uint32_t)loop_now_ms(r->loop); /* less random, and good enough for jitter */
    }
    loop_timer_start(r->timer, pace_lost(&r->pace, loop_now_ms(r->loop), dice), 0);
}

static void redis_lost(struct redis *r, const char *reason)
{
    redis_end(r, reason, -ERR_STORE_DOWN);
}

static void redis_drop(struct redis *r, const char *reason)
{
    redis_wire_close(r->wire);
    redis_lost(r, reason);
}

static void redis_drop_silent(struct redis *r)
{
    patience_silent(&r->patience);
    stat_add(r->stat_silences, 1);
    redis_wire_close(r->wire);
    redis_end(r, "no answer in time", -ERR_STORE_TIMEOUT);
}

/* ---- greeting ---- */

static void redis_came_up(struct redis *r)
{
    uint64_t epoch = r->epoch;
    crash_point("redis.up.before");
    r->state = REDIS_UP;
    pace_up(&r->pace, loop_now_ms(r->loop));
    if (r->is_up_news) {
        r->is_up_news = false;
        log_info("store_up", "group=%s node=%s:%d", r->group, r->host, r->port);
    }
    stat_set(r->stat_up, 1);
    redis_look(r);
    redis_tell_failed(r); /* who called in vain hears so before it hears that it may call */
    crash_sent("redis.up.after");
    for (unsigned i = 0; i < r->watcher_count && r->epoch == epoch; i++) {
        r->depth++;
        r->watchers[i].on_up(r->watchers[i].ctx);
        r->depth--;
    }
}

static void redis_greet(struct redis *r, enum greeting_step step)
{
    struct redis_command *c = mem_new(sizeof(*c));
    if (greeting_say(&r->greeting, step, c)) {
        redis_wire_send(r->wire, c);
        crash_sent("redis.greet");
    } else {
        redis_came_up(r);
    }
    redis_command_free(c);
    free(c);
}

/* Can it wait for files? An old server does not know the word; another reason is worth a line. */
static void redis_on_files(struct redis *r, const struct redis_reply *reply, bool is_error)
{
    static const char is_old[] = "ERR unknown command";
    struct slice text = redis_reply_at(reply, 0);
    if (!flight_files(&r->flight, reply, is_error) &&
        (text.bytes < sizeof(is_old) - 1 || memcmp(text.data, is_old, sizeof(is_old) - 1) != 0)) {
        log_warn("store_waitaof", "group=%s node=%s:%d reason=%s", r->group, r->host, r->port,
                 log_quote(text));
    }
}

static void redis_on_greeting(struct redis *r, const struct redis_reply *reply, bool is_error)
{
    struct slice text = {NULL, 0};
    enum greeting_step next;
    if (redis_reply_count(reply) > 0) {
        text = redis_reply_at(reply, 0);
    }
    if (!greeting_next(&r->greeting, is_error, text, &next)) {
        char reason[PACE_REASON_BYTES];
        snprintf(reason, sizeof(reason), "%.*s", SLICE_ARG(text));
        /* An operator has to mend a wrong password or a broken library; LOADING mends itself. */
        if (redis_error_of(text) != -ERR_STORE_DOWN) {
            redis_say(r, LOG_ERROR,
                      r->greeting.step >= GREETING_LIBRARY ? "store_library" : "store_greeting",
                      reason);
        }
        redis_drop(r, reason);
    } else if (r->greeting.step == GREETING_ROLE && !r->on_push &&
               !flight_role(&r->flight, reply)) {
        redis_drop(r, "the server is not a master");
    } else {
        if (r->greeting.step == GREETING_TIME) {
            redis_dated(r, reply);
        } else if (r->greeting.step == GREETING_FILES) {
            redis_on_files(r, reply, is_error);
        }
        redis_greet(r, next);
    }
}

/* ---- what the wire tells ---- */

static void redis_on_heard(void *ctx)
{
    struct redis *r = ctx;
    int64_t now_ms = loop_now_ms(r->loop);
    if (redis_is_waited_for(r)) {
        patience_heard(&r->patience, now_ms - r->heard_ms, now_ms);
    }
    r->heard_ms = now_ms;
    r->is_owed = r->is_suspect = false;
}

/* Slow is not dead, and so this may last: who asks, and who reads the log, is told what is waited
 * for. */
static void redis_falls_short(struct redis *r)
{
    int64_t now_ms = loop_now_ms(r->loop);
    redis_look(r);
    if (r->short_ms == 0) {
        r->short_ms = now_ms;
    }
    if (now_ms - r->short_ms >= r->timeout_ms) {
        buf_reset(&r->waits);
        buf_addf(&r->waits, "the store %s waits: ", r->group);
        copies_tell(&r->flight.copies, &r->waits);
        redis_say(r, LOG_WARN, "store_waits", r->waits.data);
    }
}

static void redis_waits_no_more(struct redis *r)
{
    if (r->waits.bytes > 0) {
        log_info("store_goes_on", "group=%s node=%s:%d waited_ms=%lld", r->group, r->host, r->port,
                 (long long)(loop_now_ms(r->loop) - r->short_ms));
    }
    buf_reset(&r->waits);
    r->short_ms = 0;
}

static void redis_on_call_answer(struct redis *r, const struct redis_reply *reply, int err)
{
    struct waiter waiter = waiters_pop(&r->out);
    if (waiter.kind == WAITER_TIME) {
        redis_dated(r, reply);
        return;
    }
    if (waiter.kind == WAITER_ASK) {
        redis_tell(r, waiter, err, reply);
        return;
    }
    if (waiter.kind == WAITER_CALL) {
        patience_answered(&r->patience);
    }
    if (r->flight.copies.all == 0) {
        redis_tell(r, waiter, err, reply);
        return;
    }
    switch (flight_answer(&r->flight, waiter, reply, err, loop_now_ms(r->loop))) {
    case FLIGHT_GOES_ON:
        break;
    case FLIGHT_IS_DONE:
        redis_look(r);
        redis_waits_no_more(r);
        redis_release(r);
        break;
    case FLIGHT_IS_SHORT:
        redis_falls_short(r);
        break;
    case FLIGHT_IS_BROKEN:
        redis_drop(r, "the server is not a master, or refuses PUBLISH");
        break;
    }
}

static void redis_on_answer(void *ctx, const struct redis_reply *reply, bool is_error)
{
    struct redis *r = ctx;
    if (r->state == REDIS_GREETING) {
        redis_on_greeting(r, reply, is_error);
    } else if (r->on_push) {
        r->depth++;
        r->on_push(r->push_ctx, reply);
        r->depth--;
    } else if (is_error && redis_error_of(redis_reply_at(reply, 0)) == -ERR_STORE_DOWN) {
        char reason[PACE_REASON_BYTES];
        snprintf(reason, sizeof(reason), "%.*s", SLICE_ARG(redis_reply_at(reply, 0)));
        redis_drop(r, reason); /* this call is in `out` still, and fails with the others */
    } else {
        redis_on_call_answer(r, reply, is_error ? redis_error_of(redis_reply_at(reply, 0)) : 0);
    }
}

static void redis_on_lost(void *ctx, const char *reason)
{
    redis_lost(ctx, reason);
}

static void redis_on_turn_end(void *ctx)
{
    struct redis *r = ctx;
    if (!flight_is_out(&r->flight)) {
        rows_flush(r->rows);
    }
    if (r->state == REDIS_UP) {
        redis_send_backlog(r);
        flight_end(&r->flight, loop_now_ms(r->loop), r->timeout_ms, redis_send_own, r);
    }
    if (flight_is_paced(&r->flight, loop_now_ms(r->loop))) {
        loop_timer_start(r->nudge, FLIGHT_PACE_MS, 0);
    }
    if (r->failed.count > 0) {
        redis_tell_failed(r);
        /* This hook is the last: what was caused in other rooms needs the end of another turn. */
        loop_timer_start(r->nudge, REDIS_NUDGE_MS, 0);
    }
    if (r->wire && redis_wire_write(r->wire)) {
        stat_add(r->stat_flushes, 1);
    }
}

/* ---- attempts, and silence ---- */

static void redis_connect(struct redis *r, const char *address)
{
    static const struct redis_wire_events events = {redis_on_heard, redis_on_answer, redis_on_lost};
    char reason[PACE_REASON_BYTES];
    r->wire = redis_wire_open(r->loop, address, r->port, &events, r, reason, sizeof(reason));
    if (!r->wire) {
        redis_lost(r, reason);
        return;
    }
    redis_owed(r);
    r->state = REDIS_GREETING;
    r->greeting.has_loaded = false;
    redis_greet(r, GREETING_AUTH);
}

static void redis_on_found(void *ctx, const char *address)
{
    struct redis *r = ctx;
    r->lookup = NULL;
    if (address) {
        redis_connect(r, address);
    } else {
        redis_lost(r, "the name has no address");
    }
}

static void redis_reach(struct redis *r)
{
    r->state = REDIS_RESOLVING;
    if (lookup_is_numeric(r->host)) {
        redis_connect(r, r->host);
    } else {
        r->lookup = lookup_start(r->loop, r->host, r->pace.attempts, redis_on_found, r);
    }
}

static void redis_on_master(void *ctx, const char *host, int port, unsigned sentinel)
{
    struct redis *r = ctx;
    char node[COPIES_NODE_BYTES];
    snprintf(node, sizeof(node), "%s:%d", host ? host : "", port);
    r->finding = NULL;
    bool is_other = host && strcmp(r->flight.copies.master, node) != 0;
    if (r->state != REDIS_FINDING && is_other) {
        redis_drop(r, "another master was named");
        return;
    }
    if (host) {
        copies_named(&r->flight.copies, node, sentinel, loop_now_ms(r->loop));
    }
    if (r->state != REDIS_FINDING) {
        return;
    }
    if (host) {
        snprintf(r->host, sizeof(r->host), "%s", host);
        r->port = port;
        redis_reach(r);
    } else {
        redis_lost(r, "no Sentinel knows the master");
    }
}

/* Asks the next Sentinel, unless one is being asked. */
static void redis_find(struct redis *r)
{
    if (r->sentinels[0] && !r->finding) {
        r->finding = master_ask(r->loop, r->sentinels, r->sentinel_password, r->master,
                                r->questions++, redis_on_master, r);
    }
}

static void redis_attempt(struct redis *r)
{
    crash_point("redis.connect");
    if (r->sentinels[0]) {
        r->state = REDIS_FINDING;
        redis_find(r);
    } else {
        redis_reach(r);
    }
}

/* A server that does not even take the connection is not busy, but away. */
static int64_t redis_patience_ms(const struct redis *r)
{
    return redis_wire_is_connected(r->wire) ? r->patience.ms : r->timeout_ms;
}

static void redis_on_timer(void *ctx)
{
    struct redis *r = ctx;
    if (r->state == REDIS_WAITING) {
        redis_attempt(r);
        return;
    }
    r->is_timing = false;
    if (!redis_is_waited_for(r)) {
        return;
    }
    int64_t silent_ms = loop_now_ms(r->loop) - r->heard_ms, patience_ms = redis_patience_ms(r);
    if (silent_ms >= patience_ms && r->is_suspect) {
        redis_drop_silent(r);
        return;
    }
    if (silent_ms >= r->timeout_ms) {
        redis_find(r);
    }
    /* Silence may be ours: after a pause of this process timers come first, and the answers have
     * been in the socket for long. So the loop gets one more look at it. */
    r->is_suspect = silent_ms >= patience_ms;
    r->is_timing = true;
    int64_t left_ms = patience_ms - silent_ms;
    int64_t ask_ms = r->timeout_ms - silent_ms % r->timeout_ms;
    int64_t next_ms = left_ms < ask_ms ? left_ms : ask_ms;
    loop_timer_start(r->timer, r->is_suspect ? REDIS_SUSPECT_MS : next_ms, 0);
}

/* ---- the owner's side ---- */

struct redis *redis_new(struct loop *loop, const struct conf *conf, const char *group,
                        const char *node, const struct redis_library *library)
{
    char labels[96];
    struct redis *r = mem_new(sizeof(*r));
    r->loop = loop;
    if (conf_has_sentinels(conf)) {
        snprintf(r->sentinels, sizeof(r->sentinels), "%s", conf->redis_sentinels);
        snprintf(r->sentinel_password, sizeof(r->sentinel_password), "%s", conf->sentinel_password);
        snprintf(r->master, sizeof(r->master), "%s", node);
    } else {
        bool is_node = conf_node(node, 0, r->host, sizeof(r->host), &r->port);
        assert(is_node); /* conf_load has looked at it */
    }
    r->flight.copies.all = (unsigned)conf->redis_wait_replicas;
    r->flight.copies.degrade_ms = conf->redis_degrade_ms;
    r->flight.copies.sentinels = conf_node_count(conf->redis_sentinels);
    snprintf(r->group, sizeof(r->group), "%s", group);
    snprintf(r->user, sizeof(r->user), "%s", conf->redis_user);
    snprintf(r->password, sizeof(r->password), "%s", conf->redis_password);
    r->greeting = (struct greeting){.user = r->user,
                                    .password = r->password,
                                    .library = library,
                                    .has_replicas = r->flight.copies.all > 0};
    r->timeout_ms = conf->redis_timeout_ms;
    patience_init(&r->patience, PATIENCE_FIRST * r->timeout_ms);
    backlog_init(&r->backlog);
    r->is_up_news = true;
    r->rows = rows_new(redis_call_now, r);
    snprintf(labels, sizeof(labels), "group=\"%s\"", r->group);
    r->stat_calls = stat_counter("kassa_store_calls_total", labels,
                                 "calls to a store; those with rows travel together");
    r->stat_errors = stat_counter("kassa_store_errors_total", labels, "calls that failed");
    r->stat_reconnects =
        stat_counter("kassa_store_reconnects_total", labels, "further attempts to connect");
    r->stat_silences = stat_counter("kassa_store_silences_total", labels,
                                    "connections that were left because nothing came");
    r->stat_up = stat_gauge("kassa_store_up", labels, "1: the store can be used");
    r->stat_degraded =
        stat_gauge("kassa_store_degraded", labels, "1: not all replicas have what was written");
    r->stat_flushes =
        stat_counter("kassa_store_flushes_total", labels, "pipelines written, one a turn");
    r->timer = loop_timer_new(loop, redis_on_timer, r);
    r->look = loop_timer_new(loop, redis_on_look, r);
    r->nudge = loop_timer_new(loop, redis_on_nudge, r);
    r->clock = loop_timer_new(loop, redis_on_clock, r);
    loop_timer_start(r->clock, REDIS_CLOCK_MS, REDIS_CLOCK_MS);
    loop_hook_add(loop, LOOP_HOOK_STORE, redis_on_turn_end, r);
    loop_timer_start(r->timer, 0, 0); /* the first attempt is a turn's work like any other */
    return r;
}

struct redis *redis_new_listener(struct loop *loop, const struct conf *conf, const char *node,
                                 redis_on_push *on_push, void *ctx)
{
    struct redis *r = redis_new(loop, conf, "subscription", node, NULL);
    r->on_push = on_push;
    r->greeting.is_listener = true;
    loop_timer_stop(r->clock);
    r->push_ctx = ctx;
    return r;
}

void redis_free(struct redis *r)
{
    if (!r) {
        return;
    }
    assert(r->depth == 0); /* not from inside on_reply, on_up or on_push */
    loop_hook_remove(r->loop, LOOP_HOOK_STORE, redis_on_turn_end, r);
    master_forget(r->finding);
    lookup_forget(r->lookup);
    redis_wire_close(r->wire);
    r->wire = NULL;
    r->state = REDIS_GONE;
    stat_set(r->stat_up, 0);
    redis_fail_all(r, -ERR_STORE_DOWN);
    redis_tell_failed(r);
    rows_free(r->rows);
    loop_timer_free(r->timer);
    loop_timer_free(r->look);
    loop_timer_free(r->nudge);
    loop_timer_free(r->clock);
    redis_command_free(&r->command);
    buf_free(&r->waits);
    waiters_free(&r->out);
    waiters_free(&r->failed);
    waiters_free(&r->flight.held);
    free(r);
}

bool redis_is_up(const struct redis *r)
{
    return r->state == REDIS_UP;
}

const char *redis_refusal(const struct redis *r)
{
    if (r->state == REDIS_UP) {
        return r->waits.bytes > 0 ? r->waits.data : NULL;
    }
    return strncmp(r->pace.told, "SCHEMA ", 7) == 0 ? r->pace.told : NULL;
}

bool redis_is_full(const struct redis *r)
{
    return r->state != REDIS_UP && redis_error_of(slice_from(r->pace.told)) == -ERR_STORE_FULL;
}

unsigned redis_outstanding(const struct redis *r)
{
    return r->out.count + r->flight.held.count + r->backlog.count + r->failed.count +
           rows_gathered(r->rows);
}

void redis_watch_up(struct redis *r, redis_on_up *on_up, void *ctx)
{
    assert(r->watcher_count < REDIS_UP_MAX);
    r->watchers[r->watcher_count++] = (struct redis_watcher){on_up, ctx};
}

void redis_listen(struct redis *r, const char *channel)
{
    assert(r->on_push && r->state == REDIS_UP);
    redis_owed(r);
    r->is_owed = true;
    redis_wire_listen(r->wire, channel);
}

void redis_ping(struct redis *r)
{
    assert(r->on_push && r->state == REDIS_UP);
    redis_owed(r);
    r->is_owed = true;
    redis_wire_ping(r->wire);
    /* Nothing that a listener does shows that its master was deposed and lives on: notices would
     * go to the new one, and it would hear none. */
    redis_find(r);
}
