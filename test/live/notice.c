/* Notices through a real server: one PUBLISH for each gateway and turn, and a subscription that
 * holds over everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/notice.h"
#include "runtime/stat.h"
#include "store/address.h"
#include "store/subscription.h"
#include "test/lib/given.h"
#include "test/lib/redis_server.h"

#define NOTICE_WAIT_MS  10000
#define NOTICE_GATEWAYS 4

struct inbox {
    struct subscription *subscription;
    unsigned messages;
    struct buf text; /* of all payloads, one a line */
};

struct notice_test {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store_conf conf;
    struct redis_server *server;
    struct store *redis;
    struct notices *notices;
    struct inbox inboxes[NOTICE_GATEWAYS];
};

static void notice_on_tick(void *ctx)
{
    (void)ctx;
}

/* The reasons of the answers in it, as <a,b,c>. */
static void notice_on_message(void *ctx, struct slice payload)
{
    struct inbox *inbox = ctx;
    struct envelope *envelope;
    const char *detail;
    inbox->messages++;
    assert_int_equal(envelope_read(&message_schema, payload, &envelope, &detail), 0);
    for (unsigned i = 0; i < envelope_count(envelope); i++) {
        buf_add_text(&inbox->text, i == 0 ? "<" : ",");
        buf_add_slice(&inbox->text, envelope_at(envelope, i)->reason);
    }
    buf_add_text(&inbox->text, ">\n");
    envelope_free(envelope);
}

static bool notice_all_up(struct notice_test *t)
{
    bool is_up = store_is_up(t->redis);
    for (unsigned i = 0; i < NOTICE_GATEWAYS; i++) {
        is_up = is_up && subscription_is_up(t->inboxes[i].subscription);
    }
    return is_up;
}

static bool notice_all_down(struct notice_test *t)
{
    bool is_up = false;
    for (unsigned i = 0; i < NOTICE_GATEWAYS; i++) {
        is_up = is_up || subscription_is_up(t->inboxes[i].subscription);
    }
    return !is_up;
}

