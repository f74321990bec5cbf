/* Idempotency keys claimed in a real server. */
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

#include "idempotency/key.h"
#include "runtime/err.h"

#define KEY_WAIT_MS 10000
#define PERIOD_MS   (INT64_C(86400000) * KEY_PERIOD_DAYS)

struct key_test {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct redis *redis;
    struct redis_command command;
    char key[40]; /* one that no other run has used */
    unsigned answers;
    int err;
    enum key_claimed claimed;
    char command_id[128];
    int64_t number; /* the reply to another command than a claim */
};

static void key_on_tick(void *ctx)
{
    (void)ctx;
}

static const char *key_lookup(const char *variable)
{
    return getenv(variable);
}

static int64_t key_now_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

static int key_setup(void **state)
{
    static unsigned runs;
    struct key_test *t = mem_new(sizeof(*t));
    struct conf conf;
    struct buf sentence = {0};
    *state = t;
    assert_int_equal(conf_load(&conf, key_lookup, &sentence), 0);
    buf_free(&sentence);
    snprintf(t->key, sizeof(t->key), "live-%d-%lld-%u", getpid(), (long long)time(NULL), runs++);
    t->loop = loop_new();
    t->tick = loop_timer_new(t->loop, key_on_tick, t);
    loop_timer_start(t->tick, 5, 5);
    t->redis = redis_new(t->loop, &conf, "key", conf.saga_redis, key_library);
    int64_t until_ms = loop_now_ms(t->loop) + KEY_WAIT_MS;
    while (!redis_is_up(t->redis) && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    return redis_is_up(t->redis) ? 0 : -1;
}

static int key_teardown(void **state)
{
    struct key_test *t = *state;
    redis_free(t->redis);
    redis_command_free(&t->command);
    loop_timer_free(t->tick);
    loop_free(t->loop);
    free(t);
    return 0;
}

static void key_wait(struct key_test *t)
{
    int64_t until_ms = loop_now_ms(t->loop) + KEY_WAIT_MS;
    while (redis_outstanding(t->redis) > 0 && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    assert_int_equal(redis_outstanding(t->redis), 0);
    assert_int_equal(t->err, 0);
}

static void key_on_claimed(void *ctx, int err, const struct redis_reply *reply)
{
    struct key_test *t = ctx;
    struct slice command_id;
    t->err = err ? err : key_claim_read(reply, &t->claimed, &command_id);
    t->answers++;
    if (t->err == 0) {
        snprintf(t->command_id, sizeof(t->command_id), "%.*s", SLICE_ARG(command_id));
    }
}

static enum key_claimed key_ask(struct key_test *t, const char *fingerprint, const char *id,
                                int64_t wall_ms)
{
    key_claim(&t->command, slice_from(t->key), slice_from(fingerprint), slice_from(id), wall_ms);
    redis_call(t->redis, &t->command, key_on_claimed, t);
    key_wait(t);
    return t->claimed;
}

/* The first claim is new; the same request again learns the first one's command id. */
static void key_new_then_known(void **state)
{
    struct key_test *t = *state;
    assert_int_equal(key_ask(t, "POST /orders/checkout/7", "gw/1", key_now_ms()), KEY_NEW);
    assert_string_equal(t->command_id, "gw/1");
    assert_int_equal(key_ask(t, "POST /orders/checkout/7", "gw/2", key_now_ms()), KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/1");
    assert_int_equal(key_ask(t, "POST /orders/checkout/7", "gw/1", key_now_ms()), KEY_KNOWN);
}

/* Another path under the same key is a mismatch, and changes nothing. */
static void key_mismatch(void **state)
{
    struct key_test *t = *state;
    assert_int_equal(key_ask(t, "POST /payment/add_funds/7/1", "gw/1", key_now_ms()), KEY_NEW);
    assert_int_equal(key_ask(t, "POST /payment/add_funds/7/2", "gw/2", key_now_ms()), KEY_MISMATCH);
    assert_int_equal(key_ask(t, "POST /payment/add_funds/7/1", "gw/3", key_now_ms()), KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/1");
}

/* A key of the previous period is known; of the one before that, no more. */
static void key_previous_period(void **state)
{
    struct key_test *t = *state;
    int64_t now_ms = key_now_ms();
    assert_int_equal(key_ask(t, "POST /a", "gw/1", now_ms), KEY_NEW);
    assert_int_equal(key_ask(t, "POST /a", "gw/2", now_ms + PERIOD_MS), KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/1");
    assert_int_equal(key_ask(t, "POST /b", "gw/2", now_ms + PERIOD_MS), KEY_MISMATCH);
    assert_int_equal(key_ask(t, "POST /a", "gw/3", now_ms + 2 * PERIOD_MS), KEY_NEW);
}

static void key_on_number(void *ctx, int err, const struct redis_reply *reply)
{
    struct key_test *t = ctx;
    t->err = err;
    assert_true(slice_int64(redis_reply_at(reply, 0), &t->number));
}

/* The hash goes when the next period is over: no sooner, no later. */
static void key_expires(void **state)
{
    struct key_test *t = *state;
    struct redis_command *ask = mem_new(sizeof(*ask));
    int64_t now_ms = key_now_ms();
    assert_int_equal(key_ask(t, "POST /a", "gw/1", now_ms), KEY_NEW);
    size_t start = t->command.end[2];
    redis_arg_text(ask, "EXPIRETIME");
    redis_arg(ask, (struct slice){t->command.bytes.data + start, t->command.end[3] - start});
    redis_call(t->redis, ask, key_on_number, t);
    key_wait(t);
    assert_int_equal(t->number, (now_ms / PERIOD_MS + 2) * PERIOD_MS / 1000);
    redis_command_free(ask);
    free(ask);
}

/* Many claims of one key in one turn: one is new, all the others learn its id. */
static void key_race(void **state)
{
    struct key_test *t = *state;
    for (int i = 0; i < 100; i++) {
        char id[32];
        snprintf(id, sizeof(id), "gw/%d", i);
        key_claim(&t->command, slice_from(t->key), SLICE_TEXT("POST /a"), slice_from(id),
                  key_now_ms());
        redis_call(t->redis, &t->command, key_on_claimed, t);
    }
    key_wait(t);
    assert_int_equal(t->answers, 100);
    assert_int_equal(t->claimed, KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/0");
}

static void key_on_nonsense(void *ctx, int err, const struct redis_reply *reply)
{
    struct key_test *t = ctx;
    struct slice command_id = SLICE_TEXT("kept");
    assert_int_equal(err, 0);
    assert_int_equal(key_claim_read(reply, &t->claimed, &command_id), -ERR_RECORD);
    assert_true(slice_is(command_id, "kept"));
    t->answers++;
}

/* A reply that is none of a claim is an error, and leaves the outputs alone. */
static void key_read_nonsense(void **state)
{
    struct key_test *t = *state;
    static const char *const scripts[] = {"return 1",
                                          "return {}",
                                          "return {'new'}",
                                          "return {'old', 'gw/1'}",
                                          "return {'new', ''}",
                                          "return {'new', false}",
                                          "return {'new', 'a', 'b'}"};
    for (unsigned i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        redis_command_reset(&t->command);
        redis_arg_text(&t->command, "EVAL");
        redis_arg_text(&t->command, scripts[i]);
        redis_arg_text(&t->command, "0");
        redis_call(t->redis, &t->command, key_on_nonsense, t);
    }
    key_wait(t);
    assert_int_equal(t->answers, sizeof(scripts) / sizeof(scripts[0]));
}

int main(void)
{
#define KEY(test) cmocka_unit_test_setup_teardown(test, key_setup, key_teardown)
    const struct CMUnitTest tests[] = {
        KEY(key_new_then_known), KEY(key_mismatch), KEY(key_previous_period),
        KEY(key_expires),        KEY(key_race),     KEY(key_read_nonsense),
    };
    return cmocka_run_group_tests_name("live/key", tests, NULL, NULL);
}
