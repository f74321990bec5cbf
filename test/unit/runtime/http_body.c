/* Bodies of requests, and several listeners in one process (runtime/http), over real sockets. */
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

#include "test/lib/web.h"

#define HOST     WEB_HOST
#define BODY_MAX 10000
#define ALL_MAX  25000 /* of all bodies at once */

struct fixture {
    struct loop *loop;
    struct http_conf conf;
    struct http *http, *other;
    struct http_request *parked;
    int requests, asked;
    struct buf seen; /* the last request: method path:body */
};

/* "/keep" has bodies. */
static size_t body_max(void *ctx, const char *method, struct slice path)
{
    struct fixture *f = ctx;
    f->asked++;
    assert_true(strlen(method) > 0);
    return slice_is(path, "/keep") || slice_is(path, "/park") ? BODY_MAX : 0;
}

static void on_request(void *ctx, struct http_request *r)
{
    struct fixture *f = ctx;
    f->requests++;
    buf_reset(&f->seen);
    buf_addf(&f->seen, "%s %.*s:", http_request_method(r), SLICE_ARG(http_request_path(r)));
    buf_add_slice(&f->seen, http_request_body(r));
    if (slice_is(http_request_path(r), "/park")) {
        f->parked = r;
    } else {
        http_reply(r, 200, NULL, 0, SLICE_TEXT("{\"ok\":true}"));
    }
}

static void on_other(void *ctx, struct http_request *r)
{
    (void)ctx;
    http_reply(r, 200, NULL, 0, SLICE_TEXT("{\"other\":true}"));
}

static int setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    struct buf sentence = {0};
    const struct http_listener listener = {.host = "127.0.0.1",
                                           .on_request = on_request,
                                           .body_max = body_max,
                                           .ctx = f,
                                           .bodies_max = ALL_MAX};
    const struct http_listener other = {
        .host = "127.0.0.1", .on_request = on_other, .ctx = f, .connections_max = 1};
    f->loop = loop_new();
    web_conf(&f->conf);
    assert_int_equal(http_open(f->loop, &f->conf, &listener, &f->http, &sentence), 0);
    assert_int_equal(http_open(f->loop, &f->conf, &other, &f->other, &sentence), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_close(f->http);
    http_close(f->other);
    loop_free(f->loop);
    buf_free(&f->seen);
    free(f);
    return 0;
}

static int client(struct fixture *f)
{
    return web_client(http_port(f->http));
}

static void say_head(struct fixture *f, int fd, const char *method, const char *path, size_t length)
{
    char head[128];
    snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", method,
             path, length);
    web_say(f->loop, fd, head);
}

/* `count` chunks of 1000 bytes. */
static void say_chunks(struct fixture *f, int fd, const char *path, int count)
{
    char text[1100], piece[1001] = {0};
    memset(piece, 'c', 1000);
    snprintf(text, sizeof(text), "PUT %s HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
             path);
    web_say(f->loop, fd, text);
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "3e8\r\n%s\r\n", piece);
        web_say(f->loop, fd, text);
    }
    web_say(f->loop, fd, "0\r\n\r\n");
}

/* A body arrives as it was sent, NULs and all, with any method, in one piece or many; the
 * connection goes on behind it, but for chunks. */
static void body_is_handed_on(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say_head(f, fd, "PUT", "/keep", 5);
    web_say_bytes(f->loop, fd, "a\0b", 3);
    web_turns(f->loop, 5);
    web_say(f->loop, fd, "\r\n");
    assert_true(web_hear(f->loop, fd, &heard, "{\"ok\":true}", 1));
    assert_int_equal(f->seen.bytes, strlen("PUT /keep:") + 5);
    assert_memory_equal(f->seen.data, "PUT /keep:a\0b\r\n", f->seen.bytes);
    say_head(f, fd, "DELETE", "/keep", 2);
    web_say(f->loop, fd, "{}");
    assert_true(web_hear(f->loop, fd, &heard, "{\"ok\":true}", 2));
    assert_string_equal(f->seen.data, "DELETE /keep:{}");
    say_head(f, fd, "POST", "/keep", 0);
    assert_true(web_hear(f->loop, fd, &heard, "{\"ok\":true}", 3));
    assert_string_equal(f->seen.data, "POST /keep:");
    assert_int_equal(f->asked, 2); /* nobody asks how long no body may be */
    say_chunks(f, fd, "/keep", BODY_MAX / 1000);
    assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
    assert_int_equal(f->seen.bytes, strlen("PUT /keep:") + BODY_MAX);
    assert_int_equal(f->requests, 4);
    close(fd);
    buf_free(&heard);
}

