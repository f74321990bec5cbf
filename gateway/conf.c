/* See conf.h. */
#include "gateway/conf.h"

#include "broker/conf.h"
#include "idempotency/conf.h"
#include "runtime/err.h"
#include "runtime/http_conf.h"
#include "runtime/service_conf.h"
#include "saga/conf.h"
#include "store/address.h"
#include "store/conf.h"

/* Who waits for an answer must not be all that there is room for. */
static int gateway_check(const struct conf *conf, const struct conf_table *table,
                         struct buf *ret_sentence)
{
    const struct gateway_conf *gateway = conf_of(conf, table);
    int64_t most = http_conf(conf)->http_connections_max;
    int64_t least = gateway->pending_max + GATEWAY_CONNECTIONS_SPARE;
    if (most >= least) {
        return 0;
    }
    buf_reset(ret_sentence);
    buf_addf(ret_sentence,
             "HTTP_CONNECTIONS_MAX is %lld and PENDING_MAX %lld: there must be room for %d more "
             "connections than may wait, so HTTP_CONNECTIONS_MAX must be at least %lld",
             (long long)most, (long long)gateway->pending_max, GATEWAY_CONNECTIONS_SPARE,
             (long long)least);
    return -ERR_CONFIG;
}

static const struct conf_row gateway_conf_rows[] = {
#define X(...) CONF_ROW(gateway_conf, __VA_ARGS__)
    GATEWAY_CONF(X)
#undef X
};
const struct conf_table gateway_conf_table =
    CONF_TABLE(gateway_conf, gateway_conf_rows, gateway_check);

const struct conf_table *const gateway_tables[] = {
    &gateway_conf_table,
    &http_conf_table,
    &broker_conf_table,
    &address_tables[ADDRESS_ORDER], /* where it begins checkouts */
    &address_tables[ADDRESS_SAGA],
    &store_conf_table,
    &once_conf_table,
    &begin_conf_table,
    &service_conf_table,
    NULL,
};
