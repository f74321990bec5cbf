/* A group's servers, for those who let something happen to them: the copies (copying.c), the roles
 * (roles.c), the watch beside each server (watch.c), the troubles (troubles.c).
 *
 * What a server has and what its file has are two things: one that was given everything by its
 * master has its old file until a rewrite is done, and when it dies, that is what it has. What it
 * is taken for meanwhile, and who is master when none serves, decides the watch, by the rules of
 * deploy/compose/copy.sh. */
#ifndef KASSA_TEST_MEMBER_H
#define KASSA_TEST_MEMBER_H

#include <sys/queue.h>

#include "test/world/group.h"

#define SERVERS_MAX (GROUP_REPLICAS + 1)
#define NOBODY      SERVERS_MAX

#define MS(n) ((int64_t)(n)*1000)

#define DOWN_US    MS(5000)  /* until the Sentinels take a server for dead */
#define REST_US    MS(1500)  /* between two troubles, at most */
#define SILENCE_US MS(10000) /* without a master, until a replica is in doubt */

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

/* Something that a server is to do in its turn. */
struct serving {
    world_event *run, *answer, *drop;
    void *ctx;
    TAILQ_ENTRY(serving) in_list;
};
TAILQ_HEAD(servings, serving);

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
    bool is_busy;           /* in a turn */
    struct servings coming; /* of the next one */
    int64_t cost_us;        /* of what it has done in this one */
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

extern unsigned member_replicas; /* of each group */

/* Its number for server.h. */
static inline unsigned member_id(const struct server *s)
{
    return s->group->index * SERVERS_MAX + s->number;
}

static inline bool member_is_replica(const struct server *s)
{
    return s->follows != NOBODY;
}

static inline bool member_is_master(const struct server *s)
{
    return !member_is_replica(s) && !s->is_in_room;
}

static inline bool member_is_running(const struct server *s)
{
    return s->is_up && !s->is_frozen;
}

/* Does a replica hear its master, and the other way round? */
bool copying_is_linked(const struct server *master, const struct server *s);
/* Does the master list it? */
bool copying_knows(const struct server *master, unsigned replica);
/* Its connection to its master is closed. */
void copying_close(struct server *s);
/* It will take what its master has; all who follow the master will. */
void copying_pull(struct server *s);
void copying_pull_all(struct group *g, unsigned master);

void roles_end(struct server *s); /* its connections are over */
void roles_follow(struct server *s, unsigned master);
void roles_promote(struct group *g, unsigned server);
unsigned roles_candidate(const struct group *g); /* NOBODY: none */
void roles_die(struct server *s, int64_t away_us);
/* An event: the Sentinels take the master for dead, if it is. `ctx`: the group. */
world_event roles_on_down;

void turn_reset(struct server *s);

void watch_start(struct server *s);

/* An event: the next trouble, unless one is under way. `ctx`: the group. */
world_event troubles_on;
bool troubles_are_over(const struct group *g); /* .. and all is whole again */

#endif
