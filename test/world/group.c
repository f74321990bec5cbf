/* Servers, who follows whom, and who says so. See group.h.
 *
 * What a server has and what its file has are two things: one that was given everything by its
 * master has its old file until a rewrite is done, and when it dies, that is what it has. What it
 * is taken for meanwhile, and who is master when none serves, decides a watch beside each server,
 * by the rules of deploy/compose/copy.sh.
 *
 * Each group has one trouble after the other: the next begins when all is whole again. */
#include "test/world/group.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "store/copies.h"
#include "test/world/server.h"

#define GROUPS_MAX  8
#define SERVERS_MAX (GROUP_REPLICAS + 1)
#define NOBODY      SERVERS_MAX

#define MS(n) ((int64_t)(n)*1000)

#define PULL_US   300       /* from master to replica and back, at most; mostly */
#define LAG_US    MS(1500)  /* .. and at worst */
#define DOWN_US   MS(5000)  /* until the Sentinels take a server for dead */
#define AGREE_US  MS(2000)  /* until all of them have heard of a promotion */
#define TURN_US   MS(3000)  /* until a replica follows the new master */
#define DEPOSE_US MS(9000)  /* until an old master does */
#define REST_US   MS(1500)  /* between two troubles, at most */
#define LIST_US   MS(10000) /* until a master gives up a replica that is silent */
#define FREEZE_US MS(15000)
#define AWAY_US   MS(12000)

#define LOOK_US     MS(500)   /* between two looks of a watch */
#define REWRITE_US  MS(6000)  /* until a file has what was given anew, at most; mostly less */
#define SILENCE_US  MS(10000) /* without a master, until a replica is in doubt */
#define FAILOVER_US MS(25000) /* in which Sentinels can promote somebody */
#define ALONE_US    MS(14000) /* until the services go on without one that is away */

enum doubt { IS_SURE, IS_UNSURE, IS_IN_DOUBT };

/* A replica, as its master knows it. */
struct known {
    bool is_connected;
    int64_t heard_us;  /* last, before it fell silent */
    uint64_t position; /* acknowledged */
    enum doubt doubt;  /* the name under which it is connected */
};

/* How far data goes, by its own word: a master counts when it becomes one, and at each look. */
struct age {
    uint64_t term, pulse;
};

struct server {
    struct group *group;
    unsigned number;
    bool is_up;
    bool is_frozen;
    bool is_cut;     /* its replicas and the Sentinels do not reach it; clients do */
    bool is_pulling; /* it will take what its master has */
    bool is_synced;  /* its log is a beginning of its master's */
    bool is_in_room; /* started, and neither master nor replica yet */
    bool is_on_disk; /* its file has what it has */
    bool is_promotable;
    enum doubt next;    /* its name when it connects anew */
    int64_t heard_us;   /* a master, last */
    uint64_t goal;      /* to be had before it is promotable */
    uint64_t rewrites;  /* begun */
    int64_t rewrite_us; /* the next one takes so much longer */
    struct age age, file_age;
    unsigned follows; /* NOBODY: it is a master */
    uint64_t life;    /* grows with each start and each change of role */
    uint64_t comings; /* of replicas that went on where they were, since it started */
    struct known known[SERVERS_MAX];
    int64_t turn_us; /* the end of the turn that it is in, or was last */
    int64_t next_us; /* .. of the one behind it, 0: nothing waits for one */
};

struct group_wait {
    struct group *group;
    unsigned server;
    uint64_t life;
    uint64_t position;
    unsigned needed;
    group_on_counted *on_counted;
    void *ctx;
    bool is_over; /* told or forgotten: only the timer has it still */
    TAILQ_ENTRY(group_wait) in_list;
};

struct group {
    char name[16];
    unsigned index;
    struct server servers[SERVERS_MAX];
    unsigned master; /* promoted last */
    unsigned told[GROUP_SENTINELS];
    bool was_whole;   /* at the last look */
    int64_t quiet_us; /* from then on no part of a trouble is to come */
    TAILQ_HEAD(, group_wait) waits;
};

static struct group groups[GROUPS_MAX];
static unsigned group_count, replicas;

static unsigned server_id(const struct server *s)
{
    return s->group->index * SERVERS_MAX + s->number;
}

