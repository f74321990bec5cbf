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

#include "test/world/session.h"

static TAILQ_HEAD(, store) connections = TAILQ_HEAD_INITIALIZER(connections);
static const struct library *const *libraries;
static unsigned library_count;

static void on_failed(void *ctx)
{
    struct store *r = ctx;
    session_fail(r, &r->failed, -ERR_STORE_DOWN);
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
    session_add(r, r->is_up ? &r->waiting : &r->failed, waiter, c);
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
        session_add(r, r->is_up ? &r->gathering : &r->failed, waiter, c);
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
    world_after(r->node, 1000, session_on_attempt, r);
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
    session_fail_held(r);
    flight_free(&r->flight);
    session_fail(r, &r->waiting, -ERR_STORE_DOWN);
    session_fail(r, &r->gathering, -ERR_STORE_DOWN);
    session_fail(r, &r->out, -ERR_STORE_DOWN);
    session_fail(r, &r->failed, -ERR_STORE_DOWN);
    session_fail(r, &r->failed, -ERR_STORE_DOWN); /* who called again while it was told */
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
            session_break(r);
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
            session_load(g, group_master(g), libraries[i], false);
            session_load(g, group_master(g), libraries[i], true);
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

uint64_t store_packed(void)
{
    return server_packed(group_truth(group_named("order")));
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
