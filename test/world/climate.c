/* Chances, costs, losses and limits, by chance. See climate.h. */
#include "test/world/climate.h"
#include "test/world/environment.h"

#include <string.h>

#include "test/world/ages.h"
#include "test/world/group.h"
#include "test/world/shop.h"

#define LOSS_MS_MAX 2000 /* a store loses what it did in so much time, at most */
#define HURRY_MAX   6000 /* crashes, in 1/100 000, on top, while that is mended */
#define HURRY_US    INT64_C(4000000)
#define DEGRADE_MS  4000 /* longer than the Sentinels of the model need to agree */

static const char *loss; /* whose store loses its tail */
static unsigned replicas;
static unsigned chances_off; /* by bit, to shorten a failing run */

static struct world_chances chances_make(void)
{
    struct world_chances c = {0};
    if (world_random(4) > 0) {
        c.crash = world_random(1500);
    }
    if (world_random(2) == 0) {
        c.lose = world_random(100);
        c.repeat = world_random(200);
        c.late = world_random(200);
    }
    if (world_random(2) == 0) {
        c.break_link = world_random(100);
        c.break_store = world_random(100);
    }
    if (world_random(2) == 0) {
        c.lose_notice = world_random(300);
    }
    if (world_random(3) == 0) {
        c.clocks = 1 + world_random(5);
    }
    for (unsigned i = 0; i < WORLD_CHANCES; i++) {
        if ((chances_off >> i & 1) != 0) {
            ((unsigned *)&c)[i] = 0;
        }
    }
    return c;
}

/* Some runs have a store that comes back as another server, without its tail. What is lost then
 * besides what sagas did is nobody's to mend, and neither is a cancel of stock that was under way:
 * such runs have plenty of what is lost, and no funding, or no cancels. The courier keeps what it
 * confirms: what both have lost is lost. */
static const char *loss_choose(void)
{
    static const char *const services[] = {"payment", "stock"};
    if (world_random(4) > 0) {
        return NULL;
    }
    const char *service = services[world_random(2)];
    world.chances.lose = 0;
    world.chances.clocks = 0; /* what ended when is what a replay goes by */
    if (strcmp(service, "stock") == 0) {
        environment_set("SAGA_DEADLINE_MS", 200000);
    }
    return service;
}

/* Half of the others have replicas, which die, stand still and are promoted. */
static void replicas_make(void)
{
    replicas = 0;
    if (loss == NULL && world_random(2) == 0) {
        replicas = GROUP_REPLICAS;
        environment_set("REDIS_WAIT_REPLICAS", replicas);
        environment_set("REDIS_DEGRADE_MS", DEGRADE_MS);
    }
}

/* Some of the runs that lose nothing have servers that are slow all the time: a disk, a call that
 * takes long and is asked for often, one that is never answered, or the line to the replicas. Links
 * hold then: each one that breaks delivers again all that waits, and so much of that would be a
 * trouble of its own. */
static void costs_make(void)
{
    world.costs = (struct world_costs){0};
    if (loss != NULL || world_random(4) > 0) {
        return;
    }
    world.chances.break_link = 0;
    switch (world_random(4)) {
    case 0:
        world.costs.sync_us = 100000 + world_random(1400000);
        break;
    case 1:
        world.costs.look_us = 200 + world_random(2000);
        break;
    case 2:
        world.costs.has_poison = true;
        world.chances.repeat = 0; /* each takes its silences */
        break;
    default:
        world.costs.lag_us = replicas > 0 ? 100000 + world_random(900000) : 0;
    }
}

static bool climate_is_slow(void)
{
    const struct world_costs none = {0};
    return memcmp(&world.costs, &none, sizeof(none)) != 0;
}

/* Some of the others have a store that is full of something else, in the middle of the storm or
 * just before its end, until long after it: what was begun has to end before that. */
#define FULL_US  INT64_C(6500000)  /* full by then, at the latest */
#define ENDED_US INT64_C(40000000) /* of calm, until what has begun has ended */
#define WHOLE_US INT64_C(100000)   /* between two looks whether all groups are whole */

