/* The listener, with raw sockets as clients in the same loop: what a browser would never send
 * has to be sent here. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/err.h"
#include "runtime/http.h"
#include "runtime/loop.h"
#include "test/lib/web.h"

#define PARKED_MAX 64
#define HOST       WEB_HOST

struct fixture {
    struct loop *loop;
    struct http_conf conf;
    struct http *http;
    struct http_request *parked[PARKED_MAX];
    int parked_count;
    struct http_answer *same;
    int requests;
    char seen[512]; /* the last request: method path?query [X-Test] */
};

static void answer(struct http_request *r)
{
    http_reply(r, 200, NULL, 0, SLICE_TEXT("{\"ok\":true}"));
}

static void answer_parked(void *ctx)
{
    struct fixture *f = ctx;
    while (f->parked_count > 0) {
        answer(f->parked[--f->parked_count]);
    }
}

/* /park waits, /release answers all that wait and then itself, /big is large, everything else is
 * answered at once. */
static void on_request(void *ctx, struct http_request *r)
{
    struct fixture *f = ctx;
    f->requests++;
    snprintf(f->seen, sizeof(f->seen), "%s %.*s?%.*s [%.*s]", http_request_method(r),
             SLICE_ARG(http_request_path(r)), SLICE_ARG(http_request_query(r)),
             SLICE_ARG(http_request_header(r, "x-test")));
    if (slice_is(http_request_path(r), "/park")) {
        assert_true(f->parked_count < PARKED_MAX);
        f->parked[f->parked_count++] = r;
    } else if (slice_is(http_request_path(r), "/big")) {
        char *big = calloc(1, 3000000);
        memset(big, 'b', 3000000);
        http_reply(r, 200, NULL, 0, (struct slice){big, 3000000});
        free(big);
    } else if (slice_is(http_request_path(r), "/headers")) {
        struct http_header headers[] = {
            {"Content-Type", "text/plain"}, {"Saga-Id", "7"}, {"Bad", "a\r\nSet-Cookie: b"}};
        http_reply(r, 429, headers, 3, SLICE_TEXT("no"));
    } else if (slice_is(http_request_path(r), "/same")) {
        http_reply_with(r, f->same);
    } else {
        if (slice_is(http_request_path(r), "/release")) {
            answer_parked(f);
        }
        answer(r);
    }
}

static void listen_anew(struct fixture *f)
{
    struct buf sentence = {0};
    const struct http_listener listener = {.host = "127.0.0.1", .on_request = on_request, .ctx = f};
    http_close(f->http);
    assert_int_equal(http_open(f->loop, &f->conf, &listener, &f->http, &sentence), 0);
}

static int http_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct http_header header = {"Retry-After", "1"};
    f->loop = loop_new();
    f->same = http_answer_new(429, &header, 1, SLICE_TEXT("{\"error\":\"same\"}"));
    web_conf(&f->conf);
    listen_anew(f);
    *state = f;
    return 0;
}

static int http_teardown(void **state)
{
    struct fixture *f = *state;
    http_close(f->http);
    answer_parked(f);
    http_answer_free(f->same);
    loop_free(f->loop);
    free(f);
    return 0;
}

static int client(struct fixture *f)
{
    return web_client(http_port(f->http));
}

static void say_bytes(struct fixture *f, int fd, const char *data, size_t bytes)
{
    web_say_bytes(f->loop, fd, data, bytes);
}

static void say(struct fixture *f, int fd, const char *text)
{
    web_say(f->loop, fd, text);
}

static void turns(struct fixture *f, int64_t ms)
{
    web_turns(f->loop, ms);
}

static bool hear(struct fixture *f, int fd, struct buf *heard, const char *text, int count)
{
    return web_hear(f->loop, fd, heard, text, count);
}

/* Turns the loop until `count` requests wait for their reply. */
static void turns_until_parked(struct fixture *f, int count)
{
    for (int64_t end = web_clock_ms() + 2000; f->parked_count < count && web_clock_ms() < end;) {
        turns(f, 1);
    }
    assert_int_equal(f->parked_count, count);
}

