/* What goes wrong in a group: one trouble after the other, the next one when all is whole again. */
#include "test/world/member.h"

#define FREEZE_US MS(15000)
#define AWAY_US   MS(12000)
#define ALONE_US  MS(14000) /* until the services go on without one that is away */

static void on_thaw(void *ctx)
{
    struct server *s = ctx;
    s->is_synced = s->is_synced && member_is_replica(s) &&
                   copying_knows(&s->group->servers[s->follows], s->number);
    s->is_frozen = false;
    s->is_promotable = s->is_promotable && world.now_us - s->heard_us < SILENCE_US;
    copying_pull(s);
}

static void server_freeze(struct server *s, int64_t frozen_us)
{
    world_say("%s %u stands still", s->group->name, s->number);
    s->is_frozen = true;
    if (member_is_replica(s)) {
        s->group->servers[s->follows].known[s->number].heard_us = world.now_us;
    }
    world_after(NULL, frozen_us, on_thaw, s);
}

static void on_mended(void *ctx)
{
    struct server *s = ctx;
    s->is_cut = false;
    copying_pull_all(s->group, s->number);
    if (member_is_replica(s)) {
        copying_pull(s);
    }
}

/* From the Sentinels, but for the last, and from the replicas, but maybe for one. */
static void master_cut(struct group *g, struct server *companion, int64_t cut_us)
{
    struct server *s = &g->servers[g->master];
    world_say("%s %u is cut off", g->name, s->number);
    s->is_cut = true;
    for (unsigned i = 0; i <= member_replicas; i++) {
        s->known[i].heard_us = world.now_us;
    }
    world_after(NULL, cut_us, on_mended, s);
    if (companion) {
        world_say(".. with %u", companion->number);
        companion->is_cut = true;
        world_after(NULL, cut_us, on_mended, companion);
    }
    world_after(NULL, DOWN_US + world_random(MS(1000)), roles_on_down, g);
}

static void on_wanted(void *ctx)
{
    struct group *g = ctx;
    unsigned chosen = roles_candidate(g);
    if (member_is_running(&g->servers[g->master]) && chosen != NOBODY) {
        roles_promote(g, chosen);
    }
}

static void on_master_dies(void *ctx)
{
    struct group *g = ctx;
    roles_die(&g->servers[g->master], MS(50) + world_random(AWAY_US));
}

static void group_later_of(struct group *g, int64_t delay_us, world_event *run, void *ctx)
{
    int64_t at_us = world.now_us + delay_us;
    g->quiet_us = at_us > g->quiet_us ? at_us : g->quiet_us;
    world_after(NULL, delay_us, run, ctx);
}

static void group_later(struct group *g, int64_t delay_us, world_event *run)
{
    group_later_of(g, delay_us, run, g);
}

/* The machine goes; this one comes back last. */
static void on_all_die_but_late(void *ctx)
{
    struct server *last = ctx;
    struct group *g = last->group;
    for (unsigned i = 0; i <= member_replicas; i++) {
        roles_die(&g->servers[i],
                  MS(50) + world_random(AWAY_US) + (i == last->number ? AWAY_US : 0));
    }
}

static void on_all_die(void *ctx)
{
    struct group *g = ctx;
    on_all_die_but_late(&g->servers[g->master]);
}

static void on_goes(void *ctx)
{
    struct server *s = ctx;
    roles_die(s, AWAY_US + world_random(MS(6000)));
}

/* Whoever it is now, in somebody else's place maybe. */
static void on_other_dies(void *ctx)
{
    struct group *g = ctx;
    roles_die(&g->servers[(g->master + 1 + world_random(2)) % SERVERS_MAX],
              MS(50) + world_random(MS(1000)));
}

static void on_follower_dies(void *ctx)
{
    roles_die(ctx, MS(50));
}

/* Some of those who look for replicas do not, for some moments. */
static void on_nobody_looks(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < world.node_count; i++) {
        if (world.nodes[i].is_up && world_random(2) > 0) {
            node_stand_still(&world.nodes[i], MS(500) + world_random(MS(4000)));
        }
    }
}