static bool notice_wait(struct notice_test *t, bool (*is_done)(struct notice_test *))
{
    int64_t until_ms = loop_now_ms(t->loop) + NOTICE_WAIT_MS;
    while (!is_done(t) && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    return is_done(t);
}

static void notice_turns(struct notice_test *t, int64_t ms)
{
    int64_t until_ms = loop_now_ms(t->loop) + ms;
    while (loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
}

static int notice_setup(void **state, const char *node)
{
    struct notice_test *t = mem_new(sizeof(*t));
    struct buf text = {0};
    struct address_conf address;
    *state = t;
    given_load(&store_conf_table, (conf_lookup *)getenv, &t->conf);
    given_load(&address_tables[ADDRESS_SAGA], (conf_lookup *)getenv, &address);
    t->conf.redis_timeout_ms = 300;
    if (!node) {
        t->server = redis_server_start(NULL);
        t->conf.redis_password[0] = '\0';
        node = redis_server_node(t->server);
    } else {
        node = address.node;
    }
    t->loop = loop_new();
    t->tick = loop_timer_new(t->loop, notice_on_tick, t);
    loop_timer_start(t->tick, 5, 5);
    t->redis = store_new(t->loop, &t->conf, "notice", node, NULL);
    t->notices = notices_new(t->loop, t->redis);
    for (unsigned i = 0; i < NOTICE_GATEWAYS; i++) {
        char gateway[32];
        snprintf(gateway, sizeof(gateway), "live-%d-%u", getpid(), i);
        buf_reset(&text);
        notice_channel(slice_from(gateway), &text);
        t->inboxes[i].subscription =
            subscription_new(t->loop, &t->conf, node, text.data, notice_on_message, &t->inboxes[i]);
    }
    buf_free(&text);
    return notice_wait(t, notice_all_up) ? 0 : -1;
}

static int notice_setup_shared(void **state)
{
    return notice_setup(state, "");
}

static int notice_setup_private(void **state)
{
    return notice_setup(state, NULL);
}

static int notice_teardown(void **state)
{
    struct notice_test *t = *state;
    for (unsigned i = 0; i < NOTICE_GATEWAYS; i++) {
        subscription_free(t->inboxes[i].subscription);
        buf_free(&t->inboxes[i].text);
    }
    notices_free(t->notices);
    store_free(t->redis);
    redis_server_free(t->server);
    loop_timer_free(t->tick);
    loop_free(t->loop);
    free(t);
    return 0;
}

static void notice_add_to(struct notice_test *t, const char *gateway, const char *reason)
{
    struct message answer = {.type = MESSAGE_REFUSED};
    message_set(&answer, id, SLICE_TEXT("request-1"));
    message_set(&answer, reason, slice_from(reason));
    notice_add(t->notices, slice_from(gateway), &answer);
}

static void notice_send(struct notice_test *t, unsigned gateway, const char *reason)
{
    char name[32];
    snprintf(name, sizeof(name), "live-%d-%u", getpid(), gateway);
    notice_add_to(t, name, reason);
}

static const char *notice_text(const struct inbox *inbox)
{
    return inbox->text.data ? inbox->text.data : "";
}

/* Waits until the gateway has got as many messages as `text` has, and some turns more. */
static void notice_expect(struct notice_test *t, unsigned gateway, const char *text)
{
    struct inbox *inbox = &t->inboxes[gateway];
    int64_t until_ms = loop_now_ms(t->loop) + NOTICE_WAIT_MS;
    while (inbox->text.bytes < strlen(text) && loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    notice_turns(t, 20);
    assert_string_equal(notice_text(inbox), text);
}

/* What a turn adds for a gateway is one message; each gateway gets its own. */
static void notice_batches(void **state)
{
    struct notice_test *t = *state;
    for (int round = 0; round < 2; round++) {
        notice_send(t, 0, "a");
        notice_send(t, 1, "b");
        notice_send(t, 0, "c");
        notice_send(t, 2, "-");
        notice_send(t, 0, "d");
        notice_turns(t, 20);
    }
    notice_expect(t, 0, "<a,c,d>\n<a,c,d>\n");
    notice_expect(t, 1, "<b>\n<b>\n");
    notice_expect(t, 2, "<->\n<->\n");
    notice_expect(t, 3, "");
}

/* More than 256 gateways in a turn: the rest is dropped and counted; the next turn is fine. */
static void notice_many_gateways(void **state)
{
    struct notice_test *t = *state;
    struct stat_value *dropped = stat_counter("kassa_notices_dropped_total", "", "");
    int64_t dropped_before = stat_get(dropped);
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof(name), "g%d", i);
        notice_add_to(t, name, "x");
    }
    assert_int_equal(stat_get(dropped) - dropped_before, 300 - 256);
    notice_turns(t, 20);
    notice_send(t, 0, "after");
    notice_add_to(t, "not an id", "x");
    notice_expect(t, 0, "<after>\n");
    assert_int_equal(stat_get(dropped) - dropped_before, 300 - 256 + 1);
}

/* A payload that has grown large leaves in parts before the turn ends; each of them is whole, and
 * nothing is lost in between. */
static void notice_large(void **state)
{
    struct notice_test *t = *state;
    struct inbox *inbox = &t->inboxes[0];
    const size_t objects = 2500, object_bytes = 200;
    char object[201];
    memset(object, 'x', object_bytes);
    object[object_bytes] = '\0';
    for (size_t i = 0; i < objects; i++) {
        notice_send(t, 0, object);
    }
    int64_t until_ms = loop_now_ms(t->loop) + NOTICE_WAIT_MS;
    while (inbox->text.bytes < objects * object_bytes + objects - 1 &&
           loop_now_ms(t->loop) < until_ms) {
        loop_turn(t->loop, true);
    }
    assert_true(inbox->messages >= 2);
    /* A comma between the objects of a message; < > and a newline for each message. */
    assert_int_equal(inbox->text.bytes, objects * object_bytes + (objects - inbox->messages) +
                                            (size_t)3 * inbox->messages);
}

/* A killed server: subscribed again after its restart. */
static void notice_killed(void **state)
{
    struct notice_test *t = *state;
    redis_server_kill9(t->server);
    assert_true(notice_wait(t, notice_all_down));
    notice_send(t, 0, "lost");
    notice_turns(t, 20);
    redis_server_restart(t->server);
    assert_true(notice_wait(t, notice_all_up));
    notice_send(t, 0, "kept");
    notice_expect(t, 0, "<kept>\n");
}

/* A paused server looks like a channel on which nothing happens: the pings tell. */
static void notice_paused(void **state)
{
    struct notice_test *t = *state;
    int64_t begun_ms = loop_now_ms(t->loop);
    redis_server_pause(t->server);
    assert_true(notice_wait(t, notice_all_down));
    assert_in_range(loop_now_ms(t->loop) - begun_ms, 300, 5000);
    redis_server_resume(t->server);
    assert_true(notice_wait(t, notice_all_up));
    notice_send(t, 3, "again");
    notice_expect(t, 3, "<again>\n");
}

/* An idle subscription stays: pings are answered, and their answers are not messages. */
static void notice_idle(void **state)
{
    struct notice_test *t = *state;
    for (int i = 0; i < 25; i++) {
        notice_turns(t, 100);
        assert_true(notice_all_up(t));
    }
    assert_int_equal(t->inboxes[0].messages, 0);
    notice_send(t, 0, "still");
    notice_expect(t, 0, "<still>\n");
}

int main(void)
{
#define PRIVATE(test) cmocka_unit_test_setup_teardown(test, notice_setup_private, notice_teardown)
#define SHARED(test)  cmocka_unit_test_setup_teardown(test, notice_setup_shared, notice_teardown)
    const struct CMUnitTest tests[] = {
        SHARED(notice_batches), SHARED(notice_many_gateways), SHARED(notice_large),
        SHARED(notice_idle),    PRIVATE(notice_killed),       PRIVATE(notice_paused),
    };
    return cmocka_run_group_tests_name("live/notice", tests, NULL, NULL);
}
