/* The store: store/store.h without Redis. A pipeline is executed in order, by the servers of
 * server.h, and answered after it is durable. When a connection breaks, a prefix of the pipeline
 * was done and nobody hears of it.
 *
 *   store_call -> this turn's pipeline -> [executed] -> [answered] -> on_reply, a turn
 *
 * Where there are replicas the answers wait for them: store/flight and copies are the real
 * ones, the Sentinels and servers are those of group.h. A server does not look at a connection that
 * waits, so the next pipeline is written when the last one has been answered.
 *
 * Where servers take their time, a connection that is silent is left, as store.c does it; what may
 * go out then, and how long it is waited for, says the real store/patience. */
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "runtime/err.h"
#include "store/flight.h"
#include "store/patience.h"
#include "store/rows.h"
#include "store/wire.h"
#include "test/world/group.h"
#include "test/world/server.h"
#include "test/world/world.h"

#define WATCHERS_MAX 8
#define PORT         "6379"

struct call {
    struct args command;
    struct waiter waiter;
    struct server_reply *reply;
    TAILQ_ENTRY(call) in_list;
};
TAILQ_HEAD(calls, call);

struct store {
    struct node *node;
    struct loop *loop;
    struct rows *rows;
    struct calls waiting; /* that may not go out yet */
    struct calls gathering, out, failed;
    unsigned count;
    bool is_up;
    int64_t last_us; /* a connection keeps its order */
    struct group *group;
    unsigned server;
    uint64_t life;  /* of the server, for this connection */
    uint64_t epoch; /* grows with each connection that is over */
    int lost_err;   /* what those that were out are told */
    unsigned questions;
    const struct library *library; /* NULL: none */
    bool is_other_version;         /* of the library */
    bool is_full;                  /* there was no room for that */
    struct flight flight;
    uint64_t offset; /* of what this connection has written */
    int64_t timeout_ms;
    struct patience patience;
    int64_t heard_us; /* when an answer came last, or something went out behind none */
    bool is_timing;
    bool is_mute;             /* this connection gets no answers any more */
    struct group_wait *wait;  /* that is not over */
    struct call *waiting_for; /* whose answer that will be */
    bool is_looking;
    bool is_nudged; /* a turn will end, to ask for the count again */
    bool is_flying; /* with replicas: a pipeline is on its way */
    struct {
        store_on_up *on_up;
        void *ctx;
    } watchers[WATCHERS_MAX];
    unsigned watcher_count;
    TAILQ_ENTRY(store) in_all;
};

static TAILQ_HEAD(, store) connections = TAILQ_HEAD_INITIALIZER(connections);
static const struct library *const *libraries;
static unsigned library_count;

/* ---- the connection ---- */

static void call_free(struct call *call)
{
    args_free(&call->command);
    server_reply_free(call->reply);
    free(call);
}

static void call_tell(struct store *r, struct waiter waiter, int err, struct texts reply)
{
    r->count--;
    if (waiter.on_reply != NULL) {
        waiter.on_reply(waiter.ctx, err, reply);
    }
}

static void calls_fail(struct store *r, struct calls *list, int err)
{
    struct calls now = TAILQ_HEAD_INITIALIZER(now);
    TAILQ_CONCAT(&now, list, in_list);
    struct call *call;
    while ((call = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, call, in_list);
        call_tell(r, call->waiter, err, (struct texts){NULL, 0});
        call_free(call);
    }
}

/* Those whose answers are here: nothing is concluded from them. */
static void held_fail(struct store *r)
{
    while (r->flight.held.count > 0) {
        struct waiter waiter = waiters_pop(&r->flight.held);
        texts_box_free(waiter.reply);
        call_tell(r, waiter, -ERR_STORE_DOWN, (struct texts){NULL, 0});
    }
}

/* ROLE. A server's address is its number. */
static struct server_reply *role_reply(const struct store *r)
{
    const char *texts[2 + 3 * (GROUP_REPLICAS + 1)] = {"master", "1"};
    char names[GROUP_REPLICAS + 1][16];
    unsigned count = 2;
    for (unsigned i = 0; i <= GROUP_REPLICAS && r->flight.copies.all > 0; i++) {
        const char *doubt = group_listed_as(r->group, r->server, i);
        if (doubt != NULL && !world_bugs.wait_unlisted) {
            snprintf(names[i], sizeof(names[i]), "%s%u", doubt, i);
            texts[count++] = names[i];
            texts[count++] = PORT;
            texts[count++] = "1";
        }
    }
    return server_reply_of(texts, count);
}

