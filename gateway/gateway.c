/* The gateway's glue: a request is matched (routes), parked (pending), asked for (broker), and
 * answered by a notice (reply).
 *
 *   client -> on_request -> route_find -> [claim of its Idempotency-Key] -> command -> broker
 *                                                     '-> a checkout: the order's store -> broker
 *   client <- http_reply <- reply_make <- on_notice <- Redis pub/sub
 *
 * 429 is said before anything is begun; after that a client waits until the truth is known. */
#include "gateway/gateway.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "gateway/admission.h"
#include "gateway/begin.h"
#include "gateway/conf.h"
#include "gateway/front.h"
#include "gateway/pending.h"
#include "gateway/prefer.h"
#include "gateway/ready.h"
#include "gateway/reply.h"
#include "gateway/shortage.h"
#include "consumer/notice.h"
#include "consumer/sweep.h"
#include "idempotency/once.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "saga/conf.h"
#include "store/address.h"
#include "store/libraries.h"
#include "store/pulse.h"

#define TICK_MS       20 /* how late a request may be asked for again */
#define CLOCKS_DIFFER "clocks differ, nothing was begun"

struct gateway {
    struct service_context *context;
    const struct gateway_conf *conf;
    const struct once_conf *once;
    struct http *http;
    struct broker *broker;
    struct begin *begin;
    struct store *store; /* of the idempotency keys */
    struct sweep *sweep; /* of those that are old */
    struct pulse *pulse; /* of that store */
    struct subscription *notices;
    struct libraries *libraries; /* of that store */
    struct ready *ready;
    struct pending_table table;
    struct admission admission;
    struct http_answer *turned_away; /* the 429 */
    struct shortage *shortage;
    struct http_answer *short_of[SHORTAGE_COUNT]; /* the same, because a store is nearly full */
    struct loop_timer *tick;
    struct uuid id; /* names its notice channel; a new one at each start */
    struct args call;
    struct stat_value *asks;
    struct stat_value *shed;
    struct stat_value *left;              /* by their clients */
    struct stat_value *late, *unreadable; /* answers */
    struct stat_value *front_refused;
    struct stat_histogram *wait_ms;
};

/* ---- answering ---- */

static struct stat_value *answered_stat(const struct route *route, unsigned status)
{
    char labels[80];
    snprintf(labels, sizeof(labels), "route=\"%s\",status=\"%u\"", route ? route->name : "none",
             status);
    return stat_counter("kassa_http_requests_total", labels, "requests answered");
}

/* A counter is looked up by its labels the first time only. */
static void stat_answer(const struct route *route, unsigned status)
{
    enum { STATUS_MIN = 200, STATUS_MAX = 599, ROUTES_MAX = 40 };
    static struct stat_value *answered[ROUTES_MAX][STATUS_MAX - STATUS_MIN + 1];
    unsigned row = route ? (unsigned)(route - routes) : route_count;
    assert(route_count < ROUTES_MAX && status >= STATUS_MIN && status <= STATUS_MAX);
    struct stat_value **value = &answered[row][status - STATUS_MIN];
    if (*value == NULL) {
        *value = answered_stat(route, status);
    }
    stat_add(*value, 1);
}

struct headers {
    struct http_header at[HTTP_HEADERS_MAX];
    unsigned count;
};

static void headers_add(struct headers *h, const char *name, const char *value)
{
    h->at[h->count++] = (struct http_header){name, value};
}

static bool is_batch(enum message_type type)
{
    return type == MESSAGE_PAYMENT_INIT || type == MESSAGE_STOCK_INIT || type == MESSAGE_ORDER_INIT;
}

/* Loading many entities takes as long as it takes, and 503 answers nothing. What asked for 202
 * waits for less than the other checkouts. */
