/* The world of the simulation: virtual time, chance, nodes, and what may go wrong.
 *
 * One program runs gateways, orders, stock and payment: their real C code and their real function
 * libraries, on modelled adapters (loop, broker, store, HTTP) that misbehave by chance. All chance
 * comes from one seed, so a seed replays to the byte.
 *
 *   world event -> a node's callback -> its turn-end hooks -> effects: more events
 *
 * A node dies by chance before any of its effects: what came before has happened, what follows
 * has not. Source: testing.md, "The simulation". */
#ifndef KASSA_TEST_WORLD_H
#define KASSA_TEST_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/service.h"
#include "store/store.h"

#define WORLD_NODES_MAX 16

/* What may go wrong, in 1/1000 of the occasions. */
struct world_chances {
    unsigned crash;       /* a node dies before an effect; in 1/100 000 */
    unsigned lose;        /* the courier confirms a message and forgets it */
    unsigned repeat;      /* .. delivers it twice */
    unsigned late;        /* .. delivers it up to 3 s late */
    unsigned break_link;  /* a broker connection ends before a publish */
    unsigned break_store; /* a store connection ends: a prefix of the pipeline was done */
    unsigned lose_notice;
    unsigned clocks; /* jump that often, in all */
    unsigned stale;  /* the courier keeps a copy, for long */
};
#define WORLD_CHANCES (sizeof(struct world_chances) / sizeof(unsigned))

/* What takes its time, for the whole run, its end too; 0: next to nothing. */
struct world_costs {
    int64_t sync_us; /* a turn of a server's disk */
    int64_t look_us; /* a call, for each text that it looks at */
    int64_t lag_us;  /* from a master to its replicas and back */
    bool has_poison; /* a call is never answered, and neither is what goes out with it */
};

struct node {
    const char *name;
    const struct service *service;
    struct service_context context;
    struct loop *loop;
    uint64_t life;    /* grows at each start: events of an older life are void */
    int64_t still_us; /* until then it stands still: what happens to it waits */
    bool is_up;
    bool is_dying; /* its effects have no effect any more; taken down after this event */
};

struct world {
    uint64_t seed;
    int64_t now_us;
    int64_t leapt_us; /* of that, time that passed at once */
    struct world_chances chances;
    struct world_costs costs;
    int64_t proxy_us; /* how long nginx, before the gateways, waits for one; 0: there is no nginx */
    bool has_limits;  /* servers' memory, in some moments */
    bool is_calm;     /* nothing goes wrong any more: the end, in which all must be settled */
    bool has_transcript;
    struct node nodes[WORLD_NODES_MAX];
    unsigned node_count;
    struct node *current; /* whose callback runs; NULL: the world's own */
    uint64_t events, crashes, messages, calls;
    uint64_t refusals; /* of commands that the store's records do not cover any more */
};
extern struct world world;

/* Chance. */
uint32_t world_random(uint32_t below);
bool world_chance(unsigned of_1000);

/* An event: `run(ctx)` at now + delay, as a turn of `node` if that is still in this life; for the
 * world itself with node NULL. */
typedef void world_event(void *ctx);
void world_after(struct node *node, int64_t delay_us, world_event *run, void *ctx);
/* The same, but `drop` frees ctx when the node is gone. */
void world_after_or(struct node *node, int64_t delay_us, world_event *run, world_event *drop,
                    void *ctx);
/* So much time passes at once; what was due meanwhile comes then, in its order. */
void world_leap(int64_t us);
/* Runs the next event. False: there is none. */
bool world_step(void);

/* Before an effect of the current node: false when it has died (now, or before): no effect. */
bool world_effect(const char *what);

void world_reset(uint64_t seed);
struct node *world_node(const char *name, const struct service *service);
void node_start(struct node *node);
void node_kill(struct node *node);
/* As by SIGSTOP, for so long. What it has sent goes on. */
void node_stand_still(struct node *node, int64_t still_us);

/* One line of the transcript: time, node, text. */
void world_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A broken invariant: remembered, told at the end of the run. */
void world_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
unsigned world_faults(void);
const char *world_first_fault(void);

/* Milliseconds since 1970 by the clock of a node, or of the servers of a group (clock.c). The name
 * is borrowed for good. */