/* INFO stats. */
static struct server_reply *came_reply(const struct store *r)
{
    char text[64];
    const char *texts[] = {text};
    uint64_t comings = world_bugs.come_unseen ? 0 : group_comings(r->group, r->server);
    snprintf(text, sizeof(text), "# Stats\r\nsync_partial_ok:%llu\r\n",
             (unsigned long long)comings);
    return server_reply_of(texts, 1);
}

/* What the connection asks for itself. NULL: another command. */
static struct server_reply *own_reply(const struct store *r, enum waiter_kind kind)
{
    switch (kind) {
    case WAITER_ROLE:
    case WAITER_LOOK:
        return role_reply(r);
    case WAITER_CAME:
        return came_reply(r);
    default:
        return NULL;
    }
}

/* The next Sentinel names the master. */
static unsigned sentinel_ask(struct store *r, unsigned *ret_sentinel)
{
    *ret_sentinel = r->questions++ % GROUP_SENTINELS;
    return group_told_master(r->group, *ret_sentinel);
}

static void sentinel_named(struct store *r, unsigned sentinel)
{
    char node[16];
    snprintf(node, sizeof(node), "%u:" PORT, r->server);
    copies_named(&r->flight.copies, node, sentinel, world.now_us / 1000);
}

static void call_add(struct store *r, struct calls *list, struct waiter waiter,
                     const struct args *c)
{
    struct call *call = mem_new(sizeof(*call));
    call->waiter = waiter;
    args_append(&call->command, c, 0, c->count);
    call->command.is_alone = c->is_alone;
    if (r->is_other_version && slice_is(args_at(c, 0), "FCALL")) {
        call->command.bytes.data[c->end[1] - strlen(r->library->hash)] = SERVER_OTHER_VERSION;
    }
    r->count++;
    TAILQ_INSERT_TAIL(list, call, in_list);
}

static void send_own(void *ctx, struct waiter waiter, const struct args *c)
{
    struct store *r = ctx;
    call_add(r, &r->gathering, waiter, c);
}

static void connection_break(struct store *r);

/* While one is missing, as store.c does it. */
static void on_look(void *ctx)
{
    struct store *r = ctx;
    unsigned sentinel;
    if (!r->is_up || !copies_are_missing(&r->flight.copies)) {
        r->is_looking = false;
        return;
    }
    world_after(r->node, (int64_t)COPIES_LOOK_MS * 1000, on_look, r);
    flight_look(&r->flight, send_own, r);
    if (sentinel_ask(r, &sentinel) == r->server) {
        sentinel_named(r, sentinel);
    } else {
        connection_break(r);
    }
}

static void look(struct store *r)
{
    if (!r->is_looking && copies_are_missing(&r->flight.copies)) {
        r->is_looking = true;
        world_after(r->node, (int64_t)COPIES_LOOK_MS * 1000, on_look, r);
    }
}

/* The library is loaded, unless it is there. False: there is no room for it. */
static bool server_load(struct group *g, unsigned server, const struct library *library,
                        bool is_other_version)
{
    struct args *c = mem_new(sizeof(*c));
    char own[16], other[16];
    snprintf(own, sizeof(own), "%s", library->hash);
    snprintf(other, sizeof(other), "%s", own);
    (is_other_version ? own : other)[0] = SERVER_OTHER_VERSION;
    args_text(c, "LOAD");
    args_text(c, library->name);
    args_text(c, own);
    args_text(c, world_bugs.libraries_replace ? other : "");
    struct server_reply *reply = group_execute(g, server, c);
    bool is_good = !reply->is_error;
    server_reply_free(reply);
    args_free(c);
    free(c);
    return is_good;
}

static bool greet(struct store *r)
{
    return r->library == NULL || server_load(r->group, r->server, r->library, r->is_other_version);
}

static void on_attempt(void *ctx);

