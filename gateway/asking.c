/* Claims, asks, and asks again. See asking.h. */
#include "gateway/asking.h"

#include <string.h>

#include "gateway/answering.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"

/* Asking again may pile up behind a broker that takes nothing: then it waits. */
static bool asking_can(const struct gateway *gw)
{
    return broker_is_up(gw->broker) && broker_unconfirmed(gw->broker) <= 2 * gw->table.count_max;
}

static void asking_ask(struct pending *p)
{
    struct gateway *gw = p->owner;
    if (asking_can(gw)) {
        crash_point("gateway.ask.before");
        stat_add(gw->asks, 1);
        broker_send(gw->broker, p->route->queue, &p->command, NULL, NULL);
        crash_sent("gateway.ask.after");
    }
}

/* The first time, a checkout goes the short way. */
static void asking_ask_first(struct pending *p)
{
    struct gateway *gw = p->owner;
    if ((p->route->is & ROUTE_CHECKOUT) != 0 && asking_can(gw) && checkout_is_open(gw->checkout)) {
        checkout_ask(gw->checkout, &p->command);
    } else {
        asking_ask(p);
    }
}

/* The id is final: from now on it is the command's, and of what the command creates. */
static void asking_begin(struct pending *p)
{
    struct gateway *gw = p->owner;
    message_set(&p->command, id, slice_from(p->id.text));
    message_set(&p->command, gateway, slice_from(gw->id.text));
    if (p->route->creates != MESSAGE_HAS_id) {
        message_put(&p->command, p->route->creates, slice_from(p->id.text));
    }
    p->is_claimed = true;
    pending_enter(&gw->table, p);
    asking_ask_first(p);
}

static void asking_on_claimed(void *ctx, int err, struct texts reply)
{
    struct pending *p = ctx;
    struct gateway *gw = p->owner;
    enum key_claimed claimed;
    struct slice id;
    p->is_claiming = false;
    crash_point("gateway.claim.after");
    if (err == -ERR_STORE_FULL) {
        stat_add(gw->shed, 1);
        answering_refuse(p, 429, shortage_text(SHORTAGE_KEYS)); /* nothing has begun */
        return;
    }
    if (err) {
        return; /* claimed again at its next turn */
    }
    if (key_claim_read(reply, &claimed, &id) != 0 || id.bytes != UUID_TEXT_BYTES) {
        log_error("key_unreadable", "key=%s", p->key);
        return;
    }
    if (claimed == KEY_MISMATCH) {
        answering_refuse(p, 422,
                         p->route->body_max > 0
                             ? "the Idempotency-Key was used with another method, path or body"
                             : "the Idempotency-Key was used with another method or path");
        return;
    }
    p->is_fresh = slice_equal(id, slice_from(p->id.text));
    memcpy(p->id.text, id.data, id.bytes);
    asking_begin(p);
}

/* What a key is for: the same key with another request is refused. */
static void asking_fingerprint(const struct pending *p, struct buf *fingerprint)
{
    struct slice body = http_request_body(p->http);
    buf_addf(fingerprint, "%s %.*s", p->route->method, SLICE_ARG(http_request_path(p->http)));
    if (body.bytes > 0) {
        buf_add_text(fingerprint, "\n");
        buf_add_slice(fingerprint, body);
    }
}

static void asking_claim(struct pending *p)
{
    struct gateway *gw = p->owner;
    struct buf fingerprint = {0};
    if (p->is_claiming || !store_is_up(gw->store)) {
        return;
    }
    asking_fingerprint(p, &fingerprint);
    p->is_claiming = true;
    crash_point("gateway.claim.before");
    key_claim(&gw->call, slice_from(p->key), buf_slice(&fingerprint), slice_from(p->id.text),
              gw->once->idempotency_days);
    store_call(gw->store, &gw->call, asking_on_claimed, p);
    crash_sent("gateway.claim.sent");
    buf_free(&fingerprint);
}

void asking_release(struct gateway *gw, const struct pending *p)
{
    if (p->key[0] != '\0') {
        key_release(&gw->call, slice_from(p->key), slice_from(p->id.text),
                    gw->once->idempotency_days);
        store_call(gw->store, &gw->call, NULL, NULL);
    }
}

int64_t asking_wall_ms(const struct gateway *gw)
{
    int64_t wall_ms = store_wall_ms(gw->store);
    checkout_wall_ms(gw->checkout, &wall_ms);
    return wall_ms;
}

/* A batch may take long, and its chunks are known again until it is done. */
static bool asking_is_batch(const struct pending *p)
{
    return (p->route->is & ROUTE_BATCH) != 0;
}

static struct uuid asking_id(const struct gateway *gw, const struct pending *p, bool has_key)
{
    int64_t wall_ms = asking_wall_ms(gw);
    return has_key || asking_is_batch(p) ? uuid_make_kept(wall_ms) : uuid_make(wall_ms);
}

void asking_again(struct pending *p)
{
    p->id = asking_id(p->owner, p, false);
    asking_claim(p);
}

void asking_park(struct gateway *gw, struct http_request *http, const struct route_match *match,
                 const struct route_text *text, const struct asking_wanted *wanted)
{
    if (gw->table.count == 0) {
        loop_timer_start(gw->tick, ASKING_TICK_MS, ASKING_TICK_MS);
    }
    crash_point("gateway.park.before");
    struct pending *p = pending_park(&gw->table, match, text, loop_now_ms(gw->context->loop));
    p->owner = gw;
    p->http = http;
    p->is_read = !route_acts(p->route);
    p->is_front = wanted->is_front;
    p->id = wanted->is_front ? front_id(&wanted->front, asking_is_batch(p))
                             : asking_id(gw, p, wanted->key.bytes > 0);
    crash_point("gateway.park.after");
    if (wanted->is_async) {
        message_set(&p->command, async, 1);
    }
    slice_copy(wanted->key, p->key, sizeof(p->key));
    if (p->key[0] == '\0' || (p->is_front && gw->conf->front_ids)) {
        asking_begin(p);
    } else {
        asking_claim(p);
    }
}

/* What has an effect goes on without its client; what has none is over. */
static bool asking_is_left(const struct pending *p)
{
    return p->is_read && http_request_is_gone(p->http);
}

void asking_on_tick(void *ctx)
{
    struct gateway *gw = ctx;
    int64_t now_ms = loop_now_ms(gw->context->loop);
    struct pending *p;
    while ((p = pending_due(&gw->table, now_ms)) != NULL) {
        if (p->is_claiming) {
            continue;
        }
        if (pending_is_late(&gw->table, p, now_ms)) {
            log_warn("request_late", "route=%s id=%s", p->route->name, p->id.text);
            answering_give_up(p);
        } else if (asking_is_left(p)) {
            answering_leave(p);
        } else if (p->is_claimed) {
            asking_ask(p);
        } else {
            asking_claim(p);
        }
    }
    if (gw->table.count == 0) {
        loop_timer_stop(gw->tick); /* an idle gateway sleeps */
    }
}
