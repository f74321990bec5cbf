/* A store with replicas, in real servers: nothing is answered, nor read, that too few of them have.
 * Who is master: masters.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/subscription.h"
#include "test/lib/trio.h"

/* With replicas that follow, answers come, in their order and with their own texts. */
static void answers_are_released_in_order(void **state)
{
    struct trio *f = *state;
    f->conf.redis_wait_replicas = 2;
    f->conf.redis_timeout_ms = 10000;
    trio_open(f, redis_server_node(f->nodes[0]));
    trio_wait_up(f);
    for (int i = 1; i <= 300; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        trio_call(f, "SET", "k", value);
        trio_call(f, "GET", "k", NULL);
        if (i % 7 == 0) {
            loop_turn(f->loop, false);
        }
    }
    for (int64_t end = trio_now_ms() + TRIO_WAIT_MS; f->answers + f->losses < 600;) {
        assert_true(trio_now_ms() < end);
        trio_turns(f, 1);
    }
    assert_int_equal(f->losses, 0);
    assert_string_equal(f->last, "300");
    assert_memory_equal(redis_server_ask(f->nodes[1], "GET k"), "$3\r\n300", 7);
}

/* While no replica follows, nothing is answered, though the master has it; then it is, and nobody
 * had to call again. */
static void nothing_is_answered_without_replicas(void **state)
{
    struct trio *f = *state;
    trio_open(f, redis_server_node(f->nodes[0]));
    trio_wait_up(f);
    redis_server_pause(f->nodes[1]);
    redis_server_pause(f->nodes[2]);
    trio_call(f, "SET", "k", "1");
    trio_turns(f, 200);
    assert_memory_equal(redis_server_ask(f->nodes[0], "GET k"), "$1\r\n1", 5);
    assert_int_equal(f->answers, 0);
    trio_turns(f, 1500);
    trio_call(f, "GET", "k", NULL);
    trio_turns(f, 500);
    assert_int_equal(f->answers, 0);
    redis_server_resume(f->nodes[1]);
    redis_server_resume(f->nodes[2]);
    trio_wait_answers(f, 2);
    assert_int_equal(f->losses, 0);
}

/* Replicas that are later than any single WAIT lasts, each time, cost time and nothing else. */
static void late_replicas_cost_time_only(void **state)
{
    struct trio *f = *state;
    f->conf.redis_wait_replicas = 2;
    trio_open(f, redis_server_node(f->nodes[0]));
    trio_wait_up(f);
    for (unsigned round = 1; round <= 5; round++) {
        redis_server_pause(f->nodes[1]);
        trio_call(f, "INCR", "k", NULL);
        for (int i = 0; i < 10; i++) { /* others come meanwhile */
            trio_turns(f, 60);
            trio_call(f, "GET", "k", NULL);
        }
        redis_server_resume(f->nodes[1]);
        trio_wait_answers(f, 11 * round);
    }
    assert_int_equal(f->losses, 0);
    assert_string_equal(f->last, "5");
}

/* Flights that the server was sent: each has one notice to nobody. */
static long flights(struct redis_server *node)
{
    const char *told =
        strstr(redis_server_ask(node, "INFO commandstats"), "cmdstat_publish:calls=");
    return told ? strtol(told + strlen("cmdstat_publish:calls="), NULL, 10) : 0;
}

/* What is called while a flight is out is one flight, however many turns it took. */
static void what_comes_meanwhile_gathers(void **state)
{
    struct trio *f = *state;
    trio_open(f, redis_server_node(f->nodes[0]));
    trio_wait_up(f);
    trio_call_until_answered(f, "SET", "k", "0");
    long before = flights(f->nodes[0]);
    unsigned answers = f->answers;
    redis_server_pause(f->nodes[1]);
    redis_server_pause(f->nodes[2]);
    for (int i = 0; i < 10; i++) {
        trio_call(f, "INCR", "k", NULL);
        trio_turns(f, 20);
    }
    redis_server_resume(f->nodes[1]);
    redis_server_resume(f->nodes[2]);
    trio_wait_answers(f, answers + 10);
    assert_int_equal(flights(f->nodes[0]) - before, 2);
    assert_int_equal(f->losses, 0);
    assert_string_equal(f->last, "10");
}

/* A read neither: a master that has lost its replicas may be deposed, and would tell old things.
 * That nothing was written since they were heard last does not help it. */
static void nothing_is_read_without_replicas(void **state)
{
    struct trio *f = *state;
    trio_open(f, redis_server_node(f->nodes[0]));
    trio_wait_up(f);
    trio_call_until_answered(f, "SET", "k", "1");
    trio_turns(f, 1200); /* replicas say every second how far they are */
    redis_server_pause(f->nodes[1]);
    redis_server_pause(f->nodes[2]);
    trio_call(f, "GET", "k", NULL);
    trio_turns(f, 800);
    assert_int_equal(f->answers, 1);
    redis_server_resume(f->nodes[1]);
    redis_server_resume(f->nodes[2]);
    trio_wait_answers(f, 2);
    assert_int_equal(f->losses, 0);
    assert_string_equal(f->last, "1");
}

/* A replica is not taken for the master. */
static void a_replica_is_no_master(void **state)
{
    struct trio *f = *state;
    trio_open(f, redis_server_node(f->nodes[1]));
    trio_turns(f, 500);
    assert_false(store_is_up(f->redis));
}

static void on_message(void *ctx, struct slice payload)
{
    struct trio *f = ctx;
    (void)payload;
    f->answers++;
}

/* Notices go to the new master, and the old one lives: whoever listens there would hear none. */
static void a_listener_follows_the_master(void **state)
{
    struct trio *f = *state;
    trio_watch(f);
    struct subscription *s = subscription_new(f->loop, &f->conf, "shop", "news", on_message, f);
    for (int64_t end = trio_now_ms() + TRIO_WAIT_MS; !subscription_is_up(s);) {
        assert_true(trio_now_ms() < end);
        trio_turns(f, 1);
    }
    assert_memory_equal(redis_server_ask(f->sentinels[0], "SENTINEL FAILOVER shop"), "+OK", 3);
    for (int64_t end = trio_now_ms() + 6000; f->answers == 0;) {
        assert_true(trio_now_ms() < end);
        redis_server_ask(f->nodes[1], "PUBLISH news 1");
        redis_server_ask(f->nodes[2], "PUBLISH news 1");
        trio_turns(f, 50);
    }
    subscription_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trio_setup, trio_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_are_released_in_order),    TEST(nothing_is_answered_without_replicas),
        TEST(late_replicas_cost_time_only),     TEST(what_comes_meanwhile_gathers),
        TEST(nothing_is_read_without_replicas), TEST(a_replica_is_no_master),
        TEST(a_listener_follows_the_master),
    };
    return cmocka_run_group_tests_name("live replicas", tests, NULL, NULL);
}
