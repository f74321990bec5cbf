/* The socket behind a connection. Two system calls for each request, send and recv: the loop's wait
 * is shared by all that are ready. */
#include "bench/client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
    const struct client_events *events;
    void *ctx;
    struct loop_watch *watch;
    int fd;
    bool is_up;
    bool is_refused; /* at once, by connect */
    bool is_waiting; /* for an answer */
    size_t out_bytes, out_sent;
    size_t in_bytes;
    char out[CONNECTION_REQUEST_MAX];
    char in[CONNECTION_ANSWER_MAX];
};

void client_close(struct client *c)
{
    if (c != NULL) {
        loop_watch_free(c->watch);
        close(c->fd);
        free(c);
    }
}

static void client_lose(struct client *c, enum client_loss why)
{
    c->events->on_lost(c->ctx, why);
    client_close(c);
}

/* Errors: false, and it is lost. */
static bool client_flush(struct client *c)
{
    while (c->out_sent < c->out_bytes) {
        ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_bytes - c->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        c->out_sent += sent > 0 ? (size_t)sent : 0;
    }
    loop_watch_set(c->watch, c->out_sent < c->out_bytes ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    return true;
}

static void client_read(struct client *c)
{
    ssize_t bytes = recv(c->fd, c->in + c->in_bytes, sizeof(c->in) - c->in_bytes, 0);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (bytes <= 0) {
        client_lose(c, CONNECTION_RESET);
        return;
    }
    c->in_bytes += (size_t)bytes;
    struct answer answer;
    enum answer_state state = answer_read((struct slice){c->in, c->in_bytes}, &answer);
    if (state == ANSWER_TORN && c->in_bytes < sizeof(c->in)) {
        return;
    }
    if (state != ANSWER_WHOLE || !c->is_waiting || answer.bytes != c->in_bytes) {
        client_lose(c, CONNECTION_BROKEN);
        return;
    }
    c->is_waiting = false;
    c->in_bytes = 0;
    c->events->on_answer(c->ctx, &answer); /* it may be closed after this */
}

static void client_on_ready(void *ctx, int events)
{
    struct client *c = ctx;
    if (!c->is_up) {
        int failed = 0;
        socklen_t size = sizeof(failed);
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &size);
        if (failed || c->is_refused || (events & LOOP_ERROR)) {
            client_lose(c, CONNECTION_REFUSED);
            return;
        }
        c->is_up = true;
        loop_watch_set(c->watch, LOOP_READ);
        c->events->on_up(c->ctx);
        return;
    }
    if ((events & LOOP_WRITE) && !client_flush(c)) {
        client_lose(c, CONNECTION_RESET);
        return;
    }
    if (events & (LOOP_READ | LOOP_ERROR)) {
        client_read(c);
    }
}

struct client *client_open(struct loop *loop, const char *host, int port,
                           const struct client_events *events, void *ctx)
{
    struct client *c = mem_new(sizeof(*c));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1, parsed = inet_pton(AF_INET, host, &address.sin_addr);
    assert(parsed == 1);
    c->events = events;
    c->ctx = ctx;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert(c->fd >= 0); /* descriptors are counted before the first is opened */
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    c->watch = loop_watch_new(loop, c->fd, client_on_ready, c);
    int failed = connect(c->fd, (struct sockaddr *)&address, sizeof(address));
    c->is_refused = failed && errno != EINPROGRESS; /* told in a later turn, like any other */
    loop_watch_set(c->watch, LOOP_WRITE);
    return c;
}

void client_send(struct client *c, struct slice request)
{
    assert(c->is_up && !c->is_waiting && request.bytes <= sizeof(c->out));
    memcpy(c->out, request.data, request.bytes);
    c->out_bytes = request.bytes;
    c->out_sent = 0;
    c->is_waiting = true;
    if (!client_flush(c)) {
        /* Its end is noticed when it is read. */
        c->out_sent = c->out_bytes;
    }
}
