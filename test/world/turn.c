/* A server's turns. It does one thing after the other, and nobody else is served meanwhile.
 *
 *   what has come --> all of it is done, each thing for what it looks at --> a sync --> answers
 *        '-- what comes meanwhile waits for the next turn
 *
 * The time of a turn passes behind what is done in it: nobody can look at it in between. */
#include <stdlib.h>

#include "test/world/member.h"
#include "test/world/server.h"

#define LONG_US MS(100) /* worth a word */

struct turn {
    struct server *server;
    struct servings doing;
};

void turn_reset(struct server *s)
{
    s->is_busy = false;
    TAILQ_INIT(&s->coming);
}

static void servings_drop(struct servings *list)
{
    struct serving *serving;
    while ((serving = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, serving, in_list);
        serving->drop(serving->ctx);
        free(serving);
    }
}

static void turn_drop(void *ctx)
{
    struct turn *turn = ctx;
    servings_drop(&turn->doing);
    servings_drop(&turn->server->coming);
    free(turn);
}

static void turn_begin(struct server *s);

static void on_turn_over(void *ctx)
{
    struct turn *turn = ctx;
    struct server *s = turn->server;
    struct serving *serving;
    while ((serving = TAILQ_FIRST(&turn->doing))) {
        TAILQ_REMOVE(&turn->doing, serving, in_list);
        serving->answer(serving->ctx);
        free(serving);
    }
    free(turn);
    s->is_busy = false;
    if (!TAILQ_EMPTY(&s->coming)) {
        turn_begin(s);
    }
}

static void turn_begin(struct server *s)
{
    struct turn *turn = mem_new(sizeof(*turn));
    struct serving *serving;
    turn->server = s;
    TAILQ_INIT(&turn->doing);
    TAILQ_CONCAT(&turn->doing, &s->coming, in_list);
    s->is_busy = true;
    s->cost_us = 0;
    TAILQ_FOREACH(serving, &turn->doing, in_list)
    {
        serving->run(serving->ctx);
    }
    if (s->cost_us > LONG_US) {
        world_say("%s %u is busy for %lld ms", s->group->name, s->number,
                  (long long)s->cost_us / 1000);
    }
    world_after_or(NULL, world.costs.sync_us + s->cost_us, on_turn_over, turn_drop, turn);
}

bool group_takes_time(void)
{
    return world.costs.sync_us > 0 || world.costs.look_us > 0;
}

void group_serve(struct group *g, unsigned server, world_event *run, world_event *answer,
                 world_event *drop, void *ctx)
{
    struct server *s = &g->servers[server];
    if (!group_takes_time()) {
        run(ctx);
        answer(ctx);
        return;
    }
    struct serving *serving = mem_new(sizeof(*serving));
    *serving = (struct serving){.run = run, .answer = answer, .drop = drop, .ctx = ctx};
    TAILQ_INSERT_TAIL(&s->coming, serving, in_list);
    if (!s->is_busy) {
        turn_begin(s);
    }
}
