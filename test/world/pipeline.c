/* A pipeline on its way to a server, and the answers on their way back. */
#include <stdio.h>
#include <stdlib.h>

#include "test/world/session.h"

/* Replies to the first `count` calls that are out; they were executed before. */
struct replies {
    struct store *store;
    unsigned count;
};

static void held_release(struct store *r)
{
    for (unsigned left = r->flight.held.count; left > 0; left--) {
        struct waiter waiter = waiters_pop(&r->flight.held);
        session_tell(r, waiter, waiter.err, texts_box_view(waiter.reply));
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
        session_tell(r, waiter, err, reply);
        return;
    }
    r->count--;
    switch (flight_answer(&r->flight, waiter, reply, err, world.now_us / 1000)) {
    case FLIGHT_GOES_ON:
        break;
    case FLIGHT_IS_DONE:
        session_look(r);
        held_release(r);
        break;
    case FLIGHT_IS_SHORT:
        world_say("too few replicas");
        session_look(r);
        if (world_bugs.short_is_lost) {
            session_break(r);
        }
        break;
    case FLIGHT_IS_BROKEN:
        session_break(r);
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
        session_free_call(call);
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
        call->reply = session_own_reply(r, call->waiter.kind);
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
    bool has_answer;         /* somebody waits for it */
    const struct args *wait; /* .. and for replicas; NULL: not */
};

static struct server_reply *pipeline_command(struct pipeline *p, const struct args *c)
{
    if (slice_is(args_at(c, 0), "PUBLISH")) {
        notice_world_publish(args_at(c, 1), args_at(c, 2));
    }
    return group_execute(p->group, p->server, c);
}

/* Executes the first `done` of its commands, up to a WAIT that somebody waits for: what is behind
 * it is asked when that is over. `call` is the one that waits for the first reply; NULL: nobody
 * does, and so nobody waits for replicas. */
static void pipeline_commands(struct pipeline *p, unsigned done, struct call *call)
{
    for (unsigned i = 0; i < done; i++) {
        struct args *c = &p->commands[i];
        if (slice_is(args_at(c, 0), "WAIT")) {
            p->wait = call ? c : NULL;
            return;
        }
        struct server_reply *own =
            call != NULL ? session_own_reply(p->store, call->waiter.kind) : NULL;
        struct server_reply *reply = own != NULL ? own : pipeline_command(p, c);
        if (call == NULL) {
            server_reply_free(reply);
            continue;
        }
        p->store->offset = own != NULL ? p->store->offset : group_position(p->group, p->server);
        call->reply = reply;
        call = TAILQ_NEXT(call, in_list);
    }
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

static bool pipeline_is_heard(const struct pipeline *p)
{
    return p->node->is_up && p->node->life == p->life && p->store->is_up &&
           p->store->epoch == p->epoch;
}

/* The first call that is out and has no reply yet. */
static struct call *call_unanswered(const struct store *r)
{
    struct call *call = TAILQ_FIRST(&r->out);
    while (call && call->reply) {
        call = TAILQ_NEXT(call, in_list);
    }
    return call;
}

static void pipeline_run(void *ctx)
{
    struct pipeline *p = ctx;
    struct store *r = p->store;
    bool is_mine = p->node->is_up && p->node->life == p->life && r->epoch == p->epoch;
    if (is_mine && pipeline_is_poisoned(p)) {
        r->is_mute = true;
    }
    if (is_mine && r->is_mute) {
        world_say("store will say nothing more");
        return;
    }
    bool is_heard = pipeline_is_heard(p);
    bool is_broken = world_chance(world.chances.break_store);
    unsigned done = is_broken ? world_random(p->count + 1) : p->count;
    if (p->server_life != group_life(p->group, p->server)) {
        is_broken = true; /* written to a server that is no more, or is no master any more */
        done = 0;
    }
    p->has_answer = is_heard && !is_broken;
    pipeline_commands(p, done, p->has_answer ? call_unanswered(r) : NULL);
    if (is_heard && is_broken) {
        session_break(r);
    }
}

/* The turn is over in which it was executed. */
static void pipeline_answer(void *ctx)
{
    struct pipeline *p = ctx;
    if (p->has_answer && pipeline_is_heard(p)) {
        if (p->wait) {
            wait_begin(p->store, call_unanswered(p->store), p->wait);
        } else {
            replies_send(p->store, p->count);
        }
    }
    pipeline_free(p);
}

/* It has come; the server does it in its turn. What it does for a connection that was left
 * meanwhile takes as long. */
static void pipeline_execute(void *ctx)
{
    struct pipeline *p = ctx;
    group_serve(p->group, p->server, pipeline_run, pipeline_answer, pipeline_drop, p);
}

void pipeline_write(struct store *r)
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
    flight_end(&r->flight, world.now_us / 1000, r->timeout_ms, session_send_own, r);
    TAILQ_FOREACH(call, &r->gathering, in_list)
    {
        p->count++;
    }
    p->commands = mem_new(p->count * sizeof(*p->commands));
    unsigned i = 0;
    session_owe(r);
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
