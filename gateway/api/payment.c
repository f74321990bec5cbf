/* The routes of payment: users and their credit. */
#include "gateway/routes.h"
#include "runtime/json.h"

static bool payment_created(struct buf *body, const struct message *command,
                            const struct message *answer)
{
    json_add_text(body, "user_id", command->user);
    return answer->type == MESSAGE_CREATED;
}

static bool payment_found(struct buf *body, const struct message *command,
                          const struct message *answer)
{
    json_add_text(body, "user_id", command->user);
    json_add_int(body, "credit", answer->credit);
    return answer->type == MESSAGE_USER;
}

static bool payment_funded(struct buf *body, const struct message *command,
                           const struct message *answer)
{
    (void)command;
    json_add_bool(body, "done", true);
    json_add_int(body, "credit", answer->credit);
    return answer->type == MESSAGE_USER;
}

static bool payment_paid(struct buf *body, const struct message *command,
                         const struct message *answer)
{
    (void)command;
    json_add_bool(body, "paid", true);
    json_add_int(body, "credit", answer->credit);
    return answer->type == MESSAGE_USER;
}

static bool payment_loaded(struct buf *body, const struct message *command,
                           const struct message *answer)
{
    (void)command;
    json_add_text(body, "msg", SLICE_TEXT("Batch init for users successful"));
    return answer->type == MESSAGE_CREATED;
}

static const struct route payment_rows[] = {
    {"POST", "/payment/create_user", "create_user", MESSAGE_PAYMENT_CREATE, QUEUE_PAYMENT,
     .creates = MESSAGE_HAS_user, .reply = payment_created},
    {"GET", "/payment/find_user/{user}", "find_user", MESSAGE_PAYMENT_FIND, QUEUE_PAYMENT,
     .reply = payment_found},
    {"POST", "/payment/add_funds/{user}/{amount}", "add_funds", MESSAGE_PAYMENT_FUND, QUEUE_PAYMENT,
     .reply = payment_funded},
    {"POST", "/payment/pay/{user}/{amount}", "pay", MESSAGE_PAYMENT_PAY, QUEUE_PAYMENT,
     .reply = payment_paid},
    {"POST", "/payment/batch_init/{n}/{credit}", "batch_users", MESSAGE_PAYMENT_INIT, QUEUE_PAYMENT,
     .is = ROUTE_BATCH, .check = route_check_batch, .reply = payment_loaded},
};
const struct route_table payment_routes = ROUTE_TABLE(payment_rows);
