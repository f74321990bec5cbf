/* Sockets of the peer, and the notes of who was answered. */
#include "test/lib/peer.h"

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

#include "store/patience.h"
#include "test/lib/given.h"

struct peer_call peer_calls[PEER_CALLS_MAX];

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
    p->conf.redis_timeout_ms = PEER_SILENCE_MS / PATIENCE_FIRST;
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

int peer_setup(void **state)
{
    return peer_make(state, 0);
}

int peer_setup_replicas(void **state)
{
    return peer_make(state, 2);
}

int peer_teardown(void **state)
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

void peer_accept(struct peer *p)
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

void peer_hear(struct peer *p, const char *text)
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

void peer_say(struct peer *p, const char *text)
{
    assert_int_equal(send(p->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

void peer_turns(struct peer *p, int turns)
{
    for (int i = 0; i < turns; i++) {
        loop_turn(p->loop, true);
    }
}

void peer_greet_by(struct peer *p, const char *files)
{
    peer_accept(p);
    peer_hear(p, "*1\r\n$4\r\nROLE\r\n");
    peer_say(p, PEER_MASTER);
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

void peer_greet(struct peer *p)
{
    peer_greet_by(p, PEER_NO_COMMAND);
}

void peer_on_reply(void *ctx, int err, struct texts reply)
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

void peer_call(struct peer *p, unsigned number)
{
    peer_calls[number] = (struct peer_call){p, number};
    args_reset(&p->command);
    args_text(&p->command, "GET");
    args_format(&p->command, "k%u", number);
    p->is_inside = true;
    store_call(p->redis, &p->command, peer_on_reply, &peer_calls[number]);
    p->is_inside = false;
}

void peer_wait(struct peer *p, unsigned count)
{
    for (int i = 0; i < 1000 && p->count < count; i++) {
        loop_turn(p->loop, true);
    }
    assert_int_equal(p->count, count);
}
