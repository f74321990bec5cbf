/* Readiness, asked of those who know: a ping to each service and a pong from it. */
#include "gateway/ready.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "gateway/reply.h"
#include "runtime/uuid.h"

static const struct {
    const char *name;
    enum message_type ping;
    enum queue queue;
} services[] = {
    {"order", MESSAGE_ORDER_PING, QUEUE_ORDER},
    {"stock", MESSAGE_STOCK_PING, QUEUE_STOCK},
    {"payment", MESSAGE_PAYMENT_PING, QUEUE_PAYMENT},
};
enum { SERVICES = sizeof(services) / sizeof(services[0]) };

struct check {
    struct ready *ready;
    struct http_request *http;
    struct uuid id[SERVICES];
    bool has_answered[SERVICES];
    struct loop_timer *timer;
    TAILQ_ENTRY(check) in_checks;
};

struct ready {
    struct service_context *context;
    struct broker *broker;
    struct store *store;
    struct subscription *notices;
    const char *gateway;
    unsigned count;
    TAILQ_HEAD(, check) checks;
};

struct ready *ready_new(struct service_context *context, struct broker *broker, struct store *store,
                        struct subscription *notices, const char *gateway)
{
    struct ready *r = mem_new(sizeof(*r));
    *r = (struct ready){.context = context,
                        .broker = broker,
                        .store = store,
                        .notices = notices,
                        .gateway = gateway};
    TAILQ_INIT(&r->checks);
    return r;
}

static void ready_refuse(struct http_request *http, unsigned status, struct slice sentence)
{
    struct reply reply = reply_error(status, sentence);
    const struct http_header retry = {"Retry-After", "1"};
    http_reply(http, reply.status, &retry, 1, buf_slice(&reply.body));
    reply_free(&reply);
}

static void ready_answer(struct http_request *http, const char *missing)
{
    if (missing == NULL) {
        http_reply(http, 200, NULL, 0, SLICE_TEXT("{\"status\":\"ready\",\"ok\":true}"));
        return;
    }
    struct buf sentence = {0};
    buf_addf(&sentence, "%s does not answer", missing);
    ready_refuse(http, 503, buf_slice(&sentence));
    buf_free(&sentence);
}

static const char *check_missing(const struct check *check)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        if (!check->has_answered[i]) {
            return services[i].name;
        }
    }
    return NULL;
}

/* Its request has been answered. */
static void check_free(struct check *check)
{
    TAILQ_REMOVE(&check->ready->checks, check, in_checks);
    check->ready->count--;
    loop_timer_free(check->timer);
    free(check);
}

static void check_end(struct check *check)
{
    ready_answer(check->http, check_missing(check));
    check_free(check);
}

static void on_late(void *ctx)
{
    check_end(ctx);
}

void ready_check(struct ready *r, struct http_request *request, const char *refusal)
{
    if (refusal != NULL) {
        ready_refuse(request, 503, slice_from(refusal));
        return;
    }
    if (!broker_is_up(r->broker)) {
        ready_answer(request, "rabbitmq");
        return;
    }
    if (!store_is_up(r->store) || !subscription_is_up(r->notices)) {
        ready_answer(request, "redis");
        return;
    }
    if (r->count == READY_CHECKS_MAX) {
        ready_refuse(request, 429, SLICE_TEXT("too many readiness checks at once"));
        return;
    }
    struct check *check = mem_new(sizeof(*check));
    check->ready = r;
    check->http = request;
    for (unsigned i = 0; i < SERVICES; i++) {
        check->id[i] = uuid_make(store_wall_ms(r->store));
        struct message ping = {.type = services[i].ping};
        message_set(&ping, id, slice_from(check->id[i].text));
        message_set(&ping, gateway, slice_from(r->gateway));
        broker_send(r->broker, services[i].queue, &ping, NULL, NULL);
    }
    check->timer = loop_timer_new(r->context->loop, on_late, check);
    loop_timer_start(check->timer, READY_WAIT_MS, 0);
    TAILQ_INSERT_TAIL(&r->checks, check, in_checks);
    r->count++;
}

bool ready_on_answer(struct ready *r, const struct message *answer)
{
    struct check *check;
    if (answer->type != MESSAGE_PONG && answer->type != MESSAGE_BROKEN) {
        return false;
    }
    TAILQ_FOREACH(check, &r->checks, in_checks)
    {
        for (unsigned i = 0; i < SERVICES; i++) {
            if (slice_is(answer->id, check->id[i].text)) {
                if (answer->type == MESSAGE_BROKEN) {
                    ready_refuse(check->http, 503, answer->reason);
                    check_free(check);
                    return true;
                }
                check->has_answered[i] = true;
                if (check_missing(check) == NULL) {
                    check_end(check);
                }
                return true;
            }
        }
    }
    return false;
}

void ready_free(struct ready *r)
{
    if (r == NULL) {
        return;
    }
    struct check *check;
    while ((check = TAILQ_FIRST(&r->checks)) != NULL) {
        check_end(check);
    }
    free(r);
}
