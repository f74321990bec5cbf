/* Clients that take their time: a request that has begun must end, a connection at rest may rest.
 * In real time, all kinds at once: it is the kernel that counts what has come. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/http.h"
#include "runtime/loop.h"
#include "test/lib/given.h"

#define HEAD "POST /a HTTP/1.1\r\nHost: x\r\n"

struct slow {
    struct loop *loop;
    struct http_conf conf;
    struct http *http;
    struct http_request *parked;
    unsigned requests;
};

static void on_request(void *ctx, struct http_request *r)
{
    struct slow *s = ctx;
    s->requests++;
    if (slice_is(http_request_path(r), "/park")) {
        s->parked = r;
    } else {
        http_reply(r, 200, NULL, 0, SLICE_TEXT("{}"));
    }
}

static int setup(void **state)
{
    struct slow *s = mem_new(sizeof(*s));
    struct buf sentence = {0};
    given_load(&http_conf_table, given_none, &s->conf);
    s->conf.http_receive_s = 1;
    s->loop = loop_new();
    assert_int_equal(
        http_open(s->loop, &s->conf,
                  &(struct http_listener){.host = "127.0.0.1", .on_request = on_request, .ctx = s},
                  &s->http, &sentence),
        0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct slow *s = *state;
    http_close(s->http);
    loop_free(s->loop);
    free(s);
    return 0;
}

static int client(struct slow *s, const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)http_port(s->http)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    return fd;
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_over(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
    }
    return n == 0 || errno != EAGAIN;
}

/* A head or a body that comes in drops is hung up on, and one that stops, also behind another
 * request; who has said nothing yet, who rests between
 * two requests, and who waits for an answer are not. */
static void slow_test(void **state)
{
    struct slow *s = *state;
    enum {
        HEAD_DROPS,
        BODY_DROPS,
        HALF_HEAD,
        SECOND_HEAD,
        SECOND_LINE,
        SECOND_BYTES,
        SLOW,
        SILENT = SLOW,
        RESTING,
        PARKED,
        COUNT
    };
    int fds[COUNT] = {
        [HEAD_DROPS] = client(s, HEAD "X: "),
        [BODY_DROPS] = client(s, HEAD "Content-Length: 60000\r\n\r\n"),
        [HALF_HEAD] = client(s, "GET /h"),
        [SECOND_HEAD] = client(s, HEAD "\r\n"),
        [SECOND_LINE] = client(s, HEAD "\r\nGET /l HTTP/1.1\r\n"),
        [SECOND_BYTES] = client(s, HEAD "\r\nGET /h"),
        [SILENT] = client(s, ""),
        [RESTING] = client(s, HEAD "\r\n"),
        [PARKED] = client(s, "POST /park HTTP/1.1\r\nHost: x\r\n\r\n"),
    };
    bool over[COUNT] = {false};
    unsigned count = 0;
    int64_t begin = clock_ms();
    int64_t drop_ms = begin + 100;
    int64_t one_more_ms = begin + 1500; /* after the first look */
    while (clock_ms() < begin + 6000 && count < SLOW) {
        loop_turn(s->loop, false);
        if (clock_ms() >= drop_ms) {
            drop_ms += 100;
            send(fds[HEAD_DROPS], "a", 1, MSG_NOSIGNAL);
            send(fds[BODY_DROPS], "a", 1, MSG_NOSIGNAL);
            send(fds[SECOND_HEAD], "G", 1, MSG_NOSIGNAL);
        }
        if (clock_ms() >= one_more_ms) {
            one_more_ms = INT64_MAX;
            send(fds[SECOND_BYTES], "a", 1, MSG_NOSIGNAL);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            if (!over[i] && is_over(fds[i])) {
                over[i] = true;
                count++;
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_true(clock_ms() - begin >= 1000);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(over[i], i < SLOW);
    }
    assert_int_equal(s->requests, 5);
    assert_non_null(s->parked);
    http_reply(s->parked, 200, NULL, 0, SLICE_TEXT("{}"));
    for (unsigned i = 0; i < COUNT; i++) {
        close(fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slow_test, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
