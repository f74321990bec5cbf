/* The simulation: seeds in, faults out.
 *
 *   world [--seeds N] [--first S] [--jobs J]
 *                                   runs N seeds in J processes; prints what was covered
 *   world --plants [--seeds N]      each planted bug must be found within N seeds
 *   world --seed S [--plant P]      one seed, with its transcript; one that fails is shortened
 *                                   first: kinds of trouble and requests that it fails without
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/conf.h"
#include "gateway/gateway.h"
#include "idempotency/key.h"
#include "order/commands.h"
#include "payment/commands.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "runtime/uuid.h"
#include "stock/commands.h"
#include "test/world/environment.h"
#include "test/world/group.h"
#include "test/world/plants.h"
#include "test/world/shop.h"

#define EVENTS_MAX  400000
#define STORM_US    INT64_C(8000000)
#define SETTLED_US  INT64_C(90000000) /* of calm, at most; then what is open stays open */
#define LOSS_MS_MAX 2000              /* a store loses what it did in so much time, at most */
#define HURRY_MAX   6000              /* crashes, in 1/100 000, on top, while that is mended */
#define HURRY_US    INT64_C(4000000)
#define SEEDS_BLIND 2500
#define DEGRADE_MS  4000 /* longer than the Sentinels of the model need to agree */

extern const struct library payment_library, stock_library, order_library;

static unsigned chances_off; /* by bit, to shorten a failing run */

/* A seed is also a climate: some are all storm, some have one kind of trouble only. */
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
static const char *loss_make(void)
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
static unsigned replicas_make(const char *loss)
{
    if (loss != NULL || world_random(2) > 0) {
        return 0;
    }
    environment_set("REDIS_WAIT_REPLICAS", GROUP_REPLICAS);
    environment_set("REDIS_DEGRADE_MS", DEGRADE_MS);
    return GROUP_REPLICAS;
}

/* Some of the runs that lose nothing have servers that are slow all the time: a disk, a call that
 * takes long and is asked for often, one that is never answered, or the line to the replicas. Links
 * hold then: each one that breaks delivers again all that waits, and so much of that would be a
 * trouble of its own. */
static void costs_make(unsigned replicas, const char *loss)
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
        world.costs.list_us = 20000 + world_random(100000);
        break;
    case 2:
        world.costs.has_poison = true;
        world.chances.repeat = 0; /* each takes its silences */
        break;
    default:
        world.costs.lag_us = replicas > 0 ? 100000 + world_random(900000) : 0;
    }
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

