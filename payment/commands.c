/* The payment service: each command as the store call that records it and the answer it gets.
 * What is decided, is decided in payment.lua, in the same step as it is done. */
#include "payment/commands.h"

#include "catalogue/names.h"
#include "consumer/answer.h"
#include "consumer/batch.h"
#include "consumer/slip.h"

static void user_call(struct consumer_work *work, struct args *call, const char *name)
{
    consumer_call(work, call, name, 2);
    args_join(call, KEY.payment_user, work->in->user);
    args_add(call, work->in->id);
}

static int create_record(struct consumer_work *work, struct args *call)
{
    user_call(work, call, "payment_create");
    return 0;
}

static int find_record(struct consumer_work *work, struct args *call)
{
    user_call(work, call, "payment_find");
    return 0;
}

static int fund_record(struct consumer_work *work, struct args *call)
{
    user_call(work, call, "payment_fund");
    args_int(call, work->in->amount);
    return 0;
}

static int pay_record(struct consumer_work *work, struct args *call)
{
    user_call(work, call, "payment_pay");
    args_add(call, work->in->user);
    args_int(call, work->in->amount);
    return 0;
}

static int charge_record(struct consumer_work *work, struct args *call)
{
    struct message next;
    enum queue queue;
    int err = slip_is_there(work->in) ? slip_read(work->in, &next, &queue) : 0;
    if (err) {
        return err;
    }
    consumer_call(work, call, "payment_charge", 1);
    args_row_begins(call);
    args_add(call, work->in->id);
    args_add(call, work->in->user);
    args_int(call, work->in->amount);
    return 0;
}

/* The refund's id is the charge's with "-undo" behind it (saga/step.h): the charge it speaks of
 * comes along, so that the store can find its record. */
static int refund_record(struct consumer_work *work, struct args *call)
{
    user_call(work, call, "payment_refund");
    args_add(call, work->in->undoes);
    return 0;
}

static int init_record(struct consumer_work *work, struct args *call)
{
    batch_call(work, call, "payment_init");
    args_int(call, work->in->credit);
    args_add(call, batch_gen(work->in));
    return 0;
}

/* For gateways. */
static enum consumer_next user_answer(struct consumer_work *work, struct texts reply)
{
    struct record record = record_of(reply);
    bool is_user = slice_is(record.outcome, "user");
    bool is_paid = slice_is(record.outcome, "paid");
    if (!is_user && !is_paid) {
        return answer_outcome(work, record, "unknown user");
    }
    /* user|credit, or paid|user|amount|gen|credit */
    struct message answer = answer_begin(work, MESSAGE_USER);
    message_set(&answer, user, work->in->user);
    message_set(&answer, credit, record_int(record.detail[is_user ? 0 : 3]));
    return answer_send(work, &answer);
}

/* For the saga. */
static enum consumer_next step_answer(struct consumer_work *work, struct texts reply)
{
    struct record record = record_of(reply);
    struct message answer = answer_begin(work, MESSAGE_PAYMENT_REFUSED);
    message_set(&answer, order, work->in->order);
    if (slice_is(record.outcome, "charged")) {
        if (slip_is_there(work->in)) {
            return slip_send(work);
        }
        answer.type = MESSAGE_PAYMENT_CHARGED;
    } else if (slice_is(record.outcome, "refunded")) {
        answer.type = MESSAGE_PAYMENT_REFUNDED;
    } else if (slice_is(record.outcome, "refused")) {
        message_set(&answer, reason, record.detail[0]);
    } else if (slice_is(record.outcome, "cancelled")) { /* the refund was here first */
        message_set(&answer, reason, record.outcome);
    } else {
        return CONSUMER_UNREADABLE;
    }
    return answer_publish(work, QUEUE_SAGA, &answer);
}

static const struct consumer_handler payment_commands[] = {
    {MESSAGE_PAYMENT_PING, answer_ping_record, answer_ping},
    {MESSAGE_PAYMENT_CREATE, create_record, user_answer},
    {MESSAGE_PAYMENT_FIND, find_record, user_answer},
    {MESSAGE_PAYMENT_FUND, fund_record, user_answer},
    {MESSAGE_PAYMENT_PAY, pay_record, user_answer},
    {MESSAGE_PAYMENT_INIT, init_record, batch_answer},
    {MESSAGE_PAYMENT_CHARGE, charge_record, step_answer},
    {MESSAGE_PAYMENT_REFUND, refund_record, step_answer},
};

extern const struct library payment_library; /* payment/payment.lua */

static const struct conf_table *const payment_tables[] = {CONSUMER_TABLES,
                                                          &address_tables[ADDRESS_PAYMENT], NULL};

const struct consumer_definition payment_definition = {
    .name = "payment",
    .summary = "Keeps users and their credit; charges and refunds for sagas.",
    .library = &payment_library,
    .address = ADDRESS_PAYMENT,
    .tables = payment_tables,
    .handlers = payment_commands,
    .handler_count = sizeof(payment_commands) / sizeof(payment_commands[0]),
    .queues = {QUEUE_PAYMENT},
    .queue_count = 1,
    .is_participant = true,
    .restored_by = QUEUE_ORDER,
};
