/* A store with replicas (store/store, store/master): nothing is answered that too few
 * of them have, and the master is who the Sentinels say, and itself. */
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

#include "runtime/err.h"
#include "store/store.h"
#include "store/subscription.h"
#include "test/lib/given.h"
#include "test/lib/lanes.h"
#include "test/lib/redis_server.h"

#define SENTINELS 3
#define NODES     3
#define WAIT_MS   20000

struct fixture {
    struct redis_server *nodes[NODES];
    struct redis_server *sentinels[SENTINELS];
    struct store_conf conf;
    struct loop *loop;
    struct store *redis;
    struct args command;
    unsigned answers, losses;
    char last[64];
};

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until the master has heard how far the replica is, it sends it nothing and counts it for no WAIT:
 * up to a second after the replica has all. There must be something to have: 0 says nothing. */
static bool is_followed(struct redis_server *master, const struct redis_server *replica)
{
    char line[64];
    redis_server_ask(master, "PUBLISH nobody something");
    snprintf(line, sizeof(line), "port=%d,state=online,offset=", redis_server_port(replica));
    const char *told = strstr(redis_server_ask(master, "INFO replication"), line);
    return told && told[strlen(line)] != '0';
}

static void follow(struct redis_server *replica, struct redis_server *master)
{
    char line[64];
    snprintf(line, sizeof(line), "REPLICAOF 127.0.0.1 %d", redis_server_port(master));
    assert_memory_equal(redis_server_ask(replica, line), "+OK", 3);
    for (int64_t end = clock_ms() + WAIT_MS; !is_followed(master, replica);) {
        assert_true(clock_ms() < end);
        usleep(20000);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    given_load(&store_conf_table, given_none, &f->conf);
    f->conf.redis_wait_replicas = 1;
    f->conf.redis_timeout_ms = 600;
    for (int i = 0; i < NODES; i++) {
        f->nodes[i] = redis_server_start(NULL);
        assert_memory_equal(/* a replica need not wait for another to come */
                            redis_server_ask(f->nodes[i], "CONFIG SET repl-diskless-sync-delay 0"),
                            "+OK", 3);
    }
    follow(f->nodes[1], f->nodes[0]);
    follow(f->nodes[2], f->nodes[0]);
    f->loop = loop_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_free(f->redis);
    args_free(&f->command);
    loop_free(f->loop);
    for (int i = 0; i < NODES; i++) {
        redis_server_free(f->nodes[i]);
    }
    for (int i = 0; i < SENTINELS; i++) {
        redis_server_free(f->sentinels[i]);
    }
    free(f);
    return 0;
}

static void on_reply(void *ctx, int err, struct texts reply)
{
    struct fixture *f = ctx;
    if (err == 0) {
        f->answers++;
        slice_copy(texts_at(reply, 0), f->last, sizeof(f->last));
    } else {
        f->losses++;
    }
}

static void turns(struct fixture *f, int64_t ms)
{
    for (int64_t end = clock_ms() + ms; clock_ms() < end; usleep(200)) {
        loop_turn(f->loop, false);
    }
}

static void open_store(struct fixture *f, const char *node)
{
    f->redis = store_new(f->loop, &f->conf, "test", node, NULL);
}

static void wait_up(struct fixture *f)
{
    for (int64_t end = clock_ms() + WAIT_MS; !store_is_up(f->redis);) {
        assert_true(clock_ms() < end);
        turns(f, 1);
    }
}

static void call(struct fixture *f, const char *word, const char *key, const char *value)
{
    args_reset(&f->command);
    args_text(&f->command, word);
    args_text(&f->command, key);
    if (value) {
        args_text(&f->command, value);
    }
    store_call(f->redis, &f->command, on_reply, f);
}

/* Calls again and again, as whoever depends on it does, until it is answered. */
static void call_until_answered(struct fixture *f, const char *word, const char *key,
                                const char *value)
{
    unsigned before = f->answers;
    for (int64_t end = clock_ms() + WAIT_MS; f->answers == before;) {
        unsigned losses = f->losses;
        assert_true(clock_ms() < end);
        call(f, word, key, value);
        while (f->answers == before && f->losses == losses) {
            turns(f, 1);
        }
        turns(f, 20);
    }
}

/* With replicas that follow, answers come, in their order and with their own texts. */
static void answers_are_released_in_order(void **state)
{
    struct fixture *f = *state;
    f->conf.redis_wait_replicas = 2;
    f->conf.redis_timeout_ms = 10000;
    open_store(f, redis_server_node(f->nodes[0]));
    wait_up(f);
    for (int i = 1; i <= 300; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        call(f, "SET", "k", value);
        call(f, "GET", "k", NULL);
        if (i % 7 == 0) {
            loop_turn(f->loop, false);
        }
    }
    for (int64_t end = clock_ms() + WAIT_MS; f->answers + f->losses < 600;) {
        assert_true(clock_ms() < end);
        turns(f, 1);
    }
    assert_int_equal(f->losses, 0);
    assert_string_equal(f->last, "300");
    assert_memory_equal(redis_server_ask(f->nodes[1], "GET k"), "$3\r\n300", 7);
}

static void wait_answers(struct fixture *f, unsigned answers)
{
    for (int64_t end = clock_ms() + WAIT_MS; f->answers < answers;) {
        assert_true(clock_ms() < end);
        turns(f, 1);
    }
}

/* While no replica follows, nothing is answered, though the master has it; then it is, and nobody
 * had to call again. */
static void nothing_is_answered_without_replicas(void **state)
{
    struct fixture *f = *state;
    open_store(f, redis_server_node(f->nodes[0]));
    wait_up(f);
    redis_server_pause(f->nodes[1]);
    redis_server_pause(f->nodes[2]);
    call(f, "SET", "k", "1");
    turns(f, 200);
    assert_memory_equal(redis_server_ask(f->nodes[0], "GET k"), "$1\r\n1", 5);
    assert_int_equal(f->answers, 0);
    turns(f, 1500);
    call(f, "GET", "k", NULL);
    turns(f, 500);
    assert_int_equal(f->answers, 0);
    redis_server_resume(f->nodes[1]);
    redis_server_resume(f->nodes[2]);
    wait_answers(f, 2);
    assert_int_equal(f->losses, 0);
}

/* Replicas that are later than any single WAIT lasts, each time, cost time and nothing else. */
static void late_replicas_cost_time_only(void **state)
{
    struct fixture *f = *state;
    f->conf.redis_wait_replicas = 2;
    open_store(f, redis_server_node(f->nodes[0]));
    wait_up(f);
    for (unsigned round = 1; round <= 5; round++) {
        redis_server_pause(f->nodes[1]);
        call(f, "INCR", "k", NULL);
        for (int i = 0; i < 10; i++) { /* others come meanwhile */
            turns(f, 60);
            call(f, "GET", "k", NULL);
        }
        redis_server_resume(f->nodes[1]);
        wait_answers(f, 11 * round);
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
    struct fixture *f = *state;
    open_store(f, redis_server_node(f->nodes[0]));
    wait_up(f);
    call_until_answered(f, "SET", "k", "0");
    long before = flights(f->nodes[0]);
    unsigned answers = f->answers;
    redis_server_pause(f->nodes[1]);
    redis_server_pause(f->nodes[2]);
    for (int i = 0; i < 10; i++) {
        call(f, "INCR", "k", NULL);
        turns(f, 20);
    }
    redis_server_resume(f->nodes[1]);
    redis_server_resume(f->nodes[2]);
    wait_answers(f, answers + 10);
    assert_int_equal(flights(f->nodes[0]) - before, 2);
    assert_int_equal(f->losses, 0);
    assert_string_equal(f->last, "10");
}

/* A read neither: a master that has lost its replicas may be deposed, and would tell old things.
 * That nothing was written since they were heard last does not help it. */
static void nothing_is_read_without_replicas(void **state)
{
    struct fixture *f = *state;
    open_store(f, redis_server_node(f->nodes[0]));
    wait_up(f);
    call_until_answered(f, "SET", "k", "1");
    turns(f, 1200); /* replicas say every second how far they are */
    redis_server_pause(f->nodes[1]);
    redis_server_pause(f->nodes[2]);
    call(f, "GET", "k", NULL);
    turns(f, 800);
    assert_int_equal(f->answers, 1);
    redis_server_resume(f->nodes[1]);
    redis_server_resume(f->nodes[2]);
    wait_answers(f, 2);
    assert_int_equal(f->losses, 0);
    assert_string_equal(f->last, "1");
}

/* A replica is not taken for the master. */
static void a_replica_is_no_master(void **state)
{
    struct fixture *f = *state;
    open_store(f, redis_server_node(f->nodes[1]));
    turns(f, 500);
    assert_false(store_is_up(f->redis));
}

static void watch(struct fixture *f)
{
    char line[128];
    char *nodes = f->conf.redis_sentinels;
    for (int i = 0; i < SENTINELS; i++) {
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
    for (int i = 0; i < SENTINELS; i++) { /* until each knows the others, and the replicas */
        for (int64_t end = clock_ms() + WAIT_MS;;) {
            const char *told = redis_server_ask(f->sentinels[i], "INFO sentinel");
            if (strstr(told, "slaves=2,sentinels=3")) {
                break;
            }
            assert_true(clock_ms() < end);
            usleep(50000);
        }
    }
}

/* The master is killed: the Sentinels promote a replica, and all that was answered is there. */
static void a_killed_master_is_replaced(void **state)
{
    struct fixture *f = *state;
    watch(f);
    open_store(f, "shop");
    wait_up(f);
    for (int i = 0; i < 200; i++) {
        call(f, "INCR", "count", NULL);
    }
    while (f->answers < 200) {
        assert_int_equal(f->losses, 0);
        turns(f, 1);
    }
    redis_server_kill9(f->nodes[0]);
    call_until_answered(f, "INCR", "count", NULL);
    long count = strtol(f->last, NULL, 10);
    assert_in_range(count, 201, 201 + f->losses); /* a lost call may have been made */
}

/* The Sentinels do not agree yet, or one of them is away: the next one is asked. */
static void a_sentinel_that_is_away_is_passed_over(void **state)
{
    struct fixture *f = *state;
    watch(f);
    redis_server_pause(f->sentinels[0]);
    redis_server_kill9(f->sentinels[1]);
    open_store(f, "shop");
    wait_up(f);
    call_until_answered(f, "SET", "k", "1");
}

/* A name that no Sentinel knows: it is not up, and says why; nothing crashes. */
static void an_unknown_master(void **state)
{
    struct fixture *f = *state;
    watch(f);
    open_store(f, "nobody");
    turns(f, 500);
    assert_false(store_is_up(f->redis));
    call(f, "SET", "k", "1");
    turns(f, 50);
    assert_int_equal(f->losses, 1);
}

/* The old master comes back while it still believes to be one: WAIT finds nobody behind it, or
 * ROLE says what it is. What it took meanwhile was not answered. */
static void a_paused_master_is_not_believed(void **state)
{
    struct fixture *f = *state;
    watch(f);
    open_store(f, "shop");
    wait_up(f);
    call_until_answered(f, "SET", "k", "before");
    redis_server_pause(f->nodes[0]);
    call_until_answered(f, "SET", "k", "after");
    redis_server_resume(f->nodes[0]);
    call_until_answered(f, "GET", "k", NULL);
    assert_string_equal(f->last, "after");
    turns(f, 1500);
    call_until_answered(f, "GET", "k", NULL);
    assert_string_equal(f->last, "after");
}

/* A group of three, which has answered. */
static void three_answer(struct fixture *f, int64_t degrade_ms)
{
    f->conf.redis_wait_replicas = 2;
    f->conf.redis_degrade_ms = degrade_ms;
    watch(f);
    open_store(f, "shop");
    wait_up(f);
    call_until_answered(f, "SET", "k", "1");
}

/* It loses its last server. Returns after how many ms it answers again. */
static int64_t lose_one(struct fixture *f, int64_t degrade_ms)
{
    three_answer(f, degrade_ms);
    int64_t begin_ms = clock_ms();
    redis_server_kill9(f->nodes[2]);
    call_until_answered(f, "SET", "k", "2");
    return clock_ms() - begin_ms;
}

/* A replica that is away for good is waited for until it is sure that it was not promoted. */
static void a_missing_replica_is_done_without(void **state)
{
    struct fixture *f = *state;
    assert_in_range(lose_one(f, 3000), 3000, 8000);
    for (int i = 0; i < 20; i++) { /* and from then on nobody waits */
        call(f, "SET", "k", "3");
        turns(f, 50);
    }
    assert_int_equal(f->answers, 22);
}

/* .. and until its master has written down, where the others have it, that it is left out. All
 * nodes have the same address here; the others on the list are somewhere else. */
static void a_missing_replica_is_not_done_without_in_silence(void **state)
{
    struct fixture *f = *state;
    assert_memory_equal(
        redis_server_ask(f->nodes[0], "HSET kassa:copy with \"127.0.0.1 127.0.0.8 127.0.0.9\""),
        ":1", 2);
    three_answer(f, 2000);
    redis_server_kill9(f->nodes[2]);
    call(f, "SET", "k", "2");
    turns(f, 6000);
    assert_int_equal(f->answers, 1);
    assert_non_null(strstr(store_refusal(f->redis), "1 of 2 replicas have what was written; "
                                                    "127.0.0.1 127.0.0.8 127.0.0.9 had all"));
    redis_server_ask(f->nodes[0], "HSET kassa:copy with 127.0.0.1");
    wait_answers(f, 2);
    assert_null(store_refusal(f->redis));
}

/* A WAIT for one says "one" also when both have it. The one that is back counts from the moment on
 * in which its master lists it, for from then on it may be promoted. */
static void a_replica_that_is_back_is_needed(void **state)
{
    struct fixture *f = *state;
    lose_one(f, 2000);
    redis_server_restart(f->nodes[2]);
    follow(f->nodes[2], f->nodes[0]);
    /* Nobody calls: it is found by looking, or its second death would be the first. */
    turns(f, 1500);
    redis_server_kill9(f->nodes[2]);
    unsigned answers = f->answers;
    for (int64_t end = clock_ms() + f->conf.redis_degrade_ms - 500; clock_ms() < end;) {
        call(f, "SET", "k", "3");
        turns(f, 50);
    }
    assert_int_equal(f->answers, answers);
    call_until_answered(f, "SET", "k", "4");
}

/* A replica is promoted while the master and the other replica live, and go on for a while: what
 * these two have agreed upon meanwhile was not answered. */
static void a_promotion_by_hand_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->conf.redis_wait_replicas = 2;
    watch(f);
    open_store(f, "shop");
    wait_up(f);
    for (int round = 0; round < 3; round++) {
        call_until_answered(f, "INCR", "count", NULL);
        assert_memory_equal(redis_server_ask(f->sentinels[0], "SENTINEL FAILOVER shop"), "+OK", 3);
        for (int64_t end = clock_ms() + 6000; clock_ms() < end;) {
            call(f, "INCR", "count", NULL);
            turns(f, 2);
        }
        call_until_answered(f, "INCR", "count", NULL);
        assert_true(strtol(f->last, NULL, 10) >= (long)f->answers);
    }
}

static void on_message(void *ctx, struct slice payload)
{
    struct fixture *f = ctx;
    (void)payload;
    f->answers++;
}

/* Notices go to the new master, and the old one lives: whoever listens there would hear none. */
static void a_listener_follows_the_master(void **state)
{
    struct fixture *f = *state;
    watch(f);
    struct subscription *s = subscription_new(f->loop, &f->conf, "shop", "news", on_message, f);
    for (int64_t end = clock_ms() + WAIT_MS; !subscription_is_up(s);) {
        assert_true(clock_ms() < end);
        turns(f, 1);
    }
    assert_memory_equal(redis_server_ask(f->sentinels[0], "SENTINEL FAILOVER shop"), "+OK", 3);
    for (int64_t end = clock_ms() + 6000; f->answers == 0;) {
        assert_true(clock_ms() < end);
        redis_server_ask(f->nodes[1], "PUBLISH news 1");
        redis_server_ask(f->nodes[2], "PUBLISH news 1");
        turns(f, 50);
    }
    subscription_free(s);
}

#define REPLICAS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int run_lane(unsigned lane)
{
    const struct CMUnitTest one_master[] = {
        REPLICAS_TEST(answers_are_released_in_order),
        REPLICAS_TEST(nothing_is_answered_without_replicas),
        REPLICAS_TEST(late_replicas_cost_time_only),
        REPLICAS_TEST(what_comes_meanwhile_gathers),
        REPLICAS_TEST(nothing_is_read_without_replicas),
        REPLICAS_TEST(a_replica_is_no_master),
        REPLICAS_TEST(a_listener_follows_the_master),
    };
    const struct CMUnitTest masters[] = {
        REPLICAS_TEST(a_killed_master_is_replaced),
        REPLICAS_TEST(a_sentinel_that_is_away_is_passed_over),
        REPLICAS_TEST(an_unknown_master),
        REPLICAS_TEST(a_paused_master_is_not_believed),
    };
    const struct CMUnitTest missing[] = {
        REPLICAS_TEST(a_missing_replica_is_done_without),
        REPLICAS_TEST(a_missing_replica_is_not_done_without_in_silence),
        REPLICAS_TEST(a_replica_that_is_back_is_needed),
    };
    const struct CMUnitTest by_hand[] = {
        REPLICAS_TEST(a_promotion_by_hand_loses_nothing),
    };
    switch (lane) {
    case 0:
        return cmocka_run_group_tests_name("live replicas", one_master, NULL, NULL);
    case 1:
        return cmocka_run_group_tests_name("live replicas: masters", masters, NULL, NULL);
    case 2:
        return cmocka_run_group_tests_name("live replicas: missing", missing, NULL, NULL);
    default:
        return cmocka_run_group_tests_name("live replicas: by hand", by_hand, NULL, NULL);
    }
}

int main(void)
{
    return lanes_run(4, run_lane);
}