static void request_waited(struct gateway *gw, const struct pending *p, unsigned status)
{
    const struct message *command = &p->match.command;
    int64_t now_ms = loop_now_ms(gw->context->loop), wait_ms = now_ms - p->began_ms;
    bool is_checkout = command->type == MESSAGE_ORDER_CHECKOUT && !message_has(command, async);
    stat_observe_ms(gw->wait_ms, (double)wait_ms);
    if (status < 500 && !is_batch(command->type)) {
        admission_ended(&gw->admission, is_checkout ? ADMISSION_CHECKOUT : ADMISSION_OTHER, wait_ms,
                        gw->table.count, now_ms);
    }
}

static void request_answer(struct pending *p, const struct reply *reply)
{
    struct gateway *gw = p->owner;
    struct headers headers = {0};
    char saga[ID_BYTES_MAX + 1] = "", location[ID_BYTES_MAX + 16];
    if (p->key[0] != '\0' && !p->is_front) {
        headers_add(&headers, "Idempotency-Key", p->key);
    }
    if (reply->saga.bytes > 0) {
        slice_copy(reply->saga, saga, sizeof(saga));
        headers_add(&headers, "Saga-Id", saga);
    }
    if (reply->status == 202) {
        snprintf(location, sizeof(location), "/sagas/%s", saga);
        headers_add(&headers, "Location", location);
        headers_add(&headers, "Preference-Applied", "respond-async");
    }
    if (reply->has_retry_after) {
        headers_add(&headers, "Retry-After", "1");
    }
    stat_answer(p->match.route, reply->status);
    request_waited(gw, p, reply->status);
    http_reply(p->http, reply->status, headers.at, headers.count, buf_slice(&reply->body));
}

/* Answers one parked request and forgets it. */
static void pending_answer(struct pending *p, struct reply reply)
{
    crash_point("gateway.reply.before");
    request_answer(p, &reply);
    crash_sent("gateway.reply.after");
    reply_free(&reply);
    pending_free(p);
}

static void pending_refuse(struct pending *p, unsigned status, const char *sentence)
{
    struct gateway *gw = p->owner;
    pending_remove(&gw->table, p);
    pending_answer(p, reply_error(status, slice_from(sentence)));
}

/* Answers a request that was never parked. */
static void refuse_now(struct http_request *http, const struct route *route, unsigned status,
                       struct slice sentence, const char *allow)
{
    struct reply reply = reply_error(status, sentence);
    struct headers headers = {0};
    if (allow != NULL && allow[0] != '\0') {
        headers_add(&headers, "Allow", allow);
    }
    if (reply.has_retry_after) {
        headers_add(&headers, "Retry-After", "1");
    }
    stat_answer(route, status);
    http_reply(http, status, headers.at, headers.count, buf_slice(&reply.body));
    reply_free(&reply);
}

/* ---- asking ---- */

/* Asking again may pile up behind a broker that takes nothing: then it waits. */
static bool can_ask(const struct gateway *gw)
{
    return broker_is_up(gw->broker) && broker_unconfirmed(gw->broker) <= 2 * gw->table.count_max;
}

static void pending_ask(struct pending *p)
{
    struct gateway *gw = p->owner;
    if (can_ask(gw)) {
        crash_point("gateway.ask.before");
        stat_add(gw->asks, 1);
        broker_send(gw->broker, p->match.route->queue, &p->match.command, NULL, NULL);
        crash_sent("gateway.ask.after");
    }
}

/* The first time, a checkout goes the short way. */
static void pending_ask_first(struct pending *p)
{
    struct gateway *gw = p->owner;
    if (p->match.command.type == MESSAGE_ORDER_CHECKOUT && can_ask(gw) &&
        begin_is_open(gw->begin)) {
        begin_ask(gw->begin, &p->match.command);
    } else {
        pending_ask(p);
    }
}

