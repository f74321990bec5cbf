/* The store connection against real servers: the one of SAGA_REDIS for what does no harm, a
 * private one where the server is killed, paused or demoted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/err.h"
#include "runtime/stat.h"
#include "store/address.h"
#include "store/store.h"
#include "test/lib/given.h"
#include "test/lib/redis_server.h"

#define LIVE_WAIT_MS 10000
#define LIVE_CALLS   1000

/* A library of which there are versions: each has its echo, and says which it is. */
#define LIVE_LIBRARY(version)                                                                      \
    {                                                                                              \
        .name = "live", .hash = "0000000" version,                                                 \
        .source = "#!lua name=kassa_live_0000000" version "\n"                                     \
                  "redis.register_function{function_name = 'live_greet_0000000" version "',\n"     \
                  "  flags = {'no-writes'}, callback = function(keys)\n"                           \
                  "  return redis.call('GET', keys[1]) and redis.error_reply('SCHEMA no') or {}\n" \
                  "end}\n"                                                                         \
                  "redis.register_function('live_echo_0000000" version "', function(keys, args)\n" \
                  "  redis.call('INCR', keys[1])\n"                                                \
                  "  return {args[1], {7, false}, '" version "'}\n"                                \
                  "end)\n"                                                                         \
    }
static const struct library live_library = LIVE_LIBRARY("1");
static const struct library live_newer = LIVE_LIBRARY("2");

struct live {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store_conf conf;
    struct store *redis;
    struct redis_server *server; /* NULL: that of SAGA_REDIS */
    struct args command;
    unsigned ups;
    unsigned answers;
    unsigned failures;
    unsigned timeouts; /* of them */
    unsigned misplaced;
    char text[4096]; /* the last reply, its texts joined by | */
};

static void live_on_tick(void *ctx)
{
    (void)ctx;
}

static void live_on_up(void *ctx)
{
    struct live *t = ctx;
    t->ups++;
}

static void live_text(struct live *t, struct texts reply)
{
    size_t bytes = 0;
    t->text[0] = '\0';
    for (unsigned i = 0; i < reply.count; i++) {
        struct slice s = texts_at(reply, i);
        bytes += (size_t)snprintf(t->text + bytes, sizeof(t->text) - bytes, "%s%.*s", i ? "|" : "",
                                  SLICE_ARG(s));
        assert_true(bytes < sizeof(t->text));
    }
}

static void live_on_reply(void *ctx, int err, struct texts reply)
{
    struct live *t = ctx;
    t->answers++;
    bool is_lost = err == -ERR_STORE_DOWN || err == -ERR_STORE_TIMEOUT;
    t->failures += is_lost;
    t->timeouts += err == -ERR_STORE_TIMEOUT;
    assert_true(!is_lost || reply.count == 0);
    if (!is_lost) {
        live_text(t, reply);
    }
}

static bool live_wait(struct live *t, bool (*is_done)(struct live *))
{
    int64_t until_ms = loop_now_ms(t->loop) + LIVE_WAIT_MS;
    while (!is_done(t)) {
        if (loop_now_ms(t->loop) > until_ms) {
            return false;
        }
        loop_turn(t->loop, true);
    }
    return true;
}

static bool live_is_up(struct live *t)
{
    return store_is_up(t->redis);
}

static bool live_is_down(struct live *t)
{
    return !store_is_up(t->redis);
}

static bool live_is_idle(struct live *t)
{
    return store_outstanding(t->redis) == 0;
}

static void live_call(struct live *t, const char *line)
{
    struct slice rest = slice_from(line);
    struct slice word;
    args_reset(&t->command);
    while (slice_cut(&rest, ' ', &word)) {
        args_add(&t->command, word);
    }
    store_call(t->redis, &t->command, live_on_reply, t);
}

/* The reply to one call that is made when the store is up. */
static const char *live_ask(struct live *t, const char *line)
{
    live_call(t, line);
    assert_true(live_wait(t, live_is_idle));
    return t->text;
}

