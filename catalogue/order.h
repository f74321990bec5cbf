/* What order takes, and what it answers: message.h has the columns. */
#ifndef KASSA_CATALOGUE_ORDER_H
#define KASSA_CATALOGUE_ORDER_H

#define ORDER_MESSAGES(X)                                                                          \
    /* gateway -> order */                                                                         \
    X(ORDER_PING, "order.ping", M(id) | M(gateway), "is the service and its store there?")         \
    X(ORDER_CREATE, "order.create", M(id) | M(gateway) | M(order) | M(user), "new order")          \
    X(ORDER_FIND, "order.find", M(id) | M(gateway) | M(order), "read an order")                    \
    X(ORDER_ADD, "order.add", M(id) | M(gateway) | M(order) | M(item) | M(quantity) | M(price),    \
      "add a line; comes from stock, with the price")                                              \
    X(ORDER_INIT, "order.init", M(id) | M(gateway) | M(count) | M(items) | M(users) | M(price),    \
      "batch of orders")                                                                           \
    X(ORDER_CHECKOUT, "order.checkout", M(id) | M(gateway) | M(order),                             \
      "begin the saga named id, or attach to the one that runs; async")                            \
    /* order -> gateway */                                                                         \
    X(ORDER, "order", M(id) | M(order) | M(total), "an order as it is now; user, lines, paid")     \
    X(SAGA_PAID, "saga.paid", M(id) | M(order) | M(total), "the order is paid; saga")

#endif
