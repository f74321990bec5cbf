/* What every connection to a store is told by the environment; where the stores are: address.h. */
#ifndef KASSA_STORE_CONF_H
#define KASSA_STORE_CONF_H

#include "runtime/conf.h"

#define STORE_CONF(X)                                                                              \
    X(NODES, redis_sentinels, "REDIS_SENTINELS", "", 0, 255,                                       \
      "Sentinels, host:port separated by commas: the stores are names of their masters then")      \
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
      "connection is dropped after three times as long, or longer while the store is slow")

struct store_conf {
    STORE_CONF(CONF_FIELD)
};
extern const struct conf_table store_conf_table;

static inline const struct store_conf *store_conf(const struct conf *conf)
{
    return conf_of(conf, &store_conf_table);
}

/* Are the stores named, and their masters found by Sentinels? */
static inline bool store_conf_has_sentinels(const struct store_conf *conf)
{
    return conf->redis_sentinels[0] != '\0';
}

#endif
