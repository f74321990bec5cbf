/* The modelled servers: the real function libraries in Lua 5.1, and the model of the server below
 * them (commands.lua, redis.lua). */
#include "test/world/server.h"

#include <assert.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/err.h"

static lua_State *lua;

/* Calls a function of redis.lua with numbers, and with a text if that is not NULL. */
static int64_t server_call(const char *function, unsigned server, int other, const char *text)
{
    lua_getglobal(lua, function);
    lua_pushinteger(lua, (lua_Integer)server);
    if (text != NULL) {
        lua_pushstring(lua, text);
    } else {
        lua_pushinteger(lua, other);
    }
    if (lua_pcall(lua, 2, 1, 0) != 0) {
        fprintf(stderr, "%s: %s\n", function, lua_tostring(lua, -1));
        abort();
    }
    int64_t result = lua_isboolean(lua, -1) ? lua_toboolean(lua, -1) : lua_tointeger(lua, -1);
    lua_settop(lua, 0);
    return result;
}

/* ---- replies ---- */

static void reply_add_value(struct server_reply *reply, int at)
{
    size_t bytes;
    char number[32];
    if (lua_type(lua, at) == LUA_TNUMBER) {
        snprintf(number, sizeof(number), "%.14g", lua_tonumber(lua, at));
        texts_box_add(reply->box, slice_from(number));
    } else if (lua_type(lua, at) == LUA_TSTRING) {
        const char *text = lua_tolstring(lua, at, &bytes);
        texts_box_add(reply->box, (struct slice){text, bytes});
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
        texts_box_add(reply->box, (struct slice){NULL, 0});
    }
}

void server_reply_free(struct server_reply *reply)
{
    if (reply != NULL) {
        texts_box_free(reply->box);
        free(reply);
    }
}

struct texts server_reply_texts(const struct server_reply *reply)
{
    return texts_box_view(reply->box);
}

struct texts_box *server_reply_take(struct server_reply *reply)
{
    struct texts_box *box = reply->box;
    reply->box = NULL;
    return box;
}

static struct server_reply *reply_new(void)
{
    struct server_reply *reply = mem_new(sizeof(*reply));
    reply->box = mem_new(sizeof(*reply->box));
    return reply;
}

struct server_reply *server_reply_of(const char *const *texts, unsigned count)
{
    struct server_reply *reply = reply_new();
    for (unsigned i = 0; i < count; i++) {
        texts_box_add(reply->box, slice_from(texts[i]));
    }
    return reply;
}

/* ---- execution ---- */

static bool field_is(const char *name, struct server_reply *reply)
{
    lua_getfield(lua, -1, name);
    bool is_there = lua_isstring(lua, -1);
    if (is_there) {
        reply_add_value(reply, lua_gettop(lua));
    }
    lua_pop(lua, 1);
    return is_there;
}

void server_clock(int64_t wall_ms)
{
    lua_pushnumber(lua, (lua_Number)wall_ms);
    lua_setglobal(lua, "world_ms");
}

int64_t server_looked(void)
{
    return server_call("world_looked", 0, 0, NULL);
}

struct server_reply *server_execute(unsigned server, const struct args *c)
{
    struct server_reply *reply = reply_new();
    server_call("world_use", server, 0, NULL);
    world.calls++;
    lua_getglobal(lua, "world_run");
    luaL_checkstack(lua, (int)c->count + 8, "words");
    for (unsigned i = 0; i < c->count; i++) {
        struct slice word = args_at(c, i);
        lua_pushlstring(lua, word.data, word.bytes);
    }
    if (lua_pcall(lua, (int)c->count, 1, 0) != 0) {
        reply->is_error = true;
        bool is_refusal = lua_istable(lua, -1) && field_is("err", reply); /* with a table */
        if (is_refusal) {
            world.refusals += texts_error(texts_at(server_reply_texts(reply), 0)) == -ERR_TOO_OLD;
        } else {
            reply_add_value(reply, lua_gettop(lua));
            world_fault("the library fails: %s", lua_tostring(lua, -1));
        }
    } else if (lua_istable(lua, -1) && field_is("err", reply)) {
        reply->is_error = true;
        int err = texts_error(texts_at(server_reply_texts(reply), 0));
        world.refusals += err == -ERR_TOO_OLD;
        if (err != -ERR_STORE_FULL && err != -ERR_TOO_OLD) {
            world_fault("the store refuses: %.*s", SLICE_ARG(args_at(c, 1)));
        }
    } else if (!lua_istable(lua, -1) || !field_is("ok", reply)) {
        reply_add_value(reply, lua_gettop(lua));
    }
    lua_settop(lua, 0);
    return reply;
}

/* ---- the world's side ---- */

#define PIECES_MAX 8
#define GC_PAUSE   400 /* percent: a run is over before much is garbage */