/* The id is final: from now on it is the command's, and of what the command creates. */
static void pending_begin(struct pending *p)
{
    struct gateway *gw = p->owner;
    struct message *command = &p->match.command;
    message_set(command, id, slice_from(p->id.text));
    message_set(command, gateway, slice_from(gw->id.text));
    switch (p->match.route->creates) {
    case MESSAGE_HAS_user:
        message_set(command, user, slice_from(p->id.text));
        break;
    case MESSAGE_HAS_item:
        message_set(command, item, slice_from(p->id.text));
        break;
    case MESSAGE_HAS_order:
        message_set(command, order, slice_from(p->id.text));
        break;
    default:
        break;
    }
    p->is_claimed = true;
    pending_enter(&gw->table, p);
    pending_ask_first(p);
}

static void on_claimed(void *ctx, int err, struct texts reply)
{
    struct pending *p = ctx;
    struct gateway *gw = p->owner;
    enum key_claimed claimed;
    struct slice id;
    p->is_claiming = false;
    crash_point("gateway.claim.after");
    if (err == -ERR_STORE_FULL) {
        stat_add(gw->shed, 1);
        pending_refuse(p, 429, shortage_text(SHORTAGE_KEYS)); /* nothing has begun */
        return;
    }
    if (err != 0) {
        return; /* claimed again at its next turn */
    }
    if (key_claim_read(reply, &claimed, &id) != 0 || id.bytes != UUID_TEXT_BYTES) {
        log_error("key_unreadable", "key=%s", p->key);
        return;
    }
    if (claimed == KEY_MISMATCH) {
        pending_refuse(p, 422, "the Idempotency-Key was used with another method or path");
        return;
    }
    p->is_fresh = slice_equal(id, slice_from(p->id.text));
    memcpy(p->id.text, id.data, id.bytes);
    pending_begin(p);
}

static void pending_claim(struct pending *p)
{
    struct gateway *gw = p->owner;
    struct buf fingerprint = {0};
    if (p->is_claiming || !store_is_up(gw->store)) {
        return;
    }
    buf_addf(&fingerprint, "%s %.*s", p->match.route->method,
             SLICE_ARG(http_request_path(p->http)));
    p->is_claiming = true;
    crash_point("gateway.claim.before");
    key_claim(&gw->call, slice_from(p->key), buf_slice(&fingerprint), slice_from(p->id.text),
              gw->once->idempotency_days);
    store_call(gw->store, &gw->call, on_claimed, p);
    crash_sent("gateway.claim.sent");
    buf_free(&fingerprint);
}

/* What has an effect goes on without its client; what has none is over. */
static bool pending_is_left(const struct pending *p)
{
    return p->is_read && http_request_is_gone(p->http);
}

/* Nobody hears this answer, unless he has closed his half of the connection only. */
static void pending_leave(struct pending *p)
{
    struct gateway *gw = p->owner;
    struct reply reply = reply_pending();
    stat_add(gw->left, 1);
    pending_remove(&gw->table, p);
    http_reply(p->http, reply.status, NULL, 0, buf_slice(&reply.body));
    reply_free(&reply);
    pending_free(p);
}

/* Each request that waits is asked for again, or told at its deadline that nothing is known. */
static void on_tick(void *ctx)
{
    struct gateway *gw = ctx;
    int64_t now_ms = loop_now_ms(gw->context->loop);
    struct pending *p;
    while ((p = pending_due(&gw->table, now_ms)) != NULL) {
        if (p->is_claiming) {
            continue;
        }
        if (pending_is_late(&gw->table, p, now_ms)) {
            log_warn("request_late", "route=%s id=%s", p->match.route->name, p->id.text);
            pending_remove(&gw->table, p);
            pending_answer(p, reply_pending());
        } else if (pending_is_left(p)) {
            pending_leave(p);
        } else if (p->is_claimed) {
            pending_ask(p);
        } else {
            pending_claim(p);
        }
    }
    if (gw->table.count == 0) {
        loop_timer_stop(gw->tick); /* an idle gateway sleeps */
    }
}

/* ---- requests ---- */

