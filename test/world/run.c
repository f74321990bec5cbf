/* Starts the processes, lets the storm pass, and looks whether all is settled then. See run.h. */
#include "gateway/conf.h"
#include "test/world/run.h"

#include <assert.h>
#include <stdio.h>

#include "gateway/gateway.h"
#include "idempotency/key.h"
#include "order/commands.h"
#include "payment/commands.h"
#include "runtime/stat.h"
#include "runtime/uuid.h"
#include "stock/commands.h"
#include "test/world/climate.h"
#include "test/world/environment.h"
#include "test/world/group.h"
#include "test/world/proxy.h"
#include "test/world/shop.h"

#define EVENTS_MAX 400000
#define SETTLED_US INT64_C(90000000) /* of calm, at most; then what is open stays open */

extern const struct library payment_library, stock_library, order_library;

/* A service that is down has not told yet what its store has lost. */
static bool has_settled(void)
{
    return climate_is_over() && shop_waiting() == 0 && broker_is_idle() && group_are_whole() &&
           store_is_announced("payment") && store_is_announced("stock") &&
           store_is_replayed("payment") && store_is_replayed("stock");
}

/* Where none loses its tail, none may come back without what it has confirmed. */
static int64_t rollbacks(void)
{
    static const char *const groups[] = {"order", "payment", "stock", "saga"};
    int64_t count = 0;
    for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        char labels[32];
        snprintf(labels, sizeof(labels), "group=\"%s\"", groups[i]);
        count += stat_get(stat_counter("kassa_store_rollbacks_total", labels, ""));
    }
    return count;
}

#define GATEWAYS 2

/* Two of each. What they are has to last: a process may be taken down by the next run's start. */
static void nodes_start(struct node *gateways[GATEWAYS])
{
    static const struct service gateway = {.name = "gateway",
                                           .tables = gateway_tables,
                                           .start = gateway_start,
                                           .drain = gateway_drain,
                                           .is_drained = gateway_is_drained,
                                           .stop = gateway_stop};
    static struct service order, stock, payment;
    order = consumer_service(&order_definition);
    stock = consumer_service(&stock_definition);
    payment = consumer_service(&payment_definition);
    gateways[0] = world_node("gateway-1", &gateway);
    if (world.proxy_us > 0) { /* as while two versions are there */
        environment_set("FRONT_IDS", world_random(2));
    }
    gateways[1] = world_node("gateway-2", &gateway);
    world_node("order-1", &order);
    world_node("order-2", &order);
    world_node("stock-1", &stock);
    world_node("stock-2", &stock);
    world_node("payment-1", &payment);
    world_node("payment-2", &payment);
    for (unsigned i = 0; i < world.node_count; i++) {
        node_start(&world.nodes[i]);
    }
}

static void world_make(uint64_t seed)
{
    static const struct library *const libraries[] = {&payment_library, &stock_library,
                                                      &order_library, &key_library};
    static struct node *gateways[GATEWAYS]; /* the shop keeps it */
    world_reset(seed);
    uuid_seed(seed);
    clock_world_reset();
    broker_world_reset();
    http_world_reset();
    environment_reset();
    climate_make();
    store_world_reset(libraries, 4, climate_replicas());
    nodes_start(gateways);
    if (world.proxy_us > 0) {
        proxy_world_reset(gateways, GATEWAYS, world.proxy_us);
    }
    shop_open(gateways, GATEWAYS, climate_loss());
    climate_begin();
}

/* Until all is settled, or something is found, or it takes too long. */
static bool settles(void)
{
    int64_t settled_us = world.costs.has_poison ? 2 * SETTLED_US : SETTLED_US;
    int64_t end_us = world.now_us + STORM_US + settled_us;
    while (world.now_us - world.leapt_us < end_us && world.events < EVENTS_MAX &&
           world_faults() == 0) {
        if (!world_step()) {
            break;
        }
        if (world.events % 64 == 0 && has_settled()) {
            return true;
        }
    }
    return false;
}

static void end_check(bool is_settled, int64_t rolled_back)
{
    /* a last second: nothing may happen to what is settled */
    int64_t until_us = world.now_us + 1000000;
    while (world.now_us < until_us && world_step()) {
    }
    shop_check();
    if (world.costs.has_poison && !is_settled && !broker_is_idle()) {
        world_fault("a command is kept that nobody can carry out");
    }
    if (world.has_limits && !is_settled) {
        world_fault("there is room again, and not everything comes to rest");
    }
    group_check();
    if (!climate_loss() && rollbacks() != rolled_back) {
        world_fault("a store has not what it had confirmed");
    }
}

bool run_seed(uint64_t seed, struct totals *totals)
{
    int64_t rolled_back = rollbacks();
    world_make(seed);
    bool is_settled = settles();
    if (world_faults() == 0) {
        end_check(is_settled, rolled_back);
    }
    ages_count(&totals->ages);
    totals->seeds++;
    totals->checkouts += shop_checkouts();
    totals->events += world.events;
    totals->crashes += world.crashes;
    totals->messages += world.messages;
    totals->calls += world.calls;
    totals->virtual_s += (double)world.now_us / 1e6;
    return world_faults() == 0;
}
