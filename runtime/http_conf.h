/* What an HTTP listener is told by the environment, of whichever service. */
#ifndef KASSA_RUNTIME_HTTP_CONF_H
#define KASSA_RUNTIME_HTTP_CONF_H

#include "runtime/conf.h"

#define HTTP_CONF(X)                                                                               \
    X(INT, http_connections_max, "HTTP_CONNECTIONS_MAX", 12288, 1, 60000,                          \
      "client connections at once, at least PENDING_MAX + 256; with more, idle ones are closed")   \
    X(INT, http_idle_s, "HTTP_IDLE_SECONDS", 900, 1, 86400,                                        \
      "a connection without a request is closed after this")                                       \
    X(INT, http_receive_s, "HTTP_RECEIVE_SECONDS", 10, 1, 900,                                     \
      "a request that is not complete after this is not waited for")

struct http_conf {
    HTTP_CONF(CONF_FIELD)
};
extern const struct conf_table http_conf_table;

static inline const struct http_conf *http_conf(const struct conf *conf)
{
    return conf_of(conf, &http_conf_table);
}

#endif
