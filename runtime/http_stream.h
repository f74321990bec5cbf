/* A reply in pieces, for as long as its client listens: server-sent events.
 *
 *   http_stream_begin --> http_stream_write, http_stream_event --> http_stream_end
 *                            '--> backlog --as fast as the client reads--> socket
 *                                    '-- too long: the client is dropped --.
 *                                        the client has left, too ---------+--> on_gone
 * Source: HTML Living Standard, "Server-sent events". */
#ifndef KASSA_RUNTIME_HTTP_STREAM_H
#define KASSA_RUNTIME_HTTP_STREAM_H

#include "runtime/http.h"

#define HTTP_STREAM_LOOK_MS 1000 /* how late it is noticed that a silent client has left */

struct http_stream;

/* Nobody listens any more: the client has left, was dropped, or the listener is closed. Called
 * once, and not after http_stream_end, which has to follow, and may inside. */
typedef void http_stream_on_gone(void *ctx);

/* Answers a request, like http_reply. Content-Type is text/event-stream unless `headers` has one;
 * nginx and browsers are told to keep none of it. NULL: the client had left already, or there are
 * streams_max (it is answered 429); the request is done with then.
 * Owns: the caller, until http_stream_end. */
struct http_stream *http_stream_begin(struct http_request *r, unsigned status,
                                      const struct http_header *headers, unsigned header_count,
                                      http_stream_on_gone *on_gone, void *ctx);

/* Everything is copied. Errors: false when nobody listens, or the client is too far behind: it is
 * dropped, and on_gone follows. */
bool http_stream_write(struct http_stream *s, struct slice piece);
/* The same as an event: each line of `data` becomes one of it. event: its name, without line ends;
 * NULL: none. */
bool http_stream_event(struct http_stream *s, const char *event, struct slice data);

/* What is written is still sent. NULL is fine. */
void http_stream_end(struct http_stream *s);

#endif
