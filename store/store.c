/* Calls, who waits for them, and what fails with a connection.
 *
 *   store_call --> [backlog, while not all may go out] --> connection --(turn's end)--> server
 *                                                    '---> out: who waits <--- answers, in order
 *                                                           | connection lost
 *                                                           v
 *      on_reply(-ERR_STORE_DOWN or -ERR_STORE_TIMEOUT) <--- failed, told at the turn's end
 *
 * Where there are replicas, an answer is held back until they have what led to it, and the next
 * calls wait so long: flight.h. How many calls go out after a silence: patience.h. */
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "store/backlog.h"
#include "store/connection.h"
#include "store/flight.h"
#include "store/lookout.h"
#include "store/pace.h"
#include "store/rows.h"
#include "store/waiters.h"

#define STORE_UP_MAX    8
#define STORE_CALLS_MAX (1u << 20) /* out or waiting; one more fails as if the store were down */
#define STORE_NUDGE_MS  1
#define STORE_CLOCK_MS  1000 /* between two questions what time it is */

struct store_watcher {
    store_on_up *on_up;
    void *ctx;
};

struct store {
    struct loop *loop;
    struct connection *connection;
    char group[64];
    int64_t timeout_ms;       /* a WAIT gets half of it */
    uint64_t epoch;           /* grows with each connection that is over */
    bool is_gone;             /* it is being freed */
    unsigned depth;           /* callbacks of the owner that are running now */
    struct loop_timer *nudge; /* makes a turn happen soon, whatever else does */

    struct loop_timer *clock; /* what time is it there? */
    int64_t ahead_ms;         /* its clock, of loop_now_ms */
    bool is_dated;            /* it has said what time it is */

    struct rows *rows;      /* calls that are gathered in this turn */
    struct backlog backlog; /* calls that may not go out yet */
    struct waiters out;
    struct waiters failed;
    struct args command; /* scratch: the one that goes out */

    struct flight flight;
    struct lookout *lookout;

    struct store_watcher watchers[STORE_UP_MAX];
    unsigned watcher_count;
    struct stat_value *stat_calls, *stat_errors, *stat_flushes;
};

/* ---- calls ---- */

static void store_tell(struct store *s, struct waiter waiter, int err, struct texts reply)
{
    if (err) {
        stat_add(s->stat_errors, 1);
        if (reply.count >
            0) { /* the server says so; whoever called may have nothing to say of it */
            log_warn("store_refused", "group=%s text=%s", s->group, log_quote(texts_at(reply, 0)));
        }
    }
    if (waiter.on_reply) {
        s->depth++;
        waiter.on_reply(waiter.ctx, err, reply);
        s->depth--;
    }
}

static void store_fail(struct store *s, struct waiter waiter, int err)
{
    waiter.err = err;
    waiters_push(&s->failed, waiter);
    if (s->failed.count == 1) {
        loop_timer_start(s->nudge, STORE_NUDGE_MS, 0);
    }
}

/* Reports the failures so far. Calls made meanwhile, in vain, fail another time:
 * otherwise a caller that does not wait for the store to be up would hold the loop forever. */
static void store_tell_failed(struct store *s)
{
    for (unsigned left = s->failed.count; left > 0; left--) {
        struct waiter waiter = waiters_pop(&s->failed);
        store_tell(s, waiter, waiter.err, (struct texts){NULL, 0});
    }
}

/* Only so that there is a turn. */
static void store_on_nudge(void *ctx)
{
    (void)ctx;
}

/* One flight at a time: a server reads nothing from a connection that is blocked in a WAIT, so what
 * comes meanwhile would be a flight for each turn, one behind the other. It gathers instead. */
static bool store_may_send(const struct store *s, bool is_alone)
{
    return !flight_is_out(&s->flight) &&
           patience_lets(connection_patience(s->connection), is_alone);
}

static void store_send_own(void *ctx, struct waiter waiter, const struct args *c)
{
    struct store *s = ctx;
    waiters_push(&s->out, waiter);
    connection_send(s->connection, c);
}

static void store_send(struct store *s, const struct args *c, struct waiter waiter)
{
    s->flight.is_begun = true;
    patience_sent(connection_patience(s->connection), c->is_alone);
    store_send_own(s, waiter, c);
}

