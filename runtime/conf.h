/* Configuration: environment variables, every one in this table. `./kassa config` prints it.
 * A wrong value stops the start with one sentence that names the variable, the value and what is
 * allowed. */
#ifndef KASSA_RUNTIME_CONF_H
#define KASSA_RUNTIME_CONF_H

#include <stddef.h>
#include <stdint.h>
#include "runtime/buf.h"

#define CONF_TEXT_MAX 256

/* Connections beyond those that may wait for an answer: a request too many has to be heard to be
 * told so, and /health, /ready and /metrics have to be answered just then. */
#define CONF_CONNECTIONS_SPARE 256

/* X(kind, field, variable, default, min, max, what it is)
 * INT: a whole number within min..max. TEXT: min..max bytes. SECRET: TEXT that is never printed; it
 * may also be the first line of a file that <variable>_FILE names. */
#define CONF_TABLE(X)                                                                              \
    X(TEXT, http_host, "HTTP_HOST", "127.0.0.1", 1, 255, "address the gateway listens on")         \
    X(INT, http_port, "HTTP_PORT", 8000, 0, 65535, "port of the gateway; 0: any free one")         \
    X(INT, http_connections_max, "HTTP_CONNECTIONS_MAX", 12288, 1, 60000,                          \
      "client connections at once, at least PENDING_MAX + 256; with more, whoever rests gives "    \
      "way")                                                                                       \
    X(INT, http_idle_s, "HTTP_IDLE_SECONDS", 900, 1, 86400,                                        \
      "a connection without a request is closed after this")                                       \
    X(INT, http_receive_s, "HTTP_RECEIVE_SECONDS", 10, 1, 900,                                     \
      "a request that is not complete after this is not waited for")                               \
    X(TEXT, metrics_host, "METRICS_HOST", "127.0.0.1", 1, 255,                                     \
      "address of /metrics and /health of order, stock and payment")                               \
    X(INT, metrics_port, "METRICS_PORT", 0, 0, 65535,                                              \
      "port of /metrics and /health of order, stock and payment; 0: none")                         \
    X(TEXT, rabbitmq_nodes, "RABBITMQ_NODES", "127.0.0.1:5672", 1, 255,                            \
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
      "an envelope is closed when it has grown past this")                                         \
    X(TEXT, order_redis, "ORDER_REDIS", "127.0.0.1:6379", 1, 255,                                  \
      "store of the orders and their saga journal, host:port")                                     \
    X(TEXT, stock_redis, "STOCK_REDIS", "127.0.0.1:6379", 1, 255, "store of the items")            \
    X(TEXT, payment_redis, "PAYMENT_REDIS", "127.0.0.1:6379", 1, 255, "store of the users")        \
    X(TEXT, saga_redis, "SAGA_REDIS", "127.0.0.1:6379", 1, 255,                                    \
      "store of idempotency keys, and the channel of completion notices")                          \
    X(TEXT, redis_sentinels, "REDIS_SENTINELS", "", 0, 255,                                        \
      "Sentinels, host:port separated by commas: the stores above are names of their masters "     \
      "then")                                                                                      \
    X(SECRET, sentinel_password, "SENTINEL_PASSWORD", "", 0, 255,                                  \
      "password of the Sentinels; empty: none")                                                    \
    X(INT, redis_wait_replicas, "REDIS_WAIT_REPLICAS", 0, 0, 5,                                    \
      "replicas that must have a write before anything follows from it: all that there are")       \
    X(INT, redis_degrade_ms, "REDIS_DEGRADE_MS", 12000, 12000, 600000,                             \
      "a replica that the master does not list for this long, while most Sentinels name that "     \
      "master, is not waited for, if there is another one")                                        \
    X(TEXT, redis_user, "REDIS_USER", "", 0, 255, "user of the stores; empty: their default one")  \
    X(SECRET, redis_password, "REDIS_PASSWORD", "", 0, 255, "password of the stores; empty: none") \
    X(INT, redis_timeout_ms, "REDIS_TIMEOUT_MS", 1000, 50, 60000,                                  \
      "a store that has calls and answers none for this long is looked for at the Sentinels; the " \
      "connection is dropped after three times as long, or longer while the store is slow")        \
    X(INT, pending_max, "PENDING_MAX", 10000, 1, 1000000,                                          \
      "requests a gateway holds open; one more is answered 429")                                   \
    X(INT, admission_min, "ADMISSION_MIN", 1024, 8, 1000000,                                       \
      "with fewer open requests nobody is turned away, until an overload has begun")               \
    X(INT, admission_target_ms, "ADMISSION_TARGET_MS", 50, 1, 60000,                               \
      "when even the fastest answers have waited longer, it is an overload")                       \
    X(INT, front_ids, "FRONT_IDS", 1, 0, 1,                                                        \
      "1: a POST that nginx may repeat gets its command's id from nginx; 0: a key is claimed for " \
      "it, too, for gateways of the version before this one")                                      \
    X(INT, reask_ms, "REASK_MS", 1000, 50, 60000, "a waiting request is asked for again each")     \
    X(INT, deadline_ms, "DEADLINE_MS", 240000, 1000, 280000,                                       \
      "a request without any answer is told so after this")                                        \
    X(INT, saga_resend_ms, "SAGA_RESEND_MS", 1000, 50, 60000,                                      \
      "an unanswered saga command is sent again after this, doubling")                             \
    X(INT, saga_resend_max_ms, "SAGA_RESEND_MAX_MS", 5000, 50, 60000, "cap of the doubling")       \
    X(INT, saga_deadline_ms, "SAGA_DEADLINE_MS", 180000, 500, 240000,                              \
      "a saga that has not got past its pivot by then is cancelled")                               \
    X(INT, saga_stuck_retries, "SAGA_STUCK_RETRIES", 60, 1, 100000,                                \
      "a compensation asked for this often raises the alarm, and is asked for again")              \
    X(INT, replay_s, "REPLAY_SECONDS", 60, 1, 3600,                                                \
      "how much more than a store has lost is sent again, for clocks that differ")                 \
    X(INT, records_s, "RECORDS_SECONDS", 3600, 600, 691200,                                        \
      "how long commands are remembered once their sagas have ended: as far back a repeat is "     \
      "known, and a replay goes")                                                                  \
    X(INT, idempotency_days, "IDEMPOTENCY_DAYS", 1, 1, 14,                                         \
      "how long an Idempotency-Key that a client sent stands for its command")                     \
    X(INT, order_lines_max, "ORDER_LINES_MAX", 100, 1, 500, "different items in an order")         \
    X(INT, batch_max, "BATCH_MAX", 10000000, 1, 100000000, "entities of one batch_init")           \
    X(INT, drain_ms, "DRAIN_MS", 10000, 0, 600000, "time to finish what was taken, at SIGTERM")    \
    X(TEXT, log_level, "LOG_LEVEL", "info", 4, 5, "debug, info, warn or error")