static bool is_replica(const struct server *s)
{
    return s->follows != NOBODY;
}

static bool is_master(const struct server *s)
{
    return !is_replica(s) && !s->is_in_room;
}

static bool is_running(const struct server *s)
{
    return s->is_up && !s->is_frozen;
}

/* Does a replica hear its master, and the other way round? One that was started, and is in its
 * room, nobody reaches where replicas look for it. */
static bool is_linked(const struct server *master, const struct server *s)
{
    return s->follows == master->number && s->is_synced && is_running(s) && is_running(master) &&
           is_master(master) && s->is_cut == master->is_cut;
}

static bool knows(const struct server *master, unsigned replica)
{
    const struct known *k = &master->known[replica];
    return k->is_connected && (is_linked(master, &master->group->servers[replica]) ||
                               world.now_us - k->heard_us < LIST_US);
}

const char *group_listed_as(const struct group *g, unsigned server, unsigned replica)
{
    static const char *const names[] = {"", COPIES_UNSURE, COPIES_IN_DOUBT};
    const struct server *s = &g->servers[server];
    enum doubt doubt = world_bugs.count_doubtful ? IS_SURE : s->known[replica].doubt;
    return knows(s, replica) ? names[doubt] : NULL;
}

/* The connection to its master is closed, which is noticed there unless it is cut off. */
static void link_close(struct server *s)
{
    if (is_replica(s) && s->group->servers[s->follows].is_cut == s->is_cut) {
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
    for (unsigned i = 0; i <= replicas; i++) {
        count += knows(master, i) && master->known[i].position >= w->position;
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
        server_keep(server_id(s));
    }
    *rewrite = (struct rewrite){s, ++s->rewrites};
    int64_t takes_us = world_random(world_chance(500) ? REWRITE_US : MS(300));
    world_after_or(NULL, takes_us + s->rewrite_us, on_rewritten, free, rewrite);
    s->rewrite_us = 0;
    server_copy(server_id(s), master);
    s->is_synced = true;
}

static void on_pull(void *ctx)
{
    struct server *s = ctx;
    s->is_pulling = false;
    if (!is_running(s) || !is_replica(s)) {
        return;
    }
    struct server *master = &s->group->servers[s->follows];
    if (!is_running(master) || !is_master(master) || master->is_cut != s->is_cut) {
        return; /* when it can be reached, its followers are told */
    }
    if (s->is_synced) {
        master->comings += !knows(master, s->number);
        server_follow(server_id(s), server_id(master));
    } else {
        full_sync(s, server_id(master));
    }
    s->age = master->age;
    struct known *known = &master->known[s->number];
    known->doubt = knows(master, s->number) ? known->doubt : s->next;
    known->is_connected = true;
    known->heard_us = world.now_us;
    known->position = server_position(server_id(s));
    waits_look(s->group, s->follows);
}

static void pull_later(struct server *s)
{
    if (!s->is_pulling) {
        int64_t at_us = world_chance(20) ? world_random(LAG_US) : 50 + world_random(PULL_US);
        at_us += world.costs.lag_us;
        s->is_pulling = true;
        world_after(NULL, at_us, on_pull, s);
    }
}

static void followers_pull(struct group *g, unsigned master)
{
    for (unsigned i = 0; i <= replicas; i++) {
        if (g->servers[i].follows == master) {
            pull_later(&g->servers[i]);
        }
    }
}

int64_t group_wall_ms(const struct group *g)
{
    return clock_ms(g->name);
}

struct server_reply *group_execute(struct group *g, unsigned server, const struct args *c)
{
    server_clock(group_wall_ms(g));
    struct server_reply *reply = server_execute(server_id(&g->servers[server]), c);
    followers_pull(g, server);
    return reply;
}

/* ---- who is who ---- */

/* Its connections are over. */
static void server_ended(struct server *s)
{
    s->life++;
    store_broken(s->group, s->number);
}

static void server_follows(struct server *s, unsigned master)
{
    if (s->follows == master) {
        return;
    }
    world_say("%s %u follows %u", s->group->name, s->number, master);
    link_close(s);
    server_ended(s);
    s->follows = master;
    s->is_in_room = false;
    s->is_synced = false;
    for (unsigned i = 0; i <= replicas; i++) { /* who followed it needs all of it, if ever again */
        struct server *follower = &s->group->servers[i];
        follower->is_synced = follower->is_synced && follower->follows != s->number;
    }
    pull_later(s);
}

/* A Sentinel has told it, however late: whoever is master by now. */
static void on_told(void *ctx)
{
    struct server *s = ctx;
    if (s->is_up && (s->is_frozen || s->is_cut)) {
        world_after(NULL, world_random(TURN_US), on_told, s);
    } else if (s->is_up && !s->is_in_room && s->number != s->group->master) {
        server_follows(s, s->group->master);
    }
}

/* The last Sentinel is on the side of a server that is cut off. */
static void on_sentinel_told(void *ctx)
{
    struct server *s = ctx; /* of which the number is the Sentinel's */
    _Static_assert(GROUP_SENTINELS <= SERVERS_MAX, "there is a server of each number");
    bool is_cut = false;
    for (unsigned i = 0; i <= replicas; i++) {
        is_cut = is_cut || s->group->servers[i].is_cut;
    }
    if (is_cut && s->number == GROUP_SENTINELS - 1) {
        world_after(NULL, MS(500), on_sentinel_told, s);
    } else {
        s->group->told[s->number] = s->group->master;
    }
}

static void promote(struct group *g, unsigned server)
{
    struct server *s = &g->servers[server];
    assert(!is_master(s));
    world_say("%s %u is promoted", g->name, server);
    link_close(s);
    s->follows = NOBODY;
    s->life++;
    s->age.term++;
    server_restart(server_id(s)); /* as to its run id, which differs from the old master's */
    g->master = server;
    unsigned leader = world_random(GROUP_SENTINELS); /* sees it by INFO, within a second */
    for (unsigned i = 0; i < GROUP_SENTINELS; i++) {
        world_after(NULL, world_random(i == leader ? MS(1000) : AGREE_US), on_sentinel_told,
                    &g->servers[i]);
    }
    for (unsigned i = 0; i <= replicas; i++) {
        if (i != server) {
            bool is_deposed = is_master(&g->servers[i]);
            world_after(NULL, world_random(is_deposed ? DEPOSE_US : TURN_US), on_told,
                        &g->servers[i]);
        }
    }
}

/* The replica that Sentinels choose: of those that run, one with the longest log; while the master
 * lives, what they know of it is older, and any that was in step will do. NOBODY: none. */
static unsigned candidate(const struct group *g)
{
    const struct server *master = &g->servers[g->master];
    unsigned chosen = NOBODY;
    uint64_t best = 0;
    unsigned first = world_random(SERVERS_MAX);
    for (unsigned n = 0; n <= replicas; n++) {
        const struct server *s = &g->servers[(first + n) % SERVERS_MAX];
        bool is_known_dead = !is_running(master) || master->is_cut || master->is_in_room;
        if (!is_running(s) || s->is_cut || s->follows != g->master ||
            !(s->is_synced || is_known_dead) ||
            !(s->is_promotable || world_bugs.promote_doubtful)) {
            continue;
        }
        uint64_t position = is_known_dead ? server_position(server_id(s)) + 1 : 1;
        if (position > best) {
            best = position;
            chosen = s->number;
        }
    }
    return chosen;
}

static void watch_start(struct server *s);

static void on_start(void *ctx)
{
    struct server *s = ctx;
    s->is_up = true;
    s->life++;
    s->comings = 0;
    memset(s->known, 0, sizeof(s->known));
    if (!s->is_on_disk) {
        server_restore(server_id(s));
        s->age = s->file_age;
        s->is_on_disk = true;
    }
    server_restart(server_id(s));
    s->follows = NOBODY;
    s->is_in_room = true;
    s->is_synced = s->is_promotable = false;
    s->next = IS_IN_DOUBT;
    s->heard_us = world.now_us;
    world_say("%s %u starts", s->group->name, s->number);
    watch_start(s);
}

static void on_down(void *ctx)
{
    struct group *g = ctx;
    const struct server *master = &g->servers[g->master];
    if (master->is_up && !master->is_cut && !master->is_in_room) {
        return;
    }
    unsigned chosen = candidate(g);
    if (chosen != NOBODY) {
        promote(g, chosen);
    } else {
        world_after(NULL, MS(1000), on_down, g);
    }
}

static void server_die(struct server *s, int64_t away_us)
{
    if (!s->is_up) {
        return;
    }
    world_say("%s %u dies", s->group->name, s->number);
    link_close(s);
    s->is_up = false;
    server_ended(s);
    world_after(NULL, away_us, on_start, s);
    if (is_master(s)) {
        world_after(NULL, DOWN_US + world_random(MS(1000)), on_down, s->group);
    }
}

/* ---- the watch: deploy/compose/copy.sh ---- */

static bool hears(const struct server *s, const struct server *other)
{
    return is_running(other) && s->is_cut == other->is_cut;
}

/* By most of the Sentinels; NOBODY: they do not agree. */
static unsigned named_master(const struct group *g)
{
    for (unsigned i = 0; i + 1 < GROUP_SENTINELS; i++) {
        for (unsigned n = i + 1; n < GROUP_SENTINELS; n++) {
            if (g->told[i] == g->told[n]) {
                return g->told[i];
            }
        }
    }
    return NOBODY;
}

static bool is_behind(const struct server *s, const struct server *other, unsigned named)
{
    if (s->age.term != other->age.term) {
        return s->age.term < other->age.term;
    }
    if (s->age.pulse != other->age.pulse) {
        return s->age.pulse < other->age.pulse;
    }
    return s->number != named && (other->number == named || other->number < s->number);
}

/* Has it all that was answered, as far as two of three can know? */
static bool may_serve(const struct server *s, unsigned named)
{
    unsigned seen = 0;
    for (unsigned i = 0; i <= replicas; i++) {
        const struct server *other = &s->group->servers[i];
        if (other == s || !hears(s, other)) {
            continue;
        }
        bool is_waiting = world.now_us - s->heard_us >= FAILOVER_US;
        if (is_replica(other) && (is_linked(&s->group->servers[other->follows], other) ||
                                  (other->is_promotable && !is_waiting))) {
            return false;
        }
        if (is_behind(s, other, named)) {
            return false;
        }
        seen++;
    }
    return seen > 0 || world_bugs.serve_alone;
}

static void watch_decide(struct server *s)
{
    unsigned named = named_master(s->group);
    if (named == NOBODY || s->is_cut) {
        return;
    }
    const struct server *master = &s->group->servers[named];
    if (master != s && hears(s, master) && is_master(master)) {
        server_follows(s, named);
    } else if (!s->is_on_disk || !may_serve(s, named)) {
        return;
    } else if (master == s) {
        world_say("%s %u is master again", s->group->name, named);
        s->is_in_room = false;
        s->follows = NOBODY;
        s->life++;
        s->age.term++;
        followers_pull(s->group, named);
    } else {
        world_say("%s %u is to be promoted", s->group->name, s->number);
        server_follows(s, named);
        s->is_promotable = true;
        s->heard_us = world.now_us + FAILOVER_US;
    }
}

/* It connects anew, under another name. */
static void rename_to(struct server *s, struct known *known, enum doubt doubt)
{
    s->group->servers[s->follows].comings++;
    known->doubt = doubt;
    s->next = doubt == IS_SURE ? IS_UNSURE : doubt;
}

static void watch_doubt(struct server *s)
{
    s->is_promotable = false;
    s->next = IS_IN_DOUBT;
}

static void watch_linked(struct server *s, struct server *master)
{
    struct known *known = &master->known[s->number];
    s->heard_us = s->heard_us > world.now_us ? s->heard_us : world.now_us;
    if (!s->is_on_disk && known->doubt != IS_IN_DOUBT) {
        watch_doubt(s);
        rename_to(s, known, IS_IN_DOUBT);
    } else if (s->is_on_disk && known->doubt != IS_SURE) {
        rename_to(s, known, IS_SURE);
        s->goal = server_position(server_id(master));
    } else if (known->doubt == IS_SURE && server_position(server_id(s)) >= s->goal) {
        s->is_promotable = true;
    }
}

static void on_watch(void *ctx)
{
    struct server *s = ctx;
    if (!s->is_up) {
        return; /* until it starts */
    }
    world_after(NULL, LOOK_US, on_watch, s);
    if (s->is_frozen) {
        return;
    }
    struct server *master = is_replica(s) ? &s->group->servers[s->follows] : NULL;
    if (is_master(s)) {
        watch_doubt(s);
        s->age.pulse++;
        followers_pull(s->group, s->number);
    } else if (s->is_in_room) {
        watch_decide(s);
    } else if (is_linked(master, s) && is_master(master) && knows(master, s->number)) {
        watch_linked(s, master);
    } else if (world.now_us - s->heard_us >= SILENCE_US) {
        watch_doubt(s);
        watch_decide(s);
    } else if (!s->is_promotable) {
        watch_decide(s);
    }
}

static void watch_start(struct server *s)
{
    world_after(NULL, world_random(LOOK_US), on_watch, s);
}

/* ---- troubles ---- */

static void on_thaw(void *ctx)
{
    struct server *s = ctx;
    s->is_synced =
        s->is_synced && is_replica(s) && knows(&s->group->servers[s->follows], s->number);
    s->is_frozen = false;
    s->is_promotable = s->is_promotable && world.now_us - s->heard_us < SILENCE_US;
    pull_later(s);
}

static void server_freeze(struct server *s, int64_t frozen_us)
{
    world_say("%s %u stands still", s->group->name, s->number);
    s->is_frozen = true;
    if (is_replica(s)) {
        s->group->servers[s->follows].known[s->number].heard_us = world.now_us;
    }
    world_after(NULL, frozen_us, on_thaw, s);
}

static void on_mended(void *ctx)
{
    struct server *s = ctx;
    s->is_cut = false;
    followers_pull(s->group, s->number);
    if (is_replica(s)) {
        pull_later(s);
    }
}

/* From the Sentinels, but for the last, and from the replicas, but maybe for one. */
static void master_cut(struct group *g, struct server *companion, int64_t cut_us)
{
    struct server *s = &g->servers[g->master];
    world_say("%s %u is cut off", g->name, s->number);
    s->is_cut = true;
    for (unsigned i = 0; i <= replicas; i++) {
        s->known[i].heard_us = world.now_us;
    }
    world_after(NULL, cut_us, on_mended, s);
    if (companion) {
        world_say(".. with %u", companion->number);
        companion->is_cut = true;
        world_after(NULL, cut_us, on_mended, companion);
    }
    world_after(NULL, DOWN_US + world_random(MS(1000)), on_down, g);
}

static void on_wanted(void *ctx)
{
    struct group *g = ctx;
    unsigned chosen = candidate(g);
    if (is_running(&g->servers[g->master]) && chosen != NOBODY) {
        promote(g, chosen);
    }
}

static void on_master_dies(void *ctx)
{
    struct group *g = ctx;
    server_die(&g->servers[g->master], MS(50) + world_random(AWAY_US));
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
    for (unsigned i = 0; i <= replicas; i++) {
        server_die(&g->servers[i],
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
    server_die(s, AWAY_US + world_random(MS(6000)));
}

/* Whoever it is now, in somebody else's place maybe. */
static void on_other_dies(void *ctx)
{
    struct group *g = ctx;
    server_die(&g->servers[(g->master + 1 + world_random(2)) % SERVERS_MAX],
               MS(50) + world_random(MS(1000)));
}

static void on_follower_dies(void *ctx)
{
    server_die(ctx, MS(50));
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
        server_die(one, then_us + MS(100));
        group_later(g, then_us, on_all_die);
        break;
    case 2: /* one has everything, and its file has not; then the master dies, and it dies */
        server_die(one, MS(50));
        group_later(g, MS(1000) + world_random(MS(2000)), on_master_dies);
        group_later(g, MS(8000) + world_random(MS(4000)), on_other_dies);
        break;
    case 3: /* one is done without; the other has everything, and its file has not; then the machine
               goes */
        then_us = ALONE_US + world_random(MS(3000));
        server_die(one, then_us + MS(2000));
        group_later_of(g, then_us, on_follower_dies, other);
        group_later(g, then_us + MS(1000) + world_random(MS(3000)), on_all_die);
        break;
    case 4: /* the file of one takes long; its master goes, the others go on, then the machine goes
             */
        one->rewrite_us = MS(20000);
        server_die(one, MS(50));
        group_later_of(g, MS(500) + world_random(MS(1000)), on_goes, &g->servers[g->master]);
        group_later_of(g, MS(10000) + world_random(MS(4000)), on_all_die_but_late, other);
        break;
    default: /* both have everything, and their files have not; then the machine goes */
        server_die(one, MS(50));
        server_die(other, MS(50));
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
        server_die(one, MS(50) + world_random(AWAY_US));
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
        server_die(one, frozen_us);
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

static bool is_whole(const struct group *g)
{
    if (world.now_us <= g->quiet_us) {
        return false;
    }
    for (unsigned i = 0; i <= replicas; i++) {
        const struct server *s = &g->servers[i];
        bool is_right = i == g->master
                            ? is_master(s)
                            : s->follows == g->master && s->is_synced && s->is_promotable;
        if (!is_running(s) || s->is_cut || !is_right) {
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
static void on_trouble(void *ctx)
{
    struct group *g = ctx;
    if (world.is_calm) {
        return;
    }
    if (g->was_whole && is_whole(g)) {
        trouble_make(g);
    }
    g->was_whole = is_whole(g);
    world_after(NULL, MS(1000) + world_random(REST_US), on_trouble, g);
}

/* ---- all of them ---- */

void group_world_reset(unsigned count)
{
    assert(count == 0 || count == GROUP_REPLICAS);
    for (unsigned i = 0; i < group_count; i++) { /* the events that had them are gone */
        TAILQ_INIT(&groups[i].waits);
    }
    group_count = 0;
    replicas = count;
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
        g->servers[0].known[i] = (struct known){.is_connected = i > 0 && i <= replicas};
        server_open(server_id(s));
    }
    for (unsigned i = 0; i <= replicas && replicas > 0; i++) {
        watch_start(&g->servers[i]);
    }
    if (replicas > 0) {
        world_after(NULL, world_random(REST_US), on_trouble, g);
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
    return s->is_up && is_master(s) ? s->life : 0;
}

int64_t group_serve(struct group *g, unsigned server, int64_t cost_us)
{
    struct server *s = &g->servers[server];
    int64_t sync_us = world.costs.sync_us;
    if (s->next_us > 0 && world.now_us > s->turn_us) {
        s->turn_us = s->next_us;
        s->next_us = 0;
    }
    if (world.now_us > s->turn_us) {
        int64_t takes_us = sync_us + cost_us;
        s->turn_us = takes_us > 0 ? world.now_us + takes_us : s->turn_us;
        return takes_us;
    }
    s->next_us = (s->next_us > 0 ? s->next_us : s->turn_us + sync_us) + cost_us;
    return s->next_us - world.now_us;
}

uint64_t group_position(const struct group *g, unsigned server)
{
    return server_position(server_id(&g->servers[server]));
}

unsigned group_truth(const struct group *g)
{
    return server_id(&g->servers[g->master]);
}

unsigned group_master(const struct group *g)
{
    return g->master;
}

void group_set(struct group *g, const struct args *c)
{
    for (unsigned i = 0; i <= replicas; i++) {
        server_reply_free(server_execute(server_id(&g->servers[i]), c));
    }
}

void group_limit(struct group *g, unsigned percent)
{
    unsigned truth = group_truth(g);
    world_say("%s has a limit of %lld bytes", g->name, (long long)server_limit(truth, percent));
    for (unsigned i = 0; i <= replicas; i++) {
        server_limit_like(server_id(&g->servers[i]), truth);
    }
}

void group_restarted(struct group *g)
{
    assert(replicas == 0);
    server_ended(&g->servers[g->master]);
}

bool group_are_whole(void)
{
    for (unsigned i = 0; i < group_count; i++) {
        if (!is_whole(&groups[i])) {
            return false;
        }
    }
    return true;
}

void group_check(void)
{
    for (unsigned i = 0; i < group_count; i++) {
        const struct group *g = &groups[i];
        for (unsigned n = 0; n <= replicas; n++) {
            if (n != g->master) {
                server_follow(server_id(&g->servers[n]), group_truth(g)); /* the last moments */
            }
            if (!server_is_same(server_id(&g->servers[n]), group_truth(g))) {
                world_fault("%s: server %u has not what its master has", g->name, n);
            }
        }
    }
}