static void on_greeted(void *ctx)
{
    struct store *r = ctx;
    r->is_full = false;
    if (r->life != group_life(r->group, r->server)) {
        copies_lost(&r->flight.copies);
        world_after(r->node, 20000 + world_random(500000), on_attempt, r);
        return;
    }
    struct server_reply *role = role_reply(r);
    flight_role(&r->flight, server_reply_texts(role));
    server_reply_free(role);
    if (!greet(r)) {
        world_say("store has no room for the library");
        r->is_full = true;
        copies_lost(&r->flight.copies);
        world_after(r->node, 20000 + world_random(500000), on_attempt, r);
        return;
    }
    r->is_up = true;
    r->is_mute = false;
    look(r);
    world_say("store is up");
    for (unsigned i = 0; i < r->watcher_count; i++) {
        r->watchers[i].on_up(r->watchers[i].ctx);
    }
}

static void on_greeting_silent(void *ctx)
{
    struct store *r = ctx;
    world_say("store is silent when greeted");
    if (!world_bugs.silence_is_even) {
        patience_silent(&r->patience);
    }
    on_attempt(r);
}

static void on_attempt(void *ctx)
{
    struct store *r = ctx;
    unsigned sentinel;
    if (r->flight.copies.all > 0) {
        r->server = sentinel_ask(r, &sentinel);
        sentinel_named(r, sentinel);
    }
    r->life = group_life(r->group, r->server);
    if (r->life == 0) {
        copies_lost(&r->flight.copies);
        world_after(r->node, 20000 + world_random(500000), on_attempt, r);
        return;
    }
    int64_t takes_us = group_serve(r->group, r->server, 0); /* who greets waits for its turn */
    int64_t borne_us = r->patience.ms * 1000;
    if (takes_us == 0) {
        on_greeted(r);
    } else if (takes_us < borne_us) {
        world_after(r->node, takes_us, on_greeted, r);
    } else {
        world_after(r->node, borne_us, on_greeting_silent, r);
    }
}

/* What was answered, or had not gone out yet, was just lost. */
static void on_broken(void *ctx)
{
    struct store *r = ctx;
    world_say("store connection is lost");
    r->is_flying = false;
    flight_lost(&r->flight);
    held_fail(r);
    calls_fail(r, &r->out, r->lost_err);
    calls_fail(r, &r->gathering, -ERR_STORE_DOWN);
    calls_fail(r, &r->waiting, -ERR_STORE_DOWN);
    world_after(r->node, 50000 + world_random(500000), on_attempt, r);
}

static void connection_end(struct store *r, int err)
{
    r->is_up = false;
    r->epoch++;
    r->lost_err = err;
    group_forget(r->wait);
    r->wait = NULL;
    r->waiting_for = NULL;
    copies_lost(&r->flight.copies);
    patience_lost(&r->patience);
    world_after(r->node, 300, on_broken, r);
}

static void connection_break(struct store *r)
{
    connection_end(r, -ERR_STORE_DOWN);
}

static void on_silence(void *ctx)
{
    struct store *r = ctx;
    int64_t left_us = r->heard_us + r->patience.ms * 1000 - world.now_us;
    r->is_timing = r->is_up && !TAILQ_EMPTY(&r->out) && left_us > 0;
    if (r->is_timing) {
        world_after(r->node, left_us, on_silence, r);
    } else if (r->is_up && !TAILQ_EMPTY(&r->out)) {
        world_say("store is silent");
        if (!world_bugs.silence_is_even) {
            patience_silent(&r->patience);
        }
        connection_end(r, world_bugs.silence_is_loss ? -ERR_STORE_DOWN : -ERR_STORE_TIMEOUT);
    }
}

/* From now on an answer is owed. */
static void owed(struct store *r)
{
    if (TAILQ_EMPTY(&r->out)) {
        r->heard_us = world.now_us;
    }
    if (!r->is_timing) {
        r->is_timing = true;
        world_after(r->node, r->patience.ms * 1000, on_silence, r);
    }
}

/* Replies to the first `count` calls that are out; they were executed before. */
struct replies {
    struct store *store;
    unsigned count;
};

static void held_release(struct store *r)
{
    for (unsigned left = r->flight.held.count; left > 0; left--) {
        struct waiter waiter = waiters_pop(&r->flight.held);
        call_tell(r, waiter, waiter.err, texts_box_view(waiter.reply));
        texts_box_free(waiter.reply);
    }
}

