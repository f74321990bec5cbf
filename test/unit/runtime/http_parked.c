/* Requests that wait for their reply (runtime/http), and clients that do not, over real sockets. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "test/lib/porter.h"

#define HOST WEB_HOST

/* A parked request is answered when http_reply comes, in that turn. */
static void http_parked_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd, "POST /park?q HTTP/1.1\r\n" HOST "X-Test: kept\r\n\r\n");
    porter_await(p, 1);
    assert_true(slice_is(http_request_path(p->parked[0]), "/park"));
    assert_true(slice_is(http_request_query(p->parked[0]), "q"));
    assert_true(slice_is(http_request_header(p->parked[0], "X-Test"), "kept"));
    assert_null(http_request_header(p->parked[0], "X-Other").data);
    char none;
    assert_int_equal(recv(fd, &none, 1, MSG_DONTWAIT), -1);
    porter_answer_parked(p);
    loop_turn(p->loop, false);
    struct pollfd readable = {fd, POLLIN, 0};
    assert_int_equal(poll(&readable, 1, 100), 1); /* without another turn */
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 1));
    close(fd);
    buf_free(&heard);
}

/* One request may answer others from inside of its own on_request. */
static void http_release_test(void **state)
{
    struct porter *p = *state;
    int fds[9];
    for (int i = 0; i < 8; i++) {
        fds[i] = porter_client(p);
        porter_say(p, fds[i], "POST /park HTTP/1.1\r\n" HOST "\r\n");
    }
    porter_await(p, 8);
    fds[8] = porter_client(p);
    porter_say(p, fds[8], "POST /release HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 9; i++) {
        struct buf heard = {0};
        assert_true(porter_hear(p, fds[i], &heard, "{\"ok\":true}", 1));
        buf_free(&heard);
        close(fds[i]);
    }
}

/* A reply from a hook that runs after the listener's does not wait for the next event. */
static void http_late_hook_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    loop_hook_add(p->loop, LOOP_HOOK_STORE, porter_answer_parked, p);
    porter_say(p, fd, "POST /park HTTP/1.1\r\n" HOST "\r\n");
    int64_t begin = web_clock_ms();
    while (p->requests == 0 && web_clock_ms() < begin + 1000) {
        loop_turn(p->loop, false);
    }
    loop_turn(p->loop, true); /* must not sleep for long: there is a reply to be sent */
    loop_turn(p->loop, false);
    assert_true(web_clock_ms() - begin < 1000);
    assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 1));
    close(fd);
    buf_free(&heard);
}

/* Whether the client of a parked request is still there, the socket tells. */
static void http_is_gone_test(void **state)
{
    struct porter *p = *state;
    int stays = porter_client(p), leaves = porter_client(p), resets = porter_client(p);
    const struct linger at_once = {1, 0};
    porter_say(p, stays, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    porter_await(p, 1);
    porter_say(p, leaves, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    porter_await(p, 2);
    porter_say(p, resets, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    porter_await(p, 3);
    for (int i = 0; i < 3; i++) {
        assert_false(http_request_is_gone(p->parked[i]));
    }
    porter_say(p, stays, "GET /more"); /* the next request, which is not lost by that */
    close(leaves);
    setsockopt(resets, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(resets);
    porter_turns(p, 20);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(http_request_is_gone(p->parked[i]), i > 0);
    }
    struct buf heard = {0};
    porter_answer_parked(p);
    porter_say(p, stays, " HTTP/1.1\r\n" HOST "\r\n");
    assert_true(porter_hear(p, stays, &heard, "{\"ok\":true}", 2));
    buf_free(&heard);
    close(stays);
}

/* A client may leave while its request is parked; the reply then goes nowhere. */
static void http_client_gone_test(void **state)
{
    struct porter *p = *state;
    for (int i = 0; i < 10; i++) {
        int fd = porter_client(p);
        porter_say(p, fd, "POST /park HTTP/1.1\r\n" HOST "\r\n");
        porter_await(p, i + 1);
        struct linger hard = {1, 0}; /* the odd ones leave with a reset */
        if (i % 2) {
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        }
        close(fd);
    }
    porter_turns(p, 10);
    porter_answer_parked(p);
    porter_turns(p, 10);
}

/* Closing with parked requests hangs up on them; their replies may still come, and go nowhere. */
static void http_close_parked_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = porter_client(p);
        porter_say(p, fds[i], "POST /park HTTP/1.1\r\n" HOST "X-Test: v\r\n\r\n");
    }
    porter_await(p, 4);
    porter_answer(p->parked[--p->parked_count]); /* answered in the last turn: is still sent */
    http_close(p->http);
    p->http = NULL;
    int answered = 0;
    for (int i = 0; i < 4; i++) {
        assert_true(porter_hear(p, fds[i], &heard, NULL, 0));
        answered += heard.bytes > 0 && strstr(heard.data, "{\"ok\":true}") != NULL;
        buf_reset(&heard);
        close(fds[i]);
    }
    assert_int_equal(answered, 1);
    assert_true(slice_is(http_request_path(p->parked[0]), "/park"));
    assert_null(http_request_header(p->parked[0], "X-Test").data);
    porter_answer_parked(p);
    buf_free(&heard);
}

#define HTTP_TEST(test) cmocka_unit_test_setup_teardown(test, porter_setup, porter_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(http_parked_test),       HTTP_TEST(http_release_test),
        HTTP_TEST(http_late_hook_test),    HTTP_TEST(http_client_gone_test),
        HTTP_TEST(http_close_parked_test), HTTP_TEST(http_is_gone_test),
    };
    return cmocka_run_group_tests_name("runtime/http_parked", tests, NULL, NULL);
}
