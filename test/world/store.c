/* The store: idempotency/redis.h without Redis. A pipeline is executed in order, by the real
 * function libraries (Lua 5.1, redis.lua), and answered after it is durable. When a connection
 * breaks, a prefix of the pipeline was done and nobody hears of it.
 *
 *   redis_call -> this turn's pipeline -> [executed] -> [answered] -> on_reply, a turn
 */
#include "idempotency/redis.h"

#include <assert.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "idempotency/rows.h"
#include "runtime/err.h"
#include "test/world/world.h"

#define REPLY_TEXTS_MAX 20000
#define WATCHERS_MAX    8

struct redis_reply {
    unsigned count;
    unsigned first, shown; /* of its texts (redis_reply_show) */
    bool is_error;
    struct slice *texts;
    struct buf bytes;
};

struct call {
    struct redis_command command;
    redis_on_reply *on_reply;
    void *ctx;
    struct redis_reply *reply;
    TAILQ_ENTRY(call) in_list;
};
TAILQ_HEAD(calls, call);

struct redis {
    struct node *node;
    struct loop *loop;
    struct rows *rows;
    struct calls gathering, out, failed;
    unsigned count;
    bool is_up;
    int64_t last_us; /* a connection keeps its order */
    struct {
        redis_on_up *on_up;
        void *ctx;
    } watchers[WATCHERS_MAX];
    unsigned watcher_count;
};

static lua_State *lua;
static struct redis *stores[WORLD_NODES_MAX]; /* of each node, the one of its own service */
static unsigned servers[WORLD_NODES_MAX];     /* counts the servers that store has been */

/* ---- replies ---- */

static void reply_add(struct redis_reply *reply, const char *data, size_t bytes, bool is_nil)
{
    assert(reply->count < REPLY_TEXTS_MAX);
    reply->texts = realloc(reply->texts, (reply->count + 1) * sizeof(*reply->texts));
    assert(reply->texts != NULL);
    /* offsets for now: the bytes move as they grow */
    reply->texts[reply->count++] =
        (struct slice){is_nil ? NULL : (const char *)1, is_nil ? 0 : bytes};
    buf_add(&reply->bytes, data, bytes);
}

static void reply_add_value(struct redis_reply *reply, int at)
{
    size_t bytes;
    char number[32];
    if (lua_type(lua, at) == LUA_TNUMBER) {
        snprintf(number, sizeof(number), "%.14g", lua_tonumber(lua, at));
        reply_add(reply, number, strlen(number), false);
    } else if (lua_type(lua, at) == LUA_TSTRING) {
        const char *text = lua_tolstring(lua, at, &bytes);
        reply_add(reply, text, bytes, false);
    } else if (lua_type(lua, at) == LUA_TTABLE) {
        for (int i = 1;; i++) {
            lua_rawgeti(lua, at, i);
            if (lua_isnil(lua, -1)) {
                lua_pop(lua, 1);
                return;
            }
            reply_add_value(reply, lua_gettop(lua));
            lua_pop(lua, 1);
        }
    } else {
        reply_add(reply, "", 0, true);
    }
}

static void reply_settle(struct redis_reply *reply)
{
    size_t at = 0;
    buf_add_text(&reply->bytes, "");
    for (unsigned i = 0; i < reply->count; i++) {
        if (reply->texts[i].data != NULL) {
            reply->texts[i].data = reply->bytes.data + at;
            at += reply->texts[i].bytes;
        }
    }
    reply->first = 0;
    reply->shown = reply->count;
}

static void reply_free(struct redis_reply *reply)
{
    if (reply != NULL) {
        free(reply->texts);
        buf_free(&reply->bytes);
        free(reply);
    }
}

unsigned redis_reply_count(const struct redis_reply *reply)
{
    return reply->shown;
}

struct slice redis_reply_at(const struct redis_reply *reply, unsigned i)
{
    assert(i < reply->shown);
    return reply->texts[reply->first + i];
}

/* Every reply is made here, and is writable. */
void redis_reply_show(const struct redis_reply *reply, unsigned first, unsigned count)
{
    struct redis_reply *view = (struct redis_reply *)reply;
    assert(first + count <= reply->count);
    view->first = first;
    view->shown = count;
}

/* ---- execution ---- */

static struct slice word(const struct redis_command *c, unsigned i)
{
    uint32_t start = i > 0 ? c->end[i - 1] : 0;
    return (struct slice){c->bytes.data + start, c->end[i] - start};
}

