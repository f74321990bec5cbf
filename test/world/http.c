/* HTTP without a socket: clients of the world hand requests to a gateway's node and hear the
 * answer, or that the connection is gone. Keeps runtime/http.h. */
#include "runtime/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "gateway/front.h"
#include "test/world/world.h"

struct http_request {
    struct http *http;
    char *method, *path, *query, *key, *name;
    unsigned status;
    char *body;
    http_on_answer *on_answer; /* NULL: the client has hung up */
    void *ctx;
    LIST_ENTRY(http_request) in_open;
};

struct http {
    struct node *node;
    struct http_listener listener;
};

static struct http *listeners[WORLD_NODES_MAX];
static LIST_HEAD(, http_request) open_requests = LIST_HEAD_INITIALIZER(open_requests);

int http_open(struct loop *loop, const struct http_conf *conf, const struct http_listener *listener,
              struct http **ret_http, struct buf *ret_sentence)
{
    (void)loop, (void)conf, (void)ret_sentence;
    struct http *http = mem_new(sizeof(*http));
    *http = (struct http){.node = world.current, .listener = *listener};
    listeners[world.current - world.nodes] = http;
    *ret_http = http;
    return 0;
}

int http_port(const struct http *http)
{
    (void)http;
    return 0;
}

void http_refuse_new(struct http *http)
{
    (void)http;
}

void http_close(struct http *http)
{
    if (http != NULL) {
        listeners[http->node - world.nodes] = NULL;
        free(http);
    }
}

static void request_end(void *ctx)
{
    struct http_request *r = ctx;
    if (r->on_answer != NULL) {
        r->on_answer(r->ctx, r->status, r->body != NULL ? r->body : "");
    }
    free(r->method);
    free(r->path);
    free(r->query);
    free(r->key);
    free(r->name);
    free(r->body);
    free(r);
}

/* The connection is gone, with the gateway. */
static void request_lost(struct http_request *r)
{
    LIST_REMOVE(r, in_open);
    r->status = 0;
    world_after_or(NULL, 1000, request_end, request_end, r);
}

static void on_arrived(void *ctx)
{
    struct http_request *r = ctx;
    r->http = listeners[world.current - world.nodes];
    r->http->listener.on_request(r->http->listener.ctx, r);
}

static void on_nobody(void *ctx)
{
    request_lost(ctx);
}

static char *copy(const char *text)
{
    return mem_text(slice_from(text));
}

struct http_request *http_world_send(struct node *gateway, const char *method, const char *path,
                                     const char *key, const char *name, http_on_answer *on_answer,
                                     void *ctx)
{
    struct http_request *r = mem_new(sizeof(*r));
    r->method = copy(method);
    const char *query = strchr(path, '?');
    r->path = mem_text((struct slice){path, query ? (size_t)(query - path) : strlen(path)});
    r->query = query ? copy(query + 1) : NULL;
    r->key = key != NULL ? copy(key) : NULL;
    r->name = name != NULL ? copy(name) : NULL;
    r->on_answer = on_answer;
    r->ctx = ctx;
    LIST_INSERT_HEAD(&open_requests, r, in_open);
    world_after_or(gateway, 100, on_arrived, on_nobody, r);
    return r;
}

void http_world_hang_up(struct http_request *r)
{
    r->on_answer = NULL;
}

void http_world_request(struct node *gateway, const char *method, const char *path, const char *key,
                        http_on_answer *on_answer, void *ctx)
{
    http_world_send(gateway, method, path, key, NULL, on_answer, ctx);
}

/* Who was parked in the dying gateway hears nothing but the end of the connection. */
void http_node_died(struct node *node)
{
    (void)node; /* gateway_stop has answered all: http_reply saw that nobody is there */
}

void http_world_reset(void)
{
    assert(LIST_EMPTY(&open_requests));
}

const char *http_request_method(const struct http_request *r)
{
    return r->method;
}

struct slice http_request_path(const struct http_request *r)
{
    return slice_from(r->path);
}

struct slice http_request_query(const struct http_request *r)
{
    return slice_from(r->query);
}

struct slice http_request_header(const struct http_request *r, const char *name)
{
    return strcmp(name, "Idempotency-Key") == 0 ? slice_from(r->key)
           : strcmp(name, FRONT_HEADER) == 0    ? slice_from(r->name)
                                                : (struct slice){0};
}

/* Clients of the world send none. */
struct slice http_request_body(const struct http_request *r)
{
    (void)r;
    return (struct slice){0};
}

void http_world_glance(struct node *gateway, const char *path)
{
    http_world_request(gateway, "GET", path, NULL, NULL, NULL);
}

bool http_request_is_gone(const struct http_request *r)
{
    return r->on_answer == NULL;
}

void http_reply(struct http_request *r, unsigned status, const struct http_header *headers,
                unsigned header_count, struct slice body)
{
    (void)headers, (void)header_count;
    if (!world_effect("answer a client")) {
        request_lost(r);
        return;
    }
    LIST_REMOVE(r, in_open);
    r->status = status;
    r->body = mem_text(body);
    world_after_or(NULL, 100, request_end, request_end, r);
}

struct http_answer {
    unsigned status;
    char *body;
};

struct http_answer *http_answer_new(unsigned status, const struct http_header *headers,
                                    unsigned header_count, struct slice body)
{
    (void)headers, (void)header_count;
    struct http_answer *answer = mem_new(sizeof(*answer));
    answer->status = status;
    answer->body = mem_text(body);
    return answer;
}

void http_answer_free(struct http_answer *answer)
{
    if (answer != NULL) {
        free(answer->body);
        free(answer);
    }
}

void http_reply_with(struct http_request *r, const struct http_answer *answer)
{
    http_reply(r, answer->status, NULL, 0, slice_from(answer->body));
}