static void serve_local(struct gateway *gw, struct http_request *http, const struct route *route)
{
    static struct buf text;
    if (route->place == ROUTE_READY) {
        const char *refusal = store_refusal(gw->store);
        refusal = refusal != NULL ? refusal : begin_refusal(gw->begin);
        ready_check(gw->ready, http,
                    refusal != NULL ? refusal : shortage_text(shortage_now(gw->shortage)));
        return;
    }
    stat_answer(route, 200);
    if (route->place == ROUTE_HEALTH) {
        http_reply(http, 200, NULL, 0, SLICE_TEXT("{\"status\":\"api up\",\"ok\":true}"));
        return;
    }
    const struct http_header type = {"Content-Type", "text/plain; version=0.0.4; charset=utf-8"};
    stat_set(stat_gauge("kassa_pending_requests", "", "requests held open"), gw->table.count);
    stat_set(stat_gauge("kassa_admission_limit", "", "requests held open before a 429"),
             admission_limit(&gw->admission, gw->table.count, loop_now_ms(gw->context->loop)));
    buf_reset(&text);
    stat_print(&text);
    http_reply(http, 200, &type, 1, buf_slice(&text));
}

/* What a request's headers say that matters. */
struct wanted {
    bool is_async;
    bool is_front;    /* the key is nginx' own */
    struct slice key; /* of a POST; absent: none */
    struct front front;
};

/* False: refused already. */
static bool request_headers(struct http_request *http, const struct route *route,
                            struct wanted *ret_wanted)
{
    struct wanted *w = ret_wanted;
    struct slice header = http_request_header(http, "Idempotency-Key");
    bool is_post = strcmp(route->method, "POST") == 0;
    if (is_post && front_read(http_request_header(http, FRONT_HEADER), &w->front)) {
        w->is_front = header.data == NULL || slice_equal(header, w->front.key);
    }
    if (w->is_front) {
        w->key = w->front.key;
    } else if (header.data != NULL && is_post && !key_parse(header, &w->key)) {
        refuse_now(http, route, 400,
                   SLICE_TEXT("Idempotency-Key must be 8 to 64 letters, digits, '-' or '_'"), NULL);
        return false;
    }
    w->is_async =
        route->type == MESSAGE_ORDER_CHECKOUT && prefer_async(http_request_header(http, "Prefer"));
    return true;
}

/* Ids follow the clock of the orders' store, which judges them; else that of the keys' store. */
static int64_t gateway_wall_ms(const struct gateway *gw)
{
    int64_t wall_ms = store_wall_ms(gw->store);
    begin_wall_ms(gw->begin, &wall_ms);
    return wall_ms;
}

/* A batch may take long, and its chunks are known again until it is done. */
static struct uuid request_id(const struct gateway *gw, const struct pending *p, bool has_key)
{
    int64_t wall_ms = gateway_wall_ms(gw);
    return has_key || is_batch(p->match.route->type) ? uuid_make_kept(wall_ms) : uuid_make(wall_ms);
}

static void request_park(struct gateway *gw, struct http_request *http, struct pending *p,
                         const struct wanted *wanted)
{
    if (gw->table.count == 0) {
        loop_timer_start(gw->tick, TICK_MS, TICK_MS);
    }
    crash_point("gateway.park.before");
    pending_park(&gw->table, p, loop_now_ms(gw->context->loop));
    p->owner = gw;
    p->http = http;
    p->is_read = strcmp(p->match.route->method, "GET") == 0;
    p->is_front = wanted->is_front;
    p->id = wanted->is_front ? front_id(&wanted->front, is_batch(p->match.route->type))
                             : request_id(gw, p, wanted->key.bytes > 0);
    crash_point("gateway.park.after");
    if (wanted->is_async) {
        message_set(&p->match.command, async, 1);
    }
    slice_copy(wanted->key, p->key, sizeof(p->key));
    if (p->key[0] == '\0' || (p->is_front && gw->conf->front_ids)) {
        pending_begin(p);
    } else {
        pending_claim(p);
    }
}