static bool field_is(const char *name, struct redis_reply *reply)
{
    lua_getfield(lua, -1, name);
    bool is_there = lua_isstring(lua, -1);
    if (is_there) {
        reply_add_value(reply, lua_gettop(lua));
    }
    lua_pop(lua, 1);
    return is_there;
}

static struct redis_reply *command_execute(const struct redis_command *c)
{
    struct redis_reply *reply = mem_new(sizeof(*reply));
    world.calls++;
    lua_getglobal(lua, "world_run");
    luaL_checkstack(lua, (int)c->count + 8, "words");
    for (unsigned i = 0; i < c->count; i++) {
        lua_pushlstring(lua, word(c, i).data, word(c, i).bytes);
    }
    if (lua_pcall(lua, (int)c->count, 1, 0) != 0) {
        reply->is_error = true;
        reply_add_value(reply, lua_gettop(lua));
        world_fault("the library fails: %s", lua_tostring(lua, -1));
    } else if (lua_istable(lua, -1) && field_is("err", reply)) {
        reply->is_error = true;
        world_fault("the store refuses: %.*s", SLICE_ARG(word(c, 1)));
    } else if (!lua_istable(lua, -1) || !field_is("ok", reply)) {
        reply_add_value(reply, lua_gettop(lua));
    }
    lua_settop(lua, 0);
    reply_settle(reply);
    return reply;
}

/* ---- the connection ---- */

static void call_free(struct call *call)
{
    redis_command_free(&call->command);
    reply_free(call->reply);
    free(call);
}

static void calls_fail(struct redis *r, struct calls *list)
{
    struct calls now = TAILQ_HEAD_INITIALIZER(now);
    TAILQ_CONCAT(&now, list, in_list);
    struct call *call;
    while ((call = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, call, in_list);
        r->count--;
        if (call->on_reply != NULL) {
            call->on_reply(call->ctx, -ERR_STORE_DOWN, NULL);
        }
        call_free(call);
    }
}

static void on_up_again(void *ctx)
{
    struct redis *r = ctx;
    r->is_up = true;
    world_say("store is up");
    for (unsigned i = 0; i < r->watcher_count; i++) {
        r->watchers[i].on_up(r->watchers[i].ctx);
    }
}

static void on_broken(void *ctx)
{
    struct redis *r = ctx;
    world_say("store connection is lost");
    calls_fail(r, &r->out);
    world_after(r->node, 50000 + world_random(500000), on_up_again, r);
}

/* Replies to the first `count` calls that are out; they were executed before. */
struct replies {
    struct redis *redis;
    unsigned count;
};

static void on_replies(void *ctx)
{
    struct replies *replies = ctx;
    struct redis *r = replies->redis;
    unsigned count = replies->count;
    free(replies);
    for (; count > 0 && !TAILQ_EMPTY(&r->out); count--) {
        struct call *call = TAILQ_FIRST(&r->out);
        if (call->reply == NULL) {
            return; /* of a connection that was lost meanwhile */
        }
        TAILQ_REMOVE(&r->out, call, in_list);
        r->count--;
        if (call->on_reply != NULL) {
            call->on_reply(call->ctx, call->reply->is_error ? -ERR_STORE_REPLY : 0, call->reply);
        }
        call_free(call);
    }
}

/* A pipeline on its way: copies of its commands, so that the sender may die. */
struct pipeline {
    struct redis *redis; /* for the replies; void when the node's life is another */
    struct node *node;
    uint64_t life;
    unsigned server;
    unsigned count;
    struct redis_command *commands;
};

static void pipeline_execute(void *ctx)
{
    struct pipeline *p = ctx;
    bool is_heard = p->node->is_up && p->node->life == p->life && p->redis->is_up;
    bool is_broken = world_chance(world.chances.break_store);
    unsigned done = is_broken ? world_random(p->count + 1) : p->count;
    if (p->server != servers[p->node - world.nodes]) {
        is_heard = false; /* written to a server that is no more */
        done = 0;
    }
    struct call *call = is_heard ? TAILQ_FIRST(&p->redis->out) : NULL;
    while (call != NULL && call->reply != NULL) {
        call = TAILQ_NEXT(call, in_list); /* executed by an earlier pipeline */
    }
    for (unsigned i = 0; i < p->count; i++) {
        struct redis_command *c = &p->commands[i];
        if (i < done && slice_is(word(c, 0), "PUBLISH")) {
            notice_world_publish(word(c, 1), word(c, 2));
        }
        if (i < done) {
            bool is_publish = slice_is(word(c, 0), "PUBLISH");
            struct redis_reply *reply = is_publish ? mem_new(sizeof(*reply)) : command_execute(c);
            if (call != NULL) {
                call->reply = reply;
                call = TAILQ_NEXT(call, in_list);
            } else {
                reply_free(reply);
            }
        }
        redis_command_free(c);
    }
    if (is_heard && is_broken) {
        p->redis->is_up = false;
        world_after(p->node, 300, on_broken, p->redis);
    } else if (is_heard) {
        struct replies *replies = mem_new(sizeof(*replies));
        *replies = (struct replies){p->redis, p->count};
        world_after_or(p->node, 100, on_replies, free, replies);
    }
    free(p->commands);
    free(p);
}