static void store_send_backlog(struct store *s)
{
    while (s->backlog.count > 0 && store_may_send(s, backlog_is_alone(&s->backlog))) {
        struct waiter waiter = backlog_pop(&s->backlog, &s->command);
        store_send(s, &s->command, waiter);
    }
}

static void store_call_now(void *ctx, const struct args *c, texts_on_reply *on_reply,
                           void *reply_ctx)
{
    struct store *s = ctx;
    struct waiter waiter = {.on_reply = on_reply, .ctx = reply_ctx};
    if (!store_is_up(s) || s->out.count + s->backlog.count >= STORE_CALLS_MAX) {
        store_fail(s, waiter, -ERR_STORE_DOWN);
    } else if (s->backlog.count > 0 || !store_may_send(s, c->is_alone)) {
        backlog_push(&s->backlog, c, waiter);
    } else {
        store_send(s, c, waiter);
    }
}

void store_call(struct store *s, const struct args *c, texts_on_reply *on_reply, void *ctx)
{
    assert(c->count > 0);
    if (s->is_gone) {
        return; /* from an on_reply that store_free calls: there is no later to tell it */
    }
    stat_add(s->stat_calls, 1);
    if (c->row > 0 && !c->is_alone) {
        rows_add(s->rows, c, on_reply, ctx);
    } else {
        store_call_now(s, c, on_reply, ctx);
    }
}

void store_ask(struct store *s, const struct args *c, texts_on_reply *on_reply, void *ctx)
{
    struct waiter waiter = {.kind = WAITER_ASK, .on_reply = on_reply, .ctx = ctx};
    assert(c->count > 0);
    if (store_is_up(s)) {
        store_send_own(s, waiter, c);
    } else if (!s->is_gone) {
        store_fail(s, waiter, -ERR_STORE_DOWN);
    }
}

/* ---- the server's clock ---- */

int64_t store_wall_ms(const struct store *s)
{
    return s->is_dated ? loop_now_ms(s->loop) + s->ahead_ms : loop_wall_ms(s->loop);
}

/* Seconds since 1970, and microseconds of the next. */
static void store_dated(struct store *s, struct texts reply)
{
    int64_t seconds, us;
    if (reply.count == 2 && slice_int64(texts_at(reply, 0), &seconds) &&
        slice_int64(texts_at(reply, 1), &us)) {
        s->ahead_ms = seconds * 1000 + us / 1000 - loop_now_ms(s->loop);
        s->is_dated = true;
    }
}

static void store_on_clock(void *ctx)
{
    struct store *s = ctx;
    if (store_is_up(s)) {
        args_reset(&s->command);
        args_text(&s->command, "TIME");
        store_send_own(s, (struct waiter){.kind = WAITER_TIME}, &s->command);
    }
}

/* ---- replicas ---- */

/* Who is missing? And who is the master, by now? */
static void store_on_look(void *ctx)
{
    struct store *s = ctx;
    flight_look(&s->flight, store_send_own, s);
    connection_find(s->connection);
}

static void store_release(struct store *s)
{
    for (unsigned left = s->flight.held.count; left > 0; left--) {
        struct waiter waiter = waiters_pop(&s->flight.held);
        store_tell(s, waiter, waiter.err, texts_box_view(waiter.reply));
        texts_box_free(waiter.reply);
    }
}

static void store_judge(struct store *s, enum flight_verdict verdict)
{
    switch (verdict) {
    case FLIGHT_GOES_ON:
        break;
    case FLIGHT_IS_DONE:
        lookout_enough(s->lookout);
        store_release(s);
        break;
    case FLIGHT_IS_SHORT:
        lookout_short(s->lookout);
        break;
    case FLIGHT_IS_BROKEN:
        connection_drop(s->connection, "the server is not a master, or refuses PUBLISH");
        break;
    }
}

/* ---- what the connection tells ---- */

