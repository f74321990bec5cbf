/* The five beats. See consumer.h for the picture.
 *
 *   work_run [record] --> work_on_reply [durable] --> answer(): consumer_send [publish]
 *        ^   ^                 |        |                       '--> work_on_confirm [confirm]
 *        |   '--- AGAIN -------|--------'                                '--> delivery_close [ack]
 *        '------- waiting <----'--> work_fail: an error, by its disposition (err.h) */
#include "consumer/work.h"

#include <assert.h>
#include <stdlib.h>

#include "consumer/answer.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"

#define STORE_ERRORS_MAX 20 /* then the command is given up: it is a fault, not an outage */
#define SILENCES_MAX     3  /* of the store, with the command out; then it goes out alone */
#define TICK_MS          500

/* For crash points: the command that a delivery is named by. */
#define WORK_KIND(work)  message_type_text((work)->is.in->type)
#define DELIVERY_KIND(d) ((d)->count > 0 ? WORK_KIND(&(d)->works[0]) : "none")

static void work_run(struct work *work);

static void delivery_free(struct consumer *c, struct delivery *d)
{
    TAILQ_REMOVE(&c->deliveries, d, in_order);
    for (unsigned i = 0; i < d->count; i++) {
        buf_free(&d->works[i].is.gathered);
    }
    envelope_free(d->envelope);
    free(d);
}

/* Beat 5: acknowledges everything up to the oldest delivery that is still open. */
static void delivery_close(struct delivery *d)
{
    struct consumer *c = d->consumer;
    assert(d->open > 0);
    if (--d->open > 0) {
        return;
    }
    struct delivery *first;
    while ((first = TAILQ_FIRST(&c->deliveries)) && first->open == 0) {
        crash_point_of("consumer.ack.before", DELIVERY_KIND(first));
        broker_ack_up_to(c->broker, first->from.epoch, first->from.tag);
        crash_sent_of("consumer.ack.after", DELIVERY_KIND(first));
        delivery_free(c, first);
    }
}

/* One that takes long, a batch of a million, must not hold up the prefetch of all behind it. */
static void deliveries_overtake(struct consumer *c)
{
    struct delivery *d = TAILQ_FIRST(&c->deliveries), *next;
    for (; d; d = next) {
        next = TAILQ_NEXT(d, in_order);
        if (d->open == 0) {
            broker_ack_one(c->broker, d->from.epoch, d->from.tag);
            delivery_free(c, d);
        }
    }
}

static void work_on_confirm(void *ctx)
{
    crash_point_of("consumer.confirm.after", DELIVERY_KIND((struct delivery *)ctx));
    delivery_close(ctx);
}

static void work_park(struct work *work, int err)
{
    struct consumer *c = work->is.consumer;
    if (flood_was_parked(&c->parked_lately, work->is.in->type, work->is.in->id,
                         loop_now_ms(c->context->loop))) {
        stat_add(c->parked_again, 1);
        delivery_close(work->delivery);
        return;
    }
    log_error("command_parked", "type=%s id=%.*s reason=%s", message_type_text(work->is.in->type),
              SLICE_ARG(work->is.in->id), err_name(err));
    stat_add(c->parked, 1);
    struct envelope_head table = {0};
    buf_reset(&c->text);
    envelope_add(&message_schema, &c->text, &table, work->is.in);
    envelope_end(&c->text);
    broker_park(c->broker, work->delivery->from.queue, buf_slice(&c->text), err_text(err),
                work_on_confirm, work->delivery);
}

/* A ping gets the reason why the store cannot be used. True: answered. */
static bool work_refuse(struct work *work)
{
    const char *refusal = store_refusal(work->is.consumer->store);
    if (!refusal || work->handler->answer != answer_ping) {
        return false;
    }
    struct message broken = {.type = MESSAGE_BROKEN};
    message_set(&broken, id, work->is.in->id);
    message_set(&broken, reason, slice_from(refusal));
    consumer_tell(work->is.consumer, work->is.in->gateway, &broken);
    delivery_close(work->delivery);
    return true;
}

/* A gateway retries, if its client is still there. */
static void work_drop(struct work *work)
{
    stat_add(work->is.consumer->dropped, 1);
    delivery_close(work->delivery);
}

/* It will not be done, as it seems: the store has answered with an error too often, or fell silent
 * each time, in the end with nothing else out. */
static void work_give_up(struct work *work, int err)
{
    struct consumer *c = work->is.consumer;
    unsigned left_out;
    if (!message_has(work->is.in, gateway)) {
        work_park(work, err);
        return;
    }
    if (flood_lets_line(&c->drops, loop_now_ms(c->context->loop), &left_out)) {
        log_error("command_dropped", "type=%s id=%.*s reason=%s left_out=%u",
                  message_type_text(work->is.in->type), SLICE_ARG(work->is.in->id), err_name(err),
                  left_out);
    }
    work_drop(work);
}