static void pipeline_write(struct redis *r)
{
    struct pipeline *p = mem_new(sizeof(*p));
    struct call *call;
    *p = (struct pipeline){.redis = r,
                           .node = r->node,
                           .life = r->node->life,
                           .server = servers[r->node - world.nodes]};
    TAILQ_FOREACH(call, &r->gathering, in_list)
    {
        p->count++;
    }
    p->commands = mem_new(p->count * sizeof(*p->commands));
    unsigned i = 0;
    while ((call = TAILQ_FIRST(&r->gathering)) != NULL) {
        TAILQ_REMOVE(&r->gathering, call, in_list);
        TAILQ_INSERT_TAIL(&r->out, call, in_list);
        p->commands[i++] = call->command;
        call->command = (struct redis_command){0};
    }
    int64_t at_us = world.now_us + 100 + world_random(500);
    r->last_us = at_us > r->last_us ? at_us : r->last_us + 1;
    world_after_or(NULL, r->last_us - world.now_us, pipeline_execute, NULL, p);
}

static void on_failed(void *ctx)
{
    struct redis *r = ctx;
    calls_fail(r, &r->failed);
}

static void on_turn_end(void *ctx)
{
    struct redis *r = ctx;
    rows_flush(r->rows);
    if (!TAILQ_EMPTY(&r->failed)) {
        world_after(r->node, 1000, on_failed, r);
    }
    if (!TAILQ_EMPTY(&r->gathering) && world_effect("write to the store")) {
        pipeline_write(r);
    }
}

static void call_now(void *ctx, const struct redis_command *c, redis_on_reply *on_reply,
                     void *reply_ctx)
{
    struct redis *r = ctx;
    struct call *call = mem_new(sizeof(*call));
    call->on_reply = on_reply;
    call->ctx = reply_ctx;
    call->command.count = c->count;
    memcpy(call->command.end, c->end, c->count * sizeof(c->end[0]));
    buf_add_slice(&call->command.bytes, buf_slice(&c->bytes));
    r->count++;
    if (r->is_up) {
        TAILQ_INSERT_TAIL(&r->gathering, call, in_list);
    } else {
        TAILQ_INSERT_TAIL(&r->failed, call, in_list);
    }
}

void redis_call(struct redis *r, const struct redis_command *c, redis_on_reply *on_reply, void *ctx)
{
    if (c->row > 0) {
        rows_add(r->rows, c, on_reply, ctx);
    } else {
        call_now(r, c, on_reply, ctx);
    }
}

struct redis *redis_new(struct loop *loop, const struct conf *conf, const char *group,
                        const char *node, const char *library)
{
    (void)conf, (void)node, (void)library;
    struct redis *r = mem_new(sizeof(*r));
    r->node = world.current;
    if (strcmp(group, r->node->service->name) == 0) {
        stores[r->node - world.nodes] = r;
    }
    r->loop = loop;
    r->rows = rows_new(call_now, r);
    TAILQ_INIT(&r->gathering);
    TAILQ_INIT(&r->out);
    TAILQ_INIT(&r->failed);
    loop_hook_add(loop, LOOP_HOOK_STORE, on_turn_end, r);
    world_after(r->node, 1000, on_up_again, r);
    return r;
}

void redis_free(struct redis *r)
{
    if (r == NULL) {
        return;
    }
    loop_hook_remove(r->loop, LOOP_HOOK_STORE, on_turn_end, r);
    if (stores[r->node - world.nodes] == r) {
        stores[r->node - world.nodes] = NULL;
    }
    r->is_up = false;
    calls_fail(r, &r->gathering);
    calls_fail(r, &r->out);
    calls_fail(r, &r->failed);
    calls_fail(r, &r->failed); /* who called again while it was told */
    rows_free(r->rows);
    free(r);
}

