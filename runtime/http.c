/* The HTTP listener, over libmicrohttpd: the only includer of its header.
 *
 *   accepted --> one shard of the connections, that is, one instance of the library:
 *
 *   its epoll descriptor ready --.
 *   its timeout is over ---------+--> dirty --[turn's end]--> MHD_run --> http_handle
 *   http_reply to a parked one --'                                          |      ^
 *                                                       on_request <--------'      |
 *                                                           |                      |
 *                                   answered inside: queued at once      parked: suspended;
 *                                                                        http_reply resumes
 *
 * The library runs only in the turn-end hook, so one pass of it takes new requests and sends the
 * replies that the whole turn has produced. A response may be queued from its handler only:
 * http_reply leaves it with the request, resumes, and the handler, called again, queues it.
 *
 * A pass of the library cannot be cut short: it serves all of its connections that are ready. With
 * thousands of them the store and the broker would wait for it, and so would everybody whose answer
 * they have. Hence the shards: a turn that has served HTTP_TURN_MAX requests leaves the other
 * shards to the next one.
 *
 * A request object belongs to two: the library, until http_on_completed, and the user, until
 * http_reply. The later of the two frees it. */
#include "runtime/http.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/err.h"
#include "runtime/head.h"
#include "runtime/listener.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/slow.h"
#include "runtime/stat.h"

#define HTTP_MEMORY_BYTES 8192 /* for a head; the library zeroes as much for each request */
#define HTTP_METHOD_MAX   24
#define HTTP_PASSES_MAX   64 /* of the library, to finish what has begun */
#define HTTP_SHARDS       16
#define HTTP_TURN_MAX     64   /* requests and answers; then the turn is the others' */
#define HTTP_ACCEPT_MAX   64   /* connections a turn */
#define HTTP_ACCEPT_MS    1000 /* to the next attempt, when there is no descriptor left */

struct http_shard {
    struct http *http;
    struct MHD_Daemon *daemon;
    struct loop_watch *watch;
    struct loop_timer *timer;
    bool is_dirty; /* the library has something to do before the turn ends */
};

struct http {
    struct loop *loop;
    struct http_shard shards[HTTP_SHARDS];
    unsigned shard_next; /* the next to be run */
    unsigned accepted;
    unsigned served; /* requests and answers in this turn */
    int fd;          /* that listens; -1: no more */
    struct loop_watch *accept_watch;
    http_on_request *on_request;
    void *ctx;
    struct http_request *first; /* all the library has not completed */
    unsigned client_count;
    unsigned client_max;
    struct stat_value *sent_away;
    struct slow *slow;               /* the connections, each a slow_client */
    struct loop_timer *accept_timer; /* while nobody is accepted */
    int port;
    bool is_refusing; /* no new connections; those there are end with their next answer */
    bool is_closing;  /* whatever is not answered now never will be */
};

struct http_answer {
    unsigned status;
    struct MHD_Response *response;
    struct MHD_Response *last_response; /* which closes the connection */
};

struct http_request {
    struct http *http; /* NULL: the library has completed it */
    struct http_shard *shard;
    struct http_request *next;
    struct http_request *previous;
    struct MHD_Connection *connection;
    const char *line_uri;          /* where the library has it, until the handler is first called */
    struct MHD_Response *response; /* answered, not yet queued */
    bool is_borrowed;              /* the response is an http_answer's */
    unsigned status;
    size_t body_bytes;
    size_t path_bytes;
    bool is_head_checked;
    bool is_chunked; /* where its chunks end is not for us to check: nothing is read behind it */
    bool is_given;   /* on_request was called: the user owes a reply */
    bool is_replied; /* and has given it */
    bool is_parked;  /* suspended */
    char method[HTTP_METHOD_MAX];
    char uri[]; /* as it was sent, terminated */
};

/* ---- the request object ---- */

static void http_response_free(struct http_request *r)
{
    if (r->response && !r->is_borrowed) {
        MHD_destroy_response(r->response);
    }
    r->response = NULL;
}

static void http_request_free(struct http_request *r)
{
    http_response_free(r);
    free(r);
}

/* ---- connections ---- */

static struct slow_client *http_client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

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

/* ---- requests, from their first to their last word ---- */

/* The library's first word about a request: the line has been read, the headers have not. */
static void *http_on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct http_shard *shard = ctx;
    struct http *http = shard->http;
    size_t uri_bytes = strlen(uri);
    struct http_request *r = mem_new(sizeof(*r) + uri_bytes + 1);
    memcpy(r->uri, uri, uri_bytes + 1);
    r->path_bytes = strcspn(uri, "?");
    r->connection = connection;
    r->line_uri = uri;
    r->http = http;
    r->shard = shard;
    r->next = http->first;
    if (r->next) {
        r->next->previous = r;
    }
    http->first = r;
    slow_line(http_client_of(connection));
    return r;
}

