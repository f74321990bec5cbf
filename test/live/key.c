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
#include "test/lib/given.h"
#include "test/lib/redis_server.h"

#define KEY_WAIT_MS 10000
#define DAYS        2
#define DAY_MS      INT64_C(86400000)

struct key_test {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store *redis;
    struct args command;
    char key[40]; /* one that no other run has used */
    unsigned answers;
    int err;
    enum key_claimed claimed;
    char command_id[128];
    unsigned count; /* texts of the reply to another command than a claim, the first two: */
    char text[64], cursor[64];
    struct redis_server *server;
};

static void key_on_tick(void *ctx)
{
    (void)ctx;
}

static int key_setup(void **state)
{
    static unsigned runs;
    struct key_test *t = mem_new(sizeof(*t));
    struct store_conf conf;
    *state = t;
    given_load(&store_conf_table, given_none, &conf);
    snprintf(t->key, sizeof(t->key), "live-%d-%lld-%u", getpid(), (long long)time(NULL), runs++);
    t->loop = loop_new();
    t->tick = loop_timer_new(t->loop, key_on_tick, t);
    loop_timer_start(t->tick, 5, 5);
    t->server = redis_server_start(NULL);
    t->redis = store_new(t->loop, &conf, "key", redis_server_node(t->server), &key_library);
    int64_t until_ms = loop_now_ms(t->loop) + KEY_WAIT_MS;
    while (!store_is_up(t->redis) && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    return store_is_up(t->redis) ? 0 : -1;
}

static int key_teardown(void **state)
{
    struct key_test *t = *state;
    store_free(t->redis);
    redis_server_free(t->server);
    args_free(&t->command);
    loop_timer_free(t->tick);
    loop_free(t->loop);
    free(t);
    return 0;
}

static void key_wait(struct key_test *t)
{
    int64_t until_ms = loop_now_ms(t->loop) + KEY_WAIT_MS;
    while (store_outstanding(t->redis) > 0 && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    assert_int_equal(store_outstanding(t->redis), 0);
    assert_int_equal(t->err, 0);
}

static void key_on_claimed(void *ctx, int err, struct texts reply)
{
    struct key_test *t = ctx;
    struct slice command_id;
    t->err = err ? err : key_claim_read(reply, &t->claimed, &command_id);
    t->answers++;
    if (t->err == 0) {
        snprintf(t->command_id, sizeof(t->command_id), "%.*s", SLICE_ARG(command_id));
    }
}

static enum key_claimed key_ask(struct key_test *t, const char *fingerprint, const char *id)
{
    key_claim(&t->command, slice_from(t->key), slice_from(fingerprint), slice_from(id), DAYS);
    store_call(t->redis, &t->command, key_on_claimed, t);
    key_wait(t);
    return t->claimed;
}

/* The first claim is new; the same request again learns the first one's command id. */
static void key_new_then_known(void **state)
{
    struct key_test *t = *state;
    assert_int_equal(key_ask(t, "POST /orders/checkout/7", "gw/1"), KEY_NEW);
    assert_string_equal(t->command_id, "gw/1");
    assert_int_equal(key_ask(t, "POST /orders/checkout/7", "gw/2"), KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/1");
    assert_int_equal(key_ask(t, "POST /orders/checkout/7", "gw/1"), KEY_KNOWN);
}

/* Another path under the same key is a mismatch, and changes nothing. */
static void key_mismatch(void **state)
{
    struct key_test *t = *state;
    assert_int_equal(key_ask(t, "POST /payment/add_funds/7/1", "gw/1"), KEY_NEW);
    assert_int_equal(key_ask(t, "POST /payment/add_funds/7/2", "gw/2"), KEY_MISMATCH);
    assert_int_equal(key_ask(t, "POST /payment/add_funds/7/1", "gw/3"), KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/1");
}

static void key_on_text(void *ctx, int err, struct texts reply)
{
    struct key_test *t = ctx;
    t->err = err;
    t->count = reply.count;
    snprintf(t->text, sizeof(t->text), "%.*s", t->count > 0 ? (int)texts_at(reply, 0).bytes : 0,
             t->count > 0 ? texts_at(reply, 0).data : "");
    snprintf(t->cursor, sizeof(t->cursor), "%.*s", t->count > 1 ? (int)texts_at(reply, 1).bytes : 0,
             t->count > 1 ? texts_at(reply, 1).data : "");
}

static void key_sweep_once(struct key_test *t, const char *seen, int64_t rise_ms,
                           const char *cursor)
{
    args_reset(&t->command);
    key_sweep(&t->command, DAYS, seen, rise_ms, cursor);
    store_call(t->redis, &t->command, key_on_text, t);
    key_wait(t);
}

/* The slow clock goes on by so much, and what is to be dropped then is. */
static void key_pass(struct key_test *t, int64_t ms)
{
    char cursor[64] = "0", seen[64];
    args_reset(&t->command);
    args_text(&t->command, "INCRBY");
    args_text(&t->command, "kassa:clock");
    args_int(&t->command, ms);
    store_call(t->redis, &t->command, key_on_text, t);
    key_wait(t);
    snprintf(seen, sizeof(seen), "%s", t->text);
    do {
        key_sweep_once(t, seen, 0, cursor);
        snprintf(cursor, sizeof(cursor), "%s", t->cursor);
    } while (t->count > 1);
}

static void key_redis(struct key_test *t, const char *words)
{
    struct slice rest = slice_from(words), word;
    args_reset(&t->command);
    while (slice_cut(&rest, ' ', &word)) {
        args_add(&t->command, word);
    }
    store_call(t->redis, &t->command, key_on_text, t);
    key_wait(t);
}

/* A key is known for as many days as it is to live, and the rest of the last one; then no more. */
static void key_lives_for_days(void **state)
{
    struct key_test *t = *state;
    key_sweep_once(t, "", 0, "0");
    assert_int_equal(key_ask(t, "POST /a", "gw/1"), KEY_NEW);
    for (int day = 0; day < DAYS; day++) {
        key_pass(t, DAY_MS);
        assert_int_equal(key_ask(t, "POST /a", "gw/2"), KEY_KNOWN);
        assert_string_equal(t->command_id, "gw/1");
        assert_int_equal(key_ask(t, "POST /b", "gw/2"), KEY_MISMATCH);
    }
    key_pass(t, DAY_MS);
    assert_int_equal(key_ask(t, "POST /a", "gw/3"), KEY_NEW);
}

/* The hash of a day goes with it: no sooner, no later. */
static void key_is_dropped(void **state)
{
    struct key_test *t = *state;
    key_sweep_once(t, "", 0, "0");
    assert_int_equal(key_ask(t, "POST /a", "gw/1"), KEY_NEW);
    for (int day = 1; day <= DAYS + 1; day++) {
        key_pass(t, DAY_MS);
        key_redis(t, "KEYS kassa:keys:day:*");
        assert_int_equal(t->count, day <= DAYS);
    }
}

/* How many days keys live may be changed: those that are there are found. */
static void key_days_may_change(void **state)
{
    struct key_test *t = *state;
    key_sweep_once(t, "", 0, "0");
    assert_int_equal(key_ask(t, "POST /a", "gw/1"), KEY_NEW);
    for (int64_t days = 1; days <= 14; days += 13) {
        key_claim(&t->command, slice_from(t->key), SLICE_TEXT("POST /a"), SLICE_TEXT("gw/2"), days);
        store_call(t->redis, &t->command, key_on_claimed, t);
        key_wait(t);
        assert_int_equal(t->claimed, KEY_KNOWN);
    }
}

/* The version before this one has weeks: what it has claimed is found, until two of them are over;
 * and so is what this one claims, where that one looks, for as long as the key lives. */
static void key_of_another_version(void **state)
{
    struct key_test *t = *state;
    char words[256], weeks[64];
    key_sweep_once(t, "", 0, "0");
    snprintf(weeks, sizeof(weeks), "KEYS kassa:keys:%lld:*",
             strtoll(t->text, NULL, 10) / (7 * DAY_MS));
    assert_int_equal(key_ask(t, "POST /a", "gw/1"), KEY_NEW);
    key_redis(t, weeks);
    assert_int_equal(t->count, 1);
    key_redis(t, "KEYS kassa:keys:day:*");
    snprintf(words, sizeof(words), "DEL %s", t->text);
    key_redis(t, words);
    assert_int_equal(key_ask(t, "POST /a", "gw/2"), KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/1");
    key_pass(t, 7 * DAY_MS);
    assert_int_equal(key_ask(t, "POST /a", "gw/2"), KEY_KNOWN);
    key_pass(t, 7 * DAY_MS);
    key_redis(t, weeks);
    assert_int_equal(t->count, 0);
}

/* What is there for that version's sake goes with the day it was claimed on. */
static void key_leaves_the_week(void **state)
{
    struct key_test *t = *state;
    char first[64];
    key_sweep_once(t, "", 0, "0");
    int64_t day = strtoll(t->text, NULL, 10) / DAY_MS;
    key_pass(t,
             (7 - day % 7) % 7 * DAY_MS); /* so that the week is not over when its first day is */
    snprintf(first, sizeof(first), "KEYS kassa:keys:%lld:*", (long long)(day + 6) / 7);
    assert_int_equal(key_ask(t, "POST /a", "gw/1"), KEY_NEW);
    key_redis(t, first);
    assert_int_equal(t->count, 1);
    key_pass(t, (DAYS + 1) * DAY_MS);
    key_redis(t, first);
    assert_int_equal(t->count, 0);
}

/* The store's clock may be anywhere: a key stays what it was. */
static void key_clock_jumps(void **state)
{
    struct key_test *t = *state;
    key_sweep_once(t, "", 0, "0");
    assert_int_equal(key_ask(t, "POST /a", "gw/1"), KEY_NEW);
    char seen[64];
    snprintf(seen, sizeof(seen), "%lld", strtoll(t->text, NULL, 10) - 140 * DAY_MS);
    args_reset(&t->command); /* as if the clock had jumped since */
    args_text(&t->command, "SET");
    args_text(&t->command, "kassa:clock");
    args_text(&t->command, seen);
    store_call(t->redis, &t->command, key_on_text, t);
    key_wait(t);
    assert_int_equal(key_ask(t, "POST /b", "gw/1"), KEY_NEW); /* of another time */
    key_sweep_once(t, seen, 10000, "0");
    assert_int_equal(strtoll(t->text, NULL, 10), strtoll(seen, NULL, 10) + 20000);
    assert_int_equal(key_ask(t, "POST /b", "gw/2"), KEY_KNOWN);
}

/* Many claims of one key in one turn: one is new, all the others learn its id. */
static void key_race(void **state)
{
    struct key_test *t = *state;
    for (int i = 0; i < 100; i++) {
        char id[32];
        snprintf(id, sizeof(id), "gw/%d", i);
        key_claim(&t->command, slice_from(t->key), SLICE_TEXT("POST /a"), slice_from(id), DAYS);
        store_call(t->redis, &t->command, key_on_claimed, t);
    }
    key_wait(t);
    assert_int_equal(t->answers, 100);
    assert_int_equal(t->claimed, KEY_KNOWN);
    assert_string_equal(t->command_id, "gw/0");
}

static void key_on_nonsense(void *ctx, int err, struct texts reply)
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
        args_reset(&t->command);
        args_text(&t->command, "EVAL");
        args_text(&t->command, scripts[i]);
        args_text(&t->command, "0");
        store_call(t->redis, &t->command, key_on_nonsense, t);
    }
    key_wait(t);
    assert_int_equal(t->answers, sizeof(scripts) / sizeof(scripts[0]));
}

int main(void)
{
#define KEY(test) cmocka_unit_test_setup_teardown(test, key_setup, key_teardown)
    const struct CMUnitTest tests[] = {
        KEY(key_new_then_known),  KEY(key_mismatch),           KEY(key_lives_for_days),
        KEY(key_is_dropped),      KEY(key_days_may_change),    KEY(key_clock_jumps),
        KEY(key_leaves_the_week), KEY(key_of_another_version), KEY(key_race),
        KEY(key_read_nonsense),
    };
    return cmocka_run_group_tests_name("live/key", tests, NULL, NULL);
}
