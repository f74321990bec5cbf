/* The store connection without a store: commands, the pace of attempts, the ring of those who
 * wait, and a peer of our own that answers by the letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/err.h"
#include "store/flight.h"
#include "store/lookup.h"
#include "store/pace.h"
#include "store/patience.h"
#include "store/store.h"
#include "store/waiters.h"
#include "test/lib/given.h"

#define MASTER     "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define REPLICA    "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:1\r\n$7\r\nconnect\r\n:-1\r\n"
#define NOTES_MAX  64
#define NO_COMMAND "-ERR unknown command 'WAITAOF', with args beginning with: '1' '0' '1' \r\n"
#define SILENCE_MS 400 /* much longer than a busy machine needs for an answer */

struct peer {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store_conf conf;
    struct store *redis;
    struct args command;
    int listener;
    int fd; /* -1: nobody connected */
    char heard[65536];
    size_t heard_bytes;
    bool is_inside; /* store_call is running */
    unsigned count; /* answers */
    int errs[NOTES_MAX];
    unsigned numbers[NOTES_MAX];
    char text[256]; /* of the last reply, joined by | */
    unsigned ups;
};

struct peer_call {
    struct peer *p;
    unsigned number;
};
static struct peer_call peer_calls[NOTES_MAX];

static void peer_on_tick(void *ctx)
{
    (void)ctx;
}

static void peer_on_up(void *ctx)
{
    struct peer *p = ctx;
    p->ups++;
}

static int peer_make(void **state, int64_t replicas)
{
    struct peer *p = mem_new(sizeof(*p));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(a);
    char node[32];
    p->fd = -1;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(p->listener, 16), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &bytes), 0);
    given_load(&store_conf_table, given_none, &p->conf);
    p->conf.redis_timeout_ms = SILENCE_MS / PATIENCE_FIRST;
    p->conf.redis_wait_replicas = replicas;
    p->loop = loop_new();
    p->tick = loop_timer_new(p->loop, peer_on_tick, p);
    loop_timer_start(p->tick, 2, 2);
    snprintf(node, sizeof(node), "127.0.0.1:%d", ntohs(a.sin_port));
    p->redis = store_new(p->loop, &p->conf, "peer", node, NULL);
    store_watch_up(p->redis, peer_on_up, p);
    *state = p;
    return 0;
}

static int peer_setup(void **state)
{
    return peer_make(state, 0);
}

static int peer_setup_replicas(void **state)
{
    return peer_make(state, 2);
}

static int peer_teardown(void **state)
{
    struct peer *p = *state;
    store_free(p->redis);
    args_free(&p->command);
    loop_timer_free(p->tick);
    loop_free(p->loop);
    if (p->fd >= 0) {
        close(p->fd);
    }
    close(p->listener);
    free(p);
    return 0;
}

/* Waits for the next connection; the last one is closed. */
static void peer_accept(struct peer *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    for (int i = 0; i < 2000; i++) {
        p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK);
        if (p->fd >= 0) {
            p->heard_bytes = 0;
            return;
        }
        loop_turn(p->loop, true);
    }
    fail_msg("nobody connects");
}

/* Waits until the client has sent `text`, and forgets what came up to then. */
static void peer_hear(struct peer *p, const char *text)
{
    for (int i = 0; i < 2000; i++) {
        ssize_t n =
            recv(p->fd, p->heard + p->heard_bytes, sizeof(p->heard) - 1 - p->heard_bytes, 0);
        p->heard_bytes += n > 0 ? (size_t)n : 0;
        p->heard[p->heard_bytes] = '\0';
        if (strstr(p->heard, text)) {
            p->heard_bytes = 0;
            return;
        }
        loop_turn(p->loop, true);
    }
    fail_msg("the client does not send %s but %s", text, p->heard);
}

