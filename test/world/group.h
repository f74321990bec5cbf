/* A group of servers: a master, its replicas, and three Sentinels that name the master.
 *
 *   calls --> master: log --late, each at its own time--> replicas: a beginning of that log
 *                  '--WAIT n--> so many replicas have all of it, or time is up
 *
 * What goes wrong, by chance: a server dies and comes back; a replica stands still; a replica is
 * promoted, because the master is dead, or because an operator wants it, while the old master
 * lives, takes calls, and is followed by the other replica for some moments more. Sentinels hear of
 * it one after the other. Two troubles at once are not made, but for those that belong together:
 * what is lost by two is written down in docs/protocol.md, "The windows". */
#ifndef KASSA_TEST_GROUP_H
#define KASSA_TEST_GROUP_H

#include "store/store.h"
#include "test/world/world.h"

#define GROUP_SENTINELS 3
#define GROUP_REPLICAS  2

struct group;

/* `replicas` of each group: 0, and then there are no Sentinels and no troubles, or 2. */
void group_world_reset(unsigned replicas);

struct group *group_named(const char *name); /* is made when it is named first */

/* What time it is there. */
int64_t group_wall_ms(const struct group *g);

/* The server that a Sentinel names: a number within the group, as all below. */
unsigned group_told_master(const struct group *g, unsigned sentinel);

/* A connection to a server holds for as long as this number is the same. 0: there is none to be
 * had, for it is down, or no master. */
uint64_t group_life(const struct group *g, unsigned server);

/* What ROLE says there: what stands before the replica's address (copies.h). NULL: not connected.
 */
const char *group_listed_as(const struct group *g, unsigned server, unsigned replica);

/* What INFO says there: how often a replica has come that needed only the rest (copies.h). */
uint64_t group_comings(const struct group *g, unsigned server);

/* Executes a command there; it goes to the replicas. Owns: the caller (server_reply_free). */
struct server_reply *group_execute(struct group *g, unsigned server, const struct args *c);

/* In its turn a server runs `run`, and `answer` when that turn is over, which takes as long as what
 * is executed in it and a sync; at once where nothing takes time. `drop` frees ctx when the world
 * ends before. */
void group_serve(struct group *g, unsigned server, world_event *run, world_event *answer,
                 world_event *drop, void *ctx);
bool group_takes_time(void);

/* How much it has written. */
uint64_t group_position(const struct group *g, unsigned server);

/* WAIT: tells how many replicas have what the server had at `position`: when they are `needed`, or
 * when time is up; not at all when the server goes. Owns: the caller, until it is told, or forgets.
 */
typedef void group_on_counted(void *ctx, unsigned count);
struct group_wait *group_wait(struct group *g, unsigned server, uint64_t position, unsigned needed,
                              int64_t timeout_us, group_on_counted *on_counted, void *ctx);
void group_forget(struct group_wait *wait);

/* Troubles come again, after a calm. */
void group_world_storm(void);

/* All are up, follow the same master, and have what it has. */
bool group_are_whole(void);
/* .. which is a fault when they have not. */
void group_check(void);

/* The server that was promoted last has what is true, as its number for server.h. */
unsigned group_truth(const struct group *g);
unsigned group_master(const struct group *g); /* .. within the group */

/* Before the run: all servers have it. */
void group_set(struct group *g, const struct args *c);
/* Its servers have a limit to their memory, of which `percent` are used now; 0: none. */
void group_limit(struct group *g, unsigned percent);
/* The master is another server now, with other data. Only where there are no replicas. */
void group_restarted(struct group *g);

#endif
