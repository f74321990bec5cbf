/* See address.h. */
#include "store/address.h"

#include <string.h>

#include "store/conf.h"

static bool address_is_node(const char *text)
{
    char host[CONF_TEXT_MAX];
    int port;
    return !strchr(text, ',') && conf_node(text, 0, host, sizeof(host), &port);
}

/* All stores are addresses, or all are names. */
static int address_check(const struct conf *conf, const struct conf_table *table,
                         struct buf *ret_sentence)
{
    const char *node = ((const struct address_conf *)conf_of(conf, table))->node;
    const char *variable = table->rows[0].variable;
    bool has_sentinels = store_conf_has_sentinels(store_conf(conf));
    if (!address_is_node(node) && !slice_is_id(slice_from(node))) {
        return conf_refuse(ret_sentence, variable, node,
                           "host:port, or with REDIS_SENTINELS the name of a master");
    }
    if (address_is_node(node) == has_sentinels) {
        return conf_refuse(ret_sentence, variable, node,
                           has_sentinels ? "the name of a master, since REDIS_SENTINELS is set"
                                         : "host:port, since REDIS_SENTINELS is not set");
    }
    return 0;
}

static const struct conf_row address_rows[ADDRESS_COUNT] = {
#define X(kind, field, ...) CONF_ROW(address_conf, kind, node, __VA_ARGS__)
    ADDRESS_CONF(X)
#undef X
};

#define ADDRESS_TABLE(address)                                                                     \
    [address] = {&address_rows[address], 1, sizeof(struct address_conf), address_check}
const struct conf_table address_tables[ADDRESS_COUNT] = {
    ADDRESS_TABLE(ADDRESS_ORDER),
    ADDRESS_TABLE(ADDRESS_STOCK),
    ADDRESS_TABLE(ADDRESS_PAYMENT),
    ADDRESS_TABLE(ADDRESS_SAGA),
};

const char *address_of(const struct conf *conf, enum address address)
{
    return ((const struct address_conf *)conf_of(conf, &address_tables[address]))->node;
}
