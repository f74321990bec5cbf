/* The store connection against real servers: calls, and servers that are killed, paused, slow or
 * demoted. What it does before it is up: greeting.c. */
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
#include "test/lib/live.h"

#define LIVE_CALLS 1000

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

#define PRIVATE(test) cmocka_unit_test_setup_teardown(test, live_setup_private, live_teardown)
#define SHARED(test)  cmocka_unit_test_setup_teardown(test, live_setup_shared, live_teardown)

int main(void)
{
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
        PRIVATE(live_password),
        PRIVATE(live_names),
        PRIVATE(live_freed),
    };
    return cmocka_run_group_tests_name("live/store", tests, NULL, NULL);
}
