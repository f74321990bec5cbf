/* Connections of a listener (runtime/http), over real sockets: how long one may rest, how many
 * there may be, and who gives way. */
#include <arpa/inet.h>
#include <netinet/in.h>
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

/* When nothing new is taken, open connections end with their next answer. */
static void http_refuse_new_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0};
    int fd = porter_client(p);
    porter_say(p, fd, "POST /park HTTP/1.1\r\n" HOST "\r\n");
    porter_await(p, 1);
    int port = http_port(p->http);
    http_refuse_new(p->http);
    http_refuse_new(p->http);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&to, sizeof(to)), -1);
    close(late);
    porter_answer_parked(p);
    assert_true(porter_hear(p, fd, &heard, NULL, 0));
    assert_non_null(strstr(heard.data, "{\"ok\":true}"));
    assert_non_null(strstr(heard.data, "Connection: close\r\n"));
    close(fd);
    buf_free(&heard);
}

/* A connection that sends nothing is closed after its time, though nothing else happens. */
static void http_idle_test(void **state)
{
    struct porter *p = *state;
    p->conf.http_idle_s = 1;
    porter_listen(p);
    int fd = porter_client(p);
    int64_t begin = web_clock_ms();
    for (int64_t end = begin + 4000; web_clock_ms() < end;) {
        loop_turn(p->loop, true);
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
    struct porter *p = *state;
    static const char request[] = "GET /a HTTP/1.1\r\n" HOST "\r\n";
    int fds[HERD];
    for (int i = 0; i < HERD; i++) {
        fds[i] = porter_client(p);
        porter_turns(p, 0); /* it is accepted, and rests */
    }
    porter_turns(p, 20);
    for (int i = 0; i < HERD; i++) {
        assert_int_equal(send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL),
                         sizeof(request) - 1);
    }
    for (int served = 0, turn = 0; served < HERD; turn++) {
        loop_turn(p->loop, false);
        assert_in_range(p->requests - served, 0, HERD / 2);
        assert_true(turn < 1000);
        served = p->requests;
    }
    porter_turns(p, 20);
    assert_int_equal(p->requests, HERD);
    for (int i = 0; i < HERD; i++) {
        struct buf heard = {0};
        assert_true(porter_hear(p, fds[i], &heard, "{\"ok\":true}", 1));
        buf_free(&heard);
        close(fds[i]);
    }
}

static void reopen_with_room_for(struct porter *p, int64_t connections)
{
    p->conf.http_connections_max = connections;
    porter_listen(p);
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
    struct porter *p = *state;
    struct buf heard = {0};
    reopen_with_room_for(p, 2);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = porter_client(p);
        porter_say(p, fds[i], "GET /park HTTP/1.1\r\n" HOST "\r\n");
    }
    porter_turns(p, 50);
    assert_int_equal(p->requests, 2);
    porter_answer_parked(p);
    porter_await(p, 1);
    porter_answer_parked(p);
    assert_true(porter_hear(p, fds[2], &heard, "{\"ok\":true}", 1));
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    buf_free(&heard);
}

/* Who comes when others rest takes the place of the one that has rested longest: one that was
 * served a moment ago stays, and so does one that waits for its answer. */
static void http_give_way_test(void **state)
{
    struct porter *p = *state;
    struct buf heard = {0}, again = {0}, parked = {0};
    reopen_with_room_for(p, 3);
    int waiting = porter_client(p);
    porter_say(p, waiting, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    porter_await(p, 1);
    int busy = porter_client(p);
    porter_turns(p, 5);
    int silent = porter_client(p);
    porter_turns(p, 5);
    porter_say(p, busy, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_true(porter_hear(p, busy, &heard, "{\"ok\":true}", 1));
    int64_t begin = web_clock_ms();
    int other = porter_client(p);
    porter_say(p, other, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    buf_reset(&heard);
    assert_true(porter_hear(p, other, &heard, "{\"ok\":true}", 1));
    assert_in_range(web_clock_ms() - begin, 0, 500);
    assert_true(is_over(silent));
    porter_say(p, busy, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_true(porter_hear(p, busy, &again, "{\"ok\":true}", 1));
    porter_answer_parked(p);
    assert_true(porter_hear(p, waiting, &parked, "{\"ok\":true}", 1));
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
    struct porter *p = *state;
    struct buf heard = {0};
    reopen_with_room_for(p, 2);
    int asking = porter_client(p);
    porter_turns(p, 5);
    int silent = porter_client(p);
    porter_turns(p, 5);
    int other = porter_client(p);
    static const char request[] = "GET /a HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(send(asking, request, sizeof(request) - 1, 0), sizeof(request) - 1);
    assert_true(porter_hear(p, asking, &heard, "{\"ok\":true}", 1));
    porter_turns(p, 20);
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
    struct porter *p = *state;
    reopen_with_room_for(p, SILENT / 2);
    int silent[SILENT];
    for (int i = 0; i < SILENT; i++) {
        silent[i] = porter_client(p);
    }
    porter_turns(p, 5);
    for (int i = 0; i < 10; i++) {
        struct buf heard = {0};
        int64_t begin = web_clock_ms();
        int fd = porter_client(p);
        porter_say(p, fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
        assert_true(porter_hear(p, fd, &heard, "{\"ok\":true}", 1));
        assert_in_range(web_clock_ms() - begin, 0, 500);
        close(fd);
        buf_free(&heard);
    }
    for (int i = 0; i < SILENT; i++) {
        close(silent[i]);
    }
}

#define HTTP_TEST(test) cmocka_unit_test_setup_teardown(test, porter_setup, porter_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(http_refuse_new_test),
        HTTP_TEST(http_idle_test),
        HTTP_TEST(http_herd_test),
        HTTP_TEST(http_full_test),
        HTTP_TEST(http_give_way_test),
        HTTP_TEST(http_silent_crowd_test),
        HTTP_TEST(http_give_way_unread_test),
    };
    return cmocka_run_group_tests_name("runtime/http_connections", tests, NULL, NULL);
}
