/* The library, driven by our loop: its shards, and who is let in. The request's way is in http.c.
 *
 *   accepted --> one shard of the connections, that is, one instance of the library:
 *
 *   its epoll descriptor ready --.
 *   its timeout is over ---------+--> dirty --[turn's end]--> MHD_run --> http_handle
 *   http_reply to a parked one --'
 *
 * The library runs only in the turn-end hook, so one pass of it takes new requests and sends the
 * replies that the whole turn has produced.
 *
 * A pass of the library cannot be cut short: it serves all of its connections that are ready. With
 * thousands of them the store and the broker would wait for it, and so would everybody whose answer
 * they have. Hence the shards: a turn that has served HTTP_TURN_MAX requests leaves the other
 * shards to the next one. */
#include "runtime/http_state.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/err.h"
#include "runtime/listener.h"
#include "runtime/log.h"

#define HTTP_MEMORY_BYTES 8192 /* for a head; the library zeroes as much for each request */
#define HTTP_PASSES_MAX   64   /* of the library, to finish what has begun */
#define HTTP_TURN_MAX     64   /* requests and answers; then the turn is the others' */
#define HTTP_ACCEPT_MAX   64   /* connections a turn */
#define HTTP_ACCEPT_MS    1000 /* to the next attempt, when there is no descriptor left */

/* ---- connections ---- */

static void http_accept_resume(void *ctx)
{
    struct http *http = ctx;
    if (http->accept_watch) {
        loop_watch_set(http->accept_watch, LOOP_READ);
    }
}

static void http_on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                               enum MHD_ConnectionNotificationCode what)
{
    struct http *http = ((struct http_shard *)ctx)->http;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        http->client_count++;
        *socket_context = slow_came(
            http->slow,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
        return;
    }
    slow_gone(*socket_context);
    *socket_context = NULL;
    http->client_count--;
    http_accept_resume(http);
}

/* ---- driving the library ---- */

void http_shard_wake(struct http_shard *shard)
{
    if (!shard->is_dirty) {
        shard->is_dirty = true;
        /* For a reply made by a hook that runs after ours: the next turn comes at once then. */
        loop_timer_start(shard->timer, 0, 0);
    }
}

/* One pass takes all that is ready. In a turn there is just one: who comes meanwhile must not keep
 * waiting those whose answers have come. */
static void http_shard_run(struct http_shard *shard, int passes_max)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    bool has_timeout = false;
    bool has_more = true;
    for (int i = 0; i < passes_max && has_more; i++) {
        shard->is_dirty = false; /* set again by a reply to another request, inside on_request */
        MHD_run(shard->daemon);
        has_timeout = MHD_get_timeout(shard->daemon, &timeout_ms) == MHD_YES;
        has_more = shard->is_dirty || (has_timeout && timeout_ms == 0);
    }
    shard->is_dirty = has_more;
    if (has_more || has_timeout) {
        loop_timer_start(shard->timer, has_more ? 0 : (int64_t)timeout_ms, 0);
    } else {
        loop_timer_stop(shard->timer);
    }
}

/* All of them, to finish what has begun. */
static void http_finish(struct http *http)
{
    for (unsigned i = 0; i < HTTP_SHARDS; i++) {
        http_shard_run(&http->shards[i], HTTP_PASSES_MAX);
    }
}

static void http_on_turn_end(void *ctx)
{
    struct http *http = ctx;
    http->served = 0;
    for (unsigned i = 0; i < HTTP_SHARDS && http->served < HTTP_TURN_MAX; i++) {
        struct http_shard *shard = &http->shards[http->shard_next++ % HTTP_SHARDS];
        if (shard->is_dirty) {
            http_shard_run(shard, 1);
        }
    }
    for (unsigned i = 0; i < HTTP_SHARDS; i++) {
        if (http->shards[i].is_dirty) { /* was left over: the next turn comes at once */
            loop_timer_start(http->shards[i].timer, 0, 0);
            break;
        }
    }
}