static void work_log_error(const struct work *work, struct texts reply)
{
    struct consumer *c = work->is.consumer;
    unsigned left_out;
    if (flood_lets_line(&c->store_errors, loop_now_ms(c->context->loop), &left_out)) {
        log_warn("store_error", "type=%s id=%.*s text=%s left_out=%u",
                 message_type_text(work->is.in->type), SLICE_ARG(work->is.in->id),
                 log_quote(texts_at(reply, 0)), left_out);
    }
}

/* Keeps the command until the store is there: the same call, with the same id, is made again. One
 * that was out each time the store fell silent may be the reason: it is made alone, and then given
 * up. That a connection was lost says nothing about a command. */
static void work_keep(struct work *work, int err, struct texts reply)
{
    struct consumer *c = work->is.consumer;
    if (work_refuse(work)) {
        return;
    }
    stat_add(c->retried, 1);
    if (err == -ERR_STORE_REPLY) {
        work_log_error(work, reply);
    }
    if ((err == -ERR_STORE_REPLY && ++work->store_errors > STORE_ERRORS_MAX) ||
        (err == -ERR_STORE_TIMEOUT && ++work->silences >= 2 * SILENCES_MAX)) {
        work_give_up(work, err);
    } else {
        TAILQ_INSERT_TAIL(&c->waiting, work, in_waiting);
    }
}

/* Memory that is full says nothing about a command either; but what is asked for again anyway need
 * not wait here as well. */
static void work_shed(struct work *work, int err, struct texts reply)
{
    if (!message_has(work->is.in, gateway)) {
        work_log_error(work, reply);
        work_keep(work, err, reply);
    } else if (!work_refuse(work)) {
        stat_add(work->is.consumer->retried, 1);
        work_log_error(work, reply);
        work_drop(work);
    }
}

/* Nobody may conclude anything from the record, least of all that nothing was done. */
static void work_unreadable(struct work *work, struct texts reply)
{
    const struct message *in = work->is.in;
    stat_add(work->is.consumer->unreadable, 1);
    log_error("record_unreadable", "type=%s id=%.*s record=%s", message_type_text(in->type),
              SLICE_ARG(in->id), log_quote(texts_at(reply, 0)));
    if (!message_has(in, gateway)) {
        work_park(work, -ERR_RECORD);
        return;
    }
    struct message broken = {.type = MESSAGE_BROKEN};
    message_set(&broken, id, in->id);
    message_set(&broken, reason, slice_from(err_text(ERR_RECORD)));
    consumer_tell(work->is.consumer, in->gateway, &broken);
    delivery_close(work->delivery);
}

/* Its record may have been dropped, so it must not act. That is done of sagas that have ended: one
 * that is open has its records. */
static void work_too_old(struct work *work, struct texts reply)
{
    int64_t floor_ms;
    const struct message *in = work->is.in;
    stat_add(work->is.consumer->too_old, 1);
    log_warn("command_too_old", "type=%s id=%.*s", message_type_text(in->type), SLICE_ARG(in->id));
    if (message_has(in, gateway)) {
        struct message expired = {.type = MESSAGE_EXPIRED};
        message_set(&expired, id, in->id);
        if (once_floor(texts_at(reply, 0), &floor_ms)) {
            message_set(&expired, since, floor_ms);
        }
        consumer_tell(work->is.consumer, in->gateway, &expired);
    }
    delivery_close(work->delivery);
}

/* The one place that decides about errors, by the column of their table. `reply` is what the store
 * said, if it said anything. */
static void work_fail(struct work *work, int err, struct texts reply)
{
    assert(work->beat != WORK_CONFIRM);
    switch (err_disposition(err)) {
    case ERR_RETRY:
        work->beat = WORK_RECORD;
        work_keep(work, err, reply);
        return;
    case ERR_SHED:
        work->beat = WORK_RECORD;
        work_shed(work, err, reply);
        return;
    case ERR_POISON:
        work->beat = WORK_CONFIRM;
        (err == -ERR_RECORD ? work_unreadable(work, reply) : work_park(work, err));
        return;
    case ERR_STALE:
        work->beat = WORK_CONFIRM;
        work_too_old(work, reply);
        return;
    case ERR_LATER: /* of messages that could not be read: message_refuse */
    case ERR_CRASH:
        break;
    }
    assert(!"an error that no command has");
}

static void work_on_reply(void *ctx, int err, struct texts reply)
{
    struct work *work = ctx;
    assert(work->beat == WORK_DURABLE && work->delivery->open > 0);
    if (err) {
        work_fail(work, err, reply);
        return;
    }
    crash_point_of("consumer.durable.after", WORK_KIND(work));
    work->beat = WORK_PUBLISH;
    switch (work->handler->answer(&work->is, reply)) {
    case CONSUMER_AGAIN:
        work->is.round++;
        work->beat = WORK_RECORD;
        work_run(work);
        break;
    case CONSUMER_LATER:
        work->is.round++;
        work->beat = WORK_RECORD;
        TAILQ_INSERT_TAIL(&work->is.consumer->waiting, work, in_waiting);
        break;
    case CONSUMER_UNREADABLE:
        work_fail(work, -ERR_RECORD, reply);
        break;
    case CONSUMER_DONE:
        work->beat = WORK_CONFIRM;
        delivery_close(work->delivery);
    }
}

