/* What every process is told by the environment, and where one without an HTTP listener of its own
 * serves /metrics and /health. */
#ifndef KASSA_RUNTIME_SERVICE_CONF_H
#define KASSA_RUNTIME_SERVICE_CONF_H

#include "runtime/conf.h"

#define SERVICE_CONF(X)                                                                            \
    X(INT, drain_ms, "DRAIN_MS", 10000, 0, 600000, "time to finish what was taken, at SIGTERM")    \
    X(TEXT, log_level, "LOG_LEVEL", "info", 4, 5, "debug, info, warn or error")

struct service_conf {
    SERVICE_CONF(CONF_FIELD)
};
extern const struct conf_table service_conf_table;

static inline const struct service_conf *service_conf(const struct conf *conf)
{
    return conf_of(conf, &service_conf_table);
}

#define METRICS_CONF(X)                                                                            \
    X(TEXT, metrics_host, "METRICS_HOST", "127.0.0.1", 1, 255,                                     \
      "address of /metrics and /health of every service but the gateway")                          \
    X(INT, metrics_port, "METRICS_PORT", 0, 0, 65535,                                              \
      "port of /metrics and /health of every service but the gateway; 0: none")

struct metrics_conf {
    METRICS_CONF(CONF_FIELD)
};
extern const struct conf_table metrics_conf_table;

static inline const struct metrics_conf *metrics_conf(const struct conf *conf)
{
    return conf_of(conf, &metrics_conf_table);
}

#endif