/* The cheapest of all answers: in an overload most are this one. */
static void request_turn_away(struct gateway *gw, struct http_request *http,
                              const struct route *route, const struct http_answer *answer)
{
    stat_add(gw->shed, 1);
    stat_answer(route, 429);
    http_reply_with(http, answer);
}

/* NULL: there is room for it. What only reads, or ends something, needs none. */
static const struct http_answer *request_short_of(const struct gateway *gw,
                                                  const struct route *route)
{
    bool begins = strcmp(route->method, "POST") == 0 && route->type != MESSAGE_ORDER_CANCEL;
    return begins ? gw->short_of[shortage_now(gw->shortage)] : NULL;
}

static void on_request(void *ctx, struct http_request *http)
{
    struct gateway *gw = ctx;
    struct pending *p = pending_draft(&gw->table);
    struct wanted wanted = {0};
    route_find(gw->conf, http_request_method(http), http_request_path(http),
               http_request_query(http), &p->match);
    const struct route *route = p->match.route;
    const struct http_answer *short_of;
    if (route == NULL) {
        refuse_now(http, NULL, p->match.status, buf_slice(&p->match.refusal), p->match.allow);
    } else if (route->place != ROUTE_SERVICE) {
        serve_local(gw, http, route);
    } else if ((short_of = request_short_of(gw, route)) != NULL) {
        request_turn_away(gw, http, route, short_of);
    } else if (!admission_let_in(&gw->admission, gw->table.count, loop_now_ms(gw->context->loop))) {
        request_turn_away(gw, http, route, gw->turned_away);
    } else if (request_headers(http, route, &wanted)) {
        if (wanted.is_front && wanted.front.made_ms > gateway_wall_ms(gw) + FRONT_AHEAD_MS) {
            refuse_now(http, route, 429, SLICE_TEXT(CLOCKS_DIFFER), NULL);
        } else {
            request_park(gw, http, p, &wanted);
        }
    }
}

/* ---- notices ---- */

/* The command is never run, its record says so: whoever comes with the same key again begins anew.
 */
static void key_let_go(struct gateway *gw, const struct pending *p)
{
    if (p->key[0] != '\0') {
        key_release(&gw->call, slice_from(p->key), slice_from(p->id.text),
                    gw->once->idempotency_days);
        store_call(gw->store, &gw->call, NULL, NULL);
    }
}

/* The store would not know this command from its repeat. Is its id of this very request, by a clock
 * that is wrong by so much that it can never have acted, then nothing was begun, and its key, if it
 * has one, is free again. Else, under a key, it may have been done long ago. */
static struct reply reply_expired(struct gateway *gw, const struct pending *p,
                                  const struct message *answer)
{
    int64_t elapsed_ms = loop_now_ms(gw->context->loop) - p->began_ms;
    bool is_never = p->is_fresh && message_has(answer, since) &&
                    once_never_acted(gw->once, slice_from(p->id.text), answer->since, elapsed_ms);
    if (is_never && !p->is_front) {
        key_let_go(gw, p);
    }
    return is_never || p->is_front || p->key[0] == '\0'
               ? reply_error(429, SLICE_TEXT(CLOCKS_DIFFER))
               : reply_error(422, SLICE_TEXT("the Idempotency-Key has expired"));
}

/* The id that nginx' clock has made is refused, for good, so nothing is or will be done under it:
 * then a key stands for another one, by our clock. All that get to know of that refusal, at
 * whichever gateway, find the same key. False: that is not so, or was done before. */
