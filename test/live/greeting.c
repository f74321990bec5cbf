/* What a connection asks of a real server before it is up: the functions of its version, and
 * whether they can read what is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "runtime/err.h"
#include "runtime/stat.h"
#include "test/lib/live.h"

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

#define PRIVATE(test) cmocka_unit_test_setup_teardown(test, live_setup_private, live_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRIVATE(live_functions_flushed), PRIVATE(live_two_versions),
        PRIVATE(live_full_memory),       PRIVATE(live_full_for_the_library),
        PRIVATE(live_newer_schema),      PRIVATE(live_broken_library),
    };
    return cmocka_run_group_tests_name("live/greeting", tests, NULL, NULL);
}