/* Can it wait for files? An old server does not know the word; another reason is worth a line. */
static void store_on_files(struct store *s, struct texts reply, bool is_error)
{
    static const char is_old[] = "ERR unknown command";
    struct slice text = texts_at(reply, 0);
    if (!flight_files(&s->flight, reply, is_error) &&
        (text.bytes < sizeof(is_old) - 1 || memcmp(text.data, is_old, sizeof(is_old) - 1) != 0)) {
        log_warn("store_waitaof", "group=%s node=%s reason=%s", s->group,
                 connection_node(s->connection), log_quote(text));
    }
}

static bool store_on_greeting(void *ctx, enum greeting_step step, struct texts reply, bool is_error)
{
    struct store *s = ctx;
    if (step == GREETING_ROLE) {
        return flight_role(&s->flight, reply);
    }
    if (step == GREETING_TIME) {
        store_dated(s, reply);
    } else if (step == GREETING_FILES) {
        store_on_files(s, reply, is_error);
    }
    return true;
}

static void store_on_named(void *ctx, const char *node, unsigned sentinel)
{
    struct store *s = ctx;
    copies_named(&s->flight.copies, node, sentinel, loop_now_ms(s->loop));
}

static void store_on_answer_of(struct store *s, struct texts reply, int err)
{
    struct waiter waiter = waiters_pop(&s->out);
    bool is_held = waiter.kind == WAITER_CALL && s->flight.copies.all > 0;
    if (waiter.kind == WAITER_CALL) {
        patience_answered(connection_patience(s->connection));
    }
    if (is_held) {
        waiter.err = err;
        waiter.reply = connection_take(s->connection);
        waiters_push(&s->flight.held, waiter);
    } else if (waiter.kind == WAITER_CALL || waiter.kind == WAITER_ASK) {
        store_tell(s, waiter, err, reply);
    } else if (waiter.kind == WAITER_TIME) {
        store_dated(s, reply);
    } else {
        store_judge(s, flight_answer(&s->flight, waiter, reply, err, loop_now_ms(s->loop)));
    }
}

static bool store_on_answer(void *ctx, struct texts reply, bool is_error)
{
    struct store *s = ctx;
    int err = is_error ? texts_error(texts_at(reply, 0)) : 0;
    if (err == -ERR_STORE_DOWN) {
        char reason[PACE_REASON_BYTES];
        slice_copy(texts_at(reply, 0), reason, sizeof(reason));
        connection_drop(s->connection, reason); /* this call is in `out`, and fails with the rest */
    } else {
        store_on_answer_of(s, reply, err);
    }
    return true;
}

/* In the order of the calls. What was out fails with `err`; what was answered, or had not been sent
 * yet, is not to blame for anything. */
static void store_fail_all(struct store *s, int err)
{
    while (s->flight.held.count > 0) {
        struct waiter waiter = waiters_pop(&s->flight.held);
        texts_box_free(waiter.reply);
        store_fail(s, waiter, -ERR_STORE_DOWN);
    }
    while (s->out.count > 0) {
        struct waiter waiter = waiters_pop(&s->out);
        if (waiter.kind == WAITER_CALL || waiter.kind == WAITER_ASK) {
            store_fail(s, waiter, err);
        }
    }
    while (s->backlog.count > 0) {
        store_fail(s, backlog_pop(&s->backlog, NULL), -ERR_STORE_DOWN);
    }
}

static void store_on_down(void *ctx, int err)
{
    struct store *s = ctx;
    copies_lost(&s->flight.copies);
    flight_lost(&s->flight);
    s->epoch++;
    lookout_lost(s->lookout);
    store_fail_all(s, err);
}

static void store_came_up(void *ctx)
{
    struct store *s = ctx;
    uint64_t epoch = s->epoch;
    lookout_see(s->lookout);
    store_tell_failed(s); /* who called in vain hears so before it hears that it may call */
    for (unsigned i = 0; i < s->watcher_count && s->epoch == epoch; i++) {
        s->depth++;
        s->watchers[i].on_up(s->watchers[i].ctx);
        s->depth--;
    }
}

