/* The five beats. See consumer.h for the picture. */
#include "saga/consumer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "idempotency/libraries.h"
#include "idempotency/memory.h"
#include "idempotency/notice.h"
#include "idempotency/once.h"
#include "idempotency/pulse.h"
#include "idempotency/sweep.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "saga/answer.h"
#include "saga/flood.h"
#include "saga/keep.h"
#include "saga/later.h"
#include "saga/replay.h"

#define TICK_MS          500
#define STORE_ERRORS_MAX 20    /* then the command is given up: it is a fault, not an outage */
#define SILENCES_MAX     3     /* of the store, with the command out; then it goes out alone */
#define UNCONFIRMED_MAX  10000 /* commands; more and re-sends wait */
#define SHORT_KEEP_MS    3000  /* that a store is short is written each second: MEMORY_MS */

/* For crash points: the command that a delivery is named by. */
#define WORK_KIND(work)  message_type_text((work)->is.in->type)
#define DELIVERY_KIND(d) ((d)->count > 0 ? WORK_KIND(&(d)->works[0]) : "none")

struct delivery;

struct work {
    struct consumer_work is; /* first: handlers see only this */
    struct delivery *delivery;
    const struct consumer_handler *handler;
    unsigned store_errors;
    unsigned silences; /* of the store, in which this was out */
    TAILQ_ENTRY(work) in_waiting;
};

/* An envelope until its ack. `open` counts its unanswered commands and unconfirmed messages. */
struct delivery {
    struct consumer *consumer;
    struct broker_delivery from; /* body is not valid any more */
    struct envelope *envelope;
    unsigned open;
    TAILQ_ENTRY(delivery) in_order;
    unsigned count;
    struct work works[];
};

struct consumer {
    const struct consumer_definition *definition;
    struct service_context *context;
    struct broker *broker;
    struct redis *store;
    struct redis *notice_store; /* the same as store where both are one server */
    struct notices *notices;
    const struct consumer_handler *handlers[MESSAGE_TYPE_COUNT];
    TAILQ_HEAD(, delivery) deliveries; /* in the order of arrival: acks are multiple */
    TAILQ_HEAD(, work) waiting;        /* for the store, or for the next tick */
    uint64_t epoch;                    /* of the newest delivery */
    struct loop_timer *tick;
    struct keep *keep;
    struct sweep *sweep;
    struct libraries *libraries;
    struct later *later;
    struct pulse *pulse;
    struct memory *memory;
    struct flood_lines store_errors, drops;
    struct flood_parked parked_lately;
    struct replay *replay; /* of a participant; else NULL */
    void *side;            /* of definition->on_start */
    struct redis_command call;
    struct buf once; /* what its buckets' keys begin with */
    struct buf text;
    struct stat_value *count_of[MESSAGE_TYPE_COUNT];
    struct stat_value *parked, *parked_again, *dropped, *retried, *too_old, *unreadable;
};

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
    while ((first = TAILQ_FIRST(&c->deliveries)) != NULL && first->open == 0) {
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
    for (; d != NULL; d = next) {
        next = TAILQ_NEXT(d, in_order);
        if (d->open == 0) {
            broker_ack_one(c->broker, d->from.epoch, d->from.tag);
            delivery_free(c, d);
        }
    }
}

static void on_confirm(void *ctx)
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
    uint64_t table = 0;
    buf_reset(&c->text);
    envelope_add(&c->text, &table, work->is.in);
    envelope_end(&c->text);
    broker_park(c->broker, work->delivery->from.queue, buf_slice(&c->text), err_text(err),
                on_confirm, work->delivery);
}

/* Whoever asks whether we are there is told why not. True: that is done. */
static bool work_refuse(struct work *work)
{
    const char *refusal = redis_refusal(work->is.consumer->store);
    if (refusal == NULL || work->handler->answer != answer_ping) {
        return false;
    }
    struct message broken = {.type = MESSAGE_BROKEN};
    message_set(&broken, id, work->is.in->id);
    message_set(&broken, reason, slice_from(refusal));
    consumer_tell(work->is.consumer, work->is.in->gateway, &broken);
    delivery_close(work->delivery);
    return true;
}

/* A gateway asks again, if its client is still there. */
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

static void work_log_error(const struct work *work, const struct redis_reply *reply)
{
    struct consumer *c = work->is.consumer;
    unsigned left_out;
    if (flood_lets_line(&c->store_errors, loop_now_ms(c->context->loop), &left_out)) {
        log_warn("store_error", "type=%s id=%.*s text=%s left_out=%u",
                 message_type_text(work->is.in->type), SLICE_ARG(work->is.in->id),
                 log_quote(redis_reply_at(reply, 0)), left_out);
    }
}

