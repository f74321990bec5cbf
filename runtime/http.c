/* A request's way through the listener, over libmicrohttpd.
 *
 *   head --> refused | [body: kept up to a limit, or dropped] --> http_dispatch
 *                                                                   |      ^
 *                                                on_request <-------'      |
 *                                                    |                     |
 *                            answered inside: queued at once      parked: suspended;
 *                                                                 http_reply resumes
 *
 * A response may be queued from the library's handler only: http_reply leaves it with the request,
 * resumes, and the handler, called again, queues it. When the library runs: http_shard.c.
 *
 * A request object belongs to two: the library, until http_on_completed, and the user, until
 * http_reply. The later of the two frees it. */
#include "runtime/http.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "runtime/head.h"
#include "runtime/http_state.h"

#define HTTP_DROPPED_MAX (16 * HTTP_BODY_MAX) /* beyond the limit, in chunks; then we hang up */

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
    buf_free(&r->body);
    free(r);
}

struct slow_client *http_client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* ---- requests, from their first to their last word ---- */

/* The library's first word about a request: the line has been read, the headers have not. */
void *http_on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
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
    r->linger_fd = -1;
    r->next = http->first;
    if (r->next) {
        r->next->previous = r;
    }
    http->first = r;
    slow_line(http_client_of(connection));
    return r;
}

/* The library's last word: it was answered, or the client has gone. */
void http_on_completed(void *ctx, struct MHD_Connection *connection, void **request,
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
    http->bodies_bytes -= r->body.bytes;
    if (r->linger_fd >= 0) {
        http_linger_new(http, r->linger_fd);
    }
    if (r->stream) {
        http_stream_completed(r->stream);
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

struct slice http_request_body(const struct http_request *r)
{
    return buf_slice(&r->body);
}

int http_request_fd(const struct http_request *r)
{
    return MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* A suspended connection is not looked at by the library. */
bool http_request_is_gone(const struct http_request *r)
{
    char next;
    if (!r->connection) {
        return true;
    }
    ssize_t bytes = recv(http_request_fd(r), &next, 1, MSG_PEEK | MSG_DONTWAIT);
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

/* How long a body may be. */
static size_t http_body_limit(const struct http_request *r)
{
    return r->body_max > 0 ? r->body_max : HTTP_BODY_MAX;
}

/* The listener's owner is asked only about requests that have a body. */
static void http_body_expect(struct http_request *r, const struct head *head)
{
    const struct http_listener *l = &r->http->listener;
    if (l->body_max && (head->length > 0 || r->is_chunked)) {
        r->body_max = l->body_max(l->ctx, r->method, http_request_path(r));
    }
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
    unsigned status = head_check(&head, r->path_bytes, ret_sentence);
    if (status) {
        return status;
    }
    http_body_expect(r, &head);
    if (head.length > 0 && (uint64_t)head.length > http_body_limit(r)) {
        *ret_sentence = "body too large";
        return 413;
    }
    return 0;
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
    if (status == 429) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
    enum MHD_Result result = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Before its body is read. The library reads no more of a request that is answered already, and
 * hanging up on a client that is still sending would take the answer from it. */
static enum MHD_Result http_refuse_body(struct http_request *r, unsigned status,
                                        const char *sentence)
{
    r->linger_fd = fcntl(http_request_fd(r), F_DUPFD_CLOEXEC, 0);
    return http_refuse(r, status, sentence);
}

/* ---- the handler ---- */

/* Errors: false when there is so much of it that it is better to hang up. */
static bool http_body_add(struct http_request *r, const char *data, size_t bytes)
{
    struct http *http = r->http;
    size_t limit = http_body_limit(r);
    r->body_bytes += bytes;
    r->is_crowded = r->is_crowded || http->bodies_bytes + bytes > http->listener.bodies_max;
    if (r->body_max > 0 && r->body_bytes <= limit && !r->is_crowded) {
        buf_add(&r->body, data, bytes);
        http->bodies_bytes += bytes;
    } else {
        http->bodies_bytes -= r->body.bytes;
        buf_free(&r->body);
    }
    return r->body_bytes <= limit + HTTP_DROPPED_MAX;
}

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
        r->http->listener.on_request(r->http->listener.ctx, r);
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
enum MHD_Result http_handle(void *ctx, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_bytes, void **request)
{
    (void)ctx;
    (void)connection;
    (void)url;
    struct http_request *r = *request;
    if (!r->is_head_checked) {
        const char *sentence;
        r->is_head_checked = true;
        slice_copy(slice_from(method), r->method, sizeof(r->method));
        unsigned status = http_check_head(r, method, version, &sentence);
        if (status == 413) {
            return http_refuse_body(r, status, sentence);
        }
        return status ? http_refuse(r, status, sentence) : MHD_YES;
    }
    if (*upload_bytes > 0) {
        bool is_bearable = http_body_add(r, upload, *upload_bytes);
        *upload_bytes = 0;
        return is_bearable ? MHD_YES : MHD_NO;
    }
    if (r->body_bytes > http_body_limit(r)) {
        return http_refuse(r, 413, "body too large");
    }
    if (r->body_max > 0 && r->is_crowded) {
        return http_refuse(r, 429, "too many requests, try again");
    }
    return http_dispatch(r);
}

/* Errors: false when there is nobody left to answer; the request is gone then. */
bool http_reply_begin(struct http_request *r)
{
    assert(r->is_given && !r->is_replied);
    r->is_replied = true;
    if (!r->http) {
        http_request_free(r);
        return false;
    }
    return true;
}

void http_reply_end(struct http_request *r, unsigned status)
{
    r->status = status;
    http_resume(r);
}

void http_resume(struct http_request *r)
{
    if (r->is_parked) {
        r->is_parked = false;
        MHD_resume_connection(r->connection);
        http_shard_wake(r->shard);
    }
}

bool http_is_last(const struct http_request *r)
{
    return r->http->is_refusing || r->is_chunked;
}

void http_response_add(struct MHD_Response *response, const struct http_header *headers,
                       unsigned header_count, const char *type, bool is_last)
{
    assert(header_count <= HTTP_HEADERS_MAX);
    bool has_type = false;
    for (unsigned i = 0; i < header_count; i++) {
        has_type = has_type || strcasecmp(headers[i].name, "Content-Type") == 0;
        /* Refuses a value with a line end in it: the header is missing then, not split. */
        MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    if (!has_type) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    }
    if (is_last) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
}

static struct MHD_Response *http_response_with(const struct http_header *headers,
                                               unsigned header_count, struct slice body,
                                               bool is_last)
{
    struct MHD_Response *response = http_response(body);
    http_response_add(response, headers, header_count, "application/json", is_last);
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