/* As store/store.c does it. */
static void call_answered(struct store *r, struct call *call)
{
    struct texts reply = server_reply_texts(call->reply);
    int err = call->reply->is_error ? texts_error(texts_at(reply, 0)) : 0;
    struct waiter waiter = call->waiter;
    bool is_call = waiter.kind == WAITER_CALL;
    if (is_call) {
        patience_answered(&r->patience);
    }
    if (is_call && r->flight.copies.all > 0) {
        waiter.err = err;
        waiter.reply = server_reply_take(call->reply);
        waiters_push(&r->flight.held, waiter);
        return;
    }
    if (is_call || waiter.kind == WAITER_ASK) {
        call_tell(r, waiter, err, reply);
        return;
    }
    r->count--;
    switch (flight_answer(&r->flight, waiter, reply, err, world.now_us / 1000)) {
    case FLIGHT_GOES_ON:
        break;
    case FLIGHT_IS_DONE:
        look(r);
        held_release(r);
        break;
    case FLIGHT_IS_SHORT:
        world_say("too few replicas");
        look(r);
        if (world_bugs.short_is_lost) {
            connection_break(r);
        }
        break;
    case FLIGHT_IS_BROKEN:
        connection_break(r);
        break;
    }
}

static void on_replies(void *ctx)
{
    struct replies *replies = ctx;
    struct store *r = replies->store;
    unsigned count = replies->count;
    free(replies);
    r->is_flying = false;
    if (!TAILQ_EMPTY(&r->out)) {
        patience_heard(&r->patience, (world.now_us - r->heard_us) / 1000, world.now_us / 1000);
        r->heard_us = world.now_us;
    }
    for (; count > 0 && r->is_up && !TAILQ_EMPTY(&r->out); count--) {
        struct call *call = TAILQ_FIRST(&r->out);
        if (call->reply == NULL) {
            return; /* of a connection that was lost meanwhile */
        }
        TAILQ_REMOVE(&r->out, call, in_list);
        call_answered(r, call);
        call_free(call);
    }
}

static void replies_send(struct store *r, unsigned count)
{
    struct replies *replies = mem_new(sizeof(*replies));
    *replies = (struct replies){r, count};
    world_after_or(r->node, 100, on_replies, free, replies);
}

/* The WAIT of a flight is over, and what is behind it is asked. */
static void on_counted(void *ctx, unsigned count)
{
    struct store *r = ctx;
    char text[16];
    const char *texts[] = {text};
    count = world_bugs.wait_for_one && count > 0 ? r->flight.copies.all : count;
    snprintf(text, sizeof(text), "%u", count);
    r->waiting_for->reply = server_reply_of(texts, 1);
    for (struct call *call = TAILQ_NEXT(r->waiting_for, in_list); call != NULL;
         call = TAILQ_NEXT(call, in_list)) {
        call->reply = own_reply(r, call->waiter.kind);
    }
    r->wait = NULL;
    r->waiting_for = NULL;
    replies_send(r, r->count);
}

static void wait_begin(struct store *r, struct call *call, const struct args *c)
{
    int64_t needed = 0, timeout_ms = 0;
    slice_int64(args_at(c, 1), &needed);
    slice_int64(args_at(c, 2), &timeout_ms);
    r->waiting_for = call;
    if (world_bugs.wait_for_none) {
        on_counted(r, r->flight.copies.all);
        return;
    }
    needed = world_bugs.wait_for_one ? 1 : needed;
    r->wait = group_wait(r->group, r->server, r->offset, (unsigned)needed, timeout_ms * 1000,
                         on_counted, r);
}

/* A pipeline on its way: copies of its commands, so that the sender may die. */
struct pipeline {
    struct store *store; /* for the replies; void when the node's life is another */
    struct node *node;
    uint64_t life;
    struct group *group;
    unsigned server;
    uint64_t server_life;
    uint64_t epoch;
    unsigned count;
    struct args *commands;
};

static struct server_reply *pipeline_command(struct pipeline *p, const struct args *c)
{
    if (slice_is(args_at(c, 0), "PUBLISH")) {
        notice_world_publish(args_at(c, 1), args_at(c, 2));
    }
    return group_execute(p->group, p->server, c);
}

