/* The order service: each command as the store call that records it and the answer it gets.
 * The checkout itself is in checkout.c. */
#include "order/commands.h"

#include <assert.h>
#include <stdlib.h>

#include "order/drive.h"
#include "order/recovery.h"
#include "order/replay.h"
#include "order/sagas.h"
#include "saga/answer.h"

static void order_call(struct consumer_work *work, struct redis_command *call, const char *name)
{
    consumer_call(work, call, name, 2);
    redis_argf(call, "order:order:%.*s", SLICE_ARG(work->in->order));
    redis_arg(call, work->in->id);
}

static int create_record(struct consumer_work *work, struct redis_command *call)
{
    order_call(work, call, "order_create");
    redis_arg(call, work->in->user);
    return 0;
}

static int find_record(struct consumer_work *work, struct redis_command *call)
{
    order_call(work, call, "order_find");
    redis_arg(call, work->in->order);
    redis_arg_text(call, checkout_definition.completed);
    return 0;
}

static int add_record(struct consumer_work *work, struct redis_command *call)
{
    const struct message *in = work->in;
    int64_t cost;
    order_call(work, call, "order_add");
    redis_arg(call, in->item);
    redis_arg_int(call, in->quantity);
    if (__builtin_mul_overflow(in->price, in->quantity, &cost)) {
        redis_arg_text(call, "9223372036854775808"); /* 2^63: the store refuses to add it */
    } else {
        redis_arg_int(call, cost);
    }
    redis_arg_int(call, consumer_conf(work->consumer)->order_lines_max);
    redis_arg_text(call, checkout_definition.completed);
    redis_arg_text(call, checkout_definition.aborted);
    return 0;
}

/* Orders drawn from a seed that the command id gives: a repeat of the command makes the same. */
static int64_t batch_seed(const struct consumer_work *work)
{
    return (slice_hash(work->in->id) + work->round) & 0x7fffffff;
}

static int init_record(struct consumer_work *work, struct redis_command *call)
{
    const struct message *in = work->in;
    batch_call(work, call, "order_init");
    redis_arg_int(call, in->items);
    redis_arg_int(call, in->users);
    redis_arg_int(call, 2 * in->price); /* the gateway has seen to it that this fits */
    redis_arg_int(call, batch_seed(work));
    redis_arg_text(call, checkout_definition.completed);
    redis_arg_text(call, checkout_definition.aborted);
    return 0;
}

static enum consumer_next create_answer(struct consumer_work *work, const struct redis_reply *reply)
{
    return answer_outcome(work, record_of(reply), "unknown order");
}

static enum consumer_next find_answer(struct consumer_work *work, const struct redis_reply *reply)
{
    if (redis_reply_count(reply) < 5) {
        return answer_outcome(work, record_of(reply), "unknown order");
    }
    struct message answer = answer_begin(work, MESSAGE_ORDER);
    message_set(&answer, order, work->in->order);
    message_set(&answer, user, redis_reply_at(reply, 1));
    message_set(&answer, total, record_int(redis_reply_at(reply, 2)));
    message_set(&answer, lines, redis_reply_at(reply, 3));
    message_set(&answer, paid, record_int(redis_reply_at(reply, 4)));
    return answer_send(work, &answer);
}

static enum consumer_next add_answer(struct consumer_work *work, const struct redis_reply *reply)
{
    struct record record = record_of(reply);
    if (!slice_is(record.outcome, "order")) {
        return answer_outcome(work, record, "unknown order");
    }
    struct message answer = answer_begin(work, MESSAGE_ORDER);
    message_set(&answer, order, work->in->order);
    message_set(&answer, total, record_int(record.detail[0]));
    return answer_send(work, &answer);
}

static const struct consumer_handler order_commands[] = {
    {MESSAGE_ORDER_PING, answer_ping_record, answer_ping},
    {MESSAGE_ORDER_CREATE, create_record, create_answer},
    {MESSAGE_ORDER_FIND, find_record, find_answer},
    {MESSAGE_ORDER_ADD, add_record, add_answer},
    {MESSAGE_ORDER_INIT, init_record, batch_answer},
    {MESSAGE_ORDER_SAGA, sagas_one_record, sagas_one_answer},
    {MESSAGE_ORDER_SAGAS, sagas_record, sagas_answer},
    {MESSAGE_ORDER_CHECKOUT, checkout_record, checkout_answer},
    {MESSAGE_ORDER_CANCEL, checkout_cancel_record, checkout_cancel_answer},
    {MESSAGE_ORDER_REPLAY, checkout_replay_record, checkout_replay_answer},
    {MESSAGE_PAYMENT_REFUSED, checkout_event_record, checkout_event_answer},
    {MESSAGE_PAYMENT_REFUNDED, checkout_event_record, checkout_event_answer},
    {MESSAGE_STOCK_TAKEN, checkout_event_record, checkout_event_answer},
    {MESSAGE_STOCK_REFUSED, checkout_event_record, checkout_event_answer},
    {MESSAGE_STOCK_CANCELLED, checkout_event_record, checkout_event_answer},
};

/* What it does besides answering. */
struct order_side {
    void *recovery;
    struct replays *replays;
};

static void *order_start(struct consumer *consumer)
{
    struct order_side *side = mem_new(sizeof(*side));
    assert(saga_definition_fault(&checkout_definition) == NULL);
    side->recovery = recovery_new(consumer);
    side->replays = replays_new(consumer);
    return side;
}

static void order_stop(void *ctx)
{
    struct order_side *side = ctx;
    recovery_free(side->recovery);
    replays_free(side->replays);
    free(side);
}

const struct consumer_definition order_definition = {
    .name = "order",
    .summary = "Keeps orders and drives their checkout sagas.",
    .library = &order_library,
    .node_offset = offsetof(struct conf, order_redis),
    .handlers = order_commands,
    .handler_count = sizeof(order_commands) / sizeof(order_commands[0]),
    .queues = {QUEUE_ORDER, QUEUE_SAGA},
    .queue_count = 2,
    .on_start = order_start,
    .on_stop = order_stop,
};
