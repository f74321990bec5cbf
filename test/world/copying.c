/* Who has what: replicas take what their master has, and WAIT counts them. See group.h. */
#include <stdlib.h>

#include "store/copies.h"
#include "test/world/member.h"
#include "test/world/server.h"

#define PULL_US    300       /* from master to replica and back, at most; mostly */
#define LAG_US     MS(1500)  /* .. and at worst */
#define LIST_US    MS(10000) /* until a master gives up a replica that is silent */
#define REWRITE_US MS(6000)  /* until a file has what was given anew, at most; mostly less */

/* Does a replica hear its master, and the other way round? One that was started, and is in its
 * room, nobody reaches where replicas look for it. */
bool copying_is_linked(const struct server *master, const struct server *s)
{
    return s->follows == master->number && s->is_synced && member_is_running(s) &&
           member_is_running(master) && member_is_master(master) && s->is_cut == master->is_cut;
}

bool copying_knows(const struct server *master, unsigned replica)
{
    const struct known *k = &master->known[replica];
    return k->is_connected && (copying_is_linked(master, &master->group->servers[replica]) ||
                               world.now_us - k->heard_us < LIST_US);
}

const char *group_listed_as(const struct group *g, unsigned server, unsigned replica)
{
    static const char *const names[] = {"", COPIES_UNSURE, COPIES_IN_DOUBT};
    const struct server *s = &g->servers[server];
    enum doubt doubt = world_bugs.count_doubtful ? IS_SURE : s->known[replica].doubt;
    return copying_knows(s, replica) ? names[doubt] : NULL;
}

/* The connection to its master is closed, which is noticed there unless it is cut off. */
void copying_close(struct server *s)
{
    if (member_is_replica(s) && s->group->servers[s->follows].is_cut == s->is_cut) {
        s->group->servers[s->follows].known[s->number].is_connected = false;
    }
}

uint64_t group_comings(const struct group *g, unsigned server)
{
    return g->servers[server].comings;
}

/* ---- WAIT ---- */

static unsigned wait_count(const struct group_wait *w)
{
    const struct server *master = &w->group->servers[w->server];
    unsigned count = 0;
    for (unsigned i = 0; i <= member_replicas; i++) {
        count += copying_knows(master, i) && master->known[i].position >= w->position;
    }
    return count;
}

static void wait_tell(struct group_wait *w)
{
    w->is_over = true;
    TAILQ_REMOVE(&w->group->waits, w, in_list);
    w->on_counted(w->ctx, wait_count(w));
}

static void on_wait_timeout(void *ctx)
{
    struct group_wait *w = ctx;
    if (!w->is_over && w->group->servers[w->server].life == w->life) {
        wait_tell(w);
    } else if (!w->is_over) {
        TAILQ_REMOVE(&w->group->waits, w, in_list);
    }
    free(w);
}

struct group_wait *group_wait(struct group *g, unsigned server, uint64_t position, unsigned needed,
                              int64_t timeout_us, group_on_counted *on_counted, void *ctx)
{
    struct group_wait *w = mem_new(sizeof(*w));
    *w = (struct group_wait){.group = g,
                             .server = server,
                             .life = g->servers[server].life,
                             .position = position,
                             .needed = needed,
                             .on_counted = on_counted,
                             .ctx = ctx};
    TAILQ_INSERT_TAIL(&g->waits, w, in_list);
    world_after_or(NULL, timeout_us, on_wait_timeout, free, w);
    return w;
}

void group_forget(struct group_wait *wait)
{
    if (wait != NULL && !wait->is_over) {
        wait->is_over = true;
        TAILQ_REMOVE(&wait->group->waits, wait, in_list);
    }
}

static void waits_look(struct group *g, unsigned server)
{
    struct group_wait *next;
    for (struct group_wait *w = TAILQ_FIRST(&g->waits); w != NULL; w = next) {
        next = TAILQ_NEXT(w, in_list);
        if (w->server == server && w->life == g->servers[server].life &&
            wait_count(w) >= w->needed) {
            wait_tell(w);
        }
    }
}

/* ---- replication ---- */

struct rewrite {
    struct server *server;
    uint64_t number;
};

static void on_rewritten(void *ctx)
{
    struct rewrite *rewrite = ctx;
    struct server *s = rewrite->server;
    if (s->is_frozen) {
        world_after_or(NULL, MS(100), on_rewritten, free, rewrite);
        return;
    }
    if (s->is_up && s->rewrites == rewrite->number) {
        s->is_on_disk = true;
    }
    free(rewrite);
}

/* It is given everything anew; its file is the old one until it is rewritten. */
static void full_sync(struct server *s, unsigned master)
{
    struct rewrite *rewrite = mem_new(sizeof(*rewrite));
    if (s->is_on_disk) {
        s->is_on_disk = false;
        s->file_age = s->age;
        server_keep(member_id(s));
    }
    *rewrite = (struct rewrite){s, ++s->rewrites};
    int64_t takes_us = world_random(world_chance(500) ? REWRITE_US : MS(300));
    world_after_or(NULL, takes_us + s->rewrite_us, on_rewritten, free, rewrite);
    s->rewrite_us = 0;
    server_copy(member_id(s), master);
    s->is_synced = true;
}

static void on_pull(void *ctx)
{
    struct server *s = ctx;
    s->is_pulling = false;
    if (!member_is_running(s) || !member_is_replica(s)) {
        return;
    }
    struct server *master = &s->group->servers[s->follows];
    if (!member_is_running(master) || !member_is_master(master) || master->is_cut != s->is_cut) {
        return; /* when it can be reached, its followers are told */
    }
    if (s->is_synced) {
        master->comings += !copying_knows(master, s->number);
        server_follow(member_id(s), member_id(master));
    } else {
        full_sync(s, member_id(master));
    }
    s->age = master->age;
    struct known *known = &master->known[s->number];
    known->doubt = copying_knows(master, s->number) ? known->doubt : s->next;
    known->is_connected = true;
    known->heard_us = world.now_us;
    known->position = server_position(member_id(s));
    waits_look(s->group, s->follows);
}

void copying_pull(struct server *s)
{
    if (!s->is_pulling) {
        int64_t at_us = world_chance(20) ? world_random(LAG_US) : 50 + world_random(PULL_US);
        at_us += world.costs.lag_us;
        s->is_pulling = true;
        world_after(NULL, at_us, on_pull, s);
    }
}

void copying_pull_all(struct group *g, unsigned master)
{
    for (unsigned i = 0; i <= member_replicas; i++) {
        if (g->servers[i].follows == master) {
            copying_pull(&g->servers[i]);
        }
    }
}

struct server_reply *group_execute(struct group *g, unsigned server, const struct args *c)
{
    server_clock(group_wall_ms(g));
    struct server *s = &g->servers[server];
    struct server_reply *reply = server_execute(member_id(s), c);
    if (world.costs.look_us > 0) {
        s->cost_us += world.costs.look_us * server_looked();
    }
    copying_pull_all(g, server);
    return reply;
}
