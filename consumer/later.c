/* A queue of held messages, in the order of their coming, so one timer is enough. See later.h. */
#include "consumer/later.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "catalogue/queues.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"

#define TELL_MS 10000 /* between lines of the log */

struct held {
    struct broker_delivery from;
    struct buf body;
    int64_t due_ms;
    broker_on_confirm *on_done;
    void *ctx;
    TAILQ_ENTRY(held) in_order;
};

struct later {
    struct loop *loop;
    struct broker *broker;
    struct loop_timer *timer;
    TAILQ_HEAD(, held) held;
    int64_t told_ms; /* 0: never */
    struct stat_value *given_back;
};

static void held_free(struct later *l, struct held *h)
{
    TAILQ_REMOVE(&l->held, h, in_order);
    buf_free(&h->body);
    free(h);
}

/* The broker has what it has not been told is done: to publish that again would double it. */
static void held_give_back(struct later *l, struct held *h)
{
    if (broker_is_void(l->broker, h->from.epoch)) {
        h->on_done(h->ctx);
    } else {
        stat_add(l->given_back, 1);
        broker_give_back(l->broker, h->from.queue, buf_slice(&h->body), h->from.returns + 1,
                         h->on_done, h->ctx);
    }
    held_free(l, h);
}

static void on_due(void *ctx)
{
    struct later *l = ctx;
    struct held *h;
    int64_t now_ms = loop_now_ms(l->loop);
    while ((h = TAILQ_FIRST(&l->held)) && h->due_ms <= now_ms) {
        held_give_back(l, h);
    }
    if (h) {
        loop_timer_start(l->timer, h->due_ms - now_ms, 0);
    }
}

bool later_take(struct later *l, const struct broker_delivery *delivery, int err,
                const char *detail, broker_on_confirm *on_done, void *ctx)
{
    if (delivery->returns >= LATER_RETURNS_MAX) {
        return false;
    }
    int64_t now_ms = loop_now_ms(l->loop);
    if (l->told_ms == 0 || now_ms - l->told_ms >= TELL_MS) {
        l->told_ms = now_ms;
        log_warn("message_unknown", "queue=%s reason=%s detail=%s returns=%u",
                 queues_text(delivery->queue), err_name(err), log_quote(slice_from(detail)),
                 delivery->returns);
    }
    struct held *h = mem_new(sizeof(*h));
    *h = (struct held){
        .from = *delivery, .due_ms = now_ms + LATER_HOLD_MS, .on_done = on_done, .ctx = ctx};
    buf_add_slice(&h->body, delivery->body);
    if (TAILQ_EMPTY(&l->held)) {
        loop_timer_start(l->timer, LATER_HOLD_MS, 0);
    }
    TAILQ_INSERT_TAIL(&l->held, h, in_order);
    return true;
}

struct later *later_new(struct loop *loop, struct broker *broker)
{
    struct later *l = mem_new(sizeof(*l));
    l->loop = loop;
    l->broker = broker;
    l->timer = loop_timer_new(loop, on_due, l);
    l->given_back = stat_counter("kassa_messages_given_back_total", "",
                                 "messages of another version, given back to their queue");
    TAILQ_INIT(&l->held);
    return l;
}

void later_free(struct later *l)
{
    if (!l) {
        return;
    }
    struct held *h;
    while ((h = TAILQ_FIRST(&l->held))) {
        held_free(l, h);
    }
    loop_timer_free(l->timer);
    free(l);
}