static void limits_make(const char *loss)
{
    static const char *const services[] = {"order", "payment", "stock", "saga"};
    static const char *service;
    const struct world_costs none = {0};
    is_full = world.has_limits =
        loss == NULL && memcmp(&world.costs, &none, sizeof(none)) == 0 && world_random(3) == 0;
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

struct totals {
    uint64_t seeds, checkouts, events, crashes, messages, calls;
    double virtual_s;
};

/* A service that is down has not told yet what its store has lost. */
static bool has_settled(void)
{
    return world.is_calm && !is_loss_due && !is_full && shop_waiting() == 0 && broker_is_idle() &&
           group_are_whole() && store_is_announced("payment") && store_is_announced("stock") &&
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

/* True: no fault. */
static bool seed_run(uint64_t seed, struct totals *totals)
{
    static const struct library *const libraries[] = {&payment_library, &stock_library,
                                                      &order_library, &key_library};
    struct node *gateways[2];
    int64_t rolled_back = rollbacks();
    world_reset(seed);
    uuid_seed(seed);
    clock_world_reset();
    broker_world_reset();
    http_world_reset();
    world.chances = chances_make();
    environment_reset();
    static const char *loss;
    loss = loss_make();
    unsigned replicas = replicas_make(loss);
    costs_make(replicas, loss);
    world_say("costs: sync %lld, list %lld, lag %lld us", (long long)world.costs.sync_us,
              (long long)world.costs.list_us, (long long)world.costs.lag_us);
    store_world_reset(libraries, 4, replicas);
    const struct service gateway = {.name = "gateway",
                                    .tables = gateway_tables,
                                    .start = gateway_start,
                                    .drain = gateway_drain,
                                    .is_drained = gateway_is_drained,
                                    .stop = gateway_stop};
    const struct service order = consumer_service(&order_definition);
    const struct service stock = consumer_service(&stock_definition);
    const struct service payment = consumer_service(&payment_definition);
    gateways[0] = world_node("gateway-1", &gateway);
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
    shop_open(gateways, 2, loss);
    limits_make(loss);
    world_after(NULL, STORM_US, on_calm, NULL);
    clock_world_jump(world.chances.clocks, STORM_US);
    is_loss_due = loss != NULL;
    if (loss != NULL) {
        world_after(NULL, 300000 + (int64_t)world_random(6000) * 1000, on_keep, &loss);
    }
    int64_t settled_us = world.costs.has_poison ? 2 * SETTLED_US : SETTLED_US;
    int64_t end_us = world.now_us + STORM_US + settled_us;
    bool is_settled = false;
    while (world.now_us < end_us && world.events < EVENTS_MAX && world_faults() == 0) {
        if (!world_step()) {
            break;
        }
        is_settled = world.events % 64 == 0 && has_settled();
        if (is_settled) {
            break;
        }
    }
    if (world_faults() == 0) {
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
        if (loss == NULL && rollbacks() != rolled_back) {
            world_fault("a store has not what it had confirmed");
        }
    }
    totals->seeds++;
    totals->checkouts += shop_checkouts();
    totals->events += world.events;
    totals->crashes += world.crashes;
    totals->messages += world.messages;
    totals->calls += world.calls;
    totals->virtual_s += (double)world.now_us / 1e6;
    bool is_good = world_faults() == 0;
    return is_good;
}

/* Takes away what the seed fails without: kinds of trouble, then requests, one at a time. */
static void seed_shorten(uint64_t seed)
{
    struct totals totals = {0};
    uint64_t out = 0;
    for (unsigned i = 0; i < WORLD_CHANCES; i++) {
        chances_off |= 1u << i;
        if (seed_run(seed, &totals)) {
            chances_off &= ~(1u << i);
        }
    }
    seed_run(seed, &totals);
    unsigned requests = shop_requests();
    for (unsigned i = 0; i < requests; i++) {
        shop_leave_out(out | UINT64_C(1) << i);
        if (!seed_run(seed, &totals)) {
            out |= UINT64_C(1) << i;
        }
    }
    shop_leave_out(out);
}

static int seed_tell(uint64_t seed)
{
    struct totals totals = {0};
    if (!seed_run(seed, &totals)) {
        seed_shorten(seed);
    }
    world.has_transcript = true;
    bool is_good = seed_run(seed, &totals);
    printf("seed %llu: %s\n", (unsigned long long)seed, is_good ? "no fault" : world_first_fault());
    return !is_good;
}

static int seeds_run(uint64_t first, uint64_t count)
{
    struct totals totals = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (!seed_run(seed, &totals)) {
            printf("seed %llu: %s\n", (unsigned long long)seed, world_first_fault());
            printf("replay: %s --seed %llu\n", "build/<variant>/test/world/world",
                   (unsigned long long)seed);
            return 1;
        }
    }
    printf("%llu seeds: %llu checkouts, %llu crashes, %llu messages, %llu store calls, "
           "%llu events in %.0f s of virtual time: no fault\n",
           (unsigned long long)totals.seeds, (unsigned long long)totals.checkouts,
           (unsigned long long)totals.crashes, (unsigned long long)totals.messages,
           (unsigned long long)totals.calls, (unsigned long long)totals.events, totals.virtual_s);
    return 0;
}

/* The seeds in `jobs` processes, a part each. */
static int jobs_run(uint64_t first, uint64_t count, uint64_t jobs)
{
    int bad = 0;
    for (uint64_t j = 0; j < jobs; j++) {
        uint64_t from = first + count * j / jobs, to = first + count * (j + 1) / jobs;
        pid_t pid = fork();
        if (pid == 0) {
            bad = seeds_run(from, to - from);
            fflush(stdout);
            _exit(bad);
        }
        bad |= pid < 0;
    }
    int status;
    while (wait(&status) > 0) {
        bad |= status != 0;
    }
    return bad;
}

static void plant_set(unsigned plant)
{
    world_patch = plants[plant].patch;
    world_bugs = plants[plant].bugs;
}

static int plants_run(uint64_t count)
{
    unsigned blind = 0;
    for (unsigned p = 0; p < plant_count; p++) {
        struct totals totals = {0};
        uint64_t seed = plants[p].bugs.seen_from > 0 ? plants[p].bugs.seen_from : 1,
                 end = seed + count;
        plant_set(p);
        while (seed < end && seed_run(seed, &totals)) {
            seed++;
        }
        if (seed == end) {
            printf("NOT FOUND in %llu seeds: %u %s\n", (unsigned long long)count, p,
                   plants[p].name);
            blind++;
        } else {
            printf("found by seed %3llu: %u %s (%s)\n", (unsigned long long)seed, p, plants[p].name,
                   world_first_fault());
        }
    }
    printf("%u of %u planted bugs found\n", plant_count - blind, plant_count);
    return blind > 0;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 0, one = 0, jobs = 1;
    log_start(loop_new(), "world", "error"); /* a loop that never turns: only for the level */
    bool is_plants = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--plants") == 0) {
            is_plants = true;
            continue;
        }
        if (strcmp(argv[i], "--seeds") == 0) {
            count = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--first") == 0) {
            first = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--jobs") == 0) {
            jobs = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            one = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--plant") == 0 && strtoul(value, NULL, 10) < plant_count) {
            plant_set((unsigned)strtoul(value, NULL, 10));
        } else {
            fprintf(stderr, "usage: world [--plants] [--seeds N] [--first S] [--jobs J]\n"
                            "       world --seed S [--plant P]\n");
            return 2;
        }
        i++;
    }
    if (is_plants) {
        return plants_run(count > 0 ? count : SEEDS_BLIND);
    }
    if (one > 0) {
        return seed_tell(one);
    }
    return jobs_run(first, count > 0 ? count : 1000, jobs > 0 && jobs < 64 ? jobs : 1);
}