static void peer_say(struct peer *p, const char *text)
{
    assert_int_equal(send(p->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void peer_turns(struct peer *p, int turns)
{
    for (int i = 0; i < turns; i++) {
        loop_turn(p->loop, true);
    }
}

/* `files` is its answer to WAITAOF, for which it is asked when there are replicas. */
static void peer_greet_by(struct peer *p, const char *files)
{
    peer_accept(p);
    peer_hear(p, "*1\r\n$4\r\nROLE\r\n");
    peer_say(p, MASTER);
    peer_hear(p, "*1\r\n$4\r\nTIME\r\n");
    peer_say(p, "*2\r\n$10\r\n1733754220\r\n$6\r\n544000\r\n");
    if (p->conf.redis_wait_replicas > 0) {
        peer_hear(p, "*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\n1\r\n");
        peer_say(p, files);
    }
    for (int i = 0; i < 100 && !store_is_up(p->redis); i++) {
        loop_turn(p->loop, true);
    }
    assert_true(store_is_up(p->redis));
}

static void peer_greet(struct peer *p)
{
    peer_greet_by(p, NO_COMMAND);
}

/* What time it is there, it has said; it goes on by a clock that does not jump. */
static void store_clock(void **state)
{
    struct peer *p = *state;
    peer_greet(p);
    assert_in_range(store_wall_ms(p->redis) - INT64_C(1733754220544), 0, 60000);
}

static void peer_on_reply(void *ctx, int err, struct texts reply)
{
    struct peer_call *call = ctx;
    struct peer *p = call->p;
    size_t bytes = 0;
    assert_false(p->is_inside);
    p->errs[p->count] = err;
    p->numbers[p->count++] = call->number;
    p->text[0] = '\0';
    for (unsigned i = 0; i < reply.count; i++) {
        struct slice s = texts_at(reply, i);
        bytes += (size_t)snprintf(p->text + bytes, sizeof(p->text) - bytes, "%s%.*s", i ? "|" : "",
                                  s.data ? (int)s.bytes : 6, s.data ? s.data : "absent");
    }
}

static void peer_call(struct peer *p, unsigned number)
{
    peer_calls[number] = (struct peer_call){p, number};
    args_reset(&p->command);
    args_text(&p->command, "GET");
    args_format(&p->command, "k%u", number);
    p->is_inside = true;
    store_call(p->redis, &p->command, peer_on_reply, &peer_calls[number]);
    p->is_inside = false;
}

static void peer_wait(struct peer *p, unsigned count)
{
    for (int i = 0; i < 1000 && p->count < count; i++) {
        loop_turn(p->loop, true);
    }
    assert_int_equal(p->count, count);
}

/* Arguments lie back to back; empty ones and any byte are allowed. */
static void store_command_bytes(void **state)
{
    (void)state;
    struct args *c = mem_new(sizeof(*c));
    char longer[1000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    for (int round = 0; round < 2; round++) {
        args_reset(c);
        args_text(c, "HSET");
        args_add(c, (struct slice){NULL, 0});
        args_add(c, (struct slice){"a\0b", 3});
        args_int(c, INT64_MIN);
        args_format(c, "u:%s:%d", "7", 8);
        args_format(c, "%s", longer);
        assert_int_equal(c->count, 6);
        assert_int_equal(c->end[0], 4);
        assert_int_equal(c->end[1], 4);
        assert_int_equal(c->end[2], 7);
        assert_int_equal(c->end[3], 27);
        assert_int_equal(c->end[4], 32);
        assert_int_equal(c->end[5], 32 + 999);
        assert_memory_equal(c->bytes.data, "HSETa\0b-9223372036854775808u:7:8xxx", 35);
    }
    args_free(c);
    free(c);
}

/* The ring keeps the order while it wraps around and grows. */
static void store_waiters_in_order(void **state)
{
    (void)state;
    struct waiters w = {0};
    uintptr_t in = 0, out = 0;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 7; i++) {
            waiters_push(&w, (struct waiter){.ctx = (void *)++in});
        }
        for (int i = 0; i < 4; i++) {
            assert_int_equal((uintptr_t)waiters_pop(&w).ctx, ++out);
        }
    }
    assert_int_equal(w.count, in - out);
    while (w.count > 0) {
        assert_int_equal((uintptr_t)waiters_pop(&w).ctx, ++out);
    }
    waiters_free(&w);
}

/* At once, then after growing times with jitter, never above PACE_MAX_MS. */
static void store_pace_grows(void **state)
{
    (void)state;
    struct pace p = {0};
    int64_t most_ms = PACE_FIRST_MS;
    assert_int_equal(pace_lost(&p, 1, 7), 0);
    for (uint32_t i = 0; i < 100; i++) {
        int64_t delay_ms = pace_lost(&p, 1, i * 2654435761u);
        assert_in_range(delay_ms, most_ms / 2, most_ms);
        most_ms = most_ms * 2 < PACE_MAX_MS ? most_ms * 2 : PACE_MAX_MS;
    }
}

/* Only a store that was up for a while is met at once again. */
static void store_pace_forgives(void **state)
{
    (void)state;
    struct pace p = {0};
    pace_lost(&p, 1000, 0);
    pace_lost(&p, 1000, 0);
    pace_up(&p, 2000);
    assert_true(pace_lost(&p, 2000 + PACE_STEADY_MS - 1, 0) > 0);
    pace_up(&p, 5000);
    assert_int_equal(pace_lost(&p, 5000 + PACE_STEADY_MS, 0), 0);
}

/* A reason is told once, again when it changes, again after a while. */
static void store_pace_tells(void **state)
{
    (void)state;
    struct pace p = {0};
    assert_true(pace_tell(&p, 0, "a"));
    assert_true(pace_tell(&p, 1000, "b"));
    assert_false(pace_tell(&p, 1001, "b"));
    assert_true(pace_tell(&p, 1002, "a"));
    assert_true(pace_tell(&p, 1002 + PACE_TELL_MS, "a"));
}

/* Numeric hosts need no look-up. */
static void store_lookup_numeric(void **state)
{
    (void)state;
    assert_true(lookup_is_numeric("127.0.0.1"));
    assert_true(lookup_is_numeric("::1"));
    assert_false(lookup_is_numeric("localhost"));
    assert_false(lookup_is_numeric("127.0.0"));
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
        "-MASTERDOWN Link with MASTER is down\r\n+OK\r\n+OK\r\n",
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
    peer_say(p, REPLICA);
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
        usleep(SILENCE_MS / 2 * 1000);
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
    peer_turns(p, SILENCE_MS / 2); /* of 2 ms: it would be over, were it not twice as patient */
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
    usleep(3 * SILENCE_MS * 1000);
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
    usleep(SILENCE_MS / 2 * 1000);
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

int main(void)
{
#define REPLICAS(test) cmocka_unit_test_setup_teardown(test, peer_setup_replicas, peer_teardown)
#define PEER(test)     cmocka_unit_test_setup_teardown(test, peer_setup, peer_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_command_bytes),
        cmocka_unit_test(store_waiters_in_order),
        cmocka_unit_test(store_pace_grows),
        cmocka_unit_test(store_pace_forgives),
        cmocka_unit_test(store_pace_tells),
        cmocka_unit_test(store_lookup_numeric),
        PEER(store_call_while_down),
        PEER(store_clock),
        PEER(store_replies),
        PEER(store_errors_of_a_call),
        PEER(store_errors_of_a_server),
        PEER(store_broken_peer),
        PEER(store_unasked_answer),
        PEER(store_replica),
        PEER(store_silence),
        PEER(store_silence_makes_slices),
        PEER(store_alone),
        PEER(store_own_sleep),
        PEER(store_call_again_from_failure),
        PEER(store_free_with_calls),
        PEER(store_rows_of_a_turn),
        PEER(store_rows_are_lost),
        PEER(store_free_with_rows),
        REPLICAS(store_answers_wait_for_replicas),
        REPLICAS(store_too_few_replicas),
        REPLICAS(store_a_doubtful_replica_does_not_count),
        REPLICAS(store_a_short_count_is_paced),
        REPLICAS(store_no_count),
        REPLICAS(store_publish_is_refused),
        REPLICAS(store_errors_wait_for_replicas),
        REPLICAS(store_answers_wait_for_files),
        REPLICAS(store_wait_must_do_without_files),
        REPLICAS(store_free_while_waiting),
    };
    return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
