/* See conf.h. */
#include "store/conf.h"

static const struct conf_row store_conf_rows[] = {
#define X(...) CONF_ROW(store_conf, __VA_ARGS__)
    STORE_CONF(X)
#undef X
};
const struct conf_table store_conf_table = CONF_TABLE(store_conf, store_conf_rows, NULL);