/* A planted bug in the libraries: each place of `from` becomes `to`. */
static unsigned patched[PIECES_MAX]; /* how many places of each piece there were */

static void library_patch(const char *library, struct buf *out)
{
    unsigned piece = 0;
    const char *at = strchr(library, '\n') + 1; /* behind #!lua name=.. */
    for (const struct world_patch *p = world_patch; p && p->from; p++, piece++) {
        struct buf next = {0};
        const char *rest = out->bytes > 0 ? out->data : at;
        const char *found;
        assert(piece < PIECES_MAX);
        while ((found = strstr(rest, p->from))) {
            buf_add(&next, rest, (size_t)(found - rest));
            buf_add_text(&next, p->to);
            rest = found + strlen(p->from);
            patched[piece]++;
        }
        buf_add_text(&next, rest);
        buf_free(out);
        *out = next;
    }
    if (out->bytes == 0) {
        buf_add_text(out, at);
    }
}

/* A piece that fits nowhere plants nothing, or half of a bug. */
static void patch_check(void)
{
    unsigned piece = 0;
    for (const struct world_patch *p = world_patch; p && p->from; p++, piece++) {
        if (patched[piece] == 0) {
            fprintf(stderr, "planted bug: no library has this text:\n%s\n", p->from);
            exit(1);
        }
    }
}

static void lua_load_text(const char *text)
{
    if (luaL_dostring(lua, text) != 0) {
        fprintf(stderr, "library: %s\n", lua_tostring(lua, -1));
        abort();
    }
}

static void text_read(const char *path, struct buf *out)
{
    char part[4096];
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        abort();
    }
    for (size_t bytes; (bytes = fread(part, 1, sizeof(part), file)) > 0;) {
        buf_add(out, part, bytes);
    }
    fclose(file);
}

/* The model is one text, as a function library is: so its parts share their locals. */
static void model_load(void)
{
    struct buf text = {0};
    text_read("test/world/commands.lua", &text);
    text_read("test/world/redis.lua", &text);
    lua_load_text(text.data);
    buf_free(&text);
}

void server_world_reset(const struct library *const *libraries, unsigned count)
{
    if (lua != NULL) {
        lua_close(lua);
    }
    lua = luaL_newstate();
    luaL_openlibs(lua);
    lua_gc(lua, LUA_GCSETPAUSE, GC_PAUSE);
    model_load();
    memset(patched, 0, sizeof(patched));
    for (unsigned i = 0; i < count; i++) {
        struct buf text = {0};
        library_patch(libraries[i]->source, &text);
        if (strcmp(libraries[i]->name, "order") == 0) {
            buf_add_text(&text, "world_paid_read = paid_read\n"); /* for the checks */
        }
        lua_load_text(text.data);
        /* the same functions once more, as another version's */
        strstr(text.data, libraries[i]->hash)[0] = SERVER_OTHER_VERSION;
        lua_load_text(text.data);
        buf_free(&text);
    }
    patch_check();
}

void server_open(unsigned server)
{
    server_call("world_use", server, 0, NULL);
}

void server_restart(unsigned server)
{
    server_call("world_restart", server, 0, NULL);
}

uint64_t server_position(unsigned server)
{
    return (uint64_t)server_call("world_position", server, 0, NULL);
}

void server_copy(unsigned server, unsigned master)
{
    server_call("world_copy", server, (int)master, NULL);
}

void server_follow(unsigned server, unsigned master)
{
    server_call("world_follow", server, (int)master, NULL);
}

bool server_is_same(unsigned server, unsigned other)
{
    return server_call("world_is_same", server, (int)other, NULL) != 0;
}

void server_keep(unsigned server)
{
    server_call("world_keep", server, 0, NULL);
}

void server_restore(unsigned server)
{
    server_call("world_restore", server, 0, NULL);
}

int64_t server_limit(unsigned server, unsigned percent)
{
    return server_call("world_limit", server, (int)percent, NULL);
}

void server_limit_like(unsigned server, unsigned other)
{
    server_call("world_limit_like", server, (int)other, NULL);
}

bool server_is_announced(unsigned server, const char *service)
{
    return server_call("world_is_announced", server, 0, service) != 0;
}

bool server_has(unsigned server, const char *key)
{
    return server_call("world_has", server, 0, key) != 0;
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

uint64_t server_packed(unsigned server)
{
    return (uint64_t)server_call("world_packed", server, 0, NULL);
}

void server_each(unsigned server, store_on_field *on_field, void *ctx)
{
    struct visit visit = {on_field, ctx};
    server_call("world_use", server, 0, NULL);
    lua_getglobal(lua, "world_each");
    lua_pushlightuserdata(lua, &visit);
    lua_pushcclosure(lua, on_visit, 1);
    if (lua_pcall(lua, 1, 0, 0) != 0) {
        fprintf(stderr, "world_each: %s\n", lua_tostring(lua, -1));
        abort();
    }
}
