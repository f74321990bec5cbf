/* What the files of the HTTP listener share, and the only includer of the library's header. */
#ifndef KASSA_RUNTIME_HTTP_STATE_H
#define KASSA_RUNTIME_HTTP_STATE_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "runtime/http.h"
#include "runtime/http_stream.h"
#include "runtime/loop.h"
#include "runtime/slow.h"
#include "runtime/stat.h"

#define HTTP_SHARDS     16
#define HTTP_METHOD_MAX 24

struct http_shard {
    struct http *http;
    struct MHD_Daemon *daemon;
    struct loop_watch *watch;
    struct loop_timer *timer;
    bool is_dirty; /* the library has something to do before the turn ends */
};

struct http {
    struct loop *loop;
    struct http_listener listener;
    struct http_shard shards[HTTP_SHARDS];
    unsigned shard_next; /* the next to be run */
    unsigned accepted;
    unsigned served; /* requests and answers in this turn */
    int fd;          /* that listens; -1: no more */
    struct loop_watch *accept_watch;
    struct http_request *first; /* all the library has not completed */
    unsigned client_count;
    unsigned client_max;
    size_t bodies_bytes; /* of the bodies that are kept for requests whose clients are there */
    unsigned linger_count;
    LIST_HEAD(, http_linger) lingers;
    unsigned stream_count;
    LIST_HEAD(, http_stream) streams;
    struct loop_timer *stream_timer; /* runs while there are some */
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
    struct buf body;   /* as far as it is kept */
    size_t body_max;   /* of it; 0: it is dropped */
    size_t body_bytes; /* that came */
    size_t path_bytes;
    int linger_fd;              /* of a client that is refused while it sends; -1: none */
    struct http_stream *stream; /* its reply; NULL: it has another one, or none yet */
    bool is_crowded;            /* there was no room for its body */
    bool is_head_checked;
    bool is_chunked; /* where its chunks end is not for us to check: nothing is read behind it */
    bool is_given;   /* on_request was called: the user owes a reply */
    bool is_replied; /* and has given it */
    bool is_parked;  /* suspended */
    char method[HTTP_METHOD_MAX];
    char uri[]; /* as it was sent, terminated */
};

/* ---- http.c ---- */

/* The library's callbacks; ctx is the shard. */
void *http_on_uri(void *ctx, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_handle(void *ctx, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_bytes, void **request);
void http_on_completed(void *ctx, struct MHD_Connection *connection, void **request,
                       enum MHD_RequestTerminationCode why);

struct slow_client *http_client_of(struct MHD_Connection *connection);
int http_request_fd(const struct http_request *r);
/* Errors: false when there is nobody left to answer; the request is gone then. */
bool http_reply_begin(struct http_request *r);
void http_reply_end(struct http_request *r, unsigned status);
/* Adds what every response has; `type` is its Content-Type unless `headers` has one. Owns: the
 * caller, the response. */
void http_response_add(struct MHD_Response *response, const struct http_header *headers,
                       unsigned header_count, const char *type, bool is_last);
bool http_is_last(const struct http_request *r);
/* The library goes on with a suspended one, when the turn ends. */
void http_resume(struct http_request *r);

/* ---- http_shard.c ---- */

void http_shard_wake(struct http_shard *shard);

/* ---- http_stream.c ---- */

/* The library is through with its request: its client has left, or has all of it. */
void http_stream_completed(struct http_stream *s);
void http_stream_on_look(void *http);

/* ---- http_linger.c ---- */

/* A refused client is still sending: `fd` is kept open, and what comes is dropped, until it is
 * through, for a while, and up to a limit. Owns: fd. */
void http_linger_new(struct http *http, int fd);
void http_linger_free_all(struct http *http);

#endif
