/* What sagas are told by the environment: who begins them, and who drives them. */
#ifndef KASSA_SAGA_CONF_H
#define KASSA_SAGA_CONF_H

#include "runtime/conf.h"

/* For a driver: an order service, and not a gateway. */
#define SAGA_CONF(X)                                                                               \
    X(INT, saga_resend_max_ms, "SAGA_RESEND_MAX_MS", 5000, 50, 60000, "cap of the doubling")       \
    X(INT, saga_deadline_ms, "SAGA_DEADLINE_MS", 180000, 500, 240000,                              \
      "a saga that has not got past its pivot by then is cancelled")                               \
    X(INT, saga_stuck_retries, "SAGA_STUCK_RETRIES", 60, 1, 100000,                                \
      "a compensation sent this often raises the alarm, and is sent again")                        \
    X(INT, replay_s, "REPLAY_SECONDS", 60, 1, 3600,                                                \
      "how much more than a store has lost is sent again, for clocks that differ")

struct saga_conf {
    SAGA_CONF(CONF_FIELD)
};
extern const struct conf_table saga_conf_table;

static inline const struct saga_conf *saga_conf(const struct conf *conf)
{
    return conf_of(conf, &saga_conf_table);
}

/* For whoever begins a saga or waits for its end, too: what both sides must agree about. */
#define BEGIN_CONF(X)                                                                              \
    X(INT, deadline_ms, "DEADLINE_MS", 240000, 1000, 280000,                                       \
      "a request without an answer gets 503 after this")                                           \
    X(INT, saga_resend_ms, "SAGA_RESEND_MS", 1000, 50, 60000,                                      \
      "an unanswered saga command is sent again after this, doubling")

struct begin_conf {
    BEGIN_CONF(CONF_FIELD)
};
extern const struct conf_table begin_conf_table;

static inline const struct begin_conf *begin_conf(const struct conf *conf)
{
    return conf_of(conf, &begin_conf_table);
}

#endif
