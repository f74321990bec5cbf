/* The gateway's assembly, and what becomes of a request:
 *
 *   client -> gateway_on_request -> route_find -> [claim of its Idempotency-Key] --.
 *                  '-> refused, turned away, or served here (local)               |
 *     .----------------------------------------------------------------------------'
 *     '-> command -> broker;  a checkout: the order's store -> broker
 *   client <- http_reply <- reply_make <- hearing_on_notice <- Redis pub/sub
 *
 * 429 is said before anything is begun; after that a client waits until the truth is known. */
#include "gateway/gateway.h"

#include <stdlib.h>

#include "consumer/notice.h"
#include "consumer/sweep.h"
#include "gateway/answering.h"
#include "gateway/asking.h"
#include "gateway/hearing.h"
#include "gateway/prefer.h"
#include "gateway/state.h"
#include "runtime/log.h"
#include "saga/conf.h"
#include "store/address.h"
#include "store/libraries.h"
#include "store/pulse.h"

/* ---- requests ---- */

/* False: refused already. */
static bool gateway_read_headers(struct gateway *gw, struct http_request *http,
                                 const struct route_match *match, struct asking_wanted *ret_wanted)
{
    struct asking_wanted *w = ret_wanted;
    struct slice header = http_request_header(http, "Idempotency-Key");
    bool acts = route_acts(match->route);
    if (acts && front_read(http_request_header(http, FRONT_HEADER), &w->front)) {
        w->is_front = !header.data || slice_equal(header, w->front.key);
    }
    if (w->is_front) {
        w->key = w->front.key;
    } else if (header.data && acts && !key_parse(header, &w->key)) {
        answering_refuse_now(
            gw, http, match->row, 400,
            SLICE_TEXT("Idempotency-Key must be 8 to 64 letters, digits, '-' or '_'"), NULL);
        return false;
    }
    w->is_async = (match->route->is & ROUTE_CHECKOUT) != 0 &&
                  prefer_async(http_request_header(http, "Prefer"));
    return true;
}

/* NULL: there is room for it. What only reads, or ends something, needs none. */
static const struct http_answer *gateway_short_of(const struct gateway *gw,
                                                  const struct route *route)
{
    bool begins = route_acts(route) && (route->is & ROUTE_ENDS) == 0;
    return begins ? gw->short_of[shortage_now(gw->shortage)] : NULL;
}

/* A command: it is turned away, refused, or parked. */
static void gateway_take(struct gateway *gw, struct http_request *http,
                         const struct route_match *match, const struct route_text *text)
{
    struct asking_wanted wanted = {0};
    const struct http_answer *short_of = gateway_short_of(gw, match->route);
    if (short_of) {
        answering_turn_away(gw, http, match->row, short_of);
    } else if (!overload_let_in(&gw->overload, gw->table.count, loop_now_ms(gw->context->loop))) {
        answering_turn_away(gw, http, match->row, gw->turned_away);
    } else if (gateway_read_headers(gw, http, match, &wanted)) {
        if (wanted.is_front && wanted.front.made_ms > asking_wall_ms(gw) + FRONT_AHEAD_MS) {
            answering_refuse_now(gw, http, match->row, 429, SLICE_TEXT(GATEWAY_CLOCKS_DIFFER),
                                 NULL);
        } else {
            asking_park(gw, http, match, text, &wanted);
        }
    }
}

struct route_request gateway_request(const struct http_request *http)
{
    return (struct route_request){http_request_method(http), http_request_path(http),
                                  http_request_query(http), http_request_body(http)};
}

static void gateway_on_request(void *ctx, struct http_request *http)
{
    struct gateway *gw = ctx;
    const struct route_request request = gateway_request(http);
    struct route_text text;
    struct route_match match;
    route_find(&route_api, gw->conf, &request, &text, &match);
    if (!match.route) {
        answering_refuse_now(gw, http, match.row, match.status, slice_from(match.sentence),
                             match.allow);
    } else if (match.route->serve) {
        match.route->serve(gw, http, &match);
    } else {
        gateway_take(gw, http, &match, &text);
    }
}

