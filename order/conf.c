/* See conf.h. */
#include "order/conf.h"

static const struct conf_row order_conf_rows[] = {
#define X(...) CONF_ROW(order_conf, __VA_ARGS__)
    ORDER_CONF(X)
#undef X
};
const struct conf_table order_conf_table = CONF_TABLE(order_conf, order_conf_rows, NULL);
