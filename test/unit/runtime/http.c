/* Requests and replies of a listener (runtime/http), over real sockets: what is read, what is
 * refused, and what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/err.h"
#include "test/lib/porter.h"

#define HOST WEB_HOST

/* Sends `text` on a connection of its own and expects `status` and then its end. */
static void refused(struct porter *p, const char *text, size_t bytes, const char *status)
{
    int before = p->requests;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say_bytes(p, fd, text, bytes);
    assert_true(porter_hear(p, fd, &heard, NULL, 0));
    buf_add(&heard, "", 0);
    if (!strstr(heard.data, status) || !strstr(heard.data, "Connection: close")) {
        print_message("sent: %.100s\ngot: %s\n", text, heard.data);
        fail();
    }
    assert_int_equal(p->requests, before);
    close(fd);
    buf_free(&heard);
}

#define REFUSED(p, literal, status) refused(p, literal, sizeof(literal) - 1, status)

/* An answer given at once arrives with its status, type and length. */
static void http_at_once_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd, "GET /orders%2Ffind/a%00b?x=%201&y HTTP/1.1\r\n" HOST "X-Test: v\r\n\r\n");
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 1));
    assert_memory_equal(heard.data, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(heard.data, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(heard.data, "Content-Length: 11\r\n"));
    assert_string_equal(p->seen, "GET /orders%2Ffind/a%00b?x=%201&y [v]");
    close(fd);
    buf_free(&heard);
}

/* A connection is kept for many requests, and none waits for a delayed acknowledgement. */
static void http_keep_alive_test(void **state)
{
    struct porter *p = *state;
    int fd = porter_client(p);
    int64_t begin = web_clock_ms();
    for (int i = 0; i < 50; i++) {
        struct buf heard = {0};
        porter_say(p, fd,
                   i % 2 ? "POST /park HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"
                         : "POST /a HTTP/1.1\r\n" HOST "\r\n");
        for (int64_t end = web_clock_ms() + 1000; p->requests <= i && web_clock_ms() < end;) {
            loop_turn(p->loop, false);
        }
        porter_answer_parked(p);
        assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 1));
        buf_free(&heard);
    }
    assert_true(web_clock_ms() - begin < 1000); /* 50 times 40 ms would be two seconds */
    assert_int_equal(p->requests, 50);
    close(fd);
}

/* HTTP/1.0 ends the connection unless it asks for more. */
static void http_1_0_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 1));
    porter_say(p, fd, "GET /a HTTP/1.0\r\n\r\n");
    assert_true(porter_hear(p, fd, &heard, NULL, 0));
    assert_int_equal(p->requests, 2);
    close(fd);
    buf_free(&heard);
}

/* Requests sent in one go are answered one after the other, HEAD without a body. */
static void http_pipelined_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd,
               "HEAD /a HTTP/1.1\r\n" HOST "\r\nPUT /b HTTP/1.1\r\n" HOST
               "Content-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\n" HOST "\r\n");
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 2));
    assert_int_equal(p->requests, 3);
    assert_string_equal(p->seen, "GET /c? []");
    close(fd);
    buf_free(&heard);
}

/* A client that leaves in the middle of its request never becomes one. */
static void http_client_half_test(void **state)
{
    struct porter *p = *state;
    const char *halves[] = {"", "GET", "GET /a HTTP/1.1\r\n", "GET /a HTTP/1.1\r\nHos",
                            "POST /a HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"};
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        int fd = porter_client(p);
        porter_say(p, fd, halves[i]);
        porter_turns(p, 3);
        close(fd);
        porter_turns(p, 3);
    }
    assert_int_equal(p->requests, 0);
}

/* Heads whose end can be read in two ways are refused, and the connection with them. */
static void http_smuggling_test(void **state)
{
    struct porter *p = *state;
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "{\"error\":\"more than one Content-Length\"}");
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "HTTP/1.1 400 ");
    REFUSED(p,
            "POST /a HTTP/1.1\r\n" HOST
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "{\"error\":\"Content-Length and Transfer-Encoding exclude each other\"}");
    REFUSED(p,
            "GET /a HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
            "GET /b HTTP/1.1\r\n" HOST "\r\n",
            "HTTP/1.1 400 ");
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Content-Length : 4\r\n\r\nabcd",
            "{\"error\":\"malformed header\"}");
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "X-Any : 4\r\n\r\n", "HTTP/1.1 400 ");
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Content-Length: +4\r\n\r\nabcd", "HTTP/1.1 400 ");
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 4, 4\r\n\r\nabcd", "HTTP/1.1 400 ");
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nabcd", "HTTP/1.1 400 ");
    REFUSED(p,
            "POST /a HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 400 ");
    REFUSED(p, "POST /a HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 400 ");
    REFUSED(p, "GET /a\0b HTTP/1.1\r\n" HOST "\r\n", "{\"error\":\"malformed request line\"}");
    REFUSED(p, "GET /a HTTP/1.1\r\n" HOST HOST "\r\n", "HTTP/1.1 400 ");
    REFUSED(p, "GET /a HTTP/1.1\r\n\r\n", "{\"error\":\"no Host header\"}");
}