static bool front_again(struct gateway *gw, const struct message *answer)
{
    struct pending *p = pending_find(&gw->table, answer->id);
    if ((answer->type != MESSAGE_EXPIRED && answer->type != MESSAGE_LATER) || p == NULL ||
        !p->is_front || p->is_again) {
        return false;
    }
    stat_add(gw->front_refused, 1);
    p = pending_withdraw(&gw->table, answer->id);
    for (struct pending *next; p != NULL; p = next) {
        next = p->next_same;
        p->next_same = NULL;
        key_let_go(gw, p); /* of a gateway with FRONT_IDS=0, or of another version */
        p->is_again = true;
        p->id = request_id(gw, p, false);
        pending_claim(p);
    }
    return true;
}

static void on_answer(void *ctx, const struct message *answer)
{
    struct gateway *gw = ctx;
    if (ready_on_answer(gw->ready, answer)) {
        return;
    }
    struct pending *p;
    if (front_again(gw, answer)) {
        return;
    }
    if (answer->type == MESSAGE_SAGA_RUNNING) {
        /* an end for those who asked for 202, progress for the others */
        p = pending_find(&gw->table, answer->id);
        for (struct pending *next; p != NULL; p = next) {
            next = p->next_same;
            struct reply reply;
            if (reply_make(&p->match.command, answer, &reply)) {
                pending_remove(&gw->table, p);
                pending_answer(p, reply);
            }
        }
        return;
    }
    p = pending_take(&gw->table, answer->id); /* NULL for a repeat: it was answered before */
    stat_add(gw->late, p == NULL);
    if (answer->type == MESSAGE_LATER && p != NULL) {
        key_let_go(gw, p);
    }
    for (struct pending *next; p != NULL; p = next) {
        struct reply reply;
        next = p->next_same;
        if (answer->type == MESSAGE_EXPIRED) {
            reply = reply_expired(gw, p, answer);
        } else if (!reply_make(&p->match.command, answer, &reply)) {
            reply = reply_pending(); /* an answer that no version of ours gives */
        }
        pending_answer(p, reply);
    }
}

static void on_notice(void *ctx, struct slice payload)
{
    struct envelope *envelope;
    const char *detail = "";
    crash_point("gateway.notice");
    int err = envelope_read(&message_schema, payload, &envelope, &detail);
    if (err != 0) {
        stat_add(((struct gateway *)ctx)->unreadable, 1);
        log_error("notice_unreadable", "reason=%s detail=%s", err_name(err),
                  log_quote(slice_from(detail)));
        return;
    }
    for (unsigned i = 0; i < envelope_count(envelope); i++) {
        on_answer(ctx, envelope_at(envelope, i));
    }
    envelope_free(envelope);
}

/* ---- life ---- */

static void answers_new(struct gateway *gw)
{
    const struct http_header later = {"Retry-After", "1"};
    gw->turned_away =
        http_answer_new(429, &later, 1, SLICE_TEXT("{\"error\":\"too many requests, try again\"}"));
    for (unsigned i = SHORTAGE_NONE + 1; i < SHORTAGE_COUNT; i++) {
        struct reply reply = reply_error(429, slice_from(shortage_text(i)));
        gw->short_of[i] = http_answer_new(reply.status, &later, 1, buf_slice(&reply.body));
        reply_free(&reply);
    }
}

static void answers_free(struct gateway *gw)
{
    http_answer_free(gw->turned_away);
    for (unsigned i = 0; i < SHORTAGE_COUNT; i++) {
        http_answer_free(gw->short_of[i]);
    }
}

static void gateway_sweep(void *ctx, struct args *c, const char *seen, int64_t rise_ms,
                          const char *cursor)
{
    const struct gateway *gw = ctx;
    key_sweep(c, gw->once->idempotency_days, seen, rise_ms, cursor);
}

