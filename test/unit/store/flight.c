/* Answers that wait for replicas, against a peer of our own: held back until enough have what led
 * to them, and asked for again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "runtime/err.h"
#include "store/flight.h"
#include "test/lib/peer.h"

/* With replicas: the calls of a turn, something for the replicas, and how many have it. */
#define WAIT_TWO "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n"

#define WAITAOF_TWO "*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n2\r\n"

/* A replica that ROLE lists: its port, and the address it has told its master. */
#define LISTED(address, port) "*3\r\n" address "$1\r\n" port "\r\n$1\r\n9\r\n"
#define ADDRESS               "$1\r\nr\r\n"
#define ROLE_OF(replicas)     "*3\r\n$6\r\nmaster\r\n:9\r\n*2\r\n" replicas
#define ROLE_TWO              ROLE_OF(LISTED(ADDRESS, "1") LISTED(ADDRESS, "2"))

/* Two calls, of two turns; the first is answered, but not its WAIT. */
static void peer_hold_one_of_two(struct peer *p)
{
    peer_greet(p);
    peer_call(p, 0);
    peer_hear(p, WAIT_TWO);
    peer_call(p, 1);
    peer_turns(p, 10);
    peer_say(p, "$1\r\na\r\n:0\r\n");
    peer_turns(p, 10);
}

/* Answers are held back until the WAIT behind them is answered; what is called meanwhile gathers,
 * and goes out then. */
static void store_answers_wait_for_replicas(void **state)
{
    struct peer *p = *state;
    peer_hold_one_of_two(p);
    assert_int_equal(p->count, 0);
    assert_null(strstr(p->heard, "k1"));
    peer_say(p, ":2\r\n" ROLE_TWO);
    peer_hear(p, "k1");
    assert_int_equal(p->count, 1);
    assert_string_equal(p->text, "a");
    assert_non_null(strstr(p->heard, WAIT_TWO));
    peer_say(p, "$1\r\nb\r\n");
    peer_turns(p, 10);
    assert_int_equal(p->count, 1);
    peer_say(p, ":0\r\n:2\r\n" ROLE_TWO);
    peer_wait(p, 2);
    assert_string_equal(p->text, "b");
    assert_int_equal(p->errs[0] | p->errs[1], 0);
    assert_int_equal(store_outstanding(p->redis), 0);
}

/* `answers` to a call, the PUBLISH, the WAIT and the ROLE: nobody hears the call's, and the
 * connection ends.
 */
static void peer_refuse(struct peer *p, const char *answers)
{
    unsigned count = p->count;
    peer_call(p, count);
    peer_hear(p, WAIT_TWO);
    peer_say(p, answers);
    peer_wait(p, count + 1);
    assert_int_equal(p->errs[count], -ERR_STORE_DOWN);
    assert_false(store_is_up(p->redis));
    assert_int_equal(store_outstanding(p->redis), 0);
    peer_greet(p);
}

/* Too few have it yet: the same WAIT is asked again, of the same offset, and nothing else is sent
 * meanwhile. The connection stays, and what is held is told when it is enough. */
static void store_too_few_replicas(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    peer_hear(p, WAIT_TWO);
    for (int i = 0; i < 3; i++) {
        peer_say(p, i == 0 ? "$1\r\na\r\n:0\r\n:1\r\n" ROLE_TWO : ":1\r\n" ROLE_TWO);
        peer_hear(p, WAIT_TWO);
        assert_null(strstr(p->heard, "PUBLISH"));
        if (i == 0) {
            peer_call(p, 1);
        }
        peer_turns(p, 10);
        assert_null(strstr(p->heard, "k1"));
        assert_int_equal(p->count, 0);
    }
    usleep(PEER_SILENCE_MS / 2 * 1000);
    peer_say(p, ":1\r\n" ROLE_TWO);
    peer_hear(p, WAIT_TWO);
    assert_string_equal(store_refusal(p->redis),
                        "the store peer waits: 1 of 2 replicas have what was written");
    peer_say(p, ":2\r\n" ROLE_TWO);
    peer_hear(p, "k1");
    assert_null(store_refusal(p->redis));
    assert_int_equal(p->count, 1);
    assert_int_equal(p->errs[0], 0);
    peer_say(p, "$1\r\nb\r\n:0\r\n:2\r\n" ROLE_TWO);
    peer_wait(p, 2);
    assert_string_equal(p->text, "b");
    assert_int_equal(p->ups, 1);
}

/* No count at all: this is not a server to talk to. */
static void store_no_count(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_refuse(p, "$1\r\na\r\n:0\r\n:-1\r\n");
    peer_refuse(p, "$1\r\na\r\n:0\r\n-ERR WAIT cannot be used with replica instances\r\n");
    peer_refuse(p, "$1\r\na\r\n:0\r\n$1\r\nx\r\n");
    peer_refuse(p, "$1\r\na\r\n:0\r\n:2\r\n*1\r\n$5\r\nslave\r\n");
}

/* Both have acknowledged, and of one it is not known whether it has anything on a disk: its
 * connection has another name. */
