/* Envelopes through a quorum queue: published with confirms, consumed and acknowledged by the same
 * process. It takes the queue of payment, so payment must not run, and leaves it empty. */
#include <stdlib.h>

#include "bench/floor.h"
#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "runtime/uuid.h"

struct floor_workload {
    struct loop *loop;
    struct broker_conf conf; /* its own */
    struct broker *broker;
    unsigned commands; /* of an envelope */
    uint64_t sent;     /* envelopes */
    uint64_t confirmed_commands;
    uint64_t delivered;
    bool is_ending;
};

static void broker_floor_on_delivery(void *ctx, const struct broker_delivery *delivery)
{
    struct floor_workload *w = ctx;
    w->delivered++;
    broker_ack_up_to(w->broker, delivery->epoch, delivery->tag);
}

static struct floor_workload *broker_floor_open(struct loop *loop, const struct conf *conf,
                                                unsigned commands)
{
    struct floor_workload *w = mem_new(sizeof(*w));
    w->conf = *broker_conf(conf);
    w->conf.envelope_commands_max = commands; /* so an envelope leaves as soon as it has so many */
    w->loop = loop;
    w->commands = commands;
    w->broker = broker_new(loop, &w->conf, "floor", &message_schema, &queues_topology);
    broker_consume(w->broker, QUEUE_PAYMENT, broker_floor_on_delivery, w);
    return w;
}

static bool broker_floor_is_ready(struct floor_workload *w)
{
    return broker_is_up(w->broker);
}

static void broker_floor_send(struct floor_workload *w);

static void broker_floor_on_confirm(void *ctx)
{
    struct floor_workload *w = ctx;
    w->confirmed_commands++;
    if (w->confirmed_commands % w->commands == 0 && !w->is_ending) {
        broker_floor_send(w);
    }
}

/* One envelope, of charges as they are in a shop of 100 000. */
static void broker_floor_send(struct floor_workload *w)
{
    for (unsigned i = 0; i < w->commands; i++) {
        struct uuid saga = uuid_make(loop_wall_ms(w->loop));
        struct buf id = {0}, next = {0};
        struct message charge = {.type = MESSAGE_PAYMENT_CHARGE};
        buf_addf(&id, "%s:1:charge", saga.text);
        buf_addf(&next, "%s:1:take", saga.text);
        message_set(&charge, id, buf_slice(&id));
        message_set(&charge, next, buf_slice(&next));
        message_set(&charge, lines, SLICE_TEXT("12345*1,54321*1"));
        message_set(&charge, order, SLICE_TEXT("71234"));
        message_set(&charge, user, SLICE_TEXT("54321"));
        message_set(&charge, amount, 2);
        broker_send(w->broker, QUEUE_PAYMENT, &charge, broker_floor_on_confirm, w);
        buf_free(&id);
        buf_free(&next);
    }
    w->sent++;
}

static void broker_floor_begin(struct floor_workload *w)
{
    for (int64_t i = 0; i < w->conf.window_envelopes; i++) {
        broker_floor_send(w);
    }
}

static void broker_floor_end(struct floor_workload *w)
{
    w->is_ending = true;
}

static bool broker_floor_is_drained(struct floor_workload *w)
{
    return broker_unconfirmed(w->broker) == 0 && w->delivered >= w->sent;
}

static uint64_t broker_floor_done(struct floor_workload *w)
{
    return w->delivered;
}

static const char *broker_floor_fault(struct floor_workload *w)
{
    return w->delivered > w->sent ? "the queue had messages of others, or gave some twice" : NULL;
}

static void broker_floor_close(struct floor_workload *w)
{
    w->is_ending = true;
    broker_free(w->broker);
    free(w);
}

const struct floor_kind floor_broker = {
    .name = "broker",
    .at_once = "commands",
    .open = broker_floor_open,
    .is_ready = broker_floor_is_ready,
    .begin = broker_floor_begin,
    .end = broker_floor_end,
    .is_drained = broker_floor_is_drained,
    .done = broker_floor_done,
    .fault = broker_floor_fault,
    .close = broker_floor_close,
};