bool redis_is_up(const struct redis *r)
{
    return r->is_up;
}

unsigned redis_outstanding(const struct redis *r)
{
    return r->count + rows_gathered(r->rows);
}

void redis_watch_up(struct redis *r, redis_on_up *on_up, void *ctx)
{
    assert(r->watcher_count < WATCHERS_MAX);
    r->watchers[r->watcher_count].on_up = on_up;
    r->watchers[r->watcher_count++].ctx = ctx;
}

/* ---- the world's side ---- */

/* A planted bug in the libraries: each place of `from` becomes `to`. */
static unsigned patched;
static void library_patch(const char *library, struct buf *out)
{
    const char *at = strchr(library, '\n') + 1; /* behind #!lua name=.. */
    for (const struct world_patch *p = world_patch; p != NULL && p->from != NULL; p++) {
        struct buf next = {0};
        const char *rest = out->bytes > 0 ? out->data : at;
        const char *found;
        while ((found = strstr(rest, p->from)) != NULL) {
            buf_add(&next, rest, (size_t)(found - rest));
            buf_add_text(&next, p->to);
            rest = found + strlen(p->from);
            patched++;
        }
        buf_add_text(&next, rest);
        buf_free(out);
        *out = next;
    }
    if (out->bytes == 0) {
        buf_add_text(out, at);
    }
}

void store_world_reset(const char *const *libraries, unsigned count)
{
    if (lua != NULL) {
        lua_close(lua);
    }
    lua = luaL_newstate();
    luaL_openlibs(lua);
    notice_world_reset();
    memset(stores, 0, sizeof(stores));
    memset(servers, 0, sizeof(servers));
    if (luaL_dofile(lua, "test/world/redis.lua") != 0) {
        fprintf(stderr, "redis.lua: %s\n", lua_tostring(lua, -1));
        abort();
    }
    patched = 0;
    for (unsigned i = 0; i < count; i++) {
        struct buf text = {0};
        library_patch(libraries[i], &text);
        if (luaL_dostring(lua, text.data) != 0) {
            fprintf(stderr, "library: %s\n", lua_tostring(lua, -1));
            abort();
        }
        buf_free(&text);
    }
    assert(world_patch == NULL || patched > 0); /* a patch that fits nowhere plants nothing */
}

/* Calls a function of redis.lua with a service's name; its result, if that is a boolean. */
static bool service_call(const char *function, const char *service)
{
    lua_getglobal(lua, function);
    lua_pushstring(lua, service);
    if (lua_pcall(lua, 1, 1, 0) != 0) {
        fprintf(stderr, "%s: %s\n", function, lua_tostring(lua, -1));
        abort();
    }
    bool result = lua_toboolean(lua, -1);
    lua_settop(lua, 0);
    return result;
}

void store_keep(const char *service)
{
    service_call("world_keep", service);
}

void store_restore(const char *service)
{
    service_call("world_restore", service);
    for (unsigned i = 0; i < world.node_count; i++) {
        struct node *node = &world.nodes[i];
        if (strcmp(node->service->name, service) != 0) {
            continue;
        }
        servers[i]++;
        if (stores[i] != NULL && stores[i]->is_up) {
            stores[i]->is_up = false;
            world_after(node, 300, on_broken, stores[i]);
        }
    }
}

bool store_is_announced(const char *service)
{
    return service_call("world_is_announced", service);
}

struct visit {
    store_on_field *on_field;
    void *ctx;
};

static int on_visit(lua_State *l)
{
    struct visit *visit = lua_touserdata(l, lua_upvalueindex(1));
    visit->on_field(visit->ctx, lua_tostring(l, 1), lua_tostring(l, 2), lua_tostring(l, 3));
    return 0;
}

void store_each(store_on_field *on_field, void *ctx)
{
    struct visit visit = {on_field, ctx};
    lua_getglobal(lua, "world_each");
    lua_pushlightuserdata(lua, &visit);
    lua_pushcclosure(lua, on_visit, 1);
    if (lua_pcall(lua, 1, 0, 0) != 0) {
        fprintf(stderr, "world_each: %s\n", lua_tostring(lua, -1));
        abort();
    }
}

void store_set(const char *key, const char *field, const char *value)
{
    struct redis_command c = {0};
    redis_arg_text(&c, "HSET");
    redis_arg_text(&c, key);
    redis_arg_text(&c, field);
    redis_arg_text(&c, value);
    reply_free(command_execute(&c));
    redis_command_free(&c);
}
