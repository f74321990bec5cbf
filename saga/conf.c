/* See conf.h. */
#include "saga/conf.h"

static const struct conf_row begin_conf_rows[] = {
#define X(...) CONF_ROW(begin_conf, __VA_ARGS__)
    BEGIN_CONF(X)
#undef X
};
const struct conf_table begin_conf_table = CONF_TABLE(begin_conf, begin_conf_rows, NULL);

static const struct conf_row saga_conf_rows[] = {
#define X(...) CONF_ROW(saga_conf, __VA_ARGS__)
    SAGA_CONF(X)
#undef X
};
const struct conf_table saga_conf_table = CONF_TABLE(saga_conf, saga_conf_rows, NULL);
