/* The store connection without a store: a peer of our own answers by the letter. Behind replicas:
 * flight.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/err.h"
#include "store/patience.h"
#include "test/lib/peer.h"

/* What time it is there, it has said; it goes on by a clock that does not jump. */
static void store_clock(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    assert_in_range(store_wall_ms(p->redis) - INT64_C(1733754220544), 0, 60000);
}

/* A call while the store is down fails when the turn ends, not inside; each once, in order. */
static void store_call_while_down(void **state)
{
    struct peer *p = *state;
    peer_call(p, 0);
    peer_call(p, 1);
    assert_int_equal(p->count, 0);
    assert_int_equal(store_outstanding(p->redis), 2);
    loop_turn(p->loop, false);
    assert_int_equal(p->count, 2);
    assert_int_equal(p->errs[0], -ERR_STORE_DOWN);
    assert_int_equal(p->errs[1], -ERR_STORE_DOWN);
    assert_int_equal(p->numbers[1], 1);
    assert_int_equal(store_outstanding(p->redis), 0);
    store_call(p->redis, &p->command, NULL, NULL); /* nobody wants to know: fine */
    loop_turn(p->loop, false);
}

/* Replies, in pieces, reach the calls in order; arrays are flattened, nil is absent. */
static void store_replies(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    peer_call(p, 1);
    peer_call(p, 2);
    peer_call(p, 3);
    peer_hear(p, "$2\r\nk3\r\n");
    peer_say(p, "$1\r\na\r\n:-42\r\n*4\r\n$0\r\n\r\n*3\r\n:1\r\n*1\r\n$1\r");
    peer_wait(p, 2);
    assert_string_equal(p->text, "-42");
    peer_say(p, "\nx\r\n$-1\r\n*0\r\n+OK\r\n*0\r\n");
    peer_wait(p, 4);
    assert_string_equal(p->text, "");
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(p->errs[i], 0);
        assert_int_equal(p->numbers[i], i);
    }
    peer_call(p, 4);
    peer_say(p, "*4\r\n$0\r\n\r\n*3\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n*0\r\n+OK\r\n");
    peer_wait(p, 5);
    assert_string_equal(p->text, "|1|x|absent|OK");
}

/* Errors of one call are its own; the connection stays. */
static void store_errors_of_a_call(void **state)
{
    static const char *const errors[] = {
        "MISCONF Errors writing to the AOF file",
        "OOM command not allowed",
        "ERR any",
        "READONLYX",
    };
    struct peer *p = *state;
    peer_greet(p);
    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        char text[128];
        peer_call(p, i);
        peer_hear(p, "GET");
        snprintf(text, sizeof(text), "-%s\r\n", errors[i]);
        peer_say(p, text);
        peer_wait(p, i + 1);
        bool is_full = strncmp(errors[i], "OOM ", 4) == 0;
        assert_int_equal(p->errs[i], is_full ? -ERR_STORE_FULL : -ERR_STORE_REPLY);
        assert_string_equal(p->text, errors[i]);
    }
    assert_true(store_is_up(p->redis));
    assert_int_equal(p->ups, 1);
}

/* A server that says it cannot serve is left: what is out fails once, in order, also when more
 * answers are in the same piece; then comes a new connection. */
static void store_errors_of_a_server(void **state)
{
    static const char *const errors[] = {
        "-LOADING Redis is loading the dataset in memory\r\n+OK\r\n+OK\r\n",
        "-READONLY You can't write against a read only replica.\r\n+OK\r\n+OK\r\n",
        "-MASTERDOWN Link with PEER_MASTER is down\r\n+OK\r\n+OK\r\n",
        "-NOREPLICAS Not enough good replicas to write.\r\n+OK\r\n+OK\r\n",
        "-UNBLOCKED force unblock\r\n+OK\r\n+OK\r\n",
        "-ERR Function not found\r\n+OK\r\n+OK\r\n",
    };
    struct peer *p = *state;
    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        peer_greet(p);
        p->count = 0;
        peer_call(p, 0);
        peer_call(p, 1);
        peer_call(p, 2);
        peer_hear(p, "k2");
        peer_say(p, "+OK\r\n");
        peer_wait(p, 1);
        assert_int_equal(p->errs[0], 0);
        peer_say(p, errors[i]);
        peer_wait(p, 3);
        assert_int_equal(p->errs[1], -ERR_STORE_DOWN);
        assert_int_equal(p->errs[2], -ERR_STORE_DOWN);
        assert_int_equal(p->numbers[1], 1);
        assert_int_equal(p->numbers[2], 2);
        assert_false(store_is_up(p->redis));
        assert_int_equal(p->ups, i + 1);
    }
}

