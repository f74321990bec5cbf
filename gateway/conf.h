/* What a gateway is told by the environment. */
#ifndef KASSA_GATEWAY_CONF_H
#define KASSA_GATEWAY_CONF_H

#include "runtime/conf.h"

/* Connections beyond those that may wait for an answer: a request too many has to be heard to be
 * told so, and /health, /ready and /metrics have to be answered just then. */
#define GATEWAY_CONNECTIONS_SPARE 256

#define GATEWAY_CONF(X)                                                                            \
    X(TEXT, http_host, "HTTP_HOST", "127.0.0.1", 1, 255, "address the gateway listens on")         \
    X(INT, http_port, "HTTP_PORT", 8000, 0, 65535, "port of the gateway; 0: any free one")         \
    X(INT, pending_max, "PENDING_MAX", 10000, 1, 1000000,                                          \
      "requests a gateway holds open; one more is answered 429")                                   \
    X(INT, admission_min, "ADMISSION_MIN", 1024, 8, 1000000,                                       \
      "with fewer open requests nobody is turned away, until an overload has begun")               \
    X(INT, admission_target_ms, "ADMISSION_TARGET_MS", 50, 1, 60000,                               \
      "when even the fastest answers have waited longer, it is an overload")                       \
    X(INT, front_ids, "FRONT_IDS", 1, 0, 1,                                                        \
      "1: a POST that nginx may repeat gets its command's id from nginx; 0: a key is claimed for " \
      "it, too, for gateways of the version before this one")                                      \
    X(INT, reask_ms, "REASK_MS", 1000, 50, 60000, "a waiting request is retried each")             \
    X(INT, batch_max, "BATCH_MAX", 10000000, 1, 100000000, "entities of one batch_init")

struct gateway_conf {
    GATEWAY_CONF(CONF_FIELD)
};
extern const struct conf_table gateway_conf_table;

static inline const struct gateway_conf *gateway_conf(const struct conf *conf)
{
    return conf_of(conf, &gateway_conf_table);
}

/* All that a gateway reads, for struct service. */
extern const struct conf_table *const gateway_tables[];

#endif
