/* Names, repeats and times out. See proxy.h. */
#include "test/world/proxy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATEWAYS_MAX 4
#define REQUESTS_MAX 256
#define FAIL_US      INT64_C(1000000) /* a gateway that failed is left alone, if there is another */
#define NAME         "nginx"

struct proxied {
    bool is_open;
    bool has_key;        /* of the client */
    uint64_t generation; /* grows with each try and each request that had this place */
    char method[8], path[128], key[40], name[64];
    int64_t began_us;
    unsigned tried; /* by bit */
    bool is_again;  /* all that are known have failed: whoever there is */
    unsigned gateway;
    struct http_request *request; /* the try */
    http_on_answer *on_answer;
    void *ctx;
};

/* A time that is over belongs to one try only. */
struct patience_end {
    struct proxied *proxied;
    uint64_t generation;
};

static struct {
    struct node *const *gateways;
    unsigned count;
    int64_t timeout_us;
    int64_t failed_us[GATEWAYS_MAX]; /* until then */
    unsigned open[GATEWAYS_MAX];
    struct proxied requests[REQUESTS_MAX];
} proxy;

void proxy_world_reset(struct node *const *gateways, unsigned count, int64_t timeout_us)
{
    assert(count <= GATEWAYS_MAX);
    memset(&proxy, 0, sizeof(proxy));
    proxy.gateways = gateways;
    proxy.count = count;
    proxy.timeout_us = timeout_us;
    clock_ms(NAME); /* it has one, which may jump */
}

/* The one with the fewest open, of those that were not tried, and have not failed lately. False:
 * there is none. */
static bool gateway_choose(const struct proxied *p, unsigned *ret_gateway)
{
    bool is_found = false;
    unsigned first = world_random(proxy.count);
    for (unsigned n = 0; n < proxy.count; n++) {
        unsigned i = (first + n) % proxy.count;
        bool has_failed = proxy.failed_us[i] > world.now_us && !p->is_again;
        bool is_tried = (p->tried >> i & 1) != 0;
        if (!has_failed && !is_tried && (!is_found || proxy.open[i] < proxy.open[*ret_gateway])) {
            *ret_gateway = i;
            is_found = true;
        }
    }
    return is_found;
}

static void proxied_answer(struct proxied *p, unsigned status, const char *body)
{
    p->is_open = false;
    p->generation++;
    p->on_answer(p->ctx, status, body);
}

static void proxied_try(struct proxied *p);

/* Nobody has answered this try. */
static void try_failed(struct proxied *p)
{
    unsigned next;
    proxy.failed_us[p->gateway] = world.now_us + FAIL_US;
    bool is_late = world.now_us - p->began_us >= proxy.timeout_us;
    if (!is_late && !gateway_choose(p, &next) && !p->is_again) {
        p->is_again = true;
        p->tried = 0;
    }
    if (!is_late && gateway_choose(p, &next)) {
        world_say("nginx: %s again", p->path);
        proxied_try(p);
    } else {
        proxied_answer(p, 503, "{\"status\":\"pending\"}");
    }
}

static void on_tried(void *ctx, unsigned status, const char *body)
{
    struct proxied *p = ctx;
    unsigned next;
    proxy.open[p->gateway]--;
    p->request = NULL;
    p->generation++;
    bool is_last = !gateway_choose(p, &next);
    if (status == 0 || (status == 503 && !is_last)) {
        try_failed(p);
    } else {
        proxied_answer(p, status, body);
    }
}

static void on_timeout(void *ctx)
{
    struct patience_end *end = ctx;
    struct proxied *p = end->proxied;
    bool is_mine = p->is_open && p->generation == end->generation && p->request;
    free(end);
    if (is_mine) {
        world_say("nginx: %s takes too long", p->path);
        http_world_hang_up(p->request);
        p->request = NULL;
        proxy.open[p->gateway]--;
        try_failed(p);
    }
}

/* Its name, and its key if the client has none: once, for all tries. */
static void proxied_name(struct proxied *p)
{
    char id[33];
    int64_t now_ms = clock_ms(NAME);
    snprintf(id, sizeof(id), "%08x%08x%08x%08x", world_random(UINT32_MAX), world_random(UINT32_MAX),
             world_random(UINT32_MAX), world_random(UINT32_MAX));
    if (!p->has_key) {
        snprintf(p->key, sizeof(p->key), "%s", id);
    }
    snprintf(p->name, sizeof(p->name), "%lld.%03lld-%s", (long long)now_ms / 1000,
             (long long)now_ms % 1000, id);
}

static void proxied_try(struct proxied *p)
{
    if (world_bugs.names_differ) {
        proxied_name(p);
    }
    bool is_found = gateway_choose(p, &p->gateway);
    if (!is_found) { /* all have failed lately */
        p->is_again = true;
        is_found = gateway_choose(p, &p->gateway);
    }
    assert(is_found);
    p->tried |= 1u << p->gateway;
    p->generation++;
    proxy.open[p->gateway]++;
    p->request = http_world_send(proxy.gateways[p->gateway], p->method, p->path, p->key, p->name,
                                 on_tried, p);
    struct patience_end *end = mem_new(sizeof(*end));
    *end = (struct patience_end){p, p->generation};
    world_after_or(NULL, proxy.timeout_us, on_timeout, free, end);
}

static struct proxied *proxied_new(void)
{
    for (unsigned i = 0; i < REQUESTS_MAX; i++) {
        struct proxied *p = &proxy.requests[i];
        if (!p->is_open) {
            *p = (struct proxied){.is_open = true, .generation = p->generation + 1};
            return p;
        }
    }
    assert(!"too many requests at once");
    return NULL;
}

void proxy_request(const char *method, const char *path, const char *key, http_on_answer *on_answer,
                   void *ctx)
{
    struct proxied *p = proxied_new();
    snprintf(p->method, sizeof(p->method), "%s", method);
    snprintf(p->path, sizeof(p->path), "%s", path);
    snprintf(p->key, sizeof(p->key), "%s", key ? key : "");
    p->has_key = key != NULL;
    p->began_us = world.now_us;
    p->on_answer = on_answer;
    p->ctx = ctx;
    proxied_name(p);
    proxied_try(p);
}
