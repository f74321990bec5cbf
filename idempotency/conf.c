/* See conf.h. */
#include "idempotency/conf.h"

static const struct conf_row once_conf_rows[] = {
#define X(...) CONF_ROW(once_conf, __VA_ARGS__)
    ONCE_CONF(X)
#undef X
};
const struct conf_table once_conf_table = CONF_TABLE(once_conf, once_conf_rows, NULL);