static bool is_full;

static void on_full(void *ctx)
{
    static const unsigned used[] = {95, 99, 105, 150}; /* percent; new work is refused from 90 on */
    const char *const *service = ctx;
    if (!group_are_whole()) { /* what it has to have before (store_limit) would be lost with one */
        world_after(NULL, WHOLE_US, on_full, ctx);
        return;
    }
    store_limit(*service, used[world_random(4)]);
}

static void on_room(void *ctx)
{
    const char *const *service = ctx;
    is_full = false;
    if (!group_are_whole()) {
        world_say("%s is not whole", *service);
    } else {
        shop_check_ended();
    }
    store_limit(*service, 0);
}

static void limits_make(void)
{
    static const char *const services[] = {"order", "payment", "stock", "saga"};
    static const char *service;
    const struct world_costs none = {0};
    is_full = world.has_limits = loss == NULL && ages_are_over() &&
                                 memcmp(&world.costs, &none, sizeof(none)) == 0 &&
                                 world_random(3) == 0;
    if (world.has_limits) {
        service = services[world_random(4)];
        world_after(NULL, world_random(FULL_US), on_full, &service);
        shop_is_full(STORM_US, STORM_US + ENDED_US);
        world_after(NULL, STORM_US + ENDED_US, on_room, &service);
    }
}

static bool is_loss_due; /* and so nothing is settled */

/* What is lost is sent again for some moments only: in these nodes die more often. */
static unsigned hurry;

static void on_hurry_over(void *ctx)
{
    (void)ctx;
    world.chances.crash -= hurry;
}

static void on_loss(void *ctx)
{
    const char *const *service = ctx;
    is_loss_due = false;
    world_say("the store of %s is another server, without its tail", *service);
    store_restore(*service);
    if (world.chances.crash > 0) {
        hurry = world_random(HURRY_MAX);
        world.chances.crash += hurry;
        world_after(NULL, HURRY_US, on_hurry_over, NULL);
    }
}

static void on_keep(void *ctx)
{
    const char *const *service = ctx;
    world_say("what %s does now will be lost", *service);
    store_keep(*service);
    world_after(NULL, (int64_t)world_random(LOSS_MS_MAX) * 1000, on_loss, ctx);
}

static void on_calm(void *ctx)
{
    (void)ctx;
    world.is_calm = true;
    world_say("calm");
}

/* Every third run has nginx before the gateways; mostly it waits as long as it should, which no run
 * lasts. Less than a slow server takes would be for ever. */
static void proxy_make(void)
{
    world.proxy_us = 0;
    if (world_random(3) == 0) {
        bool is_short = !climate_is_slow() && world_random(3) == 0;
        world.proxy_us = is_short ? 1500000 + world_random(4000000) : INT64_C(280000000);
    }
}

void climate_make(void)
{
    world.chances = chances_make();
    loss = loss_choose();
    replicas_make();
    costs_make();
    proxy_make();
    ages_make(!loss && !climate_is_slow());
    world_say("costs: sync %lld, look %lld, lag %lld us", (long long)world.costs.sync_us,
              (long long)world.costs.look_us, (long long)world.costs.lag_us);
}

void climate_begin(void)
{
    limits_make();
    ages_begin(STORM_US);
    world_after(NULL, STORM_US, on_calm, NULL);
    clock_world_jump(world.chances.clocks, STORM_US);
    is_loss_due = loss != NULL;
    if (loss) {
        world_after(NULL, 300000 + (int64_t)world_random(6000) * 1000, on_keep, &loss);
    }
}

unsigned climate_replicas(void)
{
    return replicas;
}

const char *climate_loss(void)
{
    return loss;
}

bool climate_is_over(void)
{
    return world.is_calm && !is_loss_due && !is_full && ages_are_over();
}

void climate_leave_out(unsigned chances)
{
    chances_off = chances;
}
