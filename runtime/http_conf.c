/* See http_conf.h. */
#include "runtime/http_conf.h"

static const struct conf_row http_conf_rows[] = {
#define X(...) CONF_ROW(http_conf, __VA_ARGS__)
    HTTP_CONF(X)
#undef X
};
const struct conf_table http_conf_table = CONF_TABLE(http_conf, http_conf_rows, NULL);