/* Executes the first `done` of its commands. `call` is the one that waits for the first reply;
 * NULL: nobody does, and so nobody waits for replicas. False: they are waited for. */
static bool pipeline_commands(struct pipeline *p, unsigned done, struct call *call)
{
    for (unsigned i = 0; i < done; i++) {
        struct args *c = &p->commands[i];
        bool is_wait = slice_is(args_at(c, 0), "WAIT");
        if (is_wait && call != NULL && done == p->count) {
            wait_begin(p->store, call, c); /* what is behind it is asked when it is over */
            return false;
        }
        if (is_wait) {
            break;
        }
        struct server_reply *own = call != NULL ? own_reply(p->store, call->waiter.kind) : NULL;
        struct server_reply *reply = own != NULL ? own : pipeline_command(p, c);
        if (call == NULL) {
            server_reply_free(reply);
            continue;
        }
        p->store->offset = own != NULL ? p->store->offset : group_position(p->group, p->server);
        call->reply = reply;
        call = TAILQ_NEXT(call, in_list);
    }
    return true;
}

static void pipeline_free(struct pipeline *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        args_free(&p->commands[i]);
    }
    free(p->commands);
    free(p);
}

static void pipeline_drop(void *ctx)
{
    pipeline_free(ctx);
}

static bool pipeline_is_poisoned(const struct pipeline *p)
{
    for (unsigned i = 0; i < p->count && world.costs.has_poison; i++) {
        const struct args *c = &p->commands[i];
        if (c->count > 4 && slice_is(args_at(c, 4), "stock:item:" STORE_POISON)) {
            return true;
        }
    }
    return false;
}

static void pipeline_executed(void *ctx)
{
    struct pipeline *p = ctx;
    bool is_mine = p->node->is_up && p->node->life == p->life && p->store->epoch == p->epoch;
    if (is_mine && pipeline_is_poisoned(p)) {
        p->store->is_mute = true;
    }
    if (is_mine && p->store->is_mute) {
        world_say("store will say nothing more");
        pipeline_free(p);
        return;
    }
    struct store *r = p->store;
    bool is_heard = p->node->is_up && p->node->life == p->life && r->is_up && r->epoch == p->epoch;
    bool is_broken = world_chance(world.chances.break_store);
    unsigned done = is_broken ? world_random(p->count + 1) : p->count;
    if (p->server_life != group_life(p->group, p->server)) {
        is_broken = true; /* written to a server that is no more, or is no master any more */
        done = 0;
    }
    struct call *call = is_heard ? TAILQ_FIRST(&r->out) : NULL;
    while (call != NULL && call->reply != NULL) {
        call = TAILQ_NEXT(call, in_list); /* executed by an earlier pipeline */
    }
    bool is_answered = pipeline_commands(p, done, is_broken ? NULL : call);
    if (is_heard && is_broken) {
        connection_break(r);
    } else if (is_heard && is_answered) {
        replies_send(r, p->count);
    }
    pipeline_free(p);
}

/* It has come; the server does it in its turn. What it does for a connection that was left
 * meanwhile takes as long. */
static void pipeline_execute(void *ctx)
{
    struct pipeline *p = ctx;
    int64_t cost_us = 0;
    for (unsigned i = 0; i < p->count; i++) {
        bool is_list =
            p->commands[i].count > 1 && slice_is(args_at(&p->commands[i], 1), "order_sagas");
        cost_us += is_list ? world.costs.list_us : 0;
    }
    int64_t takes_us = group_serve(p->group, p->server, cost_us);
    if (takes_us == 0) {
        pipeline_executed(p);
    } else {
        world_after_or(NULL, takes_us, pipeline_executed, pipeline_drop, p);
    }
}