int64_t clock_ms(const char *name);
int64_t clock_true_ms(void);
void clock_world_reset(void);
/* Some of them jump, and soon are right again. */
void clock_world_jump(unsigned jumps, int64_t until_us);

/* What the modelled adapters need of each other. */
void loop_turn_end(struct loop *loop);
void broker_world_reset(void);
void broker_node_died(struct node *node);
bool broker_is_idle(void);
/* Of what was sent until now, copies come once more, within this time. */
void broker_world_stale(int64_t within_us);
#define STORE_POISON "poison" /* an item: who asks for it hears nothing any more */
/* `replicas` of each group of servers: 0, or 2 and Sentinels. */
void store_world_reset(const struct library *const *libraries, unsigned count, unsigned replicas);
/* Connections to a server, by its number in the group, are over. */
struct group;
void store_broken(const struct group *g, unsigned server);
/* Pub/sub: who has subscribed to the channel hears it, mostly. */
void notice_world_reset(void);
void notice_world_publish(struct slice channel, struct slice payload);
void http_world_reset(void);

/* A client's request to a gateway's node; `on_answer` runs in the world, status 0: connection
 * lost. Owns: nothing; texts are copied. */
typedef void http_on_answer(void *ctx, unsigned status, const char *body);
void http_world_request(struct node *gateway, const char *method, const char *path, const char *key,
                        http_on_answer *on_answer, void *ctx);
/* The same with nginx' name for it, or NULL; the handle is good until the answer.
 * Who hangs up hears nothing. */
struct http_request *http_world_send(struct node *gateway, const char *method, const char *path,
                                     const char *key, const char *name, http_on_answer *on_answer,
                                     void *ctx);
void http_world_hang_up(struct http_request *r);
/* A client that reads, and hangs up when it was not answered at once. */
void http_world_glance(struct node *gateway, const char *path);
void http_node_died(struct node *node);

/* The store's content, for the checks. */
typedef void store_on_field(void *ctx, const char *key, const char *field, const char *value);
void store_each(store_on_field *on_field, void *ctx);
/* How many orders are packed. */
uint64_t store_packed(void);
/* Sets a field of a hash, before the run. */
void store_set(const char *key, const char *field, const char *value);

/* A service's part of the store as it is now; later the store is another server, which has that and
 * nothing of what was done since. Its connections break. */
void store_keep(const char *service);
void store_restore(const char *service);
/* The memory of a service's store has a limit from now on, of which so much is used; 0: none. */
void store_limit(const char *service, unsigned percent);
/* Has the service told of the server that its store is now? */
bool store_is_announced(const char *service);
/* Is nothing under way that sends again what its store may have lost? */
bool store_is_replayed(const char *service);

/* Switches of the modelled adapters, each a planted bug. */
struct world_bugs {
    bool ack_before_effect;     /* the broker takes every delivery for acknowledged */
    bool confirm_before_quorum; /* confirms at once; what was not delivered dies with the node */
    bool no_questions;          /* to a server about itself */
    bool no_reask;
    bool no_resend;
    bool wait_for_one;  /* replica */
    uint64_t seen_from; /* one that is seldom seen: the seed to begin with; 0: 1 */
    bool wait_for_none;
    bool come_unseen;       /* who comes and goes between two looks is not noticed */
    bool wait_unlisted;     /* once one was missing, no ROLE looks for it again */
    bool libraries_replace; /* whoever connects last has his functions, and others have none */
    bool count_doubtful;    /* a replica whose file has not what it acknowledges */
    bool promote_doubtful;
    bool serve_alone;     /* after all were down, one decides alone that it has everything */
    bool silence_is_even; /* after it the same is asked again, with the same patience */
    bool short_is_lost;   /* a short WAIT ends the connection */
    bool names_differ;    /* nginx gives each try a name of its own */
    bool silence_is_loss; /* nobody counts in how many silences a command was out */
};
extern struct world_bugs world_bugs;
/* Changes the libraries' text: `from` becomes `to`. NULL ends it. */
struct world_patch {
    const char *from;
    const char *to;
};
extern const struct world_patch *world_patch;

#endif
