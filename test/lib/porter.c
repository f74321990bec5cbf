/* A listener, and what it answers. See porter.h. */
#include "test/lib/porter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void porter_answer(struct http_request *r)
{
    http_reply(r, 200, NULL, 0, SLICE_TEXT("{\"ok\":true}"));
}

void porter_answer_parked(void *ctx)
{
    struct porter *p = ctx;
    while (p->parked_count > 0) {
        porter_answer(p->parked[--p->parked_count]);
    }
}

void porter_on_request(void *ctx, struct http_request *r)
{
    struct porter *p = ctx;
    p->requests++;
    snprintf(p->seen, sizeof(p->seen), "%s %.*s?%.*s [%.*s]", http_request_method(r),
             SLICE_ARG(http_request_path(r)), SLICE_ARG(http_request_query(r)),
             SLICE_ARG(http_request_header(r, "x-test")));
    if (slice_is(http_request_path(r), "/park")) {
        assert_true(p->parked_count < PORTER_PARKED_MAX);
        p->parked[p->parked_count++] = r;
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
        http_reply_with(r, p->same);
    } else {
        if (slice_is(http_request_path(r), "/release")) {
            porter_answer_parked(p);
        }
        porter_answer(r);
    }
}

void porter_listen(struct porter *p)
{
    struct buf sentence = {0};
    const struct http_listener listener = {
        .host = "127.0.0.1", .on_request = porter_on_request, .ctx = p};
    http_close(p->http);
    assert_int_equal(http_open(p->loop, &p->conf, &listener, &p->http, &sentence), 0);
}

int porter_setup(void **state)
{
    struct porter *p = calloc(1, sizeof(*p));
    const struct http_header header = {"Retry-After", "1"};
    p->loop = loop_new();
    p->same = http_answer_new(429, &header, 1, SLICE_TEXT("{\"error\":\"same\"}"));
    web_conf(&p->conf);
    porter_listen(p);
    *state = p;
    return 0;
}

int porter_teardown(void **state)
{
    struct porter *p = *state;
    http_close(p->http);
    porter_answer_parked(p);
    http_answer_free(p->same);
    loop_free(p->loop);
    free(p);
    return 0;
}

int porter_client(struct porter *p)
{
    return web_client(http_port(p->http));
}

void porter_say_bytes(struct porter *p, int fd, const char *data, size_t bytes)
{
    web_say_bytes(p->loop, fd, data, bytes);
}

void porter_say(struct porter *p, int fd, const char *text)
{
    web_say(p->loop, fd, text);
}

void porter_turns(struct porter *p, int64_t ms)
{
    web_turns(p->loop, ms);
}

bool porter_hear(struct porter *p, int fd, struct buf *heard, const char *text, int count)
{
    return web_hear(p->loop, fd, heard, text, count);
}

void porter_await(struct porter *p, int count)
{
    for (int64_t end = web_clock_ms() + 2000; p->parked_count < count && web_clock_ms() < end;) {
        porter_turns(p, 1);
    }
    assert_int_equal(p->parked_count, count);
}