/* Keeps the command until the store is there: the same call, with the same id, is made again. One
 * that was out each time the store fell silent may be the reason: it is made alone, and then given
 * up. That a connection was lost says nothing about a command; nor does memory that is full, but
 * then what is asked for again anyway need not wait here as well. */
static void work_keep(struct work *work, int err, const struct redis_reply *reply)
{
    struct consumer *c = work->is.consumer;
    if (work_refuse(work)) {
        return;
    }
    stat_add(c->retried, 1);
    if (err == -ERR_STORE_REPLY || err == -ERR_STORE_FULL) {
        work_log_error(work, reply);
    }
    if (err == -ERR_STORE_FULL && message_has(work->is.in, gateway)) {
        work_drop(work);
    } else if ((err == -ERR_STORE_REPLY && ++work->store_errors > STORE_ERRORS_MAX) ||
               (err == -ERR_STORE_TIMEOUT && ++work->silences >= 2 * SILENCES_MAX)) {
        work_give_up(work, err);
    } else {
        TAILQ_INSERT_TAIL(&c->waiting, work, in_waiting);
    }
}

static void work_unreadable(struct work *work, const struct redis_reply *reply)
{
    const struct message *in = work->is.in;
    stat_add(work->is.consumer->unreadable, 1);
    log_error("record_unreadable", "type=%s id=%.*s record=%s", message_type_text(in->type),
              SLICE_ARG(in->id), log_quote(redis_reply_at(reply, 0)));
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
static void work_too_old(struct work *work)
{
    const struct message *in = work->is.in;
    stat_add(work->is.consumer->too_old, 1);
    log_warn("command_too_old", "type=%s id=%.*s", message_type_text(in->type), SLICE_ARG(in->id));
    if (message_has(in, gateway)) {
        struct message expired = {.type = MESSAGE_EXPIRED};
        message_set(&expired, id, in->id);
        consumer_tell(work->is.consumer, in->gateway, &expired);
    }
    delivery_close(work->delivery);
}

static void on_reply(void *ctx, int err, const struct redis_reply *reply)
{
    struct work *work = ctx;
    if (err == -ERR_TOO_OLD) {
        work_too_old(work);
        return;
    }
    if (err != 0) {
        work_keep(work, err, reply);
        return;
    }
    crash_point_of("consumer.durable.after", WORK_KIND(work));
    switch (work->handler->answer(&work->is, reply)) {
    case CONSUMER_AGAIN:
        work->is.round++;
        work_run(work);
        break;
    case CONSUMER_LATER:
        work->is.round++;
        TAILQ_INSERT_TAIL(&work->is.consumer->waiting, work, in_waiting);
        break;
    case CONSUMER_UNREADABLE:
        work_unreadable(work, reply);
        break;
    case CONSUMER_DONE:
        delivery_close(work->delivery);
    }
}

/* Beat 1. */
static void work_run(struct work *work)
{
    struct consumer *c = work->is.consumer;
    const struct message *in = work->is.in;
    crash_point_of("consumer.record.before", WORK_KIND(work));
    if (work->handler == NULL) {
        work_park(work, -ERR_TYPE); /* known, and not for this service: no version will do it */
        return;
    }
    int err = once_bucket(in->id, work->is.bucket);
    if (err == 0) {
        redis_command_reset(&c->call);
        err = work->handler->record(&work->is, &c->call);
    }
    if (err != 0) {
        assert(err_disposition(err) == ERR_POISON);
        work_park(work, err);
        return;
    }
    c->call.is_alone = work->silences >= SILENCES_MAX;
    redis_call(c->store, &c->call, on_reply, work);
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
    if (later_take(c->later, from, err, detail, on_confirm, d)) {
        return;
    }
    log_error("message_parked", "queue=%s reason=%s detail=%s", topology_queue_text(from->queue),
              err_name(err), log_quote(slice_from(detail)));
    stat_add(c->parked, 1);
    broker_park(c->broker, from->queue, from->body, err_text(err), on_confirm, d);
}

static void on_delivery(void *ctx, const struct broker_delivery *from)
{
    struct consumer *c = ctx;
    struct envelope *envelope = NULL;
    const char *detail = "";
    int err = envelope_read(from->body, &envelope, &detail);
    unsigned count = err == 0 ? envelope_count(envelope) : 0;
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
    if (err != 0) {
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

static void retry_waiting(struct consumer *c)
{
    if (!redis_is_up(c->store)) {
        return;
    }
    TAILQ_HEAD(, work) again = TAILQ_HEAD_INITIALIZER(again);
    TAILQ_CONCAT(&again, &c->waiting, in_waiting);
    struct work *work;
    while ((work = TAILQ_FIRST(&again)) != NULL) {
        TAILQ_REMOVE(&again, work, in_waiting);
        if (is_void(work)) {
            delivery_close(work->delivery);
        } else {
            work_run(work);
        }
    }
}

static void on_tick(void *ctx)
{
    struct consumer *c = ctx;
    deliveries_overtake(c);
    retry_waiting(c);
    if (TAILQ_EMPTY(&c->deliveries)) {
        loop_timer_stop(c->tick); /* an idle service sleeps */
    }
}

static void on_store_up(void *ctx)
{
    retry_waiting(ctx);
}

void consumer_send(struct consumer_work *is, enum topology_queue queue, const struct message *m)
{
    struct work *work = (struct work *)is;
    work->delivery->open++;
    crash_point_of("consumer.publish.before", WORK_KIND(work));
    broker_send(is->consumer->broker, queue, m, on_confirm, work->delivery);
    crash_point_of("consumer.publish.after", WORK_KIND(work));
    crash_sent_of("consumer.confirm.before", WORK_KIND(work));
}

void consumer_resend(struct consumer *c, enum topology_queue queue, const struct message *m,
                     broker_on_confirm *on_sent, void *ctx)
{
    broker_send(c->broker, queue, m, on_sent, ctx);
}

bool consumer_is_congested(const struct consumer *c)
{
    return !broker_is_up(c->broker) || broker_unconfirmed(c->broker) > UNCONFIRMED_MAX;
}

/* A notice is an envelope. */
static void consumer_add_answer(struct buf *payload, uint64_t *table, const void *answer)
{
    envelope_add(payload, table, answer);
}

static const struct notice_form consumer_notice_form = {consumer_add_answer, envelope_end};

void consumer_tell(struct consumer *c, struct slice gateway, const struct message *m)
{
    notice_add(c->notices, gateway, m);
}

int64_t consumer_now_ms(const struct consumer *c)
{
    return redis_wall_ms(c->store);
}

const struct conf *consumer_conf(const struct consumer *c)
{
    return &c->context->conf;
}

struct loop *consumer_loop(const struct consumer *c)
{
    return c->context->loop;
}

struct redis *consumer_store(const struct consumer *c)
{
    return c->store;
}

void consumer_call(const struct consumer_work *work, struct redis_command *call, const char *name,
                   int key_count)
{
    redis_function(call, work->consumer->definition->library, name, key_count);
    redis_arg_join(call, work->consumer->once.data, slice_from(work->bucket));
}

/* ---- a service that is nothing but a consumer ---- */

static void consumer_open_stats(struct consumer *c)
{
    c->parked = stat_counter("kassa_commands_parked_total", "", "commands and messages parked");
    c->too_old = stat_counter("kassa_commands_too_old_total", "",
                              "commands not run because their records may have been dropped");
    c->unreadable = stat_counter("kassa_records_unreadable_total", "",
                                 "answers of the store that no version of ours gives");
    c->parked_again = stat_counter("kassa_commands_parked_again_total", "",
                                   "commands not parked: they had been lately");
    c->dropped = stat_counter("kassa_commands_dropped_total", "",
                              "commands given up that their gateways ask for again");
    c->retried = stat_counter("kassa_commands_retried_total", "",
                              "store calls of commands that have to be made again");
    for (unsigned i = 0; i < c->definition->handler_count; i++) {
        const struct consumer_handler *handler = &c->definition->handlers[i];
        struct buf labels = {0};
        buf_addf(&labels, "type=\"%s\"", message_type_text(handler->type));
        c->handlers[handler->type] = handler;
        c->count_of[handler->type] =
            stat_counter("kassa_commands_total", labels.data, "commands taken, repeats included");
        buf_free(&labels);
    }
    struct stat_value *unknown =
        stat_counter("kassa_commands_total", "type=\"unknown\"", "commands taken");
    for (unsigned i = 0; i < MESSAGE_TYPE_COUNT; i++) {
        if (c->count_of[i] == NULL) {
            c->count_of[i] = unknown;
        }
    }
}

/* Gateways read it: what begins something is refused meanwhile. When it is over they need not wait
 * until the key has gone by itself; another process that sees it otherwise writes it again. */
static void on_short(void *ctx, bool is_short)
{
    struct consumer *c = ctx;
    redis_command_reset(&c->call);
    redis_arg_text(&c->call, "SET");
    redis_argf(&c->call, MEMORY_SHORT_KEY "%s", c->definition->name);
    redis_arg_text(&c->call, "1");
    redis_arg_text(&c->call, "PX");
    redis_arg_int(&c->call, is_short ? SHORT_KEEP_MS : 1);
    redis_call(c->notice_store, &c->call, NULL, NULL);
}

static void consumer_sweep(void *ctx, struct redis_command *call, const char *seen, int64_t rise_ms,
                           const char *cursor)
{
    struct consumer *c = ctx;
    char keep[24] = "";
    int64_t bucket;
    if (keep_from(c->keep, &bucket)) {
        snprintf(keep, sizeof(keep), "%lld", (long long)bucket);
    }
    once_sweep(call, c->definition->library,
               once_life(&c->context->conf, memory_is_tight(c->memory)), keep, seen, rise_ms,
               SWEEP_LIMIT, cursor);
}

static int consumer_start(struct service_context *context)
{
    struct consumer *c = mem_new(sizeof(*c));
    const struct conf *conf = &context->conf;
    c->definition = context->definition;
    const char *node = (const char *)conf + c->definition->node_offset;
    context->state = c;
    c->context = context;
    TAILQ_INIT(&c->deliveries);
    TAILQ_INIT(&c->waiting);
    buf_addf(&c->once, "%s:once:", c->definition->name);
    consumer_open_stats(c);
    c->store = redis_new(context->loop, conf, c->definition->name, node, c->definition->library);
    c->notice_store = strcmp(node, conf->saga_redis) == 0
                          ? c->store
                          : redis_new(context->loop, conf, "saga", conf->saga_redis, NULL);
    c->notices = notices_new(context->loop, c->notice_store, &consumer_notice_form);
    redis_watch_up(c->store, on_store_up, c);
    c->tick = loop_timer_new(context->loop, on_tick, c);
    c->keep = keep_new(context->loop, c->definition->is_participant ? NULL : c->store,
                       c->definition->library, c->notice_store, KEEP_DELAY_MS);
    c->sweep = sweep_new(context->loop, c->store, consumer_sweep, c);
    c->libraries = libraries_new(context->loop, c->store, c->definition->library);
    c->pulse = pulse_new(context->loop, c->store, c->definition->name);
    c->memory = memory_new(context->loop, c->store, c->definition->name, on_short, c);
    c->broker = broker_new(context->loop, conf, c->definition->name);
    c->later = later_new(context->loop, c->broker);
    if (c->definition->is_participant) {
        c->replay = replay_new(context->loop, c->store, c->broker, c->definition->name);
    }
    for (unsigned i = 0; i < c->definition->queue_count; i++) {
        broker_consume(c->broker, c->definition->queues[i], on_delivery, c);
    }
    if (c->definition->on_start != NULL) {
        c->side = c->definition->on_start(c);
    }
    return 0;
}

static void consumer_drain(struct service_context *context)
{
    struct consumer *c = context->state;
    broker_consume_stop(c->broker);
}

static bool consumer_is_drained(struct service_context *context)
{
    struct consumer *c = context->state;
    return TAILQ_EMPTY(&c->deliveries) && broker_unconfirmed(c->broker) == 0;
}

/* What is still open is handed back: the broker delivers it again to the next consumer. */
static void consumer_stop(struct service_context *context)
{
    struct consumer *c = context->state;
    later_free(c->later);
    broker_free(c->broker);
    loop_timer_free(c->tick);
    sweep_free(c->sweep);
    libraries_free(c->libraries);
    notices_free(c->notices);
    if (c->notice_store != c->store) {
        redis_free(c->notice_store);
    }
    redis_free(c->store);
    pulse_free(c->pulse);
    memory_free(c->memory);
    replay_free(c->replay);
    keep_free(c->keep);
    if (c->definition->on_stop != NULL) {
        c->definition->on_stop(c->side);
    }
    struct delivery *d;
    while ((d = TAILQ_FIRST(&c->deliveries)) != NULL) {
        delivery_free(c, d);
    }
    redis_command_free(&c->call);
    buf_free(&c->once);
    buf_free(&c->text);
    free(c);
    context->state = NULL;
}

struct service consumer_service(const struct consumer_definition *definition)
{
    return (struct service){
        .name = definition->name,
        .summary = definition->summary,
        .definition = definition,
        .start = consumer_start,
        .drain = consumer_drain,
        .is_drained = consumer_is_drained,
        .stop = consumer_stop,
    };
}

int consumer_run(const struct consumer_definition *definition, int argc, char **argv)
{
    const struct service service = consumer_service(definition);
    for (unsigned i = 0; i < definition->handler_count; i++) {
        crash_kind(message_type_text(definition->handlers[i].type));
    }
    return service_run(&service, argc, argv);
}
