/* Clients of a listener. See web.h. */
#include "test/lib/given.h"
#include "test/lib/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define WEB_PATIENCE_MS 2000

int64_t web_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void web_conf(struct http_conf *ret_conf)
{
    given_load(&http_conf_table, given_none, ret_conf);
}

int web_client(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

void web_say_bytes(struct loop *loop, int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN); /* else it would be said forever */
            loop_turn(loop, false);
            continue;
        }
        data += n;
        bytes -= (size_t)n;
    }
}

void web_say(struct loop *loop, int fd, const char *text)
{
    web_say_bytes(loop, fd, text, strlen(text));
}

void web_turns(struct loop *loop, int64_t ms)
{
    for (int64_t end = web_clock_ms() + ms; web_clock_ms() < end; usleep(200)) {
        loop_turn(loop, false);
    }
}

bool web_hear(struct loop *loop, int fd, struct buf *heard, const char *text, int count)
{
    for (int64_t end = web_clock_ms() + WEB_PATIENCE_MS; web_clock_ms() < end;) {
        loop_turn(loop, false);
        char piece[65536];
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n > 0) {
            buf_add(heard, piece, (size_t)n);
        } else if (n == 0 && !text) {
            return true;
        }
        int found = 0;
        for (const char *at = heard->data; text && at && (at = strstr(at, text)); at++) {
            found++;
        }
        if (text && found >= count) {
            return true;
        }
        struct pollfd p = {fd, POLLIN, 0};
        poll(&p, 1, n > 0 ? 0 : 1);
    }
    return false;
}
