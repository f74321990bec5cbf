/* What the broker's connections are told by the environment. */
#ifndef KASSA_BROKER_CONF_H
#define KASSA_BROKER_CONF_H

#include "runtime/conf.h"

#define BROKER_CONF(X)                                                                             \
    X(NODES, rabbitmq_nodes, "RABBITMQ_NODES", "127.0.0.1:5672", 1, 255,                           \
      "broker nodes, host:port separated by commas")                                               \
    X(TEXT, rabbitmq_user, "RABBITMQ_USER", "guest", 1, 255, "broker user")                        \
    X(SECRET, rabbitmq_password, "RABBITMQ_PASSWORD", "guest", 0, 255, "broker password")          \
    X(TEXT, rabbitmq_vhost, "RABBITMQ_VHOST", "/", 1, 255, "broker virtual host")                  \
    X(INT, rabbitmq_heartbeat_s, "RABBITMQ_HEARTBEAT_SECONDS", 5, 1, 60,                           \
      "a broker connection silent for twice this is dropped")                                      \
    X(INT, rabbitmq_confirm_ms, "RABBITMQ_CONFIRM_MS", 3000, 500, 60000,                           \
      "a publisher's connection with an envelope unconfirmed for this long is dropped")            \
    X(INT, rabbitmq_prefetch, "RABBITMQ_PREFETCH", 200, 1, 10000,                                  \
      "envelopes a consumer holds without having acknowledged them")                               \
    X(INT, window_envelopes, "WINDOW_ENVELOPES", 64, 1, 1000,                                      \
      "published envelopes that may wait for their confirm")                                       \
    X(INT, window_bytes, "WINDOW_BYTES", 196608, 4096, 1048576,                                    \
      "their bytes; stays below the socket's buffer so that a publish never blocks")               \
    X(INT, envelope_commands_max, "ENVELOPE_COMMANDS_MAX", 256, 1, 4096,                           \
      "commands in an envelope")                                                                   \
    X(INT, envelope_bytes_max, "ENVELOPE_BYTES_MAX", 65536, 1024, 131072,                          \
      "an envelope is closed when it has grown past this")

struct broker_conf {
    BROKER_CONF(CONF_FIELD)
};
extern const struct conf_table broker_conf_table;

static inline const struct broker_conf *broker_conf(const struct conf *conf)
{
    return conf_of(conf, &broker_conf_table);
}

#endif