/* A peer that does not speak the protocol, or goes, is left; the next connection works. */
static void store_broken_peer(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    peer_hear(p, "k0");
    peer_say(p, "HTTP/1.1 400 Bad Request\r\n\r\n");
    peer_wait(p, 1);
    assert_int_equal(p->errs[0], -ERR_STORE_DOWN);
    peer_greet(p);
    peer_call(p, 1);
    peer_hear(p, "k1");
    peer_greet(p); /* closes the old connection */
    peer_wait(p, 2);
    assert_int_equal(p->errs[1], -ERR_STORE_DOWN);
    assert_int_equal(p->ups, 3);
}

/* An answer that nobody waits for is a peer that has lost count. */
static void store_unasked_answer(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_say(p, "-ERR max number of clients reached\r\n");
    peer_greet(p);
    assert_int_equal(p->ups, 2);
}

/* A replica is not used, whatever it promises. */
static void store_replica(void **state)
{
    struct peer *p = *state;
    peer_accept(p);
    peer_hear(p, "ROLE");
    peer_say(p, PEER_REPLICA);
    peer_turns(p, 20);
    assert_false(store_is_up(p->redis));
    peer_greet(p);
}

/* Silence is noticed while greeting and while calls are out; a trickle is not silence. */
static void store_silence(void **state)
{
    struct peer *p = *state;
    peer_accept(p);
    peer_hear(p, "ROLE");
    peer_accept(p); /* after the timeout */
    peer_greet(p);
    peer_call(p, 0);
    peer_hear(p, "k0");
    for (int i = 0; i < 4; i++) {
        usleep(PEER_SILENCE_MS / 2 * 1000);
        peer_say(p, i == 0 ? "$4\r\n" : "x");
        peer_turns(p, 3);
        assert_true(store_is_up(p->redis));
    }
    assert_int_equal(p->count, 0);
    peer_wait(p, 1);
    assert_int_equal(p->errs[0], -ERR_STORE_TIMEOUT);
}

/* Hears what of a new connection is asked first: how many of `count` calls are out at once. */
static unsigned peer_slice(struct peer *p, unsigned count)
{
    unsigned slice = 0;
    for (unsigned number = 0; number < count; number++) {
        peer_call(p, number);
    }
    peer_turns(p, 20);
    peer_hear(p, "k");
    for (const char *at = p->heard; (at = strstr(at, "GET")) != NULL; at++) {
        slice++;
    }
    return slice;
}

/* After a silence the same is not asked again: half of it, in twice the time; the rest follows
 * with the answers, in order. What had not gone out is not to blame. */