/* Sends `text` on a connection of its own and expects `status` and then its end. */
static void refused(struct fixture *f, const char *text, size_t bytes, const char *status)
{
    int before = f->requests;
    struct buf heard = {0};
    int fd = client(f);
    say_bytes(f, fd, text, bytes);
    assert_true(hear(f, fd, &heard, NULL, 0));
    buf_add(&heard, "", 0);
    if (!strstr(heard.data, status) || !strstr(heard.data, "Connection: close")) {
        print_message("sent: %.100s\ngot: %s\n", text, heard.data);
        fail();
    }
    assert_int_equal(f->requests, before);
    close(fd);
    buf_free(&heard);
}

#define REFUSED(f, literal, status) refused(f, literal, sizeof(literal) - 1, status)

/* An answer given at once arrives with its status, type and length. */
static void http_at_once_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd, "GET /orders%2Ffind/a%00b?x=%201&y HTTP/1.1\r\n" HOST "X-Test: v\r\n\r\n");
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 1));
    assert_memory_equal(heard.data, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(heard.data, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(heard.data, "Content-Length: 11\r\n"));
    assert_string_equal(f->seen, "GET /orders%2Ffind/a%00b?x=%201&y [v]");
    close(fd);
    buf_free(&heard);
}

/* A connection is kept for many requests, and none waits for a delayed acknowledgement. */
static void http_keep_alive_test(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);
    int64_t begin = web_clock_ms();
    for (int i = 0; i < 50; i++) {
        struct buf heard = {0};
        say(f, fd,
            i % 2 ? "POST /park HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"
                  : "POST /a HTTP/1.1\r\n" HOST "\r\n");
        for (int64_t end = web_clock_ms() + 1000; f->requests <= i && web_clock_ms() < end;) {
            loop_turn(f->loop, false);
        }
        answer_parked(f);
        assert_true(hear(f, fd, &heard, "{\"ok\":true}", 1));
        buf_free(&heard);
    }
    assert_true(web_clock_ms() - begin < 1000); /* 50 times 40 ms would be two seconds */
    assert_int_equal(f->requests, 50);
    close(fd);
}

/* HTTP/1.0 ends the connection unless it asks for more. */
static void http_1_0_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 1));
    say(f, fd, "GET /a HTTP/1.0\r\n\r\n");
    assert_true(hear(f, fd, &heard, NULL, 0));
    assert_int_equal(f->requests, 2);
    close(fd);
    buf_free(&heard);
}

/* Requests sent in one go are answered one after the other, HEAD without a body. */
static void http_pipelined_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd,
        "HEAD /a HTTP/1.1\r\n" HOST "\r\nPUT /b HTTP/1.1\r\n" HOST
        "Content-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 2));
    assert_int_equal(f->requests, 3);
    assert_string_equal(f->seen, "GET /c? []");
    close(fd);
    buf_free(&heard);
}

/* A parked request is answered when http_reply comes, in that turn. */
static void http_parked_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd, "POST /park?q HTTP/1.1\r\n" HOST "X-Test: kept\r\n\r\n");
    turns_until_parked(f, 1);
    assert_true(slice_is(http_request_path(f->parked[0]), "/park"));
    assert_true(slice_is(http_request_query(f->parked[0]), "q"));
    assert_true(slice_is(http_request_header(f->parked[0], "X-Test"), "kept"));
    assert_null(http_request_header(f->parked[0], "X-Other").data);
    char none;
    assert_int_equal(recv(fd, &none, 1, MSG_DONTWAIT), -1);
    answer_parked(f);
    loop_turn(f->loop, false);
    struct pollfd p = {fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 100), 1); /* without another turn */
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 1));
    close(fd);
    buf_free(&heard);
}

/* One request may answer others from inside of its own on_request. */
static void http_release_test(void **state)
{
    struct fixture *f = *state;
    int fds[9];
    for (int i = 0; i < 8; i++) {
        fds[i] = client(f);
        say(f, fds[i], "POST /park HTTP/1.1\r\n" HOST "\r\n");
    }
    turns_until_parked(f, 8);
    fds[8] = client(f);
    say(f, fds[8], "POST /release HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 9; i++) {
        struct buf heard = {0};
        assert_true(hear(f, fds[i], &heard, "{\"ok\":true}", 1));
        buf_free(&heard);
        close(fds[i]);
    }
}