static void pipeline_write(struct store *r)
{
    struct pipeline *p = mem_new(sizeof(*p));
    struct call *call;
    *p = (struct pipeline){.store = r,
                           .node = r->node,
                           .life = r->node->life,
                           .group = r->group,
                           .server = r->server,
                           .server_life = r->life,
                           .epoch = r->epoch};
    flight_end(&r->flight, world.now_us / 1000, r->timeout_ms, send_own, r);
    TAILQ_FOREACH(call, &r->gathering, in_list)
    {
        p->count++;
    }
    p->commands = mem_new(p->count * sizeof(*p->commands));
    unsigned i = 0;
    owed(r);
    while ((call = TAILQ_FIRST(&r->gathering)) != NULL) {
        TAILQ_REMOVE(&r->gathering, call, in_list);
        TAILQ_INSERT_TAIL(&r->out, call, in_list);
        p->commands[i++] = call->command;
        call->command = (struct args){0};
    }
    int64_t at_us = world.now_us + 100 + world_random(500);
    r->last_us = at_us > r->last_us ? at_us : r->last_us + 1;
    r->is_flying = r->flight.copies.all > 0;
    world_after_or(NULL, r->last_us - world.now_us, pipeline_execute, pipeline_drop, p);
}

static void on_failed(void *ctx)
{
    struct store *r = ctx;
    calls_fail(r, &r->failed, -ERR_STORE_DOWN);
}

/* Only so that a turn ends. */
static void on_paced(void *ctx)
{
    struct store *r = ctx;
    r->is_nudged = false;
}

/* Calls that may go out, in their order. */
static void calls_let_out(struct store *r)
{
    struct call *call;
    while ((call = TAILQ_FIRST(&r->waiting)) != NULL && !flight_is_out(&r->flight) &&
           patience_lets(&r->patience, call->command.is_alone)) {
        TAILQ_REMOVE(&r->waiting, call, in_list);
        TAILQ_INSERT_TAIL(&r->gathering, call, in_list);
        patience_sent(&r->patience, call->command.is_alone);
        r->flight.is_begun = true;
    }
}

static void on_turn_end(void *ctx)
{
    struct store *r = ctx;
    if (!flight_is_out(&r->flight)) {
        rows_flush(r->rows);
    }
    if (!TAILQ_EMPTY(&r->failed)) {
        world_after(r->node, 1000, on_failed, r);
    }
    if (!r->is_up || r->is_flying) {
        return;
    }
    calls_let_out(r);
    bool is_paced = flight_is_paced(&r->flight, world.now_us / 1000);
    bool is_again = r->flight.is_late && !r->flight.is_out && !is_paced;
    if (is_paced && !r->is_nudged) {
        r->is_nudged = true;
        world_after(r->node, FLIGHT_PACE_MS * 1000, on_paced, r);
    }
    if ((is_again || !TAILQ_EMPTY(&r->gathering)) && world_effect("write to the store")) {
        pipeline_write(r);
    }
}

static void call_now(void *ctx, const struct args *c, texts_on_reply *on_reply, void *reply_ctx)
{
    struct store *r = ctx;
    struct waiter waiter = {.on_reply = on_reply, .ctx = reply_ctx};
    call_add(r, r->is_up ? &r->waiting : &r->failed, waiter, c);
}

void store_call(struct store *r, const struct args *c, texts_on_reply *on_reply, void *ctx)
{
    if (c->row > 0 && !c->is_alone) {
        rows_add(r->rows, c, on_reply, ctx);
    } else {
        call_now(r, c, on_reply, ctx);
    }
}

/* Where no server has a limit to its memory nobody needs to hear that. */
void store_ask(struct store *r, const struct args *c, texts_on_reply *on_reply, void *ctx)
{
    struct waiter waiter = {.kind = WAITER_ASK, .on_reply = on_reply, .ctx = ctx};
    if (world.has_limits && !world_bugs.no_questions) {
        call_add(r, r->is_up ? &r->gathering : &r->failed, waiter, c);
    }
}

struct store *store_new(struct loop *loop, const struct store_conf *conf, const char *group,
                        const char *node, const struct library *library)
{
    (void)node;
    struct store *r = mem_new(sizeof(*r));
    r->library = library;
    r->is_other_version = library != NULL && world_random(2) == 0;
    r->node = world.current;
    r->group = group_named(group);
    r->flight.copies.all = (unsigned)conf->redis_wait_replicas;
    r->flight.copies.degrade_ms = conf->redis_degrade_ms;
    r->flight.copies.sentinels = GROUP_SENTINELS;
    r->timeout_ms = conf->redis_timeout_ms;
    patience_init(&r->patience, r->timeout_ms); /* less than the services have: more silences */
    TAILQ_INSERT_TAIL(&connections, r, in_all);
    r->loop = loop;
    r->rows = rows_new(call_now, r);
    TAILQ_INIT(&r->waiting);
    TAILQ_INIT(&r->gathering);
    TAILQ_INIT(&r->out);
    TAILQ_INIT(&r->failed);
    loop_hook_add(loop, LOOP_HOOK_STORE, on_turn_end, r);
    world_after(r->node, 1000, on_attempt, r);
    return r;
}

