/* Clients that are refused while they still send. Closing at once would reset the connection, and
 * with it the answer that is on its way: so we say that nothing else comes, and drop what they send
 * until they have closed, too. nginx calls the same lingering. */
#include "runtime/http_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_LINGER_MAX   64            /* at once; one more is closed hard */
#define HTTP_LINGER_MS    2000          /* then it is closed hard, too */
#define HTTP_LINGER_BYTES (1024 * 1024) /* and when it sends more than that */

struct http_linger {
    struct http *http;
    int fd;
    size_t bytes;
    struct loop_watch *watch;
    struct loop_timer *timer;
    LIST_ENTRY(http_linger) in_lingers;
};

static void http_linger_free(void *ctx)
{
    struct http_linger *l = ctx;
    LIST_REMOVE(l, in_lingers);
    l->http->linger_count--;
    loop_watch_free(l->watch);
    loop_timer_free(l->timer);
    close(l->fd);
    free(l);
}

static void http_linger_on_ready(void *ctx, int events)
{
    (void)events;
    struct http_linger *l = ctx;
    char dropped[16384];
    ssize_t bytes = recv(l->fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    bool is_waiting = bytes < 0 && (errno == EAGAIN || errno == EINTR);
    l->bytes += bytes > 0 ? (size_t)bytes : 0;
    if ((bytes <= 0 && !is_waiting) || l->bytes > HTTP_LINGER_BYTES) {
        http_linger_free(l);
    }
}

void http_linger_new(struct http *http, int fd)
{
    if (http->linger_count >= HTTP_LINGER_MAX || http->is_closing) {
        close(fd);
        return;
    }
    struct http_linger *l = mem_new(sizeof(*l));
    shutdown(fd, SHUT_WR);
    l->http = http;
    l->fd = fd;
    l->watch = loop_watch_new(http->loop, fd, http_linger_on_ready, l);
    loop_watch_set(l->watch, LOOP_READ);
    l->timer = loop_timer_new(http->loop, http_linger_free, l);
    loop_timer_start(l->timer, HTTP_LINGER_MS, 0);
    LIST_INSERT_HEAD(&http->lingers, l, in_lingers);
    http->linger_count++;
}

void http_linger_free_all(struct http *http)
{
    while (!LIST_EMPTY(&http->lingers)) {
        http_linger_free(LIST_FIRST(&http->lingers));
    }
}
