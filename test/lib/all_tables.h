/* Every table of the configuration, as if one process read them all. */
#ifndef KASSA_TEST_ALL_TABLES_H
#define KASSA_TEST_ALL_TABLES_H

#include "broker/conf.h"
#include "gateway/conf.h"
#include "idempotency/conf.h"
#include "order/conf.h"
#include "runtime/http_conf.h"
#include "runtime/service_conf.h"
#include "saga/conf.h"
#include "store/address.h"
#include "store/conf.h"

static const struct conf_table *const all_tables[] = {
    &gateway_conf_table,
    &http_conf_table,
    &metrics_conf_table,
    &broker_conf_table,
    &address_tables[ADDRESS_ORDER],
    &address_tables[ADDRESS_STOCK],
    &address_tables[ADDRESS_PAYMENT],
    &address_tables[ADDRESS_SAGA],
    &store_conf_table,
    &once_conf_table,
    &begin_conf_table,
    &saga_conf_table,
    &order_conf_table,
    &service_conf_table,
    NULL,
};

#endif
