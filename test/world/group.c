/* All groups, and what the rest of the world asks of one. See group.h. */
#include "test/world/group.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "test/world/member.h"
#include "test/world/server.h"

#define GROUPS_MAX 8

static struct group groups[GROUPS_MAX];
static unsigned group_count;
unsigned member_replicas;

int64_t group_wall_ms(const struct group *g)
{
    return clock_ms(g->name);
}

void group_world_reset(unsigned count)
{
    assert(count == 0 || count == GROUP_REPLICAS);
    for (unsigned i = 0; i < group_count; i++) { /* the events that had them are gone */
        TAILQ_INIT(&groups[i].waits);
    }
    group_count = 0;
    member_replicas = count;
}

struct group *group_named(const char *name)
{
    for (unsigned i = 0; i < group_count; i++) {
        if (strcmp(groups[i].name, name) == 0) {
            return &groups[i];
        }
    }
    assert(group_count < GROUPS_MAX);
    struct group *g = &groups[group_count];
    memset(g, 0, sizeof(*g));
    snprintf(g->name, sizeof(g->name), "%s", name);
    g->index = group_count++;
    TAILQ_INIT(&g->waits);
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        struct server *s = &g->servers[i];
        *s = (struct server){.group = g,
                             .number = i,
                             .is_up = true,
                             .is_synced = i > 0,
                             .is_on_disk = true,
                             .is_promotable = i > 0,
                             .next = i > 0 ? IS_UNSURE : IS_IN_DOUBT,
                             .follows = i > 0 ? 0 : NOBODY,
                             .life = 1};
        turn_reset(s);
        g->servers[0].known[i] = (struct known){.is_connected = i > 0 && i <= member_replicas};
        server_open(member_id(s));
    }
    for (unsigned i = 0; i <= member_replicas && member_replicas > 0; i++) {
        watch_start(&g->servers[i]);
    }
    if (member_replicas > 0) {
        world_after(NULL, world_random(REST_US), troubles_on, g);
    }
    return g;
}

unsigned group_told_master(const struct group *g, unsigned sentinel)
{
    return g->told[sentinel % GROUP_SENTINELS];
}

uint64_t group_life(const struct group *g, unsigned server)
{
    const struct server *s = &g->servers[server];
    return s->is_up && member_is_master(s) ? s->life : 0;
}

uint64_t group_position(const struct group *g, unsigned server)
{
    return server_position(member_id(&g->servers[server]));
}

unsigned group_truth(const struct group *g)
{
    return member_id(&g->servers[g->master]);
}

unsigned group_master(const struct group *g)
{
    return g->master;
}

void group_set(struct group *g, const struct args *c)
{
    for (unsigned i = 0; i <= member_replicas; i++) {
        server_reply_free(server_execute(member_id(&g->servers[i]), c));
    }
}

void group_limit(struct group *g, unsigned percent)
{
    unsigned truth = group_truth(g);
    world_say("%s has a limit of %lld bytes", g->name, (long long)server_limit(truth, percent));
    for (unsigned i = 0; i <= member_replicas; i++) {
        server_limit_like(member_id(&g->servers[i]), truth);
    }
}

void group_restarted(struct group *g)
{
    assert(member_replicas == 0);
    roles_end(&g->servers[g->master]);
}

void group_world_storm(void)
{
    for (unsigned i = 0; i < group_count && member_replicas > 0; i++) {
        world_after(NULL, world_random(REST_US), troubles_on, &groups[i]);
    }
}

bool group_are_whole(void)
{
    for (unsigned i = 0; i < group_count; i++) {
        if (!troubles_are_over(&groups[i])) {
            return false;
        }
    }
    return true;
}

void group_check(void)
{
    for (unsigned i = 0; i < group_count; i++) {
        const struct group *g = &groups[i];
        for (unsigned n = 0; n <= member_replicas; n++) {
            if (n != g->master) {
                server_follow(member_id(&g->servers[n]), group_truth(g)); /* the last moments */
            }
            if (!server_is_same(member_id(&g->servers[n]), group_truth(g))) {
                world_fault("%s: server %u has not what its master has", g->name, n);
            }
        }
    }
}