/* A reply from a hook that runs after the listener's does not wait for the next event. */
static void http_late_hook_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    loop_hook_add(f->loop, LOOP_HOOK_STORE, answer_parked, f);
    say(f, fd, "POST /park HTTP/1.1\r\n" HOST "\r\n");
    int64_t begin = web_clock_ms();
    while (f->requests == 0 && web_clock_ms() < begin + 1000) {
        loop_turn(f->loop, false);
    }
    loop_turn(f->loop, true); /* must not sleep for long: there is a reply to be sent */
    loop_turn(f->loop, false);
    assert_true(web_clock_ms() - begin < 1000);
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 1));
    close(fd);
    buf_free(&heard);
}

/* Whether the client of a parked request is still there, the socket tells. */
static void http_is_gone_test(void **state)
{
    struct fixture *f = *state;
    int stays = client(f), leaves = client(f), resets = client(f);
    const struct linger at_once = {1, 0};
    say(f, stays, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    turns_until_parked(f, 1);
    say(f, leaves, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    turns_until_parked(f, 2);
    say(f, resets, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    turns_until_parked(f, 3);
    for (int i = 0; i < 3; i++) {
        assert_false(http_request_is_gone(f->parked[i]));
    }
    say(f, stays, "GET /more"); /* the next request, which is not lost by that */
    close(leaves);
    setsockopt(resets, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(resets);
    turns(f, 20);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(http_request_is_gone(f->parked[i]), i > 0);
    }
    struct buf heard = {0};
    answer_parked(f);
    say(f, stays, " HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear(f, stays, &heard, "{\"ok\":true}", 2));
    buf_free(&heard);
    close(stays);
}

/* A client may leave while its request is parked; the reply then goes nowhere. */
static void http_client_gone_test(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++) {
        int fd = client(f);
        say(f, fd, "POST /park HTTP/1.1\r\n" HOST "\r\n");
        turns_until_parked(f, i + 1);
        struct linger hard = {1, 0}; /* the odd ones leave with a reset */
        if (i % 2) {
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        }
        close(fd);
    }
    turns(f, 10);
    answer_parked(f);
    turns(f, 10);
}

/* A client that leaves in the middle of its request never becomes one. */
static void http_client_half_test(void **state)
{
    struct fixture *f = *state;
    const char *halves[] = {"", "GET", "GET /a HTTP/1.1\r\n", "GET /a HTTP/1.1\r\nHos",
                            "POST /a HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"};
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        int fd = client(f);
        say(f, fd, halves[i]);
        turns(f, 3);
        close(fd);
        turns(f, 3);
    }
    assert_int_equal(f->requests, 0);
}

/* Heads whose end can be read in two ways are refused, and the connection with them. */
static void http_smuggling_test(void **state)
{
    struct fixture *f = *state;
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "{\"error\":\"more than one Content-Length\"}");
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "HTTP/1.1 400 ");
    REFUSED(f,
            "POST /a HTTP/1.1\r\n" HOST
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "{\"error\":\"Content-Length and Transfer-Encoding exclude each other\"}");
    REFUSED(f,
            "GET /a HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
            "GET /b HTTP/1.1\r\n" HOST "\r\n",
            "HTTP/1.1 400 ");
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Content-Length : 4\r\n\r\nabcd",
            "{\"error\":\"malformed header\"}");
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "X-Any : 4\r\n\r\n", "HTTP/1.1 400 ");
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Content-Length: +4\r\n\r\nabcd", "HTTP/1.1 400 ");
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 4, 4\r\n\r\nabcd", "HTTP/1.1 400 ");
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nabcd", "HTTP/1.1 400 ");
    REFUSED(f,
            "POST /a HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 400 ");
    REFUSED(f, "POST /a HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 400 ");
    REFUSED(f, "GET /a\0b HTTP/1.1\r\n" HOST "\r\n", "{\"error\":\"malformed request line\"}");
    REFUSED(f, "GET /a HTTP/1.1\r\n" HOST HOST "\r\n", "HTTP/1.1 400 ");
    REFUSED(f, "GET /a HTTP/1.1\r\n\r\n", "{\"error\":\"no Host header\"}");
}

