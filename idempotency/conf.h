/* How long records and keys live, by the environment. */
#ifndef KASSA_IDEMPOTENCY_CONF_H
#define KASSA_IDEMPOTENCY_CONF_H

#include "runtime/conf.h"

#define ONCE_CONF(X)                                                                               \
    X(INT, records_s, "RECORDS_SECONDS", 3600, 600, 691200,                                        \
      "how long commands are remembered once their sagas have ended: as far back a repeat is "     \
      "known, and a replay goes")                                                                  \
    X(INT, idempotency_days, "IDEMPOTENCY_DAYS", 1, 1, 14,                                         \
      "how long an Idempotency-Key that a client sent stands for its command")

struct once_conf {
    ONCE_CONF(CONF_FIELD)
};
extern const struct conf_table once_conf_table;

static inline const struct once_conf *once_conf(const struct conf *conf)
{
    return conf_of(conf, &once_conf_table);
}

#endif
