/* See conf.h. */
#include "broker/conf.h"

static const struct conf_row broker_conf_rows[] = {
#define X(...) CONF_ROW(broker_conf, __VA_ARGS__)
    BROKER_CONF(X)
#undef X
};
const struct conf_table broker_conf_table = CONF_TABLE(broker_conf, broker_conf_rows, NULL);