/* Up to the limit to the byte; one more is 413 in the API's form, before anything of it was sent.
 */
static void body_too_large(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    char *body = calloc(1, BODY_MAX);
    int fd = client(f);
    say_head(f, fd, "POST", "/keep", BODY_MAX);
    web_say_bytes(f->loop, fd, body, BODY_MAX);
    assert_true(web_hear(f->loop, fd, &heard, "{\"ok\":true}", 1));
    say_head(f, fd, "POST", "/keep", BODY_MAX + 1);
    assert_true(web_hear(f->loop, fd, &heard, NULL, 0)); /* without a byte of the body */
    assert_non_null(strstr(heard.data, "HTTP/1.1 413 "));
    assert_non_null(strstr(heard.data, "{\"error\":\"body too large\"}"));
    assert_non_null(strstr(heard.data, "Content-Type: application/json\r\n"));
    assert_int_equal(f->requests, 1);
    close(fd);
    free(body);
    buf_free(&heard);
}

/* The same in chunks, whose length nobody knows before. */
static void chunks_too_large(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    say_chunks(f, fd, "/keep", BODY_MAX / 1000 + 1);
    assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
    assert_non_null(strstr(heard.data, "HTTP/1.1 413 "));
    assert_non_null(strstr(heard.data, "{\"error\":\"body too large\"}"));
    assert_int_equal(f->requests, 0);
    close(fd);
    buf_free(&heard);
}

/* A client that sends all of what is too large before it reads has its 413, and no reset, whatever
 * its method. */
static void refused_client_reads_its_answer(void **state)
{
    struct fixture *f = *state;
    static const char *const methods[] = {"POST", "PUT", "DELETE"};
    char piece[4096] = {0};
    for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++) {
        struct buf heard = {0};
        int fd = client(f);
        say_head(f, fd, methods[m], "/keep", 100 * sizeof(piece));
        for (int i = 0; i < 100; i++) {
            assert_int_equal(send(fd, piece, sizeof(piece), MSG_NOSIGNAL), sizeof(piece));
            web_turns(f->loop, 1);
        }
        assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
        assert_non_null(strstr(heard.data, "HTTP/1.1 413 "));
        close(fd);
        web_turns(f->loop, 5);
        buf_free(&heard);
    }
}

/* Who waits for leave to send too much gets none. */
static void expectation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = client(f);
    web_say(f->loop, fd,
            "PUT /keep HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 10001\r\n\r\n");
    assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
    assert_memory_equal(heard.data, "HTTP/1.1 413 ", 13);
    close(fd);
    buf_free(&heard);
}

/* A path that takes none has its body read and dropped, as ever. */
static void body_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    char *body = calloc(1, BODY_MAX + 1);
    int fd = client(f);
    say_head(f, fd, "POST", "/drop", BODY_MAX + 1);
    web_say_bytes(f->loop, fd, body, BODY_MAX + 1);
    assert_true(web_hear(f->loop, fd, &heard, "{\"ok\":true}", 1));
    assert_string_equal(f->seen.data, "POST /drop:");
    close(fd);
    free(body);
    buf_free(&heard);
}

