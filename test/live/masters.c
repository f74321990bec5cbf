/* The master of a store with replicas, in real servers: it is who the Sentinels say, and itself;
 * and which replicas it may do without (store/master, store/copies). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "test/lib/lanes.h"
#include "test/lib/trio.h"

/* The master is killed: the Sentinels promote a replica, and all that was answered is there. */
static void a_killed_master_is_replaced(void **state)
{
    struct trio *f = *state;
    trio_watch(f);
    trio_open(f, "shop");
    trio_wait_up(f);
    for (int i = 0; i < 200; i++) {
        trio_call(f, "INCR", "count", NULL);
    }
    while (f->answers < 200) {
        assert_int_equal(f->losses, 0);
        trio_turns(f, 1);
    }
    redis_server_kill9(f->nodes[0]);
    trio_call_until_answered(f, "INCR", "count", NULL);
    long count = strtol(f->last, NULL, 10);
    assert_in_range(count, 201, 201 + f->losses); /* a lost call may have been made */
}

/* The Sentinels do not agree yet, or one of them is away: the next one is asked. */
static void a_sentinel_that_is_away_is_passed_over(void **state)
{
    struct trio *f = *state;
    trio_watch(f);
    redis_server_pause(f->sentinels[0]);
    redis_server_kill9(f->sentinels[1]);
    trio_open(f, "shop");
    trio_wait_up(f);
    trio_call_until_answered(f, "SET", "k", "1");
}

/* A name that no Sentinel knows: it is not up, and says why; nothing crashes. */
static void an_unknown_master(void **state)
{
    struct trio *f = *state;
    trio_watch(f);
    trio_open(f, "nobody");
    trio_turns(f, 500);
    assert_false(store_is_up(f->redis));
    trio_call(f, "SET", "k", "1");
    trio_turns(f, 50);
    assert_int_equal(f->losses, 1);
}

/* The old master comes back while it still believes to be one: WAIT finds nobody behind it, or
 * ROLE says what it is. What it took meanwhile was not answered. */
static void a_paused_master_is_not_believed(void **state)
{
    struct trio *f = *state;
    trio_watch(f);
    trio_open(f, "shop");
    trio_wait_up(f);
    trio_call_until_answered(f, "SET", "k", "before");
    redis_server_pause(f->nodes[0]);
    trio_call_until_answered(f, "SET", "k", "after");
    redis_server_resume(f->nodes[0]);
    trio_call_until_answered(f, "GET", "k", NULL);
    assert_string_equal(f->last, "after");
    trio_turns(f, 1500);
    trio_call_until_answered(f, "GET", "k", NULL);
    assert_string_equal(f->last, "after");
}

/* A group of three, which has answered. */
static void three_answer(struct trio *f, int64_t degrade_ms)
{
    f->conf.redis_wait_replicas = 2;
    f->conf.redis_degrade_ms = degrade_ms;
    trio_watch(f);
    trio_open(f, "shop");
    trio_wait_up(f);
    trio_call_until_answered(f, "SET", "k", "1");
}

/* It loses its last server. Returns after how many ms it answers again. */
static int64_t lose_one(struct trio *f, int64_t degrade_ms)
{
    three_answer(f, degrade_ms);
    int64_t begin_ms = trio_now_ms();
    redis_server_kill9(f->nodes[2]);
    trio_call_until_answered(f, "SET", "k", "2");
    return trio_now_ms() - begin_ms;
}

/* A replica that is away for good is waited for until it is sure that it was not promoted. */
static void a_missing_replica_is_done_without(void **state)
{
    struct trio *f = *state;
    assert_in_range(lose_one(f, 3000), 3000, 8000);
    for (int i = 0; i < 20; i++) { /* and from then on nobody waits */
        trio_call(f, "SET", "k", "3");
        trio_turns(f, 50);
    }
    assert_int_equal(f->answers, 22);
}

