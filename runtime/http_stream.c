/* A reply in pieces. See http_stream.h.
 *
 * The library asks for the next piece whenever the socket takes one. When there is none, the
 * connection is suspended, so that nobody asks in vain; a write resumes it. A suspended connection
 * is not looked at by the library: whether its client is still there is asked once a second. */
#include "runtime/http_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/http_state.h"

#define HTTP_STREAM_PIECE 4096 /* asked for at once; the connection's memory has room for it */

struct http_stream {
    struct http_request *request; /* NULL: the library is through with it */
    http_stream_on_gone *on_gone;
    void *ctx;
    struct buf backlog;
    size_t sent; /* of the backlog */
    size_t backlog_max;
    bool is_ended;
    bool is_dropped;
    LIST_ENTRY(http_stream) in_streams;
};

static void http_stream_free(struct http_stream *s)
{
    buf_free(&s->backlog);
    free(s);
}

static size_t http_stream_left(const struct http_stream *s)
{
    return s->backlog.bytes - s->sent;
}

/* The library asks for what comes next. */
static ssize_t http_stream_on_room(void *ctx, uint64_t at, char *to, size_t room)
{
    (void)at;
    struct http_stream *s = ctx;
    struct http_request *r = s->request;
    size_t bytes = http_stream_left(s);
    r->http->served++;
    if (s->is_dropped) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (bytes > 0) {
        bytes = bytes < room ? bytes : room;
        memcpy(to, s->backlog.data + s->sent, bytes);
        s->sent += bytes;
        if (http_stream_left(s) == 0) {
            buf_reset(&s->backlog);
            s->sent = 0;
        }
        return (ssize_t)bytes;
    }
    if (s->is_ended || r->http->is_closing) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    r->is_parked = true;
    MHD_suspend_connection(r->connection);
    return 0;
}

static void http_stream_drop(struct http_stream *s)
{
    s->is_dropped = true;
    shutdown(http_request_fd(s->request), SHUT_RDWR); /* it may wait for room in the socket */
    http_resume(s->request);
}

void http_stream_on_look(void *ctx)
{
    struct http *http = ctx;
    struct http_stream *s;
    LIST_FOREACH(s, &http->streams, in_streams)
    {
        if (s->request->is_parked && http_request_is_gone(s->request)) {
            http_stream_drop(s);
        }
    }
}

void http_stream_completed(struct http_stream *s)
{
    struct http *http = s->request->http;
    LIST_REMOVE(s, in_streams);
    if (--http->stream_count == 0) {
        loop_timer_stop(http->stream_timer);
    }
    s->request = NULL;
    if (s->is_ended) {
        http_stream_free(s);
    } else {
        s->on_gone(s->ctx);
    }
}

static struct MHD_Response *http_stream_response(struct http_stream *s,
                                                 const struct http_header *headers,
                                                 unsigned header_count, bool is_last)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, HTTP_STREAM_PIECE, http_stream_on_room, s, NULL);
    assert(response);
    http_response_add(response, headers, header_count, "text/event-stream", is_last);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    return response;
}

struct http_stream *http_stream_begin(struct http_request *r, unsigned status,
                                      const struct http_header *headers, unsigned header_count,
                                      http_stream_on_gone *on_gone, void *ctx)
{
    struct http *http = r->http;
    if (http && http->stream_count >= http->listener.streams_max) {
        const struct http_header later = {"Retry-After", "1"};
        http_reply(r, 429, &later, 1, SLICE_TEXT("{\"error\":\"too many streams, try again\"}"));
        return NULL;
    }
    if (!http_reply_begin(r)) {
        return NULL;
    }
    struct http_stream *s = mem_new(sizeof(*s));
    s->request = r;
    s->on_gone = on_gone;
    s->ctx = ctx;
    s->backlog_max = http->listener.stream_backlog_max;
    LIST_INSERT_HEAD(&http->streams, s, in_streams);
    if (http->stream_count++ == 0) {
        loop_timer_start(http->stream_timer, HTTP_STREAM_LOOK_MS, HTTP_STREAM_LOOK_MS);
    }
    r->stream = s;
    r->response = http_stream_response(s, headers, header_count, http_is_last(r));
    http_reply_end(r, status);
    return s;
}

bool http_stream_write(struct http_stream *s, struct slice piece)
{
    assert(!s->is_ended);
    if (!s->request || s->is_dropped) {
        return false;
    }
    if (http_stream_left(s) + piece.bytes > s->backlog_max) {
        http_stream_drop(s);
        return false;
    }
    if (s->sent > 0) {
        buf_drop_front(&s->backlog, s->sent);
        s->sent = 0;
    }
    buf_add(&s->backlog, piece.data, piece.bytes);
    http_resume(s->request);
    return true;
}

bool http_stream_event(struct http_stream *s, const char *event, struct slice data)
{
    struct buf text = {0};
    if (event) {
        assert(!strpbrk(event, "\r\n"));
        buf_addf(&text, "event: %s\n", event);
    }
    buf_add_text(&text, "data: ");
    for (size_t i = 0; i < data.bytes; i++) {
        bool is_end = data.data[i] == '\n' || data.data[i] == '\r';
        buf_add(&text, is_end ? "\ndata: " : &data.data[i], is_end ? 7 : 1);
    }
    buf_add_text(&text, "\n\n");
    bool is_written = http_stream_write(s, buf_slice(&text));
    buf_free(&text);
    return is_written;
}

void http_stream_end(struct http_stream *s)
{
    if (!s) {
        return;
    }
    if (!s->request) {
        http_stream_free(s);
        return;
    }
    s->is_ended = true;
    http_resume(s->request);
}
