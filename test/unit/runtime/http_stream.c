/* Replies in pieces (runtime/http_stream), over real sockets. */
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

#include "runtime/http_stream.h"
#include "test/lib/web.h"

#define HOST        WEB_HOST
#define STREAMS_MAX 4
#define BACKLOG_MAX 100000

struct fixture {
    struct loop *loop;
    struct http_conf conf;
    struct http *http;
    struct http_stream *streams[STREAMS_MAX];
    struct http_request *parked;
    int count, gone;
    bool ends_when_gone;
};

static void on_gone(void *ctx)
{
    struct fixture *f = ctx;
    f->gone++;
    if (f->ends_when_gone) {
        http_stream_end(f->streams[--f->count]);
    }
}

static void begin(struct fixture *f, struct http_request *r)
{
    const struct http_header header = {"X-Stream", "1"};
    struct http_stream *s = http_stream_begin(r, 200, &header, 1, on_gone, f);
    if (s) {
        f->streams[f->count++] = s;
    }
}

/* "/later" is begun by the test, everything else at once. */
static void on_request(void *ctx, struct http_request *r)
{
    struct fixture *f = ctx;
    if (slice_is(http_request_path(r), "/later")) {
        f->parked = r;
    } else if (slice_is(http_request_path(r), "/plain")) {
        http_reply(r, 200, NULL, 0, SLICE_TEXT("{\"ok\":true}"));
    } else {
        begin(f, r);
    }
}

static int setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    struct buf sentence = {0};
    const struct http_listener listener = {.host = "127.0.0.1",
                                           .on_request = on_request,
                                           .ctx = f,
                                           .streams_max = STREAMS_MAX,
                                           .stream_backlog_max = BACKLOG_MAX};
    f->loop = loop_new();
    web_conf(&f->conf);
    f->conf.http_idle_s = 1;
    assert_int_equal(http_open(f->loop, &f->conf, &listener, &f->http, &sentence), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_close(f->http);
    for (int i = 0; i < f->count; i++) {
        http_stream_end(f->streams[i]);
    }
    loop_free(f->loop);
    free(f);
    return 0;
}

/* A client whose stream has begun. */
static int listener(struct fixture *f, const char *request)
{
    int fd = web_client(http_port(f->http)), before = f->count;
    web_say(f->loop, fd, request);
    for (int64_t end = web_clock_ms() + 2000; f->count == before && web_clock_ms() < end;) {
        web_turns(f->loop, 1);
    }
    assert_int_equal(f->count, before + 1);
    return fd;
}

static void wait_gone(struct fixture *f, int count, int64_t ms)
{
    for (int64_t end = web_clock_ms() + ms; f->gone < count && web_clock_ms() < end;) {
        web_turns(f->loop, 1);
    }
    assert_int_equal(f->gone, count);
}

#define GET "GET /events HTTP/1.1\r\n" HOST "\r\n"

/* Pieces arrive as they are written, with a head that lets nobody keep them back; the end leaves
 * the connection to the next request. */
