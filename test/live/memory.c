/* A store that is short of memory is told of, and when that is over: against a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/stat.h"
#include "store/memory.h"
#include "test/lib/given.h"
#include "test/lib/redis_server.h"

#define WAIT_MS 20000

struct fixture {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store_conf conf;
    struct redis_server *server;
    struct store *redis;
    struct memory *memory;
    unsigned said_short, said_over;
};

static void on_tick(void *ctx)
{
    (void)ctx;
}

static void on_short(void *ctx, bool is_short)
{
    struct fixture *f = ctx;
    if (is_short) {
        f->said_short++;
    } else {
        f->said_over++;
    }
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
    f->memory = memory_new(f->loop, f->redis, "test", on_short, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_free(f->redis);
    memory_free(f->memory);
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

static int64_t gauge(const char *name)
{
    return stat_get(stat_gauge(name, "group=\"test\"", ""));
}

static void set_limit(struct fixture *f, int64_t bytes)
{
    char line[80];
    snprintf(line, sizeof(line), "CONFIG SET maxmemory %lld", (long long)bytes);
    assert_string_equal(redis_server_ask(f->server, line), "+OK\r\n");
}

/* Where there is no limit nothing is short; then it is, each second anew; and once it is over. Who
 * loses the server meanwhile does not call it short, and asks the next one. */
static void short_and_over(void **state)
{
    struct fixture *f = *state;
    turn_until(f, gauge("kassa_store_memory_bytes") > 0);
    assert_int_equal(gauge("kassa_store_memory_limit_bytes"), 0);
    assert_false(memory_is_short(f->memory));
    set_limit(f, gauge("kassa_store_memory_bytes") * 100 / 97);
    turn_until(f, f->said_short >= 2);
    assert_true(memory_is_short(f->memory));
    redis_server_pause(f->server);
    for (int64_t end_ms = loop_now_ms(f->loop) + 1500; loop_now_ms(f->loop) < end_ms;) {
        loop_turn(f->loop, true); /* a question is out */
    }
    redis_server_kill9(f->server);
    turn_until(f, !memory_is_short(f->memory));
    redis_server_restart(f->server); /* without the limit */
    assert_int_equal(f->said_over, 0);
    turn_until(f, f->said_over == 1);
    assert_false(memory_is_short(f->memory));
    unsigned said_short = f->said_short;
    set_limit(f, 100 << 20);
    turn_until(f, gauge("kassa_store_memory_limit_bytes") == 100 << 20);
    assert_int_equal(f->said_short, said_short);
    assert_int_equal(f->said_over, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(short_and_over, setup, teardown),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