/* The path has a limit, the head has one, and so has the body, however it is sent. */
static void http_limits_test(void **state)
{
    struct fixture *f = *state;
    struct buf text = {0};
    char piece[1001] = {0};
    memset(piece, 'a', 1000);
    buf_addf(&text, "GET /%s%s%s HTTP/1.1\r\n" HOST "\r\n", piece, piece, piece);
    refused(f, text.data, text.bytes, "HTTP/1.1 414 ");

    buf_reset(&text);
    buf_addf(&text, "GET /a HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 9; i++) {
        buf_addf(&text, "X-%d: %s\r\n", i, piece);
    }
    buf_add_text(&text, "\r\n");
    refused(f, text.data, text.bytes, "HTTP/1.1 431 ");

    buf_reset(&text);
    buf_addf(&text, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 70000\r\n\r\n");
    for (int i = 0; i < 70; i++) {
        buf_add_text(&text, piece);
    }
    refused(f, text.data, text.bytes, "{\"error\":\"body too large\"}");

    buf_reset(&text);
    buf_addf(&text, "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; i++) {
        buf_addf(&text, "3e8\r\n%s\r\n", piece);
    }
    buf_add_text(&text, "0\r\n\r\n");
    refused(f, text.data, text.bytes, "HTTP/1.1 413 ");
    buf_free(&text);

    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\n", "HTTP/1.1 413 ");
    REFUSED(f, "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n",
            "HTTP/1.1 413 ");
}

/* A body up to the limit is read and dropped, chunks and 100-continue included; behind chunks the
 * connection ends. */
static void http_body_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    char *body = calloc(1, HTTP_BODY_MAX);
    char head[100];
    snprintf(head, sizeof(head), "POST /a HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
             HTTP_BODY_MAX);
    say(f, fd, head);
    say_bytes(f, fd, body, HTTP_BODY_MAX);
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 1));
    say(f, fd, "POST /c HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_true(hear(f, fd, &heard, "100 Continue", 1));
    assert_int_equal(f->requests, 1);
    say(f, fd, "ab");
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 2));
    say(f, fd,
        "POST /b HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        "POST /d HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear(f, fd, &heard, "{\"ok\":true}", 3));
    assert_true(hear(f, fd, &heard, "Connection: close", 1));
    assert_int_equal(f->requests, 3);
    free(body);
    close(fd);
    buf_free(&heard);
}

/* Headers of the caller are sent, its type replaces ours, and none can be split. */
static void http_headers_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd, "GET /headers HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear(f, fd, &heard, "\r\n\r\nno", 1));
    assert_memory_equal(heard.data, "HTTP/1.1 429 ", 13);
    assert_non_null(strstr(heard.data, "Content-Type: text/plain\r\n"));
    assert_null(strstr(heard.data, "application/json"));
    assert_non_null(strstr(heard.data, "Saga-Id: 7\r\n"));
    assert_null(strstr(heard.data, "Set-Cookie"));
    close(fd);
    buf_free(&heard);
}

/* An answer made once is given as often as it is needed, on one connection, in one turn, and ends a
 * connection where any other would. */
static void http_same_answer_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd, "GET /same HTTP/1.1\r\n" HOST "\r\nGET /same HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear(f, fd, &heard, "{\"error\":\"same\"}", 2));
    assert_memory_equal(heard.data, "HTTP/1.1 429 ", 13);
    assert_non_null(strstr(heard.data, "Retry-After: 1\r\n"));
    assert_non_null(strstr(heard.data, "Content-Type: application/json\r\n"));
    assert_null(strstr(heard.data, "Connection: close"));
    say(f, fd,
        "POST /same HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_true(hear(f, fd, &heard, "{\"error\":\"same\"}", 3));
    assert_non_null(strstr(heard.data, "Connection: close"));
    assert_int_equal(f->requests, 3);
    close(fd);
    buf_free(&heard);
}

/* A body larger than every socket buffer arrives whole. */
static void http_big_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd, "GET /big HTTP/1.0\r\n\r\n");
    assert_true(hear(f, fd, &heard, NULL, 0));
    assert_true(heard.bytes > 3000000);
    assert_int_equal(heard.data[heard.bytes - 1], 'b');
    close(fd);
    buf_free(&heard);
}

/* When nothing new is taken, open connections end with their next answer. */
static void http_refuse_new_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say(f, fd, "POST /park HTTP/1.1\r\n" HOST "\r\n");
    turns_until_parked(f, 1);
    int port = http_port(f->http);
    http_refuse_new(f->http);
    http_refuse_new(f->http);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&to, sizeof(to)), -1);
    close(late);
    answer_parked(f);
    assert_true(hear(f, fd, &heard, NULL, 0));
    assert_non_null(strstr(heard.data, "{\"ok\":true}"));
    assert_non_null(strstr(heard.data, "Connection: close\r\n"));
    close(fd);
    buf_free(&heard);
}

