/* What the order service is told by the environment. */
#ifndef KASSA_ORDER_CONF_H
#define KASSA_ORDER_CONF_H

#include "runtime/conf.h"

#define ORDER_CONF(X)                                                                              \
    X(INT, order_lines_max, "ORDER_LINES_MAX", 100, 1, 500, "different items in an order")

struct order_conf {
    ORDER_CONF(CONF_FIELD)
};
extern const struct conf_table order_conf_table;

static inline const struct order_conf *order_conf(const struct conf *conf)
{
    return conf_of(conf, &order_conf_table);
}

#endif