static void http_on_ready(void *ctx, int events)
{
    (void)events;
    ((struct http_shard *)ctx)->is_dirty = true;
}

static void http_on_timer(void *ctx)
{
    ((struct http_shard *)ctx)->is_dirty = true;
}

/* ---- new connections ---- */

/* Until a connection is over; or, when the system has no descriptor left, for a second. */
static void http_accept_pause(struct http *http)
{
    loop_watch_set(http->accept_watch, 0);
    loop_timer_start(http->accept_timer, HTTP_ACCEPT_MS, 0);
}

/* No room, or no descriptor: those that rest give way to those that come, so that nobody is locked
 * out by who just connects. For as many as a turn may accept, since it takes a turn. */
static void http_make_room(struct http *http)
{
    unsigned some = http->client_max / HTTP_SHARDS;
    unsigned made = slow_make_room(http->slow, some < 1                 ? 1
                                               : some > HTTP_ACCEPT_MAX ? HTTP_ACCEPT_MAX
                                                                        : some);
    stat_add(http->sent_away, made);
    http_accept_pause(http);
}

static bool http_is_awaited(const struct http *http)
{
    struct pollfd listening = {http->fd, POLLIN, 0};
    return poll(&listening, 1, 0) > 0;
}

/* Errors: false when there is nobody else, or no room. */
static bool http_accept(struct http *http)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    if (http->client_count >= http->client_max) {
        if (http_is_awaited(http)) {
            http_make_room(http);
        }
        return false;
    }
    int fd = accept4(http->fd, (struct sockaddr *)&address, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            log_warn("accept_failed", "error=%s", log_quote(slice_from(strerror(errno))));
            http_make_room(http);
            return false;
        }
        return errno == EINTR || errno == ECONNABORTED;
    }
    struct http_shard *shard = &http->shards[http->accepted++ % HTTP_SHARDS];
    MHD_add_connection(shard->daemon, fd, (struct sockaddr *)&address, bytes); /* or closes it */
    shard->is_dirty = true;
    return true;
}

static void http_on_accept(void *ctx, int events)
{
    (void)events;
    for (int i = 0; i < HTTP_ACCEPT_MAX && http_accept(ctx); i++) {
    }
}

static void http_on_log(void *ctx, const char *format, va_list args)
{
    (void)ctx;
    if (log_is_on(LOG_DEBUG)) {
        char text[256];
        vsnprintf(text, sizeof(text), format, args);
        log_debug("http_library", "text=%s", log_quote(slice_from(text)));
    }
}

/* The library would decode "%2F" into a separator before the router has looked. */
static size_t http_keep_encoded(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx;
    (void)connection;
    return strlen(text);
}

/* ---- opening and closing ---- */

static struct MHD_Daemon *http_start_library(struct http_shard *shard, const struct http_conf *conf)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, http_handle, shard, MHD_OPTION_EXTERNAL_LOGGER, http_on_log, shard,
        MHD_OPTION_CONNECTION_LIMIT, shard->http->client_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)conf->http_idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_BYTES,
        MHD_OPTION_URI_LOG_CALLBACK, http_on_uri, shard, MHD_OPTION_UNESCAPE_CALLBACK,
        http_keep_encoded, NULL, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, shard,
        MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, shard, MHD_OPTION_END);
}

