/* Connects, counts, waits. */
#include "test/lib/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/err.h"
#include "store/address.h"
#include "test/lib/given.h"

const struct library live_library = LIVE_LIBRARY("1");
const struct library live_newer = LIVE_LIBRARY("2");

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

void live_on_reply(void *ctx, int err, struct texts reply)
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

bool live_wait(struct live *t, bool (*is_done)(struct live *))
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

bool live_is_up(struct live *t)
{
    return store_is_up(t->redis);
}

bool live_is_down(struct live *t)
{
    return !store_is_up(t->redis);
}

bool live_is_idle(struct live *t)
{
    return store_outstanding(t->redis) == 0;
}

void live_call(struct live *t, const char *line)
{
    struct slice rest = slice_from(line);
    struct slice word;
    args_reset(&t->command);
    while (slice_cut(&rest, ' ', &word)) {
        args_add(&t->command, word);
    }
    store_call(t->redis, &t->command, live_on_reply, t);
}

const char *live_ask(struct live *t, const char *line)
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

void live_connect(struct live *t, const char *node, const struct library *library)
{
    t->redis = store_new(t->loop, &t->conf, "live", node, library);
    store_watch_up(t->redis, live_on_up, t);
}

int live_setup_shared(void **state)
{
    struct live *t = live_new();
    struct address_conf address;
    *state = t;
    given_load(&address_tables[ADDRESS_SAGA], (conf_lookup *)getenv, &address);
    t->conf.redis_timeout_ms = 2 * LIVE_WAIT_MS; /* silence is tested with private servers */
    live_connect(t, address.node, &live_library);
    return live_wait(t, live_is_up) ? 0 : -1;
}

int live_setup_private(void **state)
{
    struct live *t = live_new();
    *state = t;
    t->server = redis_server_start(NULL);
    t->conf.redis_password[0] = '\0';
    live_connect(t, redis_server_node(t->server), &live_library);
    return live_wait(t, live_is_up) ? 0 : -1;
}

int live_teardown(void **state)
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

void live_check_recovers(struct live *t)
{
    unsigned ups = t->ups;
    assert_true(live_wait(t, live_is_up));
    assert_int_equal(t->ups, ups + 1);
    assert_string_equal(live_ask(t, "FCALL live_echo_00000001 1 live:count again"), "again|7||1");
}