static struct live *live_new(void)
{
    struct live *t = mem_new(sizeof(*t));
    given_load(&store_conf_table, (conf_lookup *)getenv, &t->conf);
    t->conf.redis_timeout_ms = 300;
    t->loop = loop_new();
    t->tick = loop_timer_new(t->loop, live_on_tick, t);
    loop_timer_start(t->tick, 5, 5);
    return t;
}

static void live_connect(struct live *t, const char *node, const struct library *library)
{
    t->redis = store_new(t->loop, &t->conf, "live", node, library);
    store_watch_up(t->redis, live_on_up, t);
}

static int live_setup_shared(void **state)
{
    struct live *t = live_new();
    struct address_conf address;
    *state = t;
    given_load(&address_tables[ADDRESS_SAGA], (conf_lookup *)getenv, &address);
    t->conf.redis_timeout_ms = 2 * LIVE_WAIT_MS; /* silence is tested with private servers */
    live_connect(t, address.node, &live_library);
    return live_wait(t, live_is_up) ? 0 : -1;
}

static int live_setup_private(void **state)
{
    struct live *t = live_new();
    *state = t;
    t->server = redis_server_start(NULL);
    t->conf.redis_password[0] = '\0';
    live_connect(t, redis_server_node(t->server), &live_library);
    return live_wait(t, live_is_up) ? 0 : -1;
}

static int live_teardown(void **state)
{
    struct live *t = *state;
    store_free(t->redis);
    redis_server_free(t->server);
    args_free(&t->command);
    loop_timer_free(t->tick);
    loop_free(t->loop);
    free(t);
    return 0;
}

struct live_place {
    struct live *t;
    unsigned number;
};

static void live_on_place(void *ctx, int err, struct texts reply)
{
    struct live_place *place = ctx;
    char number[16];
    snprintf(number, sizeof(number), "%u", place->number);
    assert_int_equal(err, 0);
    place->t->misplaced += place->number != place->t->answers;
    place->t->misplaced += !slice_is(texts_at(reply, 0), number);
    place->t->answers++;
}

/* A thousand calls of one turn are answered in their order, and leave in one write. */
static void live_pipeline_in_order(void **state)
{
    struct live *t = *state;
    static struct live_place places[LIVE_CALLS];
    struct stat_value *flushes = stat_counter("kassa_store_flushes_total", "group=\"live\"", "");
    int64_t flushes_before = stat_get(flushes);
    for (unsigned i = 0; i < LIVE_CALLS; i++) {
        places[i] = (struct live_place){t, i};
        args_reset(&t->command);
        args_text(&t->command, "ECHO");
        args_int(&t->command, i);
        store_call(t->redis, &t->command, live_on_place, &places[i]);
    }
    assert_int_equal(store_outstanding(t->redis), LIVE_CALLS);
    assert_true(live_wait(t, live_is_idle));
    assert_int_equal(t->answers, LIVE_CALLS);
    assert_int_equal(t->misplaced, 0);
    assert_int_equal(stat_get(flushes) - flushes_before, 1);
}

/* A function of the library runs; nested arrays, integers and nils come as texts. */
static void live_library_and_flat_reply(void **state)
{
    struct live *t = *state;
    assert_string_equal(live_ask(t, "FCALL live_echo_00000001 1 live:count hello"), "hello|7||1");
    live_ask(t, "DEL live:count");
}

/* An error of the server is the call's own affair: the connection stays. */
static void live_error_reply(void **state)
{
    struct live *t = *state;
    assert_string_equal(live_ask(t, "SET live:text abc"), "OK");
    assert_non_null(strstr(live_ask(t, "HGET live:text a"), "WRONGTYPE"));
    assert_int_equal(t->failures, 0);
    assert_true(store_is_up(t->redis));
    live_ask(t, "DEL live:text");
}

/* A reply and a command of some megabytes pass: the socket takes them in pieces. */
static void live_large(void **state)
{
    struct live *t = *state;
    struct slice text = {mem_new(8 << 20), 8 << 20};
    memset((char *)(uintptr_t)text.data, 'x', text.bytes);
    args_reset(&t->command);
    args_text(&t->command, "SET");
    args_text(&t->command, "live:large");
    args_add(&t->command, text);
    store_call(t->redis, &t->command, live_on_reply, t);
    free((char *)(uintptr_t)text.data);
    assert_string_equal(live_ask(t, "STRLEN live:large"), "8388608");
    live_ask(t, "DEL live:large");
    assert_int_equal(t->failures, 0);
}

