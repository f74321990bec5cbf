/* The routes of orders, their checkout among them. */
#include "catalogue/lines.h"
#include "gateway/routes.h"
#include "runtime/json.h"

static bool order_created(struct buf *body, const struct message *command,
                          const struct message *answer)
{
    json_add_text(body, "order_id", command->order);
    return answer->type == MESSAGE_CREATED;
}

static bool order_found(struct buf *body, const struct message *command,
                        const struct message *answer)
{
    (void)command;
    struct slice lines = answer->lines, item;
    int64_t quantity;
    json_add_text(body, "order_id", answer->order);
    json_add_bool(body, "paid", answer->paid == 1);
    json_open(body, "items", '[');
    while (lines_next(&lines, &item, &quantity)) {
        json_open(body, NULL, '[');
        json_add_text(body, NULL, item);
        json_add_int(body, NULL, quantity);
        json_close(body, ']');
    }
    json_close(body, ']');
    json_add_text(body, "user_id", answer->user);
    json_add_int(body, "total_cost", answer->total);
    return answer->type == MESSAGE_ORDER;
}

/* Asked of stock, which knows the price; answered by the order service. */
static bool order_added(struct buf *body, const struct message *command,
                        const struct message *answer)
{
    json_add_bool(body, "added", true);
    json_add_text(body, "order_id", command->order);
    json_add_int(body, "total_cost", answer->total);
    return answer->type == MESSAGE_ORDER;
}

static bool order_paid(struct buf *body, const struct message *command,
                       const struct message *answer)
{
    json_add_text(body, "status", SLICE_TEXT("paid"));
    json_add_text(body, "order_id", command->order);
    json_add_int(body, "total_cost", answer->total);
    return answer->type == MESSAGE_SAGA_PAID;
}

static bool order_loaded(struct buf *body, const struct message *command,
                         const struct message *answer)
{
    (void)command;
    json_add_text(body, "msg", SLICE_TEXT("Batch init for orders successful"));
    return answer->type == MESSAGE_CREATED;
}

/* Two items of the price must not be more than a number can hold. */
static bool order_check_batch(const struct gateway_conf *conf, struct route_match *match)
{
    const struct message *command = &match->command;
    if (!route_check_batch(conf, match)) {
        return false;
    }
    bool is_small = command->items <= conf->batch_max && command->users <= conf->batch_max &&
                    command->price <= INT64_MAX / 2;
    return is_small || route_refuse(match, 400, "n_items, n_users or price too large");
}

static const struct route order_rows[] = {
    {"POST", "/orders/create/{user}", "create_order", MESSAGE_ORDER_CREATE, QUEUE_ORDER,
     .creates = MESSAGE_HAS_order, .reply = order_created},
    {"GET", "/orders/find/{order}", "find_order", MESSAGE_ORDER_FIND, QUEUE_ORDER,
     .reply = order_found},
    {"POST", "/orders/addItem/{order}/{item}/{quantity}", "add_item", MESSAGE_STOCK_QUOTE,
     QUEUE_STOCK, .reply = order_added},
    {"POST", "/orders/checkout/{order}", "checkout", MESSAGE_ORDER_CHECKOUT, QUEUE_ORDER,
     .is = ROUTE_CHECKOUT, .reply = order_paid},
    {"POST", "/orders/batch_init/{n}/{n_items}/{n_users}/{price}", "batch_orders",
     MESSAGE_ORDER_INIT, QUEUE_ORDER, .is = ROUTE_BATCH, .check = order_check_batch,
     .reply = order_loaded},
};
const struct route_table order_routes = ROUTE_TABLE(order_rows);
