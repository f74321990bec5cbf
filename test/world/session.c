/* The connection: greeted, silent, lost. As store/connection.c and store/greeting.c have it. */
#include "test/world/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT "6379"

void session_free_call(struct call *call)
{
    args_free(&call->command);
    server_reply_free(call->reply);
    free(call);
}

void session_tell(struct store *r, struct waiter waiter, int err, struct texts reply)
{
    r->count--;
    if (waiter.on_reply != NULL) {
        waiter.on_reply(waiter.ctx, err, reply);
    }
}

void session_fail(struct store *r, struct calls *list, int err)
{
    struct calls now = TAILQ_HEAD_INITIALIZER(now);
    TAILQ_CONCAT(&now, list, in_list);
    struct call *call;
    while ((call = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, call, in_list);
        session_tell(r, call->waiter, err, (struct texts){NULL, 0});
        session_free_call(call);
    }
}

/* Those whose answers are here: nothing is concluded from them. */
void session_fail_held(struct store *r)
{
    while (r->flight.held.count > 0) {
        struct waiter waiter = waiters_pop(&r->flight.held);
        texts_box_free(waiter.reply);
        session_tell(r, waiter, -ERR_STORE_DOWN, (struct texts){NULL, 0});
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
struct server_reply *session_own_reply(const struct store *r, enum waiter_kind kind)
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

void session_add(struct store *r, struct calls *list, struct waiter waiter, const struct args *c)
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

void session_send_own(void *ctx, struct waiter waiter, const struct args *c)
{
    struct store *r = ctx;
    session_add(r, &r->gathering, waiter, c);
}

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
    flight_look(&r->flight, session_send_own, r);
    if (sentinel_ask(r, &sentinel) == r->server) {
        sentinel_named(r, sentinel);
    } else {
        session_break(r);
    }
}

void session_look(struct store *r)
{
    if (!r->is_looking && copies_are_missing(&r->flight.copies)) {
        r->is_looking = true;
        world_after(r->node, (int64_t)COPIES_LOOK_MS * 1000, on_look, r);
    }
}

/* The library is loaded, unless it is there. False: there is no room for it. */
bool session_load(struct group *g, unsigned server, const struct library *library,
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
    return r->library == NULL || session_load(r->group, r->server, r->library, r->is_other_version);
}

static void on_greeted(void *ctx)
{
    struct store *r = ctx;
    r->is_full = false;
    if (r->life != group_life(r->group, r->server)) {
        copies_lost(&r->flight.copies);
        world_after(r->node, 20000 + world_random(500000), session_on_attempt, r);
        return;
    }
    struct server_reply *role = role_reply(r);
    flight_role(&r->flight, server_reply_texts(role));
    server_reply_free(role);
    if (!greet(r)) {
        world_say("store has no room for the library");
        r->is_full = true;
        copies_lost(&r->flight.copies);
        world_after(r->node, 20000 + world_random(500000), session_on_attempt, r);
        return;
    }
    r->is_up = true;
    r->is_mute = false;
    session_look(r);
    world_say("store is up");
    for (unsigned i = 0; i < r->watcher_count; i++) {
        r->watchers[i].on_up(r->watchers[i].ctx);
    }
}

/* Who greets waits for the server's turn: so long, or until patience is at an end. */
struct attempt {
    struct store *store;
    struct node *node;
    uint64_t life;
    uint64_t number;
};

static struct attempt *attempt_new(struct store *r)
{
    struct attempt *attempt = mem_new(sizeof(*attempt));
    *attempt = (struct attempt){r, r->node, r->node->life, r->attempts};
    return attempt;
}

static void on_greeting_silent(void *ctx)
{
    struct attempt *attempt = ctx;
    struct store *r = attempt->store;
    bool is_last = attempt->number == r->attempts;
    free(attempt);
    if (is_last) {
        world_say("store is silent when greeted");
        if (!world_bugs.silence_is_even) {
            patience_silent(&r->patience);
        }
        session_on_attempt(r);
    }
}

static void on_greeting_answered(void *ctx)
{
    struct attempt *attempt = ctx;
    struct store *r = attempt->store;
    bool is_last = attempt->number == r->attempts;
    free(attempt);
    if (is_last) {
        r->attempts++;
        on_greeted(r);
    }
}

static void greeting_run(void *ctx)
{
    (void)ctx; /* what it does takes next to no time */
}

static void greeting_answer(void *ctx)
{
    struct attempt *attempt = ctx;
    if (attempt->node->is_up && attempt->node->life == attempt->life) {
        world_after_or(attempt->node, 0, on_greeting_answered, free, attempt);
    } else {
        free(attempt);
    }
}

void session_on_attempt(void *ctx)
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
        world_after(r->node, 20000 + world_random(500000), session_on_attempt, r);
        return;
    }
    if (!group_takes_time()) {
        on_greeted(r);
        return;
    }
    r->attempts++;
    world_after_or(r->node, r->patience.ms * 1000, on_greeting_silent, free, attempt_new(r));
    group_serve(r->group, r->server, greeting_run, greeting_answer, free, attempt_new(r));
}

/* What was answered, or had not gone out yet, was just lost. */
static void on_broken(void *ctx)
{
    struct store *r = ctx;
    world_say("store connection is lost");
    r->is_flying = false;
    flight_lost(&r->flight);
    session_fail_held(r);
    session_fail(r, &r->out, r->lost_err);
    session_fail(r, &r->gathering, -ERR_STORE_DOWN);
    session_fail(r, &r->waiting, -ERR_STORE_DOWN);
    world_after(r->node, 50000 + world_random(500000), session_on_attempt, r);
}

static void session_end(struct store *r, int err)
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

void session_break(struct store *r)
{
    session_end(r, -ERR_STORE_DOWN);
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
        session_end(r, world_bugs.silence_is_loss ? -ERR_STORE_DOWN : -ERR_STORE_TIMEOUT);
    }
}

/* From now on an answer is owed. */
void session_owe(struct store *r)
{
    if (TAILQ_EMPTY(&r->out)) {
        r->heard_us = world.now_us;
    }
    if (!r->is_timing) {
        r->is_timing = true;
        world_after(r->node, r->patience.ms * 1000, on_silence, r);
    }
}