/* Beat 1. */
static void work_run(struct work *work)
{
    struct consumer *c = work->is.consumer;
    const struct message *in = work->is.in;
    assert(work->beat == WORK_RECORD && work->delivery->open > 0);
    crash_point_of("consumer.record.before", WORK_KIND(work));
    if (!work->handler) {
        work_fail(work, -ERR_QUEUE, (struct texts){NULL, 0});
        return;
    }
    int err = once_bucket(in->id, work->is.bucket);
    if (!err) {
        args_reset(&c->call);
        err = work->handler->record(&work->is, &c->call);
    }
    if (err) {
        work_fail(work, err, (struct texts){NULL, 0});
        return;
    }
    work->beat = WORK_DURABLE;
    c->call.is_alone = work->silences >= SILENCES_MAX;
    store_call(c->store, &c->call, work_on_reply, work);
    crash_point_of("consumer.record.after", WORK_KIND(work));
    crash_sent_of("consumer.durable.before", WORK_KIND(work));
}

static void delivery_run(struct delivery *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        struct work *work = &d->works[i];
        struct consumer *c = d->consumer;
        work->is.consumer = c;
        work->is.in = envelope_at(d->envelope, i);
        work->delivery = d;
        work->handler = c->handlers[work->is.in->type];
        stat_add(c->count_of[work->is.in->type], 1);
        work_run(work);
    }
}

/* What cannot be read: another version's is given back for a while, anything else is parked. */
static void message_refuse(struct delivery *d, const struct broker_delivery *from, int err,
                           const char *detail)
{
    struct consumer *c = d->consumer;
    if (err_disposition(err) == ERR_LATER &&
        later_take(c->later, from, err, detail, work_on_confirm, d)) {
        return;
    }
    log_error("message_parked", "queue=%s reason=%s detail=%s", queues_text(from->queue),
              err_name(err), log_quote(slice_from(detail)));
    stat_add(c->parked, 1);
    broker_park(c->broker, from->queue, from->body, err_text(err), work_on_confirm, d);
}

void work_deliver(void *consumer, const struct broker_delivery *from)
{
    struct consumer *c = consumer;
    struct envelope *envelope = NULL;
    const char *detail = "";
    int err = envelope_read(&message_schema, from->body, &envelope, &detail);
    unsigned count = err ? 0 : envelope_count(envelope);
    struct delivery *d = mem_new(sizeof(*d) + count * sizeof(d->works[0]));
    d->consumer = c;
    d->from = *from;
    d->from.body = (struct slice){0};
    d->envelope = envelope;
    d->count = count;
    d->open = count + 1; /* one for ourselves: nothing closes it while it is being run */
    if (TAILQ_EMPTY(&c->deliveries)) {
        loop_timer_start(c->tick, TICK_MS, TICK_MS);
    }
    TAILQ_INSERT_TAIL(&c->deliveries, d, in_order);
    c->epoch = from->epoch;
    if (err) {
        d->open++;
        message_refuse(d, from, err, detail);
    }
    delivery_run(d);
    delivery_close(d);
}

/* What waits is of no use any more when its connection is over: the broker delivers it again. */
static bool is_void(const struct work *work)
{
    return work->delivery->from.epoch != work->is.consumer->epoch;
}

void work_retry(struct consumer *c)
{
    if (!store_is_up(c->store)) {
        return;
    }
    TAILQ_HEAD(, work) again = TAILQ_HEAD_INITIALIZER(again);
    TAILQ_CONCAT(&again, &c->waiting, in_waiting);
    struct work *work;
    while ((work = TAILQ_FIRST(&again))) {
        TAILQ_REMOVE(&again, work, in_waiting);
        if (is_void(work)) {
            delivery_close(work->delivery);
        } else {
            work_run(work);
        }
    }
}

void work_tick(struct consumer *c)
{
    deliveries_overtake(c);
    work_retry(c);
    if (TAILQ_EMPTY(&c->deliveries)) {
        loop_timer_stop(c->tick); /* an idle service sleeps */
    }
}

void work_forget(struct consumer *c)
{
    struct delivery *d;
    while ((d = TAILQ_FIRST(&c->deliveries))) {
        delivery_free(c, d);
    }
}

void consumer_send(struct consumer_work *is, enum queue queue, const struct message *m)
{
    struct work *work = (struct work *)is;
    assert(work->beat == WORK_PUBLISH); /* nothing is published that is not durable */
    work->delivery->open++;
    crash_point_of("consumer.publish.before", WORK_KIND(work));
    broker_send(is->consumer->broker, queue, m, work_on_confirm, work->delivery);
    crash_point_of("consumer.publish.after", WORK_KIND(work));
    crash_sent_of("consumer.confirm.before", WORK_KIND(work));
}