static void store_silence_makes_slices(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    assert_int_equal(peer_slice(p, 8), 8);
    peer_wait(p, 8);
    peer_greet(p);
    assert_int_equal(peer_slice(p, 8), 4);
    assert_int_equal(store_outstanding(p->redis), 8);
    peer_turns(p,
               PEER_SILENCE_MS / 2); /* of 2 ms: it would be over, were it not twice as patient */
    peer_wait(p, 16);
    for (unsigned i = 8; i < 16; i++) {
        assert_int_equal(p->numbers[i], i - 8);
        assert_int_equal(p->errs[i], i < 12 ? -ERR_STORE_TIMEOUT : -ERR_STORE_DOWN);
    }
    peer_greet(p);
    assert_int_equal(peer_slice(p, 8), 2);
    peer_say(p, "+OK\r\n+OK\r\n");
    peer_wait(p, 18);
    peer_hear(p, "k5"); /* twice as many */
    peer_say(p, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    peer_hear(p, "k7");
    peer_say(p, "+OK\r\n+OK\r\n");
    peer_wait(p, 24);
    for (unsigned i = 16; i < 24; i++) {
        assert_int_equal(p->numbers[i], i - 16);
        assert_int_equal(p->errs[i], 0);
    }
    assert_int_equal(store_outstanding(p->redis), 0);
}

/* One that may be what the server cannot bear goes out when nothing else is, and nothing with it.
 */
static void store_alone(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    args_reset(&p->command);
    args_text(&p->command, "HEAVY");
    p->command.is_alone = true;
    peer_calls[1] = (struct peer_call){p, 1};
    store_call(p->redis, &p->command, peer_on_reply, &peer_calls[1]);
    peer_call(p, 2);
    peer_hear(p, "k0");
    peer_turns(p, 10);
    assert_null(strstr(p->heard, "HEAVY"));
    peer_say(p, "+OK\r\n");
    peer_hear(p, "HEAVY\r\n");
    peer_turns(p, 10);
    assert_null(strstr(p->heard, "k2"));
    peer_say(p, "+OK\r\n");
    peer_hear(p, "k2");
    peer_say(p, "+OK\r\n");
    peer_wait(p, 3);
    assert_int_equal(p->numbers[1], 1);
}

/* A process that slept itself does not blame the server, whose answer has been there for long. */
static void store_own_sleep(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    peer_hear(p, "k0");
    peer_say(p, "+OK\r\n");
    usleep(3 * PEER_SILENCE_MS * 1000);
    peer_wait(p, 1);
    assert_int_equal(p->errs[0], 0);
    assert_int_equal(p->ups, 1);
}

static void peer_on_reply_again(void *ctx, int err, struct texts reply)
{
    struct peer_call *call = ctx;
    peer_on_reply(ctx, err, reply);
    store_call(call->p->redis, &call->p->command, peer_on_reply, ctx);
}

/* Who calls again from a failure is told of that failure too, later. */
static void store_call_again_from_failure(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    peer_hear(p, "k0");
    store_call(p->redis, &p->command, peer_on_reply_again, &peer_calls[0]);
    peer_hear(p, "k0");
    close(p->fd);
    p->fd = -1;
    peer_wait(p, 3);
    assert_int_equal(p->errs[2], -ERR_STORE_DOWN);
}

/* Freed: each call that is out is told once; what is called from there is forgotten. */
static void store_free_with_calls(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_call(p, 0);
    store_call(p->redis, &p->command, peer_on_reply_again, &peer_calls[0]);
    store_free(p->redis);
    p->redis = NULL;
    assert_int_equal(p->count, 2);
    assert_int_equal(p->errs[1], -ERR_STORE_DOWN);
}

/* A command with a row of its own. */
static void peer_row(struct peer *p, unsigned number, texts_on_reply *on_reply)
{
    peer_calls[number] = (struct peer_call){p, number};
    args_reset(&p->command);
    args_text(&p->command, "F");
    args_row_begins(&p->command);
    args_format(&p->command, "k%u", number);
    p->is_inside = true;
    store_call(p->redis, &p->command, on_reply, &peer_calls[number]);
    p->is_inside = false;
}

/* Rows of a turn leave as one call, behind what has no row; one that failed is called again alone.
 */
static void store_rows_of_a_turn(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_row(p, 0, peer_on_reply);
    peer_row(p, 1, peer_on_reply);
    peer_call(p, 2);
    assert_int_equal(store_outstanding(p->redis), 3);
    peer_hear(p, "*2\r\n$3\r\nGET\r\n$2\r\nk2\r\n"
                 "*3\r\n$1\r\nF\r\n$2\r\nk0\r\n$2\r\nk1\r\n");
    peer_say(p, "$1\r\nz\r\n*2\r\n$-1\r\n$1\r\nb\r\n");
    peer_wait(p, 2);
    assert_int_equal(p->numbers[0], 2);
    assert_int_equal(p->numbers[1], 1);
    assert_string_equal(p->text, "b");
    peer_hear(p, "*2\r\n$1\r\nF\r\n$2\r\nk0\r\n");
    peer_say(p, "-ERR no number\r\n");
    peer_wait(p, 3);
    assert_int_equal(p->errs[2], -ERR_STORE_REPLY);
    assert_string_equal(p->text, "ERR no number");
    assert_int_equal(store_outstanding(p->redis), 0);
}

/* Rows that nobody has answered, or that were never sent, fail, each once. */
static void store_rows_are_lost(void **state)
{
    struct peer *p = *state;
    peer_row(p, 0, peer_on_reply);
    assert_int_equal(p->count, 0);
    loop_turn(p->loop, false);
    assert_int_equal(p->count, 1);
    peer_greet(p);
    peer_row(p, 1, peer_on_reply);
    peer_row(p, 2, peer_on_reply_again);
    peer_hear(p, "k2");
    close(p->fd);
    p->fd = -1;
    peer_wait(p, 4); /* the one that called again, too */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(p->errs[i], -ERR_STORE_DOWN);
    }
    assert_int_equal(p->numbers[1], 1);
    assert_int_equal(p->numbers[3], 2);
}

/* Freed: rows that are out, and those that are gathered, are told once each. */
static void store_free_with_rows(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    peer_row(p, 0, peer_on_reply_again);
    peer_hear(p, "k0");
    peer_row(p, 1, peer_on_reply_again);
    store_free(p->redis);
    p->redis = NULL;
    assert_int_equal(p->count, 2);
    assert_int_equal(p->errs[0], -ERR_STORE_DOWN);
    assert_int_equal(p->errs[1], -ERR_STORE_DOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store_call_while_down),
        TEST(store_clock),
        TEST(store_replies),
        TEST(store_errors_of_a_call),
        TEST(store_errors_of_a_server),
        TEST(store_broken_peer),
        TEST(store_unasked_answer),
        TEST(store_replica),
        TEST(store_silence),
        TEST(store_silence_makes_slices),
        TEST(store_alone),
        TEST(store_own_sleep),
        TEST(store_call_again_from_failure),
        TEST(store_free_with_calls),
        TEST(store_rows_of_a_turn),
        TEST(store_rows_are_lost),
        TEST(store_free_with_rows),
    };
    return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
