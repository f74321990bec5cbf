/* The HTTP listener, through libmicrohttpd: the only includer of its header.
 *
 *   client --> [epoll of microhttpd, watched by our loop] --> on_request --+-- http_reply at once
 *                                                                          '-- parked; http_reply
 *                                                                              any time later
 * Paths arrive as they were sent, percent signs and all: decoding is the router's, which refuses
 * rather than guesses. Bodies are read and dropped up to HTTP_BODY_MAX, refused above. Requests
 * with two lengths, or a length and a transfer encoding, are refused here (RFC 9112 section 6.3).
 */
#ifndef KASSA_RUNTIME_HTTP_H
#define KASSA_RUNTIME_HTTP_H

#include "runtime/buf.h"
#include "runtime/http_conf.h"

struct loop;
struct http;
struct http_request;

#define HTTP_BODY_MAX    65536
#define HTTP_PATH_MAX    2048
#define HTTP_HEADERS_MAX 8

typedef void http_on_request(void *ctx, struct http_request *request);

/* Listens on host:port (port 0: any free one). Errors: -ERR_SYSTEM, with a sentence. */
int http_open(struct loop *loop, const struct http_conf *conf, const char *host, int port,
              http_on_request *on_request, void *ctx, struct http **ret_http,
              struct buf *ret_sentence);
int http_port(const struct http *http);
void http_refuse_new(struct http *http); /* stops listening; open requests go on (drain) */
void http_close(struct http *http);      /* NULL is fine */

/* Borrowed until the request is answered. */
const char *http_request_method(const struct http_request *r);
struct slice http_request_path(const struct http_request *r);  /* up to '?', undecoded */
struct slice http_request_query(const struct http_request *r); /* after '?', undecoded */
struct slice http_request_header(const struct http_request *r, const char *name);

/* Has the client of a request that waits hung up? Asks the socket; for an answer that is wanted by
 * nobody is not worth much work. One that has only said that it will send no more counts as gone.
 */
bool http_request_is_gone(const struct http_request *r);

struct http_header {
    const char *name;
    const char *value;
};

/* Answers, inside on_request or later, exactly once. Everything is copied.
 * Content-Type is application/json unless `headers` has one. */
void http_reply(struct http_request *r, unsigned status, const struct http_header *headers,
                unsigned header_count, struct slice body);

/* An answer that is always the same is made once, and then costs no memory to give: for those that
 * are given when there is no time. Same rules as http_reply. Owns: the caller, until no request
 * is open any more, that is, after http_close. */
struct http_answer;
struct http_answer *http_answer_new(unsigned status, const struct http_header *headers,
                                    unsigned header_count, struct slice body);
void http_answer_free(struct http_answer *answer); /* NULL is fine */
void http_reply_with(struct http_request *r, const struct http_answer *answer);

#endif