/* A body that two servers would end at different places is refused, also where bodies are kept. */
static void body_smuggling(void **state)
{
    struct fixture *f = *state;
    static const char *const heads[] = {
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length : 1\r\n",
        "Content-Length: 18446744073709551617\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct buf heard = {0};
        char text[256];
        int fd = client(f);
        snprintf(text, sizeof(text), "POST /keep HTTP/1.1\r\n" HOST "%s\r\na", heads[i]);
        web_say(f->loop, fd, text);
        assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
        assert_memory_equal(heard.data, "HTTP/1.1 4", 10); /* 413 for what is beyond any number */
        close(fd);
        buf_free(&heard);
    }
    assert_int_equal(f->requests, 0);
    assert_int_equal(f->asked, 0);
}

/* A parked request keeps its body, also when its client has left. */
static void parked_body_stays(void **state)
{
    struct fixture *f = *state;
    const struct linger hard = {1, 0};
    int fd = client(f);
    say_head(f, fd, "POST", "/park", 4);
    web_say(f->loop, fd, "body");
    web_turns(f->loop, 10);
    assert_non_null(f->parked);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
    http_close(f->http);
    f->http = NULL;
    assert_true(slice_is(http_request_body(f->parked), "body"));
    http_reply(f->parked, 200, NULL, 0, SLICE_TEXT("{}"));
}

/* The bodies of all together have a limit, too; what has left makes room. */
static void bodies_have_a_limit(void **state)
{
    struct fixture *f = *state;
    char *body = calloc(1, BODY_MAX);
    int fds[3];
    struct buf heard = {0};
    for (int i = 0; i < 3; i++) { /* two and a half of them fit */
        fds[i] = client(f);
        say_head(f, fds[i], "POST", "/keep", BODY_MAX);
        web_say_bytes(f->loop, fds[i], body, BODY_MAX - 1);
        web_turns(f->loop, 5);
    }
    for (int i = 0; i < 3; i++) {
        buf_reset(&heard);
        web_say(f->loop, fds[i], "x");
        assert_true(web_hear(f->loop, fds[i], &heard, "}", 1));
        assert_memory_equal(heard.data, i < 2 ? "HTTP/1.1 200 " : "HTTP/1.1 429 ", 13);
    }
    assert_non_null(strstr(heard.data, "Retry-After: 1\r\n"));
    buf_reset(&heard);
    say_head(f, fds[0], "POST", "/keep", BODY_MAX);
    web_say_bytes(f->loop, fds[0], body, BODY_MAX);
    assert_true(web_hear(f->loop, fds[0], &heard, "{\"ok\":true}", 1));
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    free(body);
    buf_free(&heard);
}

/* Two listeners have each their own port, handler and limits. */
static void two_listeners(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    assert_int_not_equal(http_port(f->http), http_port(f->other));
    int fd = client(f), other = web_client(http_port(f->other));
    web_say(f->loop, other, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    assert_true(web_hear(f->loop, other, &heard, "{\"other\":true}", 1));
    int next = web_client(http_port(f->other)); /* the one before gives way to it */
    assert_true(web_hear(f->loop, other, &heard, NULL, 0));
    web_say(f->loop, next, "POST /keep HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
    assert_true(web_hear(f->loop, next, &heard, "{\"other\":true}", 2));
    assert_int_equal(f->asked, 0);
    http_close(f->other);
    f->other = NULL;
    buf_reset(&heard);
    web_say(f->loop, fd, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_true(web_hear(f->loop, fd, &heard, "{\"ok\":true}", 1));
    close(fd);
    close(other);
    close(next);
    buf_free(&heard);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(body_is_handed_on),      TEST(body_too_large),
        TEST(chunks_too_large),       TEST(refused_client_reads_its_answer),
        TEST(expectation_is_refused), TEST(body_is_dropped),
        TEST(body_smuggling),         TEST(parked_body_stays),
        TEST(bodies_have_a_limit),    TEST(two_listeners),
    };
    return cmocka_run_group_tests_name("runtime/http_body", tests, NULL, NULL);
}
