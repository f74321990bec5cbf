/* The order service: each command as the store call that records it and the answer it gets.
 * The saga that pays an order is driven by saga/driver.h. */
#include "order/commands.h"

#include "catalogue/names.h"
#include "checkout/begin.h"
#include "consumer/answer.h"
#include "consumer/batch.h"
#include "order/conf.h"
#include "order/sagas.h"
#include "saga/conf.h"
#include "saga/driver.h"
#include "saga/restore.h"

static void order_call(struct consumer_work *work, struct args *call, const char *name)
{
    consumer_call(work, call, name, 2);
    args_join(call, KEY.order_order, work->in->order);
    args_add(call, work->in->id);
}

static int create_record(struct consumer_work *work, struct args *call)
{
    order_call(work, call, "order_create");
    args_add(call, work->in->user);
    return 0;
}

static int find_record(struct consumer_work *work, struct args *call)
{
    order_call(work, call, "order_find");
    return 0;
}

static int add_record(struct consumer_work *work, struct args *call)
{
    const struct message *in = work->in;
    int64_t cost;
    order_call(work, call, "order_add");
    args_add(call, in->item);
    args_int(call, in->quantity);
    if (__builtin_mul_overflow(in->price, in->quantity, &cost)) {
        args_text(call, "9223372036854775808"); /* 2^63: the store refuses to add it */
    } else {
        args_int(call, cost);
    }
    args_int(call, order_conf(consumer_conf(work->consumer))->order_lines_max);
    return 0;
}

/* Orders drawn from a seed that the command id gives: a repeat of the command makes the same. */
static int64_t batch_seed(const struct consumer_work *work)
{
    return (slice_hash(work->in->id) + work->round) & 0x7fffffff;
}

static int init_record(struct consumer_work *work, struct args *call)
{
    const struct message *in = work->in;
    batch_call(work, call, "order_init");
    args_int(call, in->items);
    args_int(call, in->users);
    args_int(call, 2 * in->price); /* the gateway has seen to it that this fits */
    args_int(call, batch_seed(work));
    return 0;
}

static enum consumer_next create_answer(struct consumer_work *work, struct texts reply)
{
    return answer_outcome(work, record_of(reply), "unknown order");
}

static enum consumer_next find_answer(struct consumer_work *work, struct texts reply)
{
    if (reply.count < 5) {
        return answer_outcome(work, record_of(reply), "unknown order");
    }
    struct message answer = answer_begin(work, MESSAGE_ORDER);
    message_set(&answer, order, work->in->order);
    message_set(&answer, user, texts_at(reply, 1));
    message_set(&answer, total, record_int(texts_at(reply, 2)));
    message_set(&answer, lines, texts_at(reply, 3));
    message_set(&answer, paid, record_int(texts_at(reply, 4)));
    return answer_send(work, &answer);
}

static enum consumer_next add_answer(struct consumer_work *work, struct texts reply)
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

static int checkout_record(struct consumer_work *work, struct args *call)
{
    checkout_begin(work->in, work->bucket, begin_conf(consumer_conf(work->consumer)), call);
    return 0;
}

/* From a gateway that retries, or cannot begin it itself. */
static enum consumer_next checkout_answer(struct consumer_work *work, struct texts reply)
{
    struct checkout_begun begun = {0};
    enum consumer_next next = CONSUMER_DONE;
    if (checkout_begun(work->in, texts_at(reply, 0), &begun) != 0) {
        next = CONSUMER_UNREADABLE;
    } else {
        if (begun.command.message.type != MESSAGE_NONE) {
            consumer_send(work, begun.command.queue, &begun.command.message);
        }
        if (begun.answer.type != MESSAGE_NONE) {
            next = answer_send(work, &begun.answer);
        }
    }
    saga_outgoing_free(&begun.command);
    return next;
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
    {MESSAGE_ORDER_CANCEL, driver_cancel_record, driver_cancel_answer},
    {MESSAGE_ORDER_REPLAY, restore_record, restore_answer},
    {MESSAGE_PAYMENT_CHARGED, driver_event_record, driver_event_answer},
    {MESSAGE_PAYMENT_REFUSED, driver_event_record, driver_event_answer},
    {MESSAGE_PAYMENT_REFUNDED, driver_event_record, driver_event_answer},
    {MESSAGE_STOCK_TAKEN, driver_event_record, driver_event_answer},
    {MESSAGE_STOCK_REFUSED, driver_event_record, driver_event_answer},
    {MESSAGE_STOCK_CANCELLED, driver_event_record, driver_event_answer},
};

static void *order_start(struct consumer *consumer)
{
    return driver_new(consumer, &checkout_definition);
}

static const struct conf_table *const order_tables[] = {
    CONSUMER_TABLES,   &address_tables[ADDRESS_ORDER],
    &order_conf_table, &saga_conf_table,
    &begin_conf_table, NULL};

const struct consumer_definition order_definition = {
    .name = "order",
    .summary = "Keeps orders and drives their checkout sagas.",
    .library = &order_library,
    .address = ADDRESS_ORDER,
    .tables = order_tables,
    .handlers = order_commands,
    .handler_count = sizeof(order_commands) / sizeof(order_commands[0]),
    .queues = {QUEUE_ORDER, QUEUE_SAGA},
    .queue_count = 2,
    .on_start = order_start,
    .on_stop = driver_free,
};