void store_free(struct store *r)
{
    if (r == NULL) {
        return;
    }
    loop_hook_remove(r->loop, LOOP_HOOK_STORE, on_turn_end, r);
    TAILQ_REMOVE(&connections, r, in_all);
    group_forget(r->wait);
    r->is_up = false;
    held_fail(r);
    flight_free(&r->flight);
    calls_fail(r, &r->waiting, -ERR_STORE_DOWN);
    calls_fail(r, &r->gathering, -ERR_STORE_DOWN);
    calls_fail(r, &r->out, -ERR_STORE_DOWN);
    calls_fail(r, &r->failed, -ERR_STORE_DOWN);
    calls_fail(r, &r->failed, -ERR_STORE_DOWN); /* who called again while it was told */
    rows_free(r->rows);
    free(r);
}

const char *store_refusal(const struct store *r)
{
    (void)r;
    return NULL;
}

int64_t store_wall_ms(const struct store *r)
{
    return group_wall_ms(r->group);
}

bool store_is_up(const struct store *r)
{
    return r->is_up;
}

bool store_is_full(const struct store *r)
{
    return !r->is_up && r->is_full;
}

unsigned store_outstanding(const struct store *r)
{
    return r->count + rows_gathered(r->rows);
}

void store_watch_up(struct store *r, store_on_up *on_up, void *ctx)
{
    assert(r->watcher_count < WATCHERS_MAX);
    r->watchers[r->watcher_count].on_up = on_up;
    r->watchers[r->watcher_count++].ctx = ctx;
}

/* ---- the world's side ---- */

void store_world_reset(const struct library *const *list, unsigned count, unsigned replicas)
{
    libraries = list;
    library_count = count;
    notice_world_reset();
    TAILQ_INIT(&connections);
    server_world_reset(list, count);
    group_world_reset(replicas);
}

/* What is told to nobody that is connected: the server is another one. */
void store_broken(const struct group *g, unsigned server)
{
    struct store *r;
    TAILQ_FOREACH(r, &connections, in_all)
    {
        if (r->is_up && r->group == g && r->server == server) {
            connection_break(r);
        }
    }
}

void store_keep(const char *service)
{
    server_keep(group_truth(group_named(service)));
}

void store_restore(const char *service)
{
    struct group *g = group_named(service);
    server_restore(group_truth(g));
    group_restarted(g);
}

/* What a full store has not got yet cannot be loaded, and until there is room nothing can be done
 * by who needs it. So what ends sagas is there in both versions; only keys may find no room. */
void store_limit(const char *service, unsigned percent)
{
    struct group *g = group_named(service);
    for (unsigned i = 0; i < library_count; i++) {
        if (strcmp(libraries[i]->name, service) == 0) { /* that of the keys has another one */
            server_load(g, group_master(g), libraries[i], false);
            server_load(g, group_master(g), libraries[i], true);
        }
    }
    group_limit(g, percent);
}

bool store_is_announced(const char *service)
{
    return server_is_announced(group_truth(group_named(service)), service);
}

bool store_is_replayed(const char *service)
{
    char key[64];
    snprintf(key, sizeof(key), "order:replay:%s", service);
    return !server_has(group_truth(group_named("order")), key);
}

void store_each(store_on_field *on_field, void *ctx)
{
    static const char *const names[] = {"order", "payment", "stock", "saga"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        server_each(group_truth(group_named(names[i])), on_field, ctx);
    }
}

/* The key begins with the group's name. */
void store_set(const char *key, const char *field, const char *value)
{
    struct args c = {0};
    char name[16];
    args_text(&c, "HSET");
    args_text(&c, key);
    args_text(&c, field);
    args_text(&c, value);
    slice_copy((struct slice){key, strcspn(key, ":")}, name, sizeof(name));
    group_set(group_named(name), &c);
    args_free(&c);
}
