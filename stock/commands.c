/* The stock service: each command as the store call that records it and the answer it gets.
 * What is decided, is decided in stock.lua, in the same step as it is done. */
#include "stock/commands.h"

#include "catalogue/names.h"
#include "consumer/answer.h"
#include "consumer/batch.h"

static void item_call(struct consumer_work *work, struct args *call, const char *name)
{
    consumer_call(work, call, name, 2);
    args_join(call, KEY.stock_item, work->in->item);
    args_add(call, work->in->id);
}

static int create_record(struct consumer_work *work, struct args *call)
{
    item_call(work, call, "stock_create");
    args_int(call, work->in->price);
    return 0;
}

static int find_record(struct consumer_work *work, struct args *call)
{
    item_call(work, call, "stock_find");
    return 0;
}

static int add_record(struct consumer_work *work, struct args *call)
{
    item_call(work, call, "stock_add");
    args_int(call, work->in->quantity);
    return 0;
}

static int subtract_record(struct consumer_work *work, struct args *call)
{
    item_call(work, call, "stock_subtract");
    args_add(call, work->in->item);
    args_int(call, work->in->quantity);
    return 0;
}

static int take_record(struct consumer_work *work, struct args *call)
{
    consumer_call(work, call, "stock_take", 1);
    args_row_begins(call);
    args_add(call, work->in->id);
    args_add(call, work->in->lines);
    return 0;
}

static int cancel_record(struct consumer_work *work, struct args *call)
{
    consumer_call(work, call, "stock_cancel", 1);
    args_add(call, work->in->id);
    return 0;
}

static int init_record(struct consumer_work *work, struct args *call)
{
    batch_call(work, call, "stock_init");
    args_int(call, work->in->stock);
    args_int(call, work->in->price);
    args_add(call, batch_gen(work->in));
    return 0;
}

/* For gateways. */
static enum consumer_next item_answer(struct consumer_work *work, struct texts reply)
{
    struct record record = record_of(reply);
    bool is_item = slice_is(record.outcome, "item");
    bool is_subtracted = slice_is(record.outcome, "subtracted");
    if (!is_item && !is_subtracted) {
        return answer_outcome(work, record, "unknown item");
    }
    /* item|stock, item|stock|price, or subtracted|line|stock */
    struct message answer = answer_begin(work, MESSAGE_ITEM);
    message_set(&answer, stock, record_int(record.detail[is_item ? 0 : 1]));
    if (is_item && record.detail[1].data) {
        message_set(&answer, price, record_int(record.detail[1]));
    }
    return answer_send(work, &answer);
}

/* The order is told the price and adds the line: nobody waits for the answer on the way. */
static enum consumer_next quote_answer(struct consumer_work *work, struct texts reply)
{
    struct record record = record_of(reply);
    if (!slice_is(record.outcome, "item")) {
        return answer_outcome(work, record, "unknown item");
    }
    struct message add = *work->in;
    add.type = MESSAGE_ORDER_ADD;
    message_set(&add, price, record_int(record.detail[1]));
    return answer_publish(work, QUEUE_ORDER, &add);
}

/* For the saga. */
static enum consumer_next step_answer(struct consumer_work *work, struct texts reply)
{
    struct record record = record_of(reply);
    struct message answer = answer_begin(work, MESSAGE_STOCK_TAKEN);
    message_set(&answer, order, work->in->order);
    if (slice_is(record.outcome, "cancelled")) {
        answer.type = MESSAGE_STOCK_CANCELLED;
    } else if (slice_is(record.outcome, "refused")) {
        answer.type = MESSAGE_STOCK_REFUSED;
        message_set(&answer, reason, record.detail[0]);
    } else if (!slice_is(record.outcome, "taken")) {
        return CONSUMER_UNREADABLE;
    }
    return answer_publish(work, QUEUE_SAGA, &answer);
}

static const struct consumer_handler stock_commands[] = {
    {MESSAGE_STOCK_PING, answer_ping_record, answer_ping},
    {MESSAGE_STOCK_CREATE, create_record, item_answer},
    {MESSAGE_STOCK_FIND, find_record, item_answer},
    {MESSAGE_STOCK_QUOTE, find_record, quote_answer},
    {MESSAGE_STOCK_ADD, add_record, item_answer},
    {MESSAGE_STOCK_SUBTRACT, subtract_record, item_answer},
    {MESSAGE_STOCK_INIT, init_record, batch_answer},
    {MESSAGE_STOCK_TAKE, take_record, step_answer},
    {MESSAGE_STOCK_CANCEL, cancel_record, step_answer},
};

extern const struct library stock_library; /* stock/stock.lua */

static const struct conf_table *const stock_tables[] = {CONSUMER_TABLES,
                                                        &address_tables[ADDRESS_STOCK], NULL};

const struct consumer_definition stock_definition = {
    .name = "stock",
    .summary = "Keeps items, their pieces and prices; takes pieces for sagas.",
    .library = &stock_library,
    .address = ADDRESS_STOCK,
    .tables = stock_tables,
    .handlers = stock_commands,
    .handler_count = sizeof(stock_commands) / sizeof(stock_commands[0]),
    .queues = {QUEUE_STOCK},
    .queue_count = 1,
    .is_participant = true,
    .restored_by = QUEUE_ORDER,
};
