/* See wire.h: a socket, and what is read from it. */
#include "store/wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/reader.h"

#define WIRE_READ_BYTES  (16 * 1024)
#define WIRE_READS_MAX   16 /* in one turn; the others want their turn too */
#define WIRE_OUT_KEPT    (1024 * 1024)
#define WIRE_PORT_DIGITS 8

struct wire {
    int fd; /* -1: over */
    struct loop_watch *watch;
    const struct wire_events *events;
    void *ctx;
    bool is_connected; /* until then nothing may be written */
    bool is_blocked;   /* the socket has not taken all: the rest goes when it is writable */
    unsigned busy;     /* calls of ours that are running: the wire lives until they return */
    struct buf out;
    size_t written; /* of it */
    struct reader *reader;
    char in[WIRE_READ_BYTES];
};

/* ---- its end ---- */

static void wire_release(struct wire *w)
{
    if (w->fd < 0 && w->busy == 0) {
        reader_free(w->reader);
        buf_free(&w->out);
        free(w);
    }
}

/* From here on nothing happens to the wire any more. */
static void wire_end(struct wire *w)
{
    loop_watch_free(w->watch); /* before the descriptor is closed */
    close(w->fd);
    w->fd = -1;
}

void wire_close(struct wire *w)
{
    if (w) {
        wire_end(w);
        wire_release(w);
    }
}

static void wire_lost(struct wire *w, const char *reason)
{
    wire_end(w);
    w->events->on_lost(w->ctx, reason);
}

/* ---- to the server ---- */

/* "*3\r\n" or "$11\r\n" */
static void wire_add_head(struct buf *out, char kind, uint64_t number)
{
    *buf_room(out, 1) = kind;
    buf_add_int(out, (int64_t)number);
    buf_add(out, "\r\n", 2);
}

void wire_send(struct wire *w, const struct args *c)
{
    struct buf *out = &w->out;
    wire_add_head(out, '*', c->count);
    for (unsigned i = 0; i < c->count; i++) {
        struct slice arg = args_at(c, i);
        wire_add_head(out, '$', arg.bytes);
        if (arg.bytes > 0) {
            buf_add_slice(out, arg);
        }
        buf_add(out, "\r\n", 2);
    }
}

static void wire_written(struct wire *w, size_t bytes)
{
    w->written += bytes;
    bool is_blocked = w->written < w->out.bytes;
    if (!is_blocked) {
        w->written = 0;
        buf_reset(&w->out);
        if (w->out.size > WIRE_OUT_KEPT) {
            buf_free(&w->out);
        }
    }
    if (is_blocked != w->is_blocked) {
        w->is_blocked = is_blocked;
        loop_watch_set(w->watch, is_blocked ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    }
}

static void wire_flush(struct wire *w)
{
    ssize_t n = send(w->fd, w->out.data + w->written, w->out.bytes - w->written, MSG_NOSIGNAL);
    if (n >= 0 || errno == EAGAIN || errno == EINTR) {
        wire_written(w, n > 0 ? (size_t)n : 0);
    } else {
        wire_lost(w, strerror(errno));
    }
}

bool wire_write(struct wire *w)
{
    if (!w->is_connected || w->is_blocked || w->out.bytes == 0) {
        return false;
    }
    w->busy++;
    wire_flush(w);
    w->busy--;
    wire_release(w);
    return true;
}

/* ---- and back ---- */

/* Gives out what is whole of what was read. */
static void wire_tell(struct wire *w)
{
    struct texts reply;
    bool is_error;
    enum reader_found found = READER_REPLY;
    while (w->fd >= 0 && (found = reader_next(w->reader, &reply, &is_error)) == READER_REPLY) {
        w->events->on_answer(w->ctx, reply, is_error);
    }
    if (w->fd >= 0 && found == READER_FAULT) {
        wire_lost(w, reader_fault(w->reader));
    }
}

/* All answers that are there are taken in one turn, for what they cause travels together: twice as
 * many in a turn are half as many messages. Less than was asked for means that there is no more. */
static void wire_read(struct wire *w)
{
    ssize_t n = WIRE_READ_BYTES;
    for (int reads = 0; w->fd >= 0 && n == WIRE_READ_BYTES && reads < WIRE_READS_MAX; reads++) {
        n = recv(w->fd, w->in, WIRE_READ_BYTES, 0);
        if (n > 0) {
            reader_feed(w->reader, w->in, (size_t)n);
            wire_tell(w);
        } else if (n == 0) {
            wire_lost(w, "Server closed the connection");
        } else if (errno != EAGAIN && errno != EINTR) {
            wire_lost(w, strerror(errno));
        }
    }
}

/* The attempt to connect has ended. */
static void wire_connected(struct wire *w)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error != 0) {
        wire_lost(w, strerror(error));
        return;
    }
    w->is_connected = true;
    loop_watch_set(w->watch, LOOP_READ);
    if (w->out.bytes > 0) {
        wire_flush(w);
    }
}

static void wire_on_ready(void *ctx, int events)
{
    struct wire *w = ctx;
    w->busy++;
    if (!w->is_connected) {
        wire_connected(w);
    } else if (w->is_blocked && (events & LOOP_WRITE)) {
        wire_flush(w);
    }
    if (w->fd >= 0 && (events & LOOP_READ)) {
        w->events->on_heard(w->ctx);
        wire_read(w);
    }
    if (w->fd >= 0 && (events & LOOP_ERROR)) {
        wire_lost(w, "descriptor error"); /* neither reading nor writing has shown what is wrong */
    }
    w->busy--;
    wire_release(w);
}

/* ---- its beginning ---- */

/* Errors: -1, with a reason. */
static int wire_connect(const char *address, int port, char *ret_reason, size_t reason_size)
{
    static const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                          .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[WIRE_PORT_DIGITS];
    int on = 1;
    snprintf(service, sizeof(service), "%d", port);
    int error = getaddrinfo(address, service, &hints, &found);
    if (error != 0) {
        snprintf(ret_reason, reason_size, "%s", gai_strerror(error));
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
        error = errno;
        close(fd);
        fd = -1;
        errno = error;
    }
    freeaddrinfo(found);
    if (fd < 0) {
        snprintf(ret_reason, reason_size, "%s", strerror(errno));
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    return fd;
}

struct wire *wire_open(struct loop *loop, const char *address, int port,
                       const struct wire_events *events, void *ctx, char *ret_reason,
                       size_t reason_size)
{
    int fd = wire_connect(address, port, ret_reason, reason_size);
    if (fd < 0) {
        return NULL;
    }
    struct wire *w = mem_new(sizeof(*w));
    w->fd = fd;
    w->events = events;
    w->ctx = ctx;
    w->reader = reader_new();
    w->watch = loop_watch_new(loop, fd, wire_on_ready, w);
    loop_watch_set(w->watch, LOOP_WRITE);
    return w;
}

bool wire_is_connected(const struct wire *w)
{
    return w->is_connected;
}

struct texts_box *wire_take(struct wire *w)
{
    return reader_take(w->reader);
}