struct conf {
#define CONF_FIELD_INT(field)                           int64_t field;
#define CONF_FIELD_TEXT(field)                          char field[CONF_TEXT_MAX];
#define CONF_FIELD_SECRET(field)                        char field[CONF_TEXT_MAX];
#define X(kind, field, variable, value, min, max, what) CONF_FIELD_##kind(field)
    CONF_TABLE(X)
#undef X
};

typedef const char *conf_lookup(const char *variable); /* getenv, or a test's own */

/* Fills *ret_conf from the defaults and what `lookup` gives.
 * Errors: -ERR_CONFIG, with one sentence in *ret_sentence. */
int conf_load(struct conf *ret_conf, conf_lookup *lookup, struct buf *ret_sentence);

/* The table as a person reads it, with the effective values (secrets as ***). */
void conf_print(const struct conf *conf, struct buf *out);

/* Are the stores named, and their masters found by Sentinels? */
bool conf_has_sentinels(const struct conf *conf);

/* host:port[,host:port..]: the n-th, counted from 0, wrapping around.
 * Errors: false when the text is malformed. Units: host_size in bytes. */
bool conf_node(const char *nodes, unsigned n, char *ret_host, size_t host_size, int *ret_port);
unsigned conf_node_count(const char *nodes); /* 0: malformed */

#endif