static void stream_pieces(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = listener(f, GET);
    assert_true(web_hear(f->loop, fd, &heard, "\r\n\r\n", 1));
    assert_memory_equal(heard.data, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(heard.data, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(heard.data, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(heard.data, "X-Accel-Buffering: no\r\n"));
    assert_non_null(strstr(heard.data, "X-Stream: 1\r\n"));
    assert_true(http_stream_write(f->streams[0], SLICE_TEXT("one,")));
    assert_true(http_stream_write(f->streams[0], SLICE_TEXT("two,")));
    assert_true(web_hear(f->loop, fd, &heard, "one,two,", 1));
    web_turns(f->loop, 1500); /* longer than a silent connection may rest */
    assert_true(http_stream_write(f->streams[0], SLICE_TEXT("three")));
    http_stream_end(f->streams[--f->count]);
    assert_true(web_hear(f->loop, fd, &heard, "three\r\n0\r\n\r\n", 1));
    web_say(f->loop, fd, "GET /plain HTTP/1.1\r\n" HOST "\r\n");
    assert_true(web_hear(f->loop, fd, &heard, "{\"ok\":true}", 1));
    assert_int_equal(f->gone, 0);
    close(fd);
    buf_free(&heard);
}

/* An event has a name and data of as many lines as there are: none can forge another. */
static void stream_events(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = listener(f, "GET /events HTTP/1.0\r\n\r\n");
    assert_true(http_stream_event(f->streams[0], "saga", SLICE_TEXT("{\"a\":1}")));
    assert_true(http_stream_event(f->streams[0], NULL, SLICE_TEXT("x\n\nevent: y\rz")));
    assert_true(http_stream_event(f->streams[0], NULL, SLICE_TEXT("")));
    http_stream_end(f->streams[--f->count]);
    assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
    assert_string_equal(strstr(heard.data, "\r\n\r\n") + 4,
                        "event: saga\ndata: {\"a\":1}\n\n"
                        "data: x\ndata: \ndata: event: y\ndata: z\n\ndata: \n\n");
    close(fd);
    buf_free(&heard);
}

/* A request that was parked may become a stream; HEAD has a head only. */
static void stream_later(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = web_client(http_port(f->http));
    web_say(f->loop, fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    web_turns(f->loop, 10);
    begin(f, f->parked);
    assert_true(http_stream_write(f->streams[0], SLICE_TEXT("late")));
    assert_true(web_hear(f->loop, fd, &heard, "late", 1));
    http_stream_end(f->streams[--f->count]);
    close(fd);
    fd = web_client(http_port(f->http));
    web_say(f->loop, fd, "HEAD /events HTTP/1.1\r\n" HOST "\r\n");
    buf_reset(&heard);
    assert_true(web_hear(f->loop, fd, &heard, "\r\n\r\n", 1));
    wait_gone(f, 1, 1000);
    assert_false(http_stream_write(f->streams[0], SLICE_TEXT("nothing")));
    close(fd);
    buf_free(&heard);
}

static void hear_bytes(struct fixture *f, int fd, struct buf *heard, size_t bytes)
{
    for (int64_t end = web_clock_ms() + 2000; heard->bytes < bytes && web_clock_ms() < end;) {
        char piece[65536];
        loop_turn(f->loop, false);
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        buf_add(heard, piece, n > 0 ? (size_t)n : 0);
    }
    assert_true(heard->bytes >= bytes);
}

/* More than the sockets hold arrives whole at a client that reads slowly, within the bound. */
static void stream_slow_reader(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    char piece[1001] = {0};
    memset(piece, 'p', 1000);
    int fd = listener(f, GET);
    for (int i = 0; i < 3000; i++) {
        assert_true(http_stream_write(f->streams[0], slice_from(piece)));
        if (i % 50 == 49) {
            hear_bytes(f, fd, &heard, (size_t)(i + 1) * 1000);
        }
    }
    http_stream_end(f->streams[--f->count]);
    assert_true(web_hear(f->loop, fd, &heard, "\r\n0\r\n\r\n", 1));
    size_t count = 0;
    for (size_t i = 0; i < heard.bytes; i++) {
        count += heard.data[i] == 'p';
    }
    assert_true(count >= 3000 * 1000); /* and the p's of its head */
    close(fd);
    buf_free(&heard);
}

/* A client that does not read is dropped at the bound; the others hear on. */
static void stream_no_reader(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    char *piece = calloc(1, 50000);
    int small = 4096, deaf = listener(f, GET), fd = listener(f, GET);
    setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    int written = 0;
    while (http_stream_write(f->streams[0], (struct slice){piece, 50000})) {
        web_turns(f->loop, 2);
        assert_true(++written < 1000);
    }
    assert_true(written >= BACKLOG_MAX / 50000);
    wait_gone(f, 1, 500);
    assert_false(http_stream_write(f->streams[0], SLICE_TEXT("more")));
    assert_true(http_stream_write(f->streams[1], SLICE_TEXT("still there")));
    assert_true(web_hear(f->loop, fd, &heard, "still there", 1));
    /* a piece that is beyond the bound by itself drops one that is idle */
    char *big = calloc(1, BACKLOG_MAX + 1);
    assert_false(http_stream_write(f->streams[1], (struct slice){big, BACKLOG_MAX + 1}));
    wait_gone(f, 2, 500);
    assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
    close(fd);
    close(deaf);
    free(piece);
    free(big);
    buf_free(&heard);
}

/* A client that leaves is noticed, whether something is written or not. */
static void stream_left(void **state)
{
    struct fixture *f = *state;
    const struct linger hard = {1, 0};
    f->ends_when_gone = true;
    close(listener(f, GET));
    wait_gone(f, 1, HTTP_STREAM_LOOK_MS + 1000);
    int reset = listener(f, GET);
    setsockopt(reset, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(reset);
    wait_gone(f, 2, HTTP_STREAM_LOOK_MS + 1000);
    int writes = listener(f, GET);
    close(writes);
    while (f->gone == 2 && http_stream_write(f->streams[0], SLICE_TEXT("x"))) {
        web_turns(f->loop, 1);
    }
    wait_gone(f, 3, 200); /* long before anybody looks */
    assert_int_equal(f->count, 0);
}

/* There are only so many at once. */
static void stream_limit(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fds[STREAMS_MAX];
    for (int i = 0; i < STREAMS_MAX; i++) {
        fds[i] = listener(f, GET);
    }
    int fd = web_client(http_port(f->http));
    web_say(f->loop, fd, GET);
    assert_true(web_hear(f->loop, fd, &heard, "{\"error\":\"too many streams, try again\"}", 1));
    assert_memory_equal(heard.data, "HTTP/1.1 429 ", 13);
    http_stream_end(f->streams[--f->count]);
    web_turns(f->loop, 5);
    close(listener(f, GET));
    for (int i = 0; i < STREAMS_MAX; i++) {
        close(fds[i]);
    }
    close(fd);
    buf_free(&heard);
}

/* A listener that is closed ends its streams; their owners are told. */
static void stream_close(void **state)
{
    struct fixture *f = *state;
    struct buf heard = {0};
    int fd = listener(f, GET);
    assert_true(http_stream_write(f->streams[0], SLICE_TEXT("last words")));
    http_close(f->http);
    f->http = NULL;
    assert_int_equal(f->gone, 1);
    assert_false(http_stream_write(f->streams[0], SLICE_TEXT("none")));
    assert_true(web_hear(f->loop, fd, &heard, NULL, 0));
    assert_non_null(strstr(heard.data, "last words\r\n0\r\n\r\n"));
    close(fd);
    buf_free(&heard);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stream_pieces),    TEST(stream_events), TEST(stream_later), TEST(stream_slow_reader),
        TEST(stream_no_reader), TEST(stream_left),   TEST(stream_limit), TEST(stream_close),
    };
    return cmocka_run_group_tests_name("runtime/http_stream", tests, NULL, NULL);
}