/* Troubles of which each alone is harmless. */
static void trouble_of_copies(struct group *g, struct server *one, struct server *other)
{
    int64_t then_us = MS(50) + world_random(AWAY_US);
    switch (world_random(6)) {
    case 0: /* all at once */
        on_all_die(g);
        break;
    case 1: /* the others have gone on without one, which is back first */
        then_us = ALONE_US + world_random(MS(6000));
        roles_die(one, then_us + MS(100));
        group_later(g, then_us, on_all_die);
        break;
    case 2: /* one has everything, and its file has not; then the master dies, and it dies */
        roles_die(one, MS(50));
        group_later(g, MS(1000) + world_random(MS(2000)), on_master_dies);
        group_later(g, MS(8000) + world_random(MS(4000)), on_other_dies);
        break;
    case 3: /* one is done without; the other has everything, and its file has not; then the machine
               goes */
        then_us = ALONE_US + world_random(MS(3000));
        roles_die(one, then_us + MS(2000));
        group_later_of(g, then_us, on_follower_dies, other);
        group_later(g, then_us + MS(1000) + world_random(MS(3000)), on_all_die);
        break;
    case 4: /* the file of one takes long; its master goes, the others go on, then the machine goes
             */
        one->rewrite_us = MS(20000);
        roles_die(one, MS(50));
        group_later_of(g, MS(500) + world_random(MS(1000)), on_goes, &g->servers[g->master]);
        group_later_of(g, MS(10000) + world_random(MS(4000)), on_all_die_but_late, other);
        break;
    default: /* both have everything, and their files have not; then the machine goes */
        roles_die(one, MS(50));
        roles_die(other, MS(50));
        group_later(g, MS(1000) + world_random(MS(3000)), on_all_die);
        break;
    }
}

static void trouble_make(struct group *g)
{
    struct server *one = &g->servers[(g->master + 1 + world_random(2)) % SERVERS_MAX];
    struct server *other = &g->servers[SERVERS_MAX - g->master - one->number];
    int64_t frozen_us = MS(100) + world_random(FREEZE_US);
    switch (world_random(10)) {
    case 0:
        on_master_dies(g);
        break;
    case 1:
        roles_die(one, MS(50) + world_random(AWAY_US));
        break;
    case 2:
        on_wanted(g);
        break;
    case 3: /* one stands still; then the master is made another, or dies, or neither */
        server_freeze(one, frozen_us);
        if (world_random(3) > 0) {
            group_later(g, world_random((uint32_t)frozen_us),
                        world_random(2) > 0 ? on_wanted : on_master_dies);
        }
        break;
    case 4: /* both stand still, and wake when their master is dead */
        frozen_us = MS(100) + world_random(MS(3000));
        server_freeze(one, frozen_us);
        server_freeze(other, frozen_us);
        group_later(g, frozen_us - MS(20), on_master_dies);
        break;
    case 5:
        master_cut(g, world_random(2) > 0 ? other : NULL, MS(50) + world_random(AWAY_US));
        break;
    case 6: /* one is away for long, and some time after its return there is a promotion */
        frozen_us = MS(4000) + world_random(AWAY_US);
        roles_die(one, frozen_us);
        group_later(g, frozen_us + MS(1000) + world_random(MS(3000)), on_wanted);
        if (world_random(2) > 0) {
            group_later(g, frozen_us, on_nobody_looks);
        }
        break;
    case 7:
    case 8:
        trouble_of_copies(g, one, other);
        break;
    default: /* a promotion, while who is promoted lags behind */
        server_freeze(one, frozen_us / 10);
        group_later(g, frozen_us / 10, on_wanted);
        break;
    }
}

bool troubles_are_over(const struct group *g)
{
    if (world.now_us <= g->quiet_us) {
        return false;
    }
    for (unsigned i = 0; i <= member_replicas; i++) {
        const struct server *s = &g->servers[i];
        bool is_right = i == g->master
                            ? member_is_master(s)
                            : s->follows == g->master && s->is_synced && s->is_promotable;
        if (!member_is_running(s) || s->is_cut || !is_right) {
            return false;
        }
    }
    for (unsigned i = 0; i < GROUP_SENTINELS; i++) {
        if (g->told[i] != g->master) {
            return false;
        }
    }
    return true;
}

/* What comes and goes within a second nobody need notice: docs/protocol.md, "The windows". */
void troubles_on(void *ctx)
{
    struct group *g = ctx;
    if (world.is_calm) {
        return;
    }
    if (g->was_whole && troubles_are_over(g)) {
        trouble_make(g);
    }
    g->was_whole = troubles_are_over(g);
    world_after(NULL, MS(1000) + world_random(REST_US), troubles_on, g);
}
