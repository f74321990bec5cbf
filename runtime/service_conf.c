/* See service_conf.h. */
#include "runtime/service_conf.h"

#include <string.h>

static int service_check(const struct conf *conf, const struct conf_table *table,
                         struct buf *ret_sentence)
{
    const char *level = ((const struct service_conf *)conf_of(conf, table))->log_level;
    if (strcmp(level, "debug") == 0 || strcmp(level, "info") == 0 || strcmp(level, "warn") == 0 ||
        strcmp(level, "error") == 0) {
        return 0;
    }
    return conf_refuse(ret_sentence, "LOG_LEVEL", level, "debug, info, warn or error");
}

static const struct conf_row service_conf_rows[] = {
#define X(...) CONF_ROW(service_conf, __VA_ARGS__)
    SERVICE_CONF(X)
#undef X
};
const struct conf_table service_conf_table =
    CONF_TABLE(service_conf, service_conf_rows, service_check);

static const struct conf_row metrics_conf_rows[] = {
#define X(...) CONF_ROW(metrics_conf, __VA_ARGS__)
    METRICS_CONF(X)
#undef X
};
const struct conf_table metrics_conf_table = CONF_TABLE(metrics_conf, metrics_conf_rows, NULL);
