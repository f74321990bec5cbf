/* An HTTP listener, through libmicrohttpd. A process may have several.
 *
 *   client --> [epoll of microhttpd, watched by our loop] --> on_request --+-- http_reply at once
 *                                                                          '-- parked; http_reply
 *                                                                              any time later
 * Paths arrive as they were sent, percent signs and all: decoding is the router's, which refuses
 * rather than guesses. A body is kept up to what the listener's owner says for its request; else it
 * is dropped, up to HTTP_BODY_MAX. One that is longer is 413, before it is read if its length is
 * known. Requests with two lengths, or a length and a transfer encoding, are refused here (RFC 9112
 * section 6.3). */
#ifndef KASSA_RUNTIME_HTTP_H
#define KASSA_RUNTIME_HTTP_H

#include "runtime/buf.h"
#include "runtime/http_conf.h"

struct loop;
struct http;
struct http_request;

#define HTTP_BODY_MAX    65536 /* of a body that is dropped; nginx lets no longer ones through */
#define HTTP_PATH_MAX    2048
#define HTTP_HEADERS_MAX 8

typedef void http_on_request(void *ctx, struct http_request *request);
/* How many bytes the body of such a request may have, and is kept; 0: it has none to speak of.
 * Asked when a head announces a body. `path` is undecoded. */
typedef size_t http_body_max(void *ctx, const char *method, struct slice path);

/* What is 0 has the value named beside it. */
struct http_listener {
    const char *host;
    int port; /* 0: any free one */
    http_on_request *on_request;
    http_body_max *body_max; /* NULL: bodies are dropped */
    void *ctx;
    unsigned connections_max;  /* HTTP_CONNECTIONS_MAX, the variable */
    size_t bodies_max;         /* HTTP_BODIES_MAX: bytes of all bodies that are kept at once */
    unsigned streams_max;      /* HTTP_STREAMS_MAX: at once */
    size_t stream_backlog_max; /* HTTP_STREAM_BACKLOG_MAX: bytes that a client may be behind */
};
#define HTTP_BODIES_MAX         (64 << 20)
#define HTTP_STREAMS_MAX        128 /* a gateway spares more connections: /health comes beside them */
#define HTTP_STREAM_BACKLOG_MAX 65536

/* Listens. Borrowed from *listener: only what it points to. Errors: -ERR_SYSTEM, with a sentence.
 */
int http_open(struct loop *loop, const struct http_conf *conf, const struct http_listener *listener,
              struct http **ret_http, struct buf *ret_sentence);
int http_port(const struct http *http);
void http_refuse_new(struct http *http); /* stops listening; open requests go on (drain) */
void http_close(struct http *http);      /* NULL is fine */

/* Borrowed until the request is answered. */
const char *http_request_method(const struct http_request *r);
struct slice http_request_path(const struct http_request *r);  /* up to '?', undecoded */
struct slice http_request_query(const struct http_request *r); /* after '?', undecoded */
struct slice http_request_header(const struct http_request *r, const char *name);
struct slice http_request_body(const struct http_request *r); /* what is kept of it */

/* True when the client of a waiting request has hung up: asks the socket, for an answer that nobody
 * wants is not worth much work. A client that has shut down its sending side counts as gone. */
bool http_request_is_gone(const struct http_request *r);

struct http_header {
    const char *name;
    const char *value;
};

/* Answers, inside on_request or later, exactly once. Everything is copied.
 * Content-Type is application/json unless `headers` has one. */
void http_reply(struct http_request *r, unsigned status, const struct http_header *headers,
                unsigned header_count, struct slice body);

/* A constant answer, made once, costs no memory to give: for answers under overload.
 * Same rules as http_reply. Owns: the caller, until no request is open any more, that is, after
 * http_close. */
struct http_answer;
struct http_answer *http_answer_new(unsigned status, const struct http_header *headers,
                                    unsigned header_count, struct slice body);
void http_answer_free(struct http_answer *answer); /* NULL is fine */
void http_reply_with(struct http_request *r, const struct http_answer *answer);

#endif