static void live_on_reply_again(void *ctx, int err, struct texts reply)
{
    struct live *t = ctx;
    live_on_reply(t, err, reply);
    if (t->answers < 50) {
        store_call(t->redis, &t->command, live_on_reply_again, t);
    }
}

/* A callback may call again. */
static void live_call_from_reply(void **state)
{
    struct live *t = *state;
    args_reset(&t->command);
    args_text(&t->command, "PING");
    store_call(t->redis, &t->command, live_on_reply_again, t);
    assert_true(live_wait(t, live_is_idle));
    assert_int_equal(t->answers, 50);
    assert_int_equal(t->failures, 0);
}

static void live_check_recovers(struct live *t)
{
    unsigned ups = t->ups;
    assert_true(live_wait(t, live_is_up));
    assert_int_equal(t->ups, ups + 1);
    assert_string_equal(live_ask(t, "FCALL live_echo_00000001 1 live:count again"), "again|7||1");
}

/* A killed server: each call that is out fails, once; after the restart the store is up again. */
static void live_killed(void **state)
{
    struct live *t = *state;
    live_call(t, "SET live:kept 1");
    assert_true(live_wait(t, live_is_idle));
    t->answers = 0;
    redis_server_pause(t->server); /* so that none is answered before the kill */
    for (unsigned i = 0; i < LIVE_CALLS; i++) {
        live_call(t, "INCR live:count");
    }
    loop_turn(t->loop, false);
    assert_int_equal(t->answers, 0);
    redis_server_kill9(t->server);
    assert_true(live_wait(t, live_is_idle));
    assert_int_equal(t->answers, LIVE_CALLS);
    assert_int_equal(t->failures, LIVE_CALLS);
    assert_false(store_is_up(t->redis));
    redis_server_restart(t->server);
    live_check_recovers(t);
    assert_string_equal(live_ask(t, "GET live:kept"), "1");
    assert_int_equal(t->failures, LIVE_CALLS);
}

/* A server killed in the middle of a pipeline: each call is answered or fails, once, and what
 * was answered is there after the restart. */
static void live_killed_in_the_middle(void **state)
{
    struct live *t = *state;
    int64_t count = 0;
    for (unsigned i = 0; i < LIVE_CALLS; i++) {
        live_call(t, "INCR live:middle");
    }
    while (t->answers == 0) {
        loop_turn(t->loop, true);
    }
    for (unsigned i = 0; i < LIVE_CALLS; i++) {
        live_call(t, "INCR live:middle");
    }
    loop_turn(t->loop, false);
    redis_server_kill9(t->server);
    assert_true(live_wait(t, live_is_idle));
    assert_int_equal(t->answers, 2 * LIVE_CALLS);
    unsigned answered = t->answers - t->failures;
    redis_server_restart(t->server);
    assert_true(live_wait(t, live_is_up));
    assert_true(slice_int64(slice_from(live_ask(t, "GET live:middle")), &count));
    assert_in_range(count, answered, 2 * LIVE_CALLS);
}

/* A paused server: its silence is noticed in time, the calls fail; it wakes up, all is well. */
static void live_paused(void **state)
{
    struct live *t = *state;
    redis_server_pause(t->server);
    live_call(t, "PING");
    int64_t begun_ms = loop_now_ms(t->loop);
    assert_true(live_wait(t, live_is_down));
    assert_true(live_wait(t, live_is_idle));
    int64_t silent_ms = loop_now_ms(t->loop) - begun_ms;
    assert_true(silent_ms >= t->conf.redis_timeout_ms);
    assert_true(silent_ms < t->conf.redis_timeout_ms + 1500);
    assert_int_equal(t->failures, 1);
    assert_int_equal(t->timeouts, 1);
    /* Connecting still works, for the kernel answers; but nobody greets: a timeout once more. */
    for (int i = 0; i < 100; i++) {
        loop_turn(t->loop, true);
    }
    assert_false(store_is_up(t->redis));
    redis_server_resume(t->server);
    live_check_recovers(t);
}

