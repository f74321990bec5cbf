/* The routes of stock: items, their pieces and prices. */
#include "gateway/routes.h"
#include "runtime/json.h"

static bool stock_created(struct buf *body, const struct message *command,
                          const struct message *answer)
{
    json_add_text(body, "item_id", command->item);
    return answer->type == MESSAGE_CREATED;
}

static bool stock_found(struct buf *body, const struct message *command,
                        const struct message *answer)
{
    (void)command;
    json_add_int(body, "stock", answer->stock);
    if (message_has(answer, price)) {
        json_add_int(body, "price", answer->price);
    }
    return answer->type == MESSAGE_ITEM;
}

static bool stock_added(struct buf *body, const struct message *command,
                        const struct message *answer)
{
    json_add_bool(body, "added", true);
    return stock_found(body, command, answer);
}

static bool stock_subtracted(struct buf *body, const struct message *command,
                             const struct message *answer)
{
    json_add_bool(body, "subtracted", true);
    return stock_found(body, command, answer);
}

static bool stock_loaded(struct buf *body, const struct message *command,
                         const struct message *answer)
{
    (void)command;
    json_add_text(body, "msg", SLICE_TEXT("Batch init for stock successful"));
    return answer->type == MESSAGE_CREATED;
}

static const struct route stock_rows[] = {
    {"POST", "/stock/item/create/{price}", "create_item", MESSAGE_STOCK_CREATE, QUEUE_STOCK,
     .creates = MESSAGE_HAS_item, .reply = stock_created},
    {"GET", "/stock/find/{item}", "find_item", MESSAGE_STOCK_FIND, QUEUE_STOCK,
     .reply = stock_found},
    {"POST", "/stock/add/{item}/{quantity}", "add_stock", MESSAGE_STOCK_ADD, QUEUE_STOCK,
     .reply = stock_added},
    {"POST", "/stock/subtract/{item}/{quantity}", "subtract_stock", MESSAGE_STOCK_SUBTRACT,
     QUEUE_STOCK, .reply = stock_subtracted},
    {"POST", "/stock/batch_init/{n}/{stock}/{price}", "batch_items", MESSAGE_STOCK_INIT,
     QUEUE_STOCK, .is = ROUTE_BATCH, .check = route_check_batch, .reply = stock_loaded},
};
const struct route_table stock_routes = ROUTE_TABLE(stock_rows);
