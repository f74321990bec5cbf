/* The watch beside each server: deploy/compose/copy.sh. */
#include "test/world/member.h"
#include "test/world/server.h"

#define LOOK_US     MS(500)   /* between two looks of a watch */
#define FAILOVER_US MS(25000) /* in which Sentinels can promote somebody */

static bool hears(const struct server *s, const struct server *other)
{
    return member_is_running(other) && s->is_cut == other->is_cut;
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
    for (unsigned i = 0; i <= member_replicas; i++) {
        const struct server *other = &s->group->servers[i];
        if (other == s || !hears(s, other)) {
            continue;
        }
        bool is_waiting = world.now_us - s->heard_us >= FAILOVER_US;
        if (member_is_replica(other) &&
            (copying_is_linked(&s->group->servers[other->follows], other) ||
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
    if (master != s && hears(s, master) && member_is_master(master)) {
        roles_follow(s, named);
    } else if (!s->is_on_disk || !may_serve(s, named)) {
        return;
    } else if (master == s) {
        world_say("%s %u is master again", s->group->name, named);
        s->is_in_room = false;
        s->follows = NOBODY;
        s->life++;
        s->age.term++;
        copying_pull_all(s->group, named);
    } else {
        world_say("%s %u is to be promoted", s->group->name, s->number);
        roles_follow(s, named);
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
        s->goal = server_position(member_id(master));
    } else if (known->doubt == IS_SURE && server_position(member_id(s)) >= s->goal) {
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
    struct server *master = member_is_replica(s) ? &s->group->servers[s->follows] : NULL;
    if (member_is_master(s)) {
        watch_doubt(s);
        s->age.pulse++;
        copying_pull_all(s->group, s->number);
    } else if (s->is_in_room) {
        watch_decide(s);
    } else if (copying_is_linked(master, s) && member_is_master(master) &&
               copying_knows(master, s->number)) {
        watch_linked(s, master);
    } else if (world.now_us - s->heard_us >= SILENCE_US) {
        watch_doubt(s);
        watch_decide(s);
    } else if (!s->is_promotable) {
        watch_decide(s);
    }
}

void watch_start(struct server *s)
{
    world_after(NULL, world_random(LOOK_US), on_watch, s);
}