/* The path has a limit, the head has one, and so has the body, however it is sent. */
static void http_limits_test(void **state)
{
    struct porter *p = *state;
    struct buf text = {0};
    char piece[1001] = {0};
    memset(piece, 'a', 1000);
    buf_addf(&text, "GET /%s%s%s HTTP/1.1\r\n" HOST "\r\n", piece, piece, piece);
    refused(p, text.data, text.bytes, "HTTP/1.1 414 ");

    buf_reset(&text);
    buf_addf(&text, "GET /a HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 9; i++) {
        buf_addf(&text, "X-%d: %s\r\n", i, piece);
    }
    buf_add_text(&text, "\r\n");
    refused(p, text.data, text.bytes, "HTTP/1.1 431 ");

    buf_reset(&text);
    buf_addf(&text, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 70000\r\n\r\n");
    for (int i = 0; i < 70; i++) {
        buf_add_text(&text, piece);
    }
    refused(p, text.data, text.bytes, "{\"error\":\"body too large\"}");

    buf_reset(&text);
    buf_addf(&text, "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; i++) {
        buf_addf(&text, "3e8\r\n%s\r\n", piece);
    }
    buf_add_text(&text, "0\r\n\r\n");
    refused(p, text.data, text.bytes, "HTTP/1.1 413 ");
    buf_free(&text);

    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\n", "HTTP/1.1 413 ");
    REFUSED(p, "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n",
            "HTTP/1.1 413 ");
}

/* A body up to the limit is read and dropped, chunks and 100-continue included; behind chunks the
 * connection ends. */
static void http_body_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    char *body = calloc(1, HTTP_BODY_MAX);
    char head[100];
    snprintf(head, sizeof(head), "POST /a HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
             HTTP_BODY_MAX);
    porter_say(p, fd, head);
    porter_say_bytes(p, fd, body, HTTP_BODY_MAX);
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 1));
    porter_say(p, fd,
               "POST /c HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_true(porter_hear(p, fd, &heard, "100 Continue", 1));
    assert_int_equal(p->requests, 1);
    porter_say(p, fd, "ab");
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 2));
    porter_say(p, fd,
               "POST /b HTTP/1.1\r\n" HOST
               "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
               "POST /d HTTP/1.1\r\n" HOST "\r\n");
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 3));
    assert_true(porter_hear(p, fd, &heard, "Connection: close", 1));
    assert_int_equal(p->requests, 3);
    free(body);
    close(fd);
    buf_free(&heard);
}

/* Headers of the caller are sent, its type replaces ours, and none can be split. */
static void http_headers_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd, "GET /headers HTTP/1.1\r\n" HOST "\r\n");
    assert_true(porter_hear(p, fd, &heard, "\r\n\r\nno", 1));
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
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd, "GET /same HTTP/1.1\r\n" HOST "\r\nGET /same HTTP/1.1\r\n" HOST "\r\n");
    assert_true(porter_hear(p, fd, &heard, "{\"error\":\"same\"}", 2));
    assert_memory_equal(heard.data, "HTTP/1.1 429 ", 13);
    assert_non_null(strstr(heard.data, "Retry-After: 1\r\n"));
    assert_non_null(strstr(heard.data, "Content-Type: application/json\r\n"));
    assert_null(strstr(heard.data, "Connection: close"));
    porter_say(p, fd,
               "POST /same HTTP/1.1\r\n" HOST
               "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_true(porter_hear(p, fd, &heard, "{\"error\":\"same\"}", 3));
    assert_non_null(strstr(heard.data, "Connection: close"));
    assert_int_equal(p->requests, 3);
    close(fd);
    buf_free(&heard);
}

/* A body larger than every socket buffer arrives whole. */
static void http_big_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd, "GET /big HTTP/1.0\r\n\r\n");
    assert_true(porter_hear(p, fd, &heard, NULL, 0));
    assert_true(heard.bytes > 3000000);
    assert_int_equal(heard.data[heard.bytes - 1], 'b');
    close(fd);
    buf_free(&heard);
}

/* A port that is taken, or a host that does not exist, is refused with a sentence. */
static void http_open_refused_test(void **state)
{
    struct porter *p = *state;
    struct http *other = NULL;
    struct buf sentence = {0};
    struct http_listener taken = {
        .host = "127.0.0.1", .port = http_port(p->http), .on_request = porter_on_request, .ctx = p};
    assert_int_equal(http_open(p->loop, &p->conf, &taken, &other, &sentence), -ERR_SYSTEM);
    assert_null(other);
    char expected[100];
    snprintf(expected, sizeof(expected), "cannot listen on 127.0.0.1:%d: Address already in use",
             http_port(p->http));
    assert_string_equal(sentence.data, expected);
    taken = (struct http_listener){.host = "256.1.1.1", .on_request = porter_on_request, .ctx = p};
    assert_int_equal(http_open(p->loop, &p->conf, &taken, &other, &sentence), -ERR_SYSTEM);
    assert_memory_equal(sentence.data, "cannot listen on 256.1.1.1:0: ", 30);
    buf_free(&sentence);
    http_close(NULL);
}

#define HTTP_TEST(test) cmocka_unit_test_setup_teardown(test, porter_setup, porter_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(http_same_answer_test), HTTP_TEST(http_at_once_test),
        HTTP_TEST(http_keep_alive_test),  HTTP_TEST(http_1_0_test),
        HTTP_TEST(http_pipelined_test),   HTTP_TEST(http_client_half_test),
        HTTP_TEST(http_smuggling_test),   HTTP_TEST(http_limits_test),
        HTTP_TEST(http_body_test),        HTTP_TEST(http_headers_test),
        HTTP_TEST(http_big_test),         HTTP_TEST(http_open_refused_test),
    };
    return cmocka_run_group_tests_name("runtime/http", tests, NULL, NULL);
}
