/* Servers, Sentinels, a connection. */
#include "test/lib/given.h"
#include "test/lib/trio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t trio_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until the master has heard how far the replica is, it sends it nothing and counts it for no WAIT:
 * up to a second after the replica has all. There must be something to have: 0 says nothing. */
static bool trio_is_followed(struct redis_server *master, const struct redis_server *replica)
{
    char line[64];
    redis_server_ask(master, "PUBLISH nobody something");
    snprintf(line, sizeof(line), "port=%d,state=online,offset=", redis_server_port(replica));
    const char *told = strstr(redis_server_ask(master, "INFO replication"), line);
    return told && told[strlen(line)] != '0';
}

void trio_follow(struct redis_server *replica, struct redis_server *master)
{
    char line[64];
    snprintf(line, sizeof(line), "REPLICAOF 127.0.0.1 %d", redis_server_port(master));
    assert_memory_equal(redis_server_ask(replica, line), "+OK", 3);
    for (int64_t end = trio_now_ms() + TRIO_WAIT_MS; !trio_is_followed(master, replica);) {
        assert_true(trio_now_ms() < end);
        usleep(20000);
    }
}

int trio_setup(void **state)
{
    struct trio *f = calloc(1, sizeof(*f));
    given_load(&store_conf_table, given_none, &f->conf);
    f->conf.redis_wait_replicas = 1;
    f->conf.redis_timeout_ms = 600;
    for (int i = 0; i < TRIO_NODES; i++) {
        f->nodes[i] = redis_server_start(NULL);
        assert_memory_equal(/* a replica need not wait for another to come */
                            redis_server_ask(f->nodes[i], "CONFIG SET repl-diskless-sync-delay 0"),
                            "+OK", 3);
    }
    trio_follow(f->nodes[1], f->nodes[0]);
    trio_follow(f->nodes[2], f->nodes[0]);
    f->loop = loop_new();
    *state = f;
    return 0;
}

int trio_teardown(void **state)
{
    struct trio *f = *state;
    store_free(f->redis);
    args_free(&f->command);
    loop_free(f->loop);
    for (int i = 0; i < TRIO_NODES; i++) {
        redis_server_free(f->nodes[i]);
    }
    for (int i = 0; i < TRIO_SENTINELS; i++) {
        redis_server_free(f->sentinels[i]);
    }
    free(f);
    return 0;
}

static void trio_on_reply(void *ctx, int err, struct texts reply)
{
    struct trio *f = ctx;
    if (err == 0) {
        f->answers++;
        slice_copy(texts_at(reply, 0), f->last, sizeof(f->last));
    } else {
        f->losses++;
    }
}

void trio_turns(struct trio *f, int64_t ms)
{
    for (int64_t end = trio_now_ms() + ms; trio_now_ms() < end; usleep(200)) {
        loop_turn(f->loop, false);
    }
}

void trio_open(struct trio *f, const char *node)
{
    f->redis = store_new(f->loop, &f->conf, "test", node, NULL);
}

void trio_wait_up(struct trio *f)
{
    for (int64_t end = trio_now_ms() + TRIO_WAIT_MS; !store_is_up(f->redis);) {
        assert_true(trio_now_ms() < end);
        trio_turns(f, 1);
    }
}

void trio_call(struct trio *f, const char *word, const char *key, const char *value)
{
    args_reset(&f->command);
    args_text(&f->command, word);
    args_text(&f->command, key);
    if (value) {
        args_text(&f->command, value);
    }
    store_call(f->redis, &f->command, trio_on_reply, f);
}

void trio_call_until_answered(struct trio *f, const char *word, const char *key, const char *value)
{
    unsigned before = f->answers;
    for (int64_t end = trio_now_ms() + TRIO_WAIT_MS; f->answers == before;) {
        unsigned losses = f->losses;
        assert_true(trio_now_ms() < end);
        trio_call(f, word, key, value);
        while (f->answers == before && f->losses == losses) {
            trio_turns(f, 1);
        }
        trio_turns(f, 20);
    }
}

void trio_wait_answers(struct trio *f, unsigned answers)
{
    for (int64_t end = trio_now_ms() + TRIO_WAIT_MS; f->answers < answers;) {
        assert_true(trio_now_ms() < end);
        trio_turns(f, 1);
    }
}

void trio_watch(struct trio *f)
{
    char line[128];
    char *nodes = f->conf.redis_sentinels;
    for (int i = 0; i < TRIO_SENTINELS; i++) {
        f->sentinels[i] = redis_server_start_sentinel();
        snprintf(line, sizeof(line), "SENTINEL MONITOR shop 127.0.0.1 %d 2",
                 redis_server_port(f->nodes[0]));
        assert_memory_equal(redis_server_ask(f->sentinels[i], line), "+OK", 3);
        assert_memory_equal(
            redis_server_ask(f->sentinels[i], "SENTINEL SET shop down-after-milliseconds 500"),
            "+OK", 3);
        assert_memory_equal(
            redis_server_ask(f->sentinels[i], "SENTINEL SET shop failover-timeout 3000"), "+OK", 3);
        size_t at = strlen(nodes);
        snprintf(nodes + at, CONF_TEXT_MAX - at, "%s%s", i > 0 ? "," : "",
                 redis_server_node(f->sentinels[i]));
    }
    for (int i = 0; i < TRIO_SENTINELS; i++) { /* until each knows the others, and the replicas */
        for (int64_t end = trio_now_ms() + TRIO_WAIT_MS;;) {
            const char *told = redis_server_ask(f->sentinels[i], "INFO sentinel");
            if (strstr(told, "slaves=2,sentinels=3")) {
                break;
            }
            assert_true(trio_now_ms() < end);
            usleep(50000);
        }
    }
}
