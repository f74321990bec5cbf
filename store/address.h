/* Where the stores are. Each is a table of its own: a process lists those that it uses. */
#ifndef KASSA_STORE_ADDRESS_H
#define KASSA_STORE_ADDRESS_H

#include "runtime/conf.h"

/* As rows of a configuration table; the field is the store's name. */
#define ADDRESS_CONF(X)                                                                            \
    X(TEXT, order, "ORDER_REDIS", "127.0.0.1:6379", 1, 255,                                        \
      "store of the orders and their saga journal, host:port")                                     \
    X(TEXT, stock, "STOCK_REDIS", "127.0.0.1:6379", 1, 255, "store of the items")                  \
    X(TEXT, payment, "PAYMENT_REDIS", "127.0.0.1:6379", 1, 255, "store of the users")              \
    X(TEXT, saga, "SAGA_REDIS", "127.0.0.1:6379", 1, 255,                                          \
      "store of idempotency keys, and the channel of completion notices")

enum address { ADDRESS_ORDER, ADDRESS_STOCK, ADDRESS_PAYMENT, ADDRESS_SAGA, ADDRESS_COUNT };

struct address_conf {
    char node[CONF_TEXT_MAX]; /* host:port, or with Sentinels the name of a master */
};
/* They need store/conf.h's table, too. */
extern const struct conf_table address_tables[ADDRESS_COUNT];

/* For store_new. Borrowed from conf. */
const char *address_of(const struct conf *conf, enum address address);

#endif