/* Errors: false when the library does not start. */
static bool http_shard_open(struct http *http, struct http_shard *shard,
                            const struct http_conf *conf)
{
    shard->http = http;
    shard->daemon = http_start_library(shard, conf);
    if (!shard->daemon) {
        return false;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(shard->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    assert(info);
    shard->watch = loop_watch_new(http->loop, info->epoll_fd, http_on_ready, shard);
    loop_watch_set(shard->watch, LOOP_READ);
    shard->timer = loop_timer_new(http->loop, http_on_timer, shard);
    return true;
}

static void http_shard_close(struct http_shard *shard)
{
    loop_timer_free(shard->timer);
    loop_watch_free(shard->watch);
    if (shard->daemon) {
        MHD_stop_daemon(shard->daemon);
    }
}

static void http_listen_end(struct http *http)
{
    loop_watch_free(http->accept_watch);
    http->accept_watch = NULL;
    if (http->fd >= 0) {
        close(http->fd);
        http->fd = -1;
    }
}

static void http_free(struct http *http)
{
    http_listen_end(http);
    for (unsigned i = 0; i < HTTP_SHARDS; i++) {
        http_shard_close(&http->shards[i]);
    }
    assert(!http->first);
    http_linger_free_all(http);
    slow_free(http->slow);
    loop_timer_free(http->accept_timer);
    loop_timer_free(http->stream_timer);
    free(http);
}

static void http_limits(struct http *http, const struct http_conf *conf)
{
    struct http_listener *l = &http->listener;
    http->client_max =
        l->connections_max > 0 ? l->connections_max : (unsigned)conf->http_connections_max;
    l->bodies_max = l->bodies_max > 0 ? l->bodies_max : HTTP_BODIES_MAX;
    l->streams_max = l->streams_max > 0 ? l->streams_max : HTTP_STREAMS_MAX;
    l->stream_backlog_max =
        l->stream_backlog_max > 0 ? l->stream_backlog_max : HTTP_STREAM_BACKLOG_MAX;
}

int http_open(struct loop *loop, const struct http_conf *conf, const struct http_listener *listener,
              struct http **ret_http, struct buf *ret_sentence)
{
    struct http *http = mem_new(sizeof(*http));
    int err = listener_open(listener->host, listener->port, &http->fd, &http->port, ret_sentence);
    if (err) {
        free(http);
        return err;
    }
    http->loop = loop;
    http->listener = *listener;
    http_limits(http, conf);
    LIST_INIT(&http->lingers);
    LIST_INIT(&http->streams);
    http->sent_away = stat_counter("kassa_http_connections_sent_away_total", "",
                                   "connections at rest that gave way to new ones");
    http->slow = slow_new(loop, conf->http_receive_s * 1000);
    http->accept_timer = loop_timer_new(loop, http_accept_resume, http);
    http->stream_timer = loop_timer_new(loop, http_stream_on_look, http);
    for (unsigned i = 0; i < HTTP_SHARDS; i++) {
        if (!http_shard_open(http, &http->shards[i], conf)) {
            buf_reset(ret_sentence);
            buf_addf(ret_sentence, "the HTTP library does not start on %s:%d", listener->host,
                     http->port);
            http_free(http);
            return -ERR_SYSTEM;
        }
    }
    http->accept_watch = loop_watch_new(loop, http->fd, http_on_accept, http);
    loop_watch_set(http->accept_watch, LOOP_READ);
    loop_hook_add(loop, LOOP_HOOK_HTTP, http_on_turn_end, http);
    *ret_http = http;
    return 0;
}

int http_port(const struct http *http)
{
    return http->port;
}

void http_refuse_new(struct http *http)
{
    if (http->is_refusing) {
        return;
    }
    while (http_accept(http)) { /* who has connected is not turned away */
    }
    http_finish(http);
    http->is_refusing = true;
    http_listen_end(http);
}

void http_close(struct http *http)
{
    if (!http) {
        return;
    }
    http->is_closing = true;
    for (struct http_request *r = http->first; r; r = r->next) {
        if (r->is_parked) {
            r->is_parked = false;
            MHD_resume_connection(r->connection);
        }
    }
    /* Sends what was answered in this turn, and hangs up on who was parked: the library must not
     * be stopped with a connection suspended. */
    http_finish(http);
    loop_hook_remove(http->loop, LOOP_HOOK_HTTP, http_on_turn_end, http);
    http_free(http);
}