static void store_a_doubtful_replica_does_not_count(void **state)
{
    struct peer *p = *state;
    static const char *const lists[] = {
        ROLE_OF(LISTED(ADDRESS, "1") LISTED("$10\r\nin-doubt.r\r\n", "2")),
        ROLE_OF(LISTED(ADDRESS, "1") LISTED("$8\r\nunsure.r\r\n", "2"))};
    peer_greet(p);
    for (int i = 0; i < 2; i++) {
        peer_call(p, (unsigned)i);
        peer_hear(p, "ROLE");
        peer_say(p, "$1\r\na\r\n:0\r\n:2\r\n");
        peer_say(p, lists[i]);
        peer_hear(p, "ROLE");
        peer_say(p, ":2\r\n" ROLE_TWO); /* it may have been asked while it was in doubt still */
        peer_hear(p, "ROLE");
        assert_int_equal(p->count, i);
        peer_say(p, ":2\r\n" ROLE_TWO);
        peer_wait(p, (unsigned)i + 1);
        assert_int_equal(p->errs[i], 0);
    }
}

/* A replica that has it and is in doubt makes each WAIT end at once: it is asked again at a pace.
 */
static void store_a_short_count_is_paced(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    int64_t began_ms = loop_now_ms(p->loop);
    peer_call(p, 0);
    peer_hear(p, "ROLE");
    peer_say(p, "$1\r\na\r\n:0\r\n:1\r\n" ROLE_TWO);
    for (int i = 0; i < 8; i++) {
        peer_hear(p, "ROLE");
        peer_say(p, ":1\r\n" ROLE_TWO);
    }
    assert_true(loop_now_ms(p->loop) - began_ms >= 8 * FLIGHT_PACE_MS);
    peer_hear(p, "ROLE");
    peer_say(p, ":2\r\n" ROLE_TWO);
    peer_wait(p, 1);
    assert_int_equal(p->errs[0], 0);
}

/* Without something for the replicas an old acknowledgement would do for what was only read. */
static void store_publish_is_refused(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_refuse(p, "$1\r\na\r\n-NOPERM no channel\r\n:2\r\n");
}

/* What the call's own error says goes to the caller, once the replicas have what led to it. */
static void store_errors_wait_for_replicas(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    peer_hear(p, WAIT_TWO);
    peer_say(p, "-ERR no\r\n:0\r\n");
    peer_turns(p, 10);
    assert_int_equal(p->count, 0);
    peer_say(p, ":2\r\n" ROLE_TWO);
    peer_wait(p, 1);
    assert_int_equal(p->errs[0], -ERR_STORE_REPLY);
    assert_string_equal(p->text, "ERR no");
}

/* A server that knows WAITAOF is asked for what is in files: its own, and those of the replicas.
 * Without its own the others count for nothing. */
static void store_answers_wait_for_files(void **state)
{
    struct peer *p = *state;
    peer_greet_by(p, "*2\r\n:1\r\n:0\r\n");
    peer_call(p, 0);
    peer_hear(p, WAITAOF_TWO);
    static const char *const too_few[] = {"*2\r\n:1\r\n:1\r\n", "*2\r\n:0\r\n:2\r\n"};
    for (unsigned i = 0; i < 2; i++) {
        peer_say(p, i == 0 ? "$1\r\na\r\n:0\r\n:2\r\n" : ":2\r\n");
        peer_say(p, too_few[i]);
        peer_say(p, ROLE_TWO);
        peer_hear(p, WAITAOF_TWO);
        assert_int_equal(p->count, 0);
    }
    peer_say(p, ":2\r\n*2\r\n:1\r\n:2\r\n" ROLE_TWO);
    peer_wait(p, 1);
    assert_int_equal(p->errs[0], 0);
    assert_string_equal(p->text, "a");
}

/* What a server cannot do is asked anew on the next connection: its file may be off, or another
 * server in its place. */
static void store_wait_must_do_without_files(void **state)
{
    struct peer *p = *state;
    static const char off[] = "-ERR WAITAOF cannot be used when numlocal is set but appendonly is "
                              "disabled.\r\n";
    peer_greet_by(p, "*2\r\n:1\r\n:0\r\n");
    peer_call(p, 0);
    peer_hear(p, WAITAOF_TWO);
    peer_say(p, "$1\r\na\r\n:0\r\n:2\r\n");
    peer_say(p, off);
    peer_wait(p, 1);
    assert_int_equal(p->errs[0], -ERR_STORE_DOWN);
    peer_greet_by(p, off);
    peer_call(p, 1);
    peer_hear(p, WAIT_TWO);
    peer_say(p, "$1\r\nb\r\n:0\r\n:2\r\n" ROLE_TWO);
    peer_wait(p, 2);
    assert_string_equal(p->text, "b");
}

static void store_free_while_waiting(void **state)
{
    struct peer *p = *state;
    peer_hold_one_of_two(p);
    store_free(p->redis);
    p->redis = NULL;
    assert_int_equal(p->count, 2);
    assert_int_equal(p->errs[0], -ERR_STORE_DOWN);
    assert_int_equal(p->errs[1], -ERR_STORE_DOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup_replicas, peer_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store_answers_wait_for_replicas),
        TEST(store_too_few_replicas),
        TEST(store_a_doubtful_replica_does_not_count),
        TEST(store_a_short_count_is_paced),
        TEST(store_no_count),
        TEST(store_publish_is_refused),
        TEST(store_errors_wait_for_replicas),
        TEST(store_answers_wait_for_files),
        TEST(store_wait_must_do_without_files),
        TEST(store_free_while_waiting),
    };
    return cmocka_run_group_tests_name("store/flight", tests, NULL, NULL);
}
