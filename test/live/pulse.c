/* A store that comes back without what it had confirmed is told of, and one that has it all is not:
 * against a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/stat.h"
#include "store/pulse.h"
#include "test/lib/given.h"
#include "test/lib/redis_server.h"

#define WAIT_MS 20000

struct fixture {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store_conf conf;
    struct redis_server *server;
    struct store *redis;
    struct pulse *pulse;
    unsigned ups;
    char key[80];
};

static void on_tick(void *ctx)
{
    (void)ctx;
}

static void on_up(void *ctx)
{
    ((struct fixture *)ctx)->ups++;
}

static int setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    given_load(&store_conf_table, given_none, &f->conf);
    f->loop = loop_new();
    f->tick = loop_timer_new(f->loop, on_tick, NULL);
    loop_timer_start(f->tick, 10, 10);
    f->server = redis_server_start(NULL);
    f->redis = store_new(f->loop, &f->conf, "test", redis_server_node(f->server), NULL);
    f->pulse = pulse_new(f->loop, f->redis, "test");
    store_watch_up(f->redis, on_up, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_free(f->redis);
    pulse_free(f->pulse);
    redis_server_free(f->server);
    loop_timer_free(f->tick);
    loop_free(f->loop);
    free(f);
    return 0;
}

#define turn_until(f, condition)                                                                   \
    do {                                                                                           \
        int64_t until_ms_ = loop_now_ms((f)->loop) + WAIT_MS;                                      \
        while (!(condition)) {                                                                     \
            assert_true(loop_now_ms((f)->loop) < until_ms_);                                       \
            loop_turn((f)->loop, true);                                                            \
        }                                                                                          \
    } while (0)

static int64_t rollbacks(void)
{
    return stat_get(stat_counter("kassa_store_rollbacks_total", "group=\"test\"", ""));
}

/* The raw answer to KEYS has the name, when a number was written. */
static bool is_written(struct fixture *f)
{
    const char *at = strstr(redis_server_ask(f->server, "KEYS test:pulse:*"), "test:pulse:");
    if (at != NULL) {
        size_t bytes = strcspn(at, "\r");
        assert_true(bytes < sizeof(f->key));
        memcpy(f->key, at, bytes);
        f->key[bytes] = '\0';
    }
    return at != NULL;
}

static void comes_back(struct fixture *f)
{
    unsigned ups = f->ups;
    turn_until(f, f->ups > ups);
    for (int i = 0; i < 20; i++) {
        loop_turn(f->loop, true);
    }
}

/* What was confirmed is there: after a lost connection, after a kill; it is not after a flush, and
 * that is said once. */
static void pulse_of_a_store_that_forgets(void **state)
{
    struct fixture *f = *state;
    turn_until(f, f->ups == 1);
    turn_until(f, is_written(f));
    redis_server_ask(f->server, "CLIENT KILL TYPE normal");
    comes_back(f);
    redis_server_kill9(f->server);
    redis_server_restart(f->server);
    comes_back(f);
    assert_int_equal(rollbacks(), 0);
    redis_server_ask(f->server, "FLUSHALL");
    redis_server_ask(f->server, "CLIENT KILL TYPE normal");
    comes_back(f);
    assert_int_equal(rollbacks(), 1);
    redis_server_ask(f->server, "CLIENT KILL TYPE normal");
    comes_back(f);
    assert_int_equal(rollbacks(), 1);
    turn_until(f, is_written(f));
    char text[120];
    snprintf(text, sizeof(text), "TTL %s", f->key);
    int ttl_s = atoi(redis_server_ask(f->server, text) + 1);
    assert_in_range(ttl_s, PULSE_KEEP_S - 60, PULSE_KEEP_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pulse_of_a_store_that_forgets, setup, teardown),
    };
    return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