static size_t gateway_body_max(void *ctx, const char *method, struct slice path)
{
    (void)ctx;
    return route_body_max(&route_api, method, path);
}

/* ---- life ---- */

static void gateway_answers_new(struct gateway *gw)
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

static void gateway_answers_free(struct gateway *gw)
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

static void gateway_stats_new(struct gateway *gw)
{
    gw->asks = stat_counter("kassa_asks_total", "", "commands sent, asking again included");
    gw->shed = stat_counter("kassa_requests_shed_total", "", "requests turned away with 429");
    gw->left = stat_counter("kassa_requests_left_total", "",
                            "reads whose client was gone before the answer came");
    gw->late = stat_counter("kassa_answers_late_total", "",
                            "answers that nobody waited for: repeats, mostly");
    gw->unreadable =
        stat_counter("kassa_notices_unreadable_total", "", "notices that no version of ours sends");
    gw->front_refused = stat_counter("kassa_front_ids_refused_total", "",
                                     "commands that got another id because nginx' clock differs");
    gw->wait_ms = stat_histogram("kassa_http_request_seconds", "", "from request to answer");
    gw->answered = mem_new((route_count(&route_api) + 1) * sizeof(*gw->answered));
}

/* What has neither connections nor requests yet. */
static void gateway_free(struct gateway *gw)
{
    gateway_answers_free(gw);
    free(gw->answered);
    gw->context->state = NULL;
    free(gw);
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
    overload_init(&gw->overload, gw->conf);
    gateway_stats_new(gw);
    gateway_answers_new(gw);
    const struct http_listener listener = {.host = gw->conf->http_host,
                                           .port = (int)gw->conf->http_port,
                                           .on_request = gateway_on_request,
                                           .body_max = gateway_body_max,
                                           .ctx = gw};
    int err = http_open(context->loop, http_conf(conf), &listener, &gw->http, &sentence);
    if (err) {
        log_error("listen_failed", "reason=%s", log_quote(buf_slice(&sentence)));
        buf_free(&sentence);
        gateway_free(gw);
        return err;
    }
    notice_channel(slice_from(gw->id.text), &channel);
    gw->store = store_new(context->loop, store_conf(conf), "saga", address_of(conf, ADDRESS_SAGA),
                          &key_library);
    gw->libraries = libraries_new(context->loop, gw->store, &key_library);
    gw->sweep = sweep_new(context->loop, gw->store, gateway_sweep, gw);
    gw->pulse = pulse_new(context->loop, gw->store, "saga");
    gw->notices = subscription_new(context->loop, store_conf(conf), address_of(conf, ADDRESS_SAGA),
                                   channel.data, hearing_on_notice, gw);
    gw->broker = broker_new(context->loop, broker_conf(conf), context->name, &message_schema,
                            &queues_topology);
    gw->checkout = checkout_new(context->loop, conf, gw->broker, hearing_on_answer, gw);
    gw->shortage = shortage_new(context->loop, gw->store, checkout_store(gw->checkout));
    gw->ready = ready_new(context, gw->broker, gw->store, gw->notices, gw->id.text);
    gw->tick = loop_timer_new(context->loop, asking_on_tick, gw);
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

/* Answers requests that still wait with 503: their sagas go on without us. */
void gateway_stop(struct service_context *context)
{
    struct gateway *gw = context->state;
    struct pending *p;
    loop_timer_free(gw->tick);
    sweep_free(gw->sweep);
    libraries_free(gw->libraries);
    store_free(gw->store); /* first: claims that are out fail now, while their requests exist */
    pulse_free(gw->pulse);
    checkout_free(gw->checkout);
    shortage_free(gw->shortage);
    while ((p = pending_any(&gw->table)) != NULL) {
        answering_give_up(p);
    }
    ready_free(gw->ready);
    http_close(gw->http);
    subscription_free(gw->notices);
    broker_free(gw->broker);
    args_free(&gw->call);
    pending_table_free(&gw->table);
    gateway_free(gw);
}
