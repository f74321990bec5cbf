/* The way out: replies with their headers, and the metrics of them. See answering.h. */
#include "gateway/answering.h"

#include <assert.h>
#include <stdio.h>

#include "runtime/crash.h"

static struct stat_value *answering_stat(unsigned row, unsigned status)
{
    char labels[80];
    snprintf(labels, sizeof(labels), "route=\"%s\",status=\"%u\"", route_name(&route_api, row),
             status);
    return stat_counter("kassa_http_requests_total", labels, "requests answered");
}

/* A counter is looked up by its labels the first time only. */
void answering_count(struct gateway *gw, unsigned row, unsigned status)
{
    assert(status >= GATEWAY_STATUS_MIN && status <= GATEWAY_STATUS_MAX);
    struct stat_value **value = &gw->answered[row].by_status[status - GATEWAY_STATUS_MIN];
    if (!*value) {
        *value = answering_stat(row, status);
    }
    stat_add(*value, 1);
}

struct answering_headers {
    struct http_header at[HTTP_HEADERS_MAX];
    unsigned count;
};

static void answering_add(struct answering_headers *h, const char *name, const char *value)
{
    assert(h->count < HTTP_HEADERS_MAX);
    h->at[h->count++] = (struct http_header){name, value};
}

/* Loading many entities takes as long as it takes, and 503 answers nothing. What asked for 202
 * waits for less than the other checkouts. */
static void answering_waited(struct gateway *gw, const struct pending *p, unsigned status)
{
    int64_t now_ms = loop_now_ms(gw->context->loop), wait_ms = now_ms - p->began_ms;
    bool is_checkout = (p->route->is & ROUTE_CHECKOUT) != 0 && !message_has(&p->command, async);
    stat_observe_ms(gw->wait_ms, (double)wait_ms);
    if (status < 500 && (p->route->is & ROUTE_BATCH) == 0) {
        overload_ended(&gw->overload, is_checkout ? OVERLOAD_CHECKOUT : OVERLOAD_OTHER, wait_ms,
                       gw->table.count, now_ms);
    }
}

static void answering_send(struct pending *p, const struct reply *reply)
{
    struct gateway *gw = p->owner;
    struct answering_headers headers = {0};
    char saga[ID_BYTES_MAX + 1] = "", location[ID_BYTES_MAX + 16];
    if (p->key[0] != '\0' && !p->is_front) {
        answering_add(&headers, "Idempotency-Key", p->key);
    }
    if (reply->saga.bytes > 0) {
        slice_copy(reply->saga, saga, sizeof(saga));
        answering_add(&headers, "Saga-Id", saga);
    }
    if (reply->status == 202) {
        snprintf(location, sizeof(location), "/sagas/%s", saga);
        answering_add(&headers, "Location", location);
        answering_add(&headers, "Preference-Applied", "respond-async");
    }
    if (reply->has_retry_after) {
        answering_add(&headers, "Retry-After", "1");
    }
    answering_count(gw, p->row, reply->status);
    answering_waited(gw, p, reply->status);
    http_reply(p->http, reply->status, headers.at, headers.count, buf_slice(&reply->body));
}

void answering_reply(struct pending *p, struct reply reply)
{
    crash_point("gateway.reply.before");
    answering_send(p, &reply);
    crash_sent("gateway.reply.after");
    reply_free(&reply);
    pending_free(p);
}

void answering_refuse(struct pending *p, unsigned status, const char *sentence)
{
    struct gateway *gw = p->owner;
    pending_remove(&gw->table, p);
    answering_reply(p, reply_error(status, slice_from(sentence)));
}

void answering_give_up(struct pending *p)
{
    struct gateway *gw = p->owner;
    pending_remove(&gw->table, p);
    answering_reply(p, reply_pending());
}

/* Nobody hears this answer, unless he has closed his half of the connection only. */
void answering_leave(struct pending *p)
{
    struct gateway *gw = p->owner;
    struct reply reply = reply_pending();
    stat_add(gw->left, 1);
    pending_remove(&gw->table, p);
    http_reply(p->http, reply.status, NULL, 0, buf_slice(&reply.body));
    reply_free(&reply);
    pending_free(p);
}

void answering_refuse_now(struct gateway *gw, struct http_request *http, unsigned row,
                          unsigned status, struct slice sentence, const char *allow)
{
    struct reply reply = reply_error(status, sentence);
    struct answering_headers headers = {0};
    if (allow && allow[0] != '\0') {
        answering_add(&headers, "Allow", allow);
    }
    if (reply.has_retry_after) {
        answering_add(&headers, "Retry-After", "1");
    }
    answering_count(gw, row, status);
    http_reply(http, status, headers.at, headers.count, buf_slice(&reply.body));
    reply_free(&reply);
}

void answering_turn_away(struct gateway *gw, struct http_request *http, unsigned row,
                         const struct http_answer *answer)
{
    stat_add(gw->shed, 1);
    answering_count(gw, row, 429);
    http_reply_with(http, answer);
}