/* Closing with parked requests hangs up on them; their replies may still come, and go nowhere. */
static void http_close_parked_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = client(f);
        say(f, fds[i], "POST /park HTTP/1.1\r\n" HOST "X-Test: v\r\n\r\n");
    }
    turns_until_parked(f, 4);
    answer(f->parked[--f->parked_count]); /* answered in the last turn: is still sent */
    http_close(f->http);
    f->http = NULL;
    int answered = 0;
    for (int i = 0; i < 4; i++) {
        assert_true(hear(f, fds[i], &heard, NULL, 0));
        answered += heard.bytes > 0 && strstr(heard.data, "{\"ok\":true}") != NULL;
        buf_reset(&heard);
        close(fds[i]);
    }
    assert_int_equal(answered, 1);
    assert_true(slice_is(http_request_path(f->parked[0]), "/park"));
    assert_null(http_request_header(f->parked[0], "X-Test").data);
    answer_parked(f);
    buf_free(&heard);
}

/* A connection that sends nothing is closed after its time, though nothing else happens. */
static void http_idle_test(void **state)
{
    struct fixture *f = *state;
    f->conf.http_idle_s = 1;
    listen_anew(f);
    int fd = client(f);
    int64_t begin = web_clock_ms();
    for (int64_t end = begin + 4000; web_clock_ms() < end;) {
        loop_turn(f->loop, true);
        char none;
        if (recv(fd, &none, 1, MSG_DONTWAIT) == 0) {
            break;
        }
    }
    assert_in_range(web_clock_ms() - begin, 900, 3500);
    close(fd);
}

#define HERD 400

/* However many are ready, a turn serves a part of them and leaves the loop to the others; all are
 * served in the end, each once. */
static void http_herd_test(void **state)
{
    struct fixture *f = *state;
    static const char request[] = "GET /a HTTP/1.1\r\n" HOST "\r\n";
    int fds[HERD];
    for (int i = 0; i < HERD; i++) {
        fds[i] = client(f);
        turns(f, 0); /* it is accepted, and rests */
    }
    turns(f, 20);
    for (int i = 0; i < HERD; i++) {
        assert_int_equal(send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL),
                         sizeof(request) - 1);
    }
    for (int served = 0, turn = 0; served < HERD; turn++) {
        loop_turn(f->loop, false);
        assert_in_range(f->requests - served, 0, HERD / 2);
        assert_true(turn < 1000);
        served = f->requests;
    }
    turns(f, 20);
    assert_int_equal(f->requests, HERD);
    for (int i = 0; i < HERD; i++) {
        struct buf heard = {0};
        assert_true(hear(f, fds[i], &heard, "{\"ok\":true}", 1));
        buf_free(&heard);
        close(fds[i]);
    }
}

static void reopen_with_room_for(struct fixture *f, int64_t connections)
{
    f->conf.http_connections_max = connections;
    listen_anew(f);
}

/* Has the other side ended it, with nothing to be read before? */
static bool is_over(int fd)
{
    char none;
    return recv(fd, &none, 1, MSG_DONTWAIT) == 0;
}

/* Who comes when all wait for their answers waits in the backlog, until one has it. */
static void http_full_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    reopen_with_room_for(f, 2);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = client(f);
        say(f, fds[i], "GET /park HTTP/1.1\r\n" HOST "\r\n");
    }
    turns(f, 50);
    assert_int_equal(f->requests, 2);
    answer_parked(f);
    turns_until_parked(f, 1);
    answer_parked(f);
    assert_true(hear(f, fds[2], &heard, "{\"ok\":true}", 1));
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    buf_free(&heard);
}

/* Who comes when others rest takes the place of the one that has rested longest: one that was
 * served a moment ago stays, and so does one that waits for its answer. */
