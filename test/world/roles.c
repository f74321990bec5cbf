/* Who follows whom, and the Sentinels who say so; servers die and start. See group.h. */
#include <assert.h>
#include <string.h>

#include "test/world/member.h"
#include "test/world/server.h"

#define AGREE_US  MS(2000) /* until all of them have heard of a promotion */
#define TURN_US   MS(3000) /* until a replica follows the new master */
#define DEPOSE_US MS(9000) /* until an old master does */

/* Its connections are over. */
void roles_end(struct server *s)
{
    s->life++;
    store_broken(s->group, s->number);
}

void roles_follow(struct server *s, unsigned master)
{
    if (s->follows == master) {
        return;
    }
    world_say("%s %u follows %u", s->group->name, s->number, master);
    copying_close(s);
    roles_end(s);
    s->follows = master;
    s->is_in_room = false;
    s->is_synced = false;
    for (unsigned i = 0; i <= member_replicas;
         i++) { /* who followed it needs all of it, if ever again */
        struct server *follower = &s->group->servers[i];
        follower->is_synced = follower->is_synced && follower->follows != s->number;
    }
    copying_pull(s);
}

/* A Sentinel has told it, however late: whoever is master by now. */
static void on_told(void *ctx)
{
    struct server *s = ctx;
    if (s->is_up && (s->is_frozen || s->is_cut)) {
        world_after(NULL, world_random(TURN_US), on_told, s);
    } else if (s->is_up && !s->is_in_room && s->number != s->group->master) {
        roles_follow(s, s->group->master);
    }
}

/* The last Sentinel is on the side of a server that is cut off. */
static void on_sentinel_told(void *ctx)
{
    struct server *s = ctx; /* of which the number is the Sentinel's */
    _Static_assert(GROUP_SENTINELS <= SERVERS_MAX, "there is a server of each number");
    bool is_cut = false;
    for (unsigned i = 0; i <= member_replicas; i++) {
        is_cut = is_cut || s->group->servers[i].is_cut;
    }
    if (is_cut && s->number == GROUP_SENTINELS - 1) {
        world_after(NULL, MS(500), on_sentinel_told, s);
    } else {
        s->group->told[s->number] = s->group->master;
    }
}

void roles_promote(struct group *g, unsigned server)
{
    struct server *s = &g->servers[server];
    assert(!member_is_master(s));
    world_say("%s %u is promoted", g->name, server);
    copying_close(s);
    s->follows = NOBODY;
    s->life++;
    s->age.term++;
    server_restart(member_id(s)); /* as to its run id, which differs from the old master's */
    g->master = server;
    unsigned leader = world_random(GROUP_SENTINELS); /* sees it by INFO, within a second */
    for (unsigned i = 0; i < GROUP_SENTINELS; i++) {
        world_after(NULL, world_random(i == leader ? MS(1000) : AGREE_US), on_sentinel_told,
                    &g->servers[i]);
    }
    for (unsigned i = 0; i <= member_replicas; i++) {
        if (i != server) {
            bool is_deposed = member_is_master(&g->servers[i]);
            world_after(NULL, world_random(is_deposed ? DEPOSE_US : TURN_US), on_told,
                        &g->servers[i]);
        }
    }
}

/* The replica that Sentinels choose: of those that run, one with the longest log; while the master
 * lives, what they know of it is older, and any that was in step will do. NOBODY: none. */
unsigned roles_candidate(const struct group *g)
{
    const struct server *master = &g->servers[g->master];
    unsigned chosen = NOBODY;
    uint64_t best = 0;
    unsigned first = world_random(SERVERS_MAX);
    for (unsigned n = 0; n <= member_replicas; n++) {
        const struct server *s = &g->servers[(first + n) % SERVERS_MAX];
        bool is_known_dead = !member_is_running(master) || master->is_cut || master->is_in_room;
        if (!member_is_running(s) || s->is_cut || s->follows != g->master ||
            !(s->is_synced || is_known_dead) ||
            !(s->is_promotable || world_bugs.promote_doubtful)) {
            continue;
        }
        uint64_t position = is_known_dead ? server_position(member_id(s)) + 1 : 1;
        if (position > best) {
            best = position;
            chosen = s->number;
        }
    }
    return chosen;
}

static void on_start(void *ctx)
{
    struct server *s = ctx;
    s->is_up = true;
    s->life++;
    s->comings = 0;
    memset(s->known, 0, sizeof(s->known));
    if (!s->is_on_disk) {
        server_restore(member_id(s));
        s->age = s->file_age;
        s->is_on_disk = true;
    }
    server_restart(member_id(s));
    s->follows = NOBODY;
    s->is_in_room = true;
    s->is_synced = s->is_promotable = false;
    s->next = IS_IN_DOUBT;
    s->heard_us = world.now_us;
    world_say("%s %u starts", s->group->name, s->number);
    watch_start(s);
}

void roles_on_down(void *ctx)
{
    struct group *g = ctx;
    const struct server *master = &g->servers[g->master];
    if (master->is_up && !master->is_cut && !master->is_in_room) {
        return;
    }
    unsigned chosen = roles_candidate(g);
    if (chosen != NOBODY) {
        roles_promote(g, chosen);
    } else {
        world_after(NULL, MS(1000), roles_on_down, g);
    }
}

void roles_die(struct server *s, int64_t away_us)
{
    if (!s->is_up) {
        return;
    }
    world_say("%s %u dies", s->group->name, s->number);
    copying_close(s);
    s->is_up = false;
    roles_end(s);
    world_after(NULL, away_us, on_start, s);
    if (member_is_master(s)) {
        world_after(NULL, DOWN_US + world_random(MS(1000)), roles_on_down, s->group);
    }
}