/* .. and until its master has written down, where the others have it, that it is left out. All
 * nodes have the same address here; the others on the list are somewhere else. */
static void a_missing_replica_is_not_done_without_in_silence(void **state)
{
    struct trio *f = *state;
    assert_memory_equal(
        redis_server_ask(f->nodes[0], "HSET kassa:copy with \"127.0.0.1 127.0.0.8 127.0.0.9\""),
        ":1", 2);
    three_answer(f, 2000);
    redis_server_kill9(f->nodes[2]);
    trio_call(f, "SET", "k", "2");
    trio_turns(f, 6000);
    assert_int_equal(f->answers, 1);
    assert_non_null(strstr(store_refusal(f->redis), "1 of 2 replicas have what was written; "
                                                    "127.0.0.1 127.0.0.8 127.0.0.9 had all"));
    redis_server_ask(f->nodes[0], "HSET kassa:copy with 127.0.0.1");
    trio_wait_answers(f, 2);
    assert_null(store_refusal(f->redis));
}

/* A WAIT for one says "one" also when both have it. The one that is back counts from the moment on
 * in which its master lists it, for from then on it may be promoted. */
static void a_replica_that_is_back_is_needed(void **state)
{
    struct trio *f = *state;
    lose_one(f, 2000);
    redis_server_restart(f->nodes[2]);
    trio_follow(f->nodes[2], f->nodes[0]);
    /* Nobody calls: it is found by looking, or its second death would be the first. */
    trio_turns(f, 1500);
    redis_server_kill9(f->nodes[2]);
    unsigned answers = f->answers;
    for (int64_t end = trio_now_ms() + f->conf.redis_degrade_ms - 500; trio_now_ms() < end;) {
        trio_call(f, "SET", "k", "3");
        trio_turns(f, 50);
    }
    assert_int_equal(f->answers, answers);
    trio_call_until_answered(f, "SET", "k", "4");
}

/* A replica is promoted while the master and the other replica live, and go on for a while: what
 * these two have agreed upon meanwhile was not answered. */
static void a_promotion_by_hand_loses_nothing(void **state)
{
    struct trio *f = *state;
    f->conf.redis_wait_replicas = 2;
    trio_watch(f);
    trio_open(f, "shop");
    trio_wait_up(f);
    for (int round = 0; round < 3; round++) {
        trio_call_until_answered(f, "INCR", "count", NULL);
        assert_memory_equal(redis_server_ask(f->sentinels[0], "SENTINEL FAILOVER shop"), "+OK", 3);
        for (int64_t end = trio_now_ms() + 6000; trio_now_ms() < end;) {
            trio_call(f, "INCR", "count", NULL);
            trio_turns(f, 2);
        }
        trio_call_until_answered(f, "INCR", "count", NULL);
        assert_true(strtol(f->last, NULL, 10) >= (long)f->answers);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trio_setup, trio_teardown)

static int run_lane(unsigned lane)
{
    const struct CMUnitTest masters[] = {
        TEST(a_killed_master_is_replaced),
        TEST(a_sentinel_that_is_away_is_passed_over),
        TEST(an_unknown_master),
        TEST(a_paused_master_is_not_believed),
    };
    const struct CMUnitTest missing[] = {
        TEST(a_missing_replica_is_done_without),
        TEST(a_missing_replica_is_not_done_without_in_silence),
        TEST(a_replica_that_is_back_is_needed),
    };
    const struct CMUnitTest by_hand[] = {
        TEST(a_promotion_by_hand_loses_nothing),
    };
    switch (lane) {
    case 0:
        return cmocka_run_group_tests_name("live masters", masters, NULL, NULL);
    case 1:
        return cmocka_run_group_tests_name("live masters: missing", missing, NULL, NULL);
    default:
        return cmocka_run_group_tests_name("live masters: by hand", by_hand, NULL, NULL);
    }
}

int main(void)
{
    return lanes_run(3, run_lane);
}