/* The library's last word: it was answered, or the client has gone. */
static void http_on_completed(void *ctx, struct MHD_Connection *connection, void **request,
                              enum MHD_RequestTerminationCode why)
{
    (void)why;
    struct http *http = ((struct http_shard *)ctx)->http;
    struct http_request *r = *request;
    struct slow_client *client = http_client_of(connection);
    if (client) {
        slow_over(client);
    }
    if (!r) {
        return;
    }
    *request = NULL;
    if (r->next) {
        r->next->previous = r->previous;
    }
    if (r->previous) {
        r->previous->next = r->next;
    } else {
        http->first = r->next;
    }
    r->http = NULL;
    r->connection = NULL;
    if (!r->is_given || r->is_replied) {
        http_request_free(r);
    }
}

const char *http_request_method(const struct http_request *r)
{
    return r->method;
}

struct slice http_request_path(const struct http_request *r)
{
    return (struct slice){r->uri, r->path_bytes};
}

struct slice http_request_query(const struct http_request *r)
{
    return r->uri[r->path_bytes] ? slice_from(r->uri + r->path_bytes + 1) : (struct slice){NULL, 0};
}

struct slice http_request_header(const struct http_request *r, const char *name)
{
    if (!r->connection) {
        return (struct slice){NULL, 0}; /* the client has gone, and its head with it */
    }
    return slice_from(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name));
}

/* A suspended connection is not looked at by the library. */
bool http_request_is_gone(const struct http_request *r)
{
    char next;
    if (!r->connection) {
        return true;
    }
    int fd = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    ssize_t bytes = recv(fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);
    return bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* ---- refusals: what never reaches on_request ---- */

static enum MHD_Result http_on_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                      size_t name_bytes, const char *value, size_t value_bytes)
{
    (void)kind;
    head_add(ctx, (struct slice){name, name_bytes},
             (struct slice){value ? value : "", value ? value_bytes : 0});
    return MHD_YES;
}

/* Behind the head, in the library's buffer, where `method` begins it. NULL with later versions of
 * the library: they lay heads out differently, and refuse more of them. */
static const char *http_head_end(const struct http_request *r, const char *method)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info && strncmp(MHD_get_version(), "0.9.", 4) == 0 ? method + info->header_size : NULL;
}

/* 0, or the status that refuses the request, with its sentence. */
static unsigned http_check_head(struct http_request *r, const char *method, const char *version,
                                const char **ret_sentence)
{
    struct head head;
    struct head_line line = {method, slice_from(r->uri), r->line_uri, version};
    head_begin(&head, &line, http_head_end(r, method));
    MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, http_on_header, &head);
    r->is_chunked = head.encodings > 0;
    return head_check(&head, r->path_bytes, ret_sentence);
}

static struct MHD_Response *http_response(struct slice body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.bytes, (void *)body.data, MHD_RESPMEM_MUST_COPY);
    assert(response); /* out of memory */
    return response;
}

/* Where the end of this request is may be what we and a proxy disagree on, so nothing after it
 * on this connection can be believed. */