int gateway_start(struct service_context *context)
{
    struct gateway *gw = mem_new(sizeof(*gw));
    context->state = gw;
    const struct conf *conf = &context->conf;
    struct buf sentence = {0}, channel = {0};
    gw->context = context;
    gw->conf = gateway_conf(conf);
    gw->once = once_conf(conf);
    gw->id = uuid_make(loop_wall_ms(context->loop));
    pending_table_init(&gw->table, gw->conf, begin_conf(conf)->deadline_ms);
    admission_init(&gw->admission, gw->conf);
    gw->asks = stat_counter("kassa_asks_total", "", "commands sent, asking again included");
    gw->shed = stat_counter("kassa_requests_shed_total", "", "requests answered 429");
    gw->left = stat_counter("kassa_requests_left_total", "",
                            "reads whose client was gone before the answer came");
    gw->late = stat_counter("kassa_answers_late_total", "",
                            "answers that nobody waited for: repeats, mostly");
    gw->unreadable =
        stat_counter("kassa_notices_unreadable_total", "", "notices that no version of ours sends");
    gw->front_refused = stat_counter("kassa_front_ids_refused_total", "",
                                     "commands that got another id because nginx' clock differs");
    gw->wait_ms = stat_histogram("kassa_http_request_seconds", "", "from request to answer");
    answers_new(gw);
    int err = http_open(context->loop, http_conf(conf), gw->conf->http_host,
                        (int)gw->conf->http_port, on_request, gw, &gw->http, &sentence);
    if (err != 0) {
        log_error("listen_failed", "reason=%s", log_quote(buf_slice(&sentence)));
        buf_free(&sentence);
        answers_free(gw);
        context->state = NULL;
        free(gw);
        return err;
    }
    notice_channel(slice_from(gw->id.text), &channel);
    gw->store = store_new(context->loop, store_conf(conf), "saga", address_of(conf, ADDRESS_SAGA),
                          &key_library);
    gw->libraries = libraries_new(context->loop, gw->store, &key_library);
    gw->sweep = sweep_new(context->loop, gw->store, gateway_sweep, gw);
    gw->pulse = pulse_new(context->loop, gw->store, "saga");
    gw->notices = subscription_new(context->loop, store_conf(conf), address_of(conf, ADDRESS_SAGA),
                                   channel.data, on_notice, gw);
    gw->broker = broker_new(context->loop, broker_conf(conf), context->name, &message_schema,
                            &queues_topology);
    gw->begin = begin_new(context->loop, conf, gw->broker, on_answer, gw);
    gw->shortage = shortage_new(context->loop, gw->store, begin_store(gw->begin));
    gw->ready = ready_new(context, gw->broker, gw->store, gw->notices, gw->id.text);
    gw->tick = loop_timer_new(context->loop, on_tick, gw);
    log_info("listening", "port=%d gateway=%s", http_port(gw->http), gw->id.text);
    buf_free(&channel);
    return 0;
}

/* New connections go elsewhere. A request that comes on an old one is served all the same, and its
 * answer closes the connection: so each has at most one more, and nobody is turned away. */
void gateway_drain(struct service_context *context)
{
    struct gateway *gw = context->state;
    http_refuse_new(gw->http);
}

bool gateway_is_drained(struct service_context *context)
{
    struct gateway *gw = context->state;
    return gw->table.count == 0;
}

/* What still waits is told that its outcome is not known here: the saga goes on without us. */
void gateway_stop(struct service_context *context)
{
    struct gateway *gw = context->state;
    struct pending *p;
    loop_timer_free(gw->tick);
    sweep_free(gw->sweep);
    libraries_free(gw->libraries);
    store_free(gw->store); /* first: claims that are out fail now, while their requests exist */
    pulse_free(gw->pulse);
    begin_free(gw->begin);
    shortage_free(gw->shortage);
    while ((p = pending_any(&gw->table)) != NULL) {
        pending_remove(&gw->table, p);
        pending_answer(p, reply_pending());
    }
    ready_free(gw->ready);
    http_close(gw->http);
    answers_free(gw);
    subscription_free(gw->notices);
    broker_free(gw->broker);
    args_free(&gw->call);
    pending_table_free(&gw->table);
    free(gw);
    context->state = NULL;
}