static void http_give_way_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0}, again = {0}, parked = {0};
    reopen_with_room_for(f, 3);
    int waiting = client(f);
    say(f, waiting, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    turns_until_parked(f, 1);
    int busy = client(f);
    turns(f, 5);
    int silent = client(f);
    turns(f, 5);
    say(f, busy, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear(f, busy, &heard, "{\"ok\":true}", 1));
    int64_t begin = web_clock_ms();
    int other = client(f);
    say(f, other, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    buf_reset(&heard);
    assert_true(hear(f, other, &heard, "{\"ok\":true}", 1));
    assert_in_range(web_clock_ms() - begin, 0, 500);
    assert_true(is_over(silent));
    say(f, busy, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear(f, busy, &again, "{\"ok\":true}", 1));
    answer_parked(f);
    assert_true(hear(f, waiting, &parked, "{\"ok\":true}", 1));
    close(waiting);
    close(busy);
    close(silent);
    close(other);
    buf_free(&heard);
    buf_free(&again);
    buf_free(&parked);
}

/* One whose next request is here, only not read yet, is not the one that goes. */
static void http_give_way_unread_test(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    reopen_with_room_for(f, 2);
    int asking = client(f);
    turns(f, 5);
    int silent = client(f);
    turns(f, 5);
    int other = client(f);
    static const char request[] = "GET /a HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(send(asking, request, sizeof(request) - 1, 0), sizeof(request) - 1);
    assert_true(hear(f, asking, &heard, "{\"ok\":true}", 1));
    turns(f, 20);
    assert_true(is_over(silent));
    close(asking);
    close(silent);
    close(other);
    buf_free(&heard);
}

#define SILENT 64

/* A crowd that connects and says nothing keeps nobody out. */
static void http_silent_crowd_test(void **state)
{
    struct fixture *f = *state;
    reopen_with_room_for(f, SILENT / 2);
    int silent[SILENT];
    for (int i = 0; i < SILENT; i++) {
        silent[i] = client(f);
    }
    turns(f, 5);
    for (int i = 0; i < 10; i++) {
        struct buf heard = {0};
        int64_t begin = web_clock_ms();
        int fd = client(f);
        say(f, fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
        assert_true(hear(f, fd, &heard, "{\"ok\":true}", 1));
        assert_in_range(web_clock_ms() - begin, 0, 500);
        close(fd);
        buf_free(&heard);
    }
    for (int i = 0; i < SILENT; i++) {
        close(silent[i]);
    }
}

/* A port that is taken, or a host that does not exist, is refused with a sentence. */
static void http_open_refused_test(void **state)
{
    struct fixture *f = *state;
    struct http *other = NULL;
    struct buf sentence = {0};
    struct http_listener taken = {
        .host = "127.0.0.1", .port = http_port(f->http), .on_request = on_request, .ctx = f};
    assert_int_equal(http_open(f->loop, &f->conf, &taken, &other, &sentence), -ERR_SYSTEM);
    assert_null(other);
    char expected[100];
    snprintf(expected, sizeof(expected), "cannot listen on 127.0.0.1:%d: Address already in use",
             http_port(f->http));
    assert_string_equal(sentence.data, expected);
    taken = (struct http_listener){.host = "256.1.1.1", .on_request = on_request, .ctx = f};
    assert_int_equal(http_open(f->loop, &f->conf, &taken, &other, &sentence), -ERR_SYSTEM);
    assert_memory_equal(sentence.data, "cannot listen on 256.1.1.1:0: ", 30);
    buf_free(&sentence);
    http_close(NULL);
}

#define HTTP_TEST(test) cmocka_unit_test_setup_teardown(test, http_setup, http_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(http_same_answer_test),  HTTP_TEST(http_at_once_test),
        HTTP_TEST(http_keep_alive_test),   HTTP_TEST(http_1_0_test),
        HTTP_TEST(http_pipelined_test),    HTTP_TEST(http_parked_test),
        HTTP_TEST(http_release_test),      HTTP_TEST(http_late_hook_test),
        HTTP_TEST(http_client_gone_test),  HTTP_TEST(http_client_half_test),
        HTTP_TEST(http_smuggling_test),    HTTP_TEST(http_limits_test),
        HTTP_TEST(http_body_test),         HTTP_TEST(http_headers_test),
        HTTP_TEST(http_big_test),          HTTP_TEST(http_refuse_new_test),
        HTTP_TEST(http_close_parked_test), HTTP_TEST(http_idle_test),
        HTTP_TEST(http_open_refused_test), HTTP_TEST(http_herd_test),
        HTTP_TEST(http_full_test),         HTTP_TEST(http_give_way_test),
        HTTP_TEST(http_silent_crowd_test), HTTP_TEST(http_give_way_unread_test),
        HTTP_TEST(http_is_gone_test),
    };
    return cmocka_run_group_tests_name("runtime/http", tests, NULL, NULL);
}