static enum MHD_Result http_refuse(struct http_request *r, unsigned status, const char *sentence)
{
    char body[128];
    int bytes = snprintf(body, sizeof(body), "{\"error\":\"%s\"}", sentence);
    struct MHD_Response *response = http_response((struct slice){body, (size_t)bytes});
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the handler ---- */

static enum MHD_Result http_send(struct http_request *r)
{
    enum MHD_Result result = MHD_queue_response(r->connection, r->status, r->response);
    http_response_free(r);
    return result;
}

/* The request is complete: the first time it goes to the user, the second time there is the
 * answer. */
static enum MHD_Result http_dispatch(struct http_request *r)
{
    r->http->served++;
    if (!r->is_given && !r->http->is_closing) {
        slow_complete(http_client_of(r->connection));
        r->is_given = true;
        r->http->on_request(r->http->ctx, r);
    }
    if (r->is_replied) {
        return http_send(r);
    }
    if (r->http->is_closing) {
        return MHD_NO; /* hangs up: a proxy in front then asks another gateway */
    }
    r->is_parked = true;
    MHD_suspend_connection(r->connection);
    return MHD_YES;
}

/* Called once for the head, once for each piece of the body, once at its end, and once more for a
 * request that was parked. */
static enum MHD_Result http_handle(void *ctx, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_bytes, void **request)
{
    (void)ctx;
    (void)connection;
    (void)url;
    (void)upload;
    struct http_request *r = *request;
    if (!r->is_head_checked) {
        const char *sentence;
        r->is_head_checked = true;
        slice_copy(slice_from(method), r->method, sizeof(r->method));
        unsigned status = http_check_head(r, method, version, &sentence);
        return status ? http_refuse(r, status, sentence) : MHD_YES;
    }
    if (*upload_bytes > 0) {
        r->body_bytes += *upload_bytes;
        *upload_bytes = 0;
        return r->body_bytes > HEAD_DROPPED_MAX ? MHD_NO : MHD_YES;
    }
    if (r->body_bytes > HTTP_BODY_MAX) {
        return http_refuse(r, 413, "body too large");
    }
    return http_dispatch(r);
}

static void http_wake(struct http_shard *shard)
{
    if (!shard->is_dirty) {
        shard->is_dirty = true;
        /* For a reply made by a hook that runs after ours: the next turn comes at once then. */
        loop_timer_start(shard->timer, 0, 0);
    }
}

/* Errors: false when there is nobody left to answer; the request is gone then. */
static bool http_reply_begin(struct http_request *r)
{
    assert(r->is_given && !r->is_replied);
    r->is_replied = true;
    if (!r->http) {
        http_request_free(r);
        return false;
    }
    return true;
}

static void http_reply_end(struct http_request *r, unsigned status)
{
    r->status = status;
    if (r->is_parked) {
        r->is_parked = false;
        MHD_resume_connection(r->connection);
        http_wake(r->shard);
    }
}

static bool http_is_last(const struct http_request *r)
{
    return r->http->is_refusing || r->is_chunked;
}

static struct MHD_Response *http_response_with(const struct http_header *headers,
                                               unsigned header_count, struct slice body,
                                               bool is_last)
{
    assert(header_count <= HTTP_HEADERS_MAX);
    struct MHD_Response *response = http_response(body);
    bool has_type = false;
    for (unsigned i = 0; i < header_count; i++) {
        has_type = has_type || strcasecmp(headers[i].name, "Content-Type") == 0;
        /* Refuses a value with a line end in it: the header is missing then, not split. */
        MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    if (!has_type) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    }
    if (is_last) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    return response;
}

void http_reply(struct http_request *r, unsigned status, const struct http_header *headers,
                unsigned header_count, struct slice body)
{
    if (http_reply_begin(r)) {
        r->response = http_response_with(headers, header_count, body, http_is_last(r));
        http_reply_end(r, status);
    }
}

struct http_answer *http_answer_new(unsigned status, const struct http_header *headers,
                                    unsigned header_count, struct slice body)
{
    struct http_answer *answer = mem_new(sizeof(*answer));
    answer->status = status;
    answer->response = http_response_with(headers, header_count, body, false);
    answer->last_response = http_response_with(headers, header_count, body, true);
    return answer;
}

void http_answer_free(struct http_answer *answer)
{
    if (answer) {
        MHD_destroy_response(answer->response);
        MHD_destroy_response(answer->last_response);
        free(answer);
    }
}

void http_reply_with(struct http_request *r, const struct http_answer *answer)
{
    if (http_reply_begin(r)) {
        r->is_borrowed = true;
        r->response = http_is_last(r) ? answer->last_response : answer->response;
        http_reply_end(r, answer->status);
    }
}

/* ---- driving the library ---- */

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
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)conf->http_connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)conf->http_idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_URI_LOG_CALLBACK,
        http_on_uri, shard, MHD_OPTION_UNESCAPE_CALLBACK, http_keep_encoded, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, shard, MHD_OPTION_NOTIFY_CONNECTION,
        http_on_connection, shard, MHD_OPTION_END);
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
    slow_free(http->slow);
    loop_timer_free(http->accept_timer);
    free(http);
}

int http_open(struct loop *loop, const struct http_conf *conf, const char *host, int port,
              http_on_request *on_request, void *ctx, struct http **ret_http,
              struct buf *ret_sentence)
{
    struct http *http = mem_new(sizeof(*http));
    int err = listener_open(host, port, &http->fd, &http->port, ret_sentence);
    if (err) {
        free(http);
        return err;
    }
    http->loop = loop;
    http->on_request = on_request;
    http->ctx = ctx;
    http->sent_away = stat_counter("kassa_http_connections_sent_away_total", "",
                                   "connections at rest that gave way to new ones");
    http->slow = slow_new(loop, conf->http_receive_s * 1000);
    http->client_max = (unsigned)conf->http_connections_max;
    http->accept_timer = loop_timer_new(loop, http_accept_resume, http);
    for (unsigned i = 0; i < HTTP_SHARDS; i++) {
        if (!http_shard_open(http, &http->shards[i], conf)) {
            buf_reset(ret_sentence);
            buf_addf(ret_sentence, "the HTTP library does not start on %s:%d", host, http->port);
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
