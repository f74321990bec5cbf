/* A master with two replicas, Sentinels that watch them if a test wants that, and a store
 * connection to the group. */
#ifndef KASSA_TEST_TRIO_H
#define KASSA_TEST_TRIO_H

#include "store/store.h"
#include "test/lib/redis_server.h"

#define TRIO_SENTINELS 3
#define TRIO_NODES     3
#define TRIO_WAIT_MS   20000

struct trio {
    struct redis_server *nodes[TRIO_NODES];
    struct redis_server *sentinels[TRIO_SENTINELS];
    struct store_conf conf;
    struct loop *loop;
    struct store *redis;
    struct args command;
    unsigned answers, losses; /* of the calls; a lost one may have been made */
    char last[64];            /* of the answers */
};

/* For cmocka: *state is the trio; nodes[0] is the master of the others. One replica is waited for,
 * and nobody is connected: a test may change conf before it opens the store. */
int trio_setup(void **state);
int trio_teardown(void **state);

int64_t trio_now_ms(void); /* by a clock that does not jump */
/* Until the replica follows, and the master knows how far it is. */
void trio_follow(struct redis_server *replica, struct redis_server *master);
/* Three Sentinels, until each knows the others and the replicas. The group's name is shop. */
void trio_watch(struct trio *t);

/* `node`: host:port, or the group's name. */
void trio_open(struct trio *t, const char *node);
void trio_wait_up(struct trio *t);
void trio_turns(struct trio *t, int64_t ms);
void trio_call(struct trio *t, const char *word, const char *key, const char *value);
/* Calls again and again, as whoever depends on it does, until it is answered. */
void trio_call_until_answered(struct trio *t, const char *word, const char *key, const char *value);
void trio_wait_answers(struct trio *t, unsigned answers); /* so many in all */

#endif