static void store_on_turn_end(void *ctx)
{
    struct store *s = ctx;
    if (!flight_is_out(&s->flight)) {
        rows_flush(s->rows);
    }
    if (store_is_up(s)) {
        store_send_backlog(s);
        flight_end(&s->flight, loop_now_ms(s->loop), s->timeout_ms, store_send_own, s);
    }
    if (flight_is_paced(&s->flight, loop_now_ms(s->loop))) {
        loop_timer_start(s->nudge, FLIGHT_PACE_MS, 0);
    }
    if (s->failed.count > 0) {
        store_tell_failed(s);
        /* This hook is the last: what was caused in other rooms needs the end of another turn. */
        loop_timer_start(s->nudge, STORE_NUDGE_MS, 0);
    }
    if (connection_write(s->connection)) {
        stat_add(s->stat_flushes, 1);
    }
}

/* ---- the owner's side ---- */

static void store_stats(struct store *s)
{
    char labels[96];
    snprintf(labels, sizeof(labels), "group=\"%s\"", s->group);
    s->stat_calls = stat_counter("kassa_store_calls_total", labels,
                                 "calls to a store; those with rows travel together");
    s->stat_errors = stat_counter("kassa_store_errors_total", labels, "calls that failed");
    s->stat_flushes =
        stat_counter("kassa_store_flushes_total", labels, "pipelines written, one a turn");
}

struct store *store_new(struct loop *loop, const struct store_conf *conf, const char *group,
                        const char *node, const struct library *library)
{
    static const struct connection_events events = {
        .on_greeting = store_on_greeting,
        .on_up = store_came_up,
        .on_answer = store_on_answer,
        .on_down = store_on_down,
        .on_named = store_on_named,
    };
    struct store *s = mem_new(sizeof(*s));
    s->loop = loop;
    s->timeout_ms = conf->redis_timeout_ms;
    s->flight.copies.all = (unsigned)conf->redis_wait_replicas;
    s->flight.copies.degrade_ms = conf->redis_degrade_ms;
    s->flight.copies.sentinels = conf_node_count(conf->redis_sentinels);
    snprintf(s->group, sizeof(s->group), "%s", group);
    backlog_init(&s->backlog);
    s->rows = rows_new(store_call_now, s);
    store_stats(s);
    s->nudge = loop_timer_new(loop, store_on_nudge, s);
    s->clock = loop_timer_new(loop, store_on_clock, s);
    loop_timer_start(s->clock, STORE_CLOCK_MS, STORE_CLOCK_MS);
    s->connection = connection_new(loop, conf, group, node, library, false, &events, s);
    s->lookout = lookout_new(loop, s->group, &s->flight.copies, s->connection, s->timeout_ms,
                             store_on_look, s);
    loop_hook_add(loop, LOOP_HOOK_STORE, store_on_turn_end, s);
    return s;
}

void store_free(struct store *s)
{
    if (!s) {
        return;
    }
    assert(s->depth == 0); /* not from inside on_reply or on_up */
    loop_hook_remove(s->loop, LOOP_HOOK_STORE, store_on_turn_end, s);
    s->is_gone = true;
    store_fail_all(s, -ERR_STORE_DOWN);
    store_tell_failed(s);
    rows_free(s->rows);
    connection_free(s->connection);
    lookout_free(s->lookout);
    loop_timer_free(s->nudge);
    loop_timer_free(s->clock);
    args_free(&s->command);
    waiters_free(&s->out);
    waiters_free(&s->failed);
    flight_free(&s->flight);
    free(s);
}

bool store_is_up(const struct store *s)
{
    return !s->is_gone && connection_is_up(s->connection);
}

const char *store_refusal(const struct store *s)
{
    if (store_is_up(s)) {
        return lookout_sentence(s->lookout);
    }
    const char *reason = connection_reason(s->connection);
    return strncmp(reason, "SCHEMA ", 7) == 0 ? reason : NULL;
}

bool store_is_full(const struct store *s)
{
    return !store_is_up(s) &&
           texts_error(slice_from(connection_reason(s->connection))) == -ERR_STORE_FULL;
}

unsigned store_outstanding(const struct store *s)
{
    return s->out.count + s->flight.held.count + s->backlog.count + s->failed.count +
           rows_gathered(s->rows);
}

void store_watch_up(struct store *s, store_on_up *on_up, void *ctx)
{
    assert(s->watcher_count < STORE_UP_MAX);
    s->watchers[s->watcher_count++] = (struct store_watcher){on_up, ctx};
}