/* An idle connection is silent by right, and stays. */
static void live_idle_is_not_silence(void **state)
{
    struct live *t = *state;
    int64_t until_ms = loop_now_ms(t->loop) + 3 * t->conf.redis_timeout_ms;
    live_ask(t, "PING");
    while (loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    assert_int_equal(t->ups, 1);
    assert_true(store_is_up(t->redis));
    assert_string_equal(live_ask(t, "PING"), "PONG");
}

/* A master that was demoted is left, and not used again until it is a master. */
static void live_demoted(void **state)
{
    struct live *t = *state;
    redis_server_ask(t->server, "REPLICAOF 127.0.0.1 1");
    live_call(t, "FCALL live_echo_00000001 1 live:count no");
    live_call(t, "SET live:text 1");
    assert_true(live_wait(t, live_is_idle));
    assert_int_equal(t->failures, 2);
    for (int i = 0; i < 100; i++) {
        loop_turn(t->loop, true);
        assert_false(store_is_up(t->redis));
    }
    redis_server_ask(t->server, "REPLICAOF NO ONE");
    live_check_recovers(t);
}

/* Functions that were deleted behind our back come back with the next connection. */
static void live_functions_flushed(void **state)
{
    struct live *t = *state;
    redis_server_ask(t->server, "FUNCTION FLUSH");
    live_call(t, "FCALL live_echo_00000001 1 live:count no");
    assert_true(live_wait(t, live_is_idle));
    assert_int_equal(t->failures, 1);
    live_check_recovers(t);
}

static int64_t live_loads(struct live *t)
{
    const char *line = strstr(redis_server_ask(t->server, "INFO commandstats"), "function|load:");
    return line ? atoll(strchr(line, '=') + 1) : 0;
}

/* Two versions share a store: whichever connects last, each goes on with the functions of its own.
 */
static void live_two_versions(void **state)
{
    struct live *t = *state;
    struct live newer = *t;
    newer.command = (struct args){0};
    live_connect(&newer, redis_server_node(t->server), &live_newer);
    assert_true(live_wait(&newer, live_is_up));
    for (int i = 0; i < 2; i++) {
        assert_string_equal(live_ask(t, "FCALL live_echo_00000001 1 live:count a"), "a|7||1");
        assert_string_equal(live_ask(&newer, "FCALL live_echo_00000002 1 live:count a"), "a|7||2");
        redis_server_ask(t->server, "CLIENT KILL TYPE normal");
        assert_true(live_wait(t, live_is_down));
        assert_true(live_wait(t, live_is_up));
        assert_true(live_wait(&newer, live_is_up));
    }
    assert_int_equal(t->failures + newer.failures, 0);
    assert_int_equal(live_loads(t), 2); /* each was loaded once */
    store_free(newer.redis);
    args_free(&newer.command);
}

/* A store whose memory is full is greeted: the library is there already. */
static void live_full_memory(void **state)
{
    struct live *t = *state;
    redis_server_ask(t->server, "CONFIG SET maxmemory 1");
    redis_server_ask(t->server, "CLIENT KILL TYPE normal");
    assert_true(live_wait(t, live_is_down));
    assert_true(live_wait(t, live_is_up));
    assert_non_null(strstr(live_ask(t, "SET live:text 1"), "OOM"));
    assert_false(store_is_full(t->redis));
}

/* One that lacks the library of this version cannot take it, and is known to be full until it can.
 */
static void live_full_for_the_library(void **state)
{
    struct live *t = *state;
    struct live newer = *t;
    newer.command = (struct args){0};
    redis_server_ask(t->server, "CONFIG SET maxmemory 1");
    newer.redis = store_new(t->loop, &t->conf, "newer", redis_server_node(t->server), &live_newer);
    for (int64_t end_ms = loop_now_ms(t->loop) + 1500; loop_now_ms(t->loop) < end_ms;) {
        loop_turn(t->loop, true);
        assert_false(store_is_up(newer.redis));
    }
    assert_true(store_is_full(newer.redis));
    assert_false(store_is_full(t->redis));
    redis_server_ask(t->server, "CONFIG SET maxmemory 0");
    assert_true(live_wait(&newer, live_is_up));
    assert_false(store_is_full(newer.redis));
    store_free(newer.redis);
}

/* What a newer version has written, and this one cannot read, is not used; and somebody says why.
 */
static void live_newer_schema(void **state)
{
    struct live *t = *state;
    redis_server_ask(t->server, "SET live:schema 2|2");
    redis_server_ask(t->server, "CLIENT KILL TYPE normal");
    assert_true(live_wait(t, live_is_down));
    for (int i = 0; i < 40; i++) {
        loop_turn(t->loop, true);
        assert_false(store_is_up(t->redis));
    }
    assert_string_equal(store_refusal(t->redis), "SCHEMA no");
    redis_server_ask(t->server, "DEL live:schema");
    assert_true(live_wait(t, live_is_up));
    assert_null(store_refusal(t->redis));
}

/* A library that does not load keeps the store down, without a tight loop. */
static void live_broken_library(void **state)
{
    struct live *t = *state;
    struct stat_value *attempts =
        stat_counter("kassa_store_reconnects_total", "group=\"broken\"", "");
    const struct library broken = {
        .name = "broken", .hash = "1", .source = "#!lua name=kassa_broken_1\nlocal function (\n"};
    struct store *r = store_new(t->loop, &t->conf, "broken", redis_server_node(t->server), &broken);
    int64_t until_ms = loop_now_ms(t->loop) + 1000;
    while (loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
        assert_false(store_is_up(r));
    }
    assert_in_range(stat_get(attempts), 3, 15);
    store_free(r);
}

/* A password is given; a wrong one keeps the store down. */
static void live_password(void **state)
{
    struct live *t = *state;
    struct redis_server *server = redis_server_start("geheim");
    struct store *right, *wrong, *none;
    snprintf(t->conf.redis_password, sizeof(t->conf.redis_password), "geheim");
    right = store_new(t->loop, &t->conf, "right", redis_server_node(server), &live_library);
    snprintf(t->conf.redis_password, sizeof(t->conf.redis_password), "falsch");
    wrong = store_new(t->loop, &t->conf, "wrong", redis_server_node(server), &live_library);
    t->conf.redis_password[0] = '\0';
    none = store_new(t->loop, &t->conf, "none", redis_server_node(server), &live_library);
    for (int i = 0; i < 1000 && !store_is_up(right); i++) {
        loop_turn(t->loop, true);
    }
    for (int i = 0; i < 20; i++) {
        loop_turn(t->loop, true);
    }
    assert_true(store_is_up(right));
    assert_false(store_is_up(wrong));
    assert_false(store_is_up(none));
    store_free(right);
    store_free(wrong);
    store_free(none);
    redis_server_free(server);
}

/* A name is looked up; one that does not exist keeps the store down. */
static void live_names(void **state)
{
    struct live *t = *state;
    char node[64];
    snprintf(node, sizeof(node), "localhost:%d", redis_server_port(t->server));
    struct store *good = store_new(t->loop, &t->conf, "name", node, NULL);
    struct store *bad = store_new(t->loop, &t->conf, "noname", "nowhere.invalid:6379", NULL);
    int64_t until_ms = loop_now_ms(t->loop) + LIVE_WAIT_MS;
    while (!store_is_up(good) && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    assert_true(store_is_up(good));
    assert_false(store_is_up(bad));
    store_free(good);
    store_free(bad); /* possibly in the middle of a look-up */
}

/* A disk that takes longer for each sync than silence is borne at first: everything takes longer,
 * the greeting too, and all of it comes, in bounded time. Several connections share the server, as
 * several services do, and what fails is called again. */
#define SLOW_MS      1200
#define SLOW_CLIENTS 4
#define SLOW_CALLS   5 /* of each, one after the other */

struct slow_client {
    struct live *t;
    struct store *redis;
    struct args command;
    unsigned done;
    int64_t begun_ms, worst_ms;
};

static void slow_call(struct slow_client *c);

static void slow_on_reply(void *ctx, int err, struct texts reply)
{
    struct slow_client *c = ctx;
    (void)reply;
    if (err == 0) {
        int64_t took_ms = loop_now_ms(c->t->loop) - c->begun_ms;
        c->worst_ms = took_ms > c->worst_ms ? took_ms : c->worst_ms;
        c->begun_ms += took_ms;
        c->done++;
    }
    if (c->done < SLOW_CALLS && store_is_up(c->redis)) {
        slow_call(c);
    }
}

static void slow_call(struct slow_client *c)
{
    store_call(c->redis, &c->command, slow_on_reply, c);
}

static void slow_on_up(void *ctx)
{
    slow_call(ctx);
}

static void live_slow_disk(void **state)
{
    struct live *t = *state;
    static struct slow_client clients[SLOW_CLIENTS];
    unsigned done = 0;
    store_free(t->redis);
    t->redis = NULL;
    t->conf.redis_timeout_ms = 1000;
    redis_server_slow(t->server, SLOW_MS);
    for (unsigned i = 0; i < SLOW_CLIENTS; i++) {
        struct slow_client *c = &clients[i];
        *c = (struct slow_client){.t = t, .begun_ms = loop_now_ms(t->loop)};
        library_call(&c->command, &live_library, "live_echo", 1);
        args_text(&c->command, "live:count");
        args_text(&c->command, "x");
        c->redis =
            store_new(t->loop, &t->conf, "slow", redis_server_node(t->server), &live_library);
        store_watch_up(c->redis, slow_on_up, c);
    }
    int64_t until_ms = loop_now_ms(t->loop) + 60000;
    while (done < SLOW_CLIENTS * SLOW_CALLS && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
        done = 0;
        for (unsigned i = 0; i < SLOW_CLIENTS; i++) {
            done += clients[i].done;
        }
    }
    redis_server_slow(t->server, 0);
    assert_int_equal(done, SLOW_CLIENTS * SLOW_CALLS);
    for (unsigned i = 0; i < SLOW_CLIENTS; i++) {
        assert_in_range(clients[i].worst_ms, SLOW_MS, 5000 + 5 * SLOW_MS);
        store_free(clients[i].redis);
        args_free(&clients[i].command);
    }
}

/* Freed with calls out: each is told that the store is down. */
static void live_freed(void **state)
{
    struct live *t = *state;
    live_call(t, "PING");
    live_call(t, "PING");
    loop_turn(t->loop, false);
    redis_server_pause(t->server);
    live_call(t, "PING");
    unsigned open = store_outstanding(t->redis);
    assert_true(open >= 1);
    store_free(t->redis);
    t->redis = NULL;
    assert_int_equal(t->answers, 3);
    assert_int_equal(t->failures, open);
}

int main(void)
{
#define PRIVATE(test) cmocka_unit_test_setup_teardown(test, live_setup_private, live_teardown)
#define SHARED(test)  cmocka_unit_test_setup_teardown(test, live_setup_shared, live_teardown)
    const struct CMUnitTest tests[] = {
        SHARED(live_pipeline_in_order),
        SHARED(live_library_and_flat_reply),
        SHARED(live_error_reply),
        SHARED(live_large),
        SHARED(live_call_from_reply),
        PRIVATE(live_killed),
        PRIVATE(live_killed_in_the_middle),
        PRIVATE(live_paused),
        PRIVATE(live_slow_disk),
        PRIVATE(live_idle_is_not_silence),
        PRIVATE(live_demoted),
        PRIVATE(live_functions_flushed),
        PRIVATE(live_two_versions),
        PRIVATE(live_full_memory),
        PRIVATE(live_full_for_the_library),
        PRIVATE(live_newer_schema),
        PRIVATE(live_broken_library),
        PRIVATE(live_password),
        PRIVATE(live_names),
        PRIVATE(live_freed),
    };
    return cmocka_run_group_tests_name("live/store", tests, NULL, NULL);
}
