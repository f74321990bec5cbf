/* What stock takes, and what it answers a saga or a gateway: message.h has the columns. */
#ifndef KASSA_CATALOGUE_STOCK_H
#define KASSA_CATALOGUE_STOCK_H

#define STOCK_MESSAGES(X)                                                                          \
    /* gateway -> stock */                                                                         \
    X(STOCK_PING, "stock.ping", M(id) | M(gateway), "is the service and its store there?")         \
    X(STOCK_CREATE, "stock.create", M(id) | M(gateway) | M(item) | M(price), "new item")           \
    X(STOCK_FIND, "stock.find", M(id) | M(gateway) | M(item), "read an item")                      \
    X(STOCK_ADD, "stock.add", M(id) | M(gateway) | M(item) | M(quantity), "add pieces")            \
    X(STOCK_SUBTRACT, "stock.subtract", M(id) | M(gateway) | M(item) | M(quantity),                \
      "take pieces outside a saga")                                                                \
    X(STOCK_INIT, "stock.init", M(id) | M(gateway) | M(count) | M(stock) | M(price),               \
      "batch of items")                                                                            \
    X(STOCK_QUOTE, "stock.quote", M(id) | M(gateway) | M(order) | M(item) | M(quantity),           \
      "look up the price, then pass on as order.add")                                              \
    /* order -> stock, and its answers */                                                          \
    X(STOCK_TAKE, "stock.take", M(id) | M(order) | M(lines), "step 2, the pivot; from payment")    \
    X(STOCK_CANCEL, "stock.cancel", M(id) | M(order), "cancel step 2, or tell that it is done")    \
    X(STOCK_TAKEN, "stock.taken", M(id) | M(order), "done")                                        \
    X(STOCK_REFUSED, "stock.refused", M(id) | M(order) | M(reason), "not enough of an item")       \
    X(STOCK_CANCELLED, "stock.cancelled", M(id) | M(order), "never taken, and never will be")      \
    /* stock -> gateway */                                                                         \
    X(ITEM, "item", M(id) | M(stock), "an item as it is now; price")

#endif
