/* A process's connection to a store, as the modelled store has it: session.c greets and loses it,
 * pipeline.c writes to it and hears answers, store.c keeps store/store.h. */
#ifndef KASSA_TEST_SESSION_H
#define KASSA_TEST_SESSION_H

#include <sys/queue.h>

#include "runtime/err.h"
#include "store/flight.h"
#include "store/patience.h"
#include "store/rows.h"
#include "store/wire.h"
#include "test/world/group.h"
#include "test/world/server.h"
#include "test/world/world.h"

#define WATCHERS_MAX 8

struct call {
    struct args command;
    struct waiter waiter;
    struct server_reply *reply;
    TAILQ_ENTRY(call) in_list;
};
TAILQ_HEAD(calls, call);

struct store {
    struct node *node;
    struct loop *loop;
    struct rows *rows;
    struct calls waiting; /* that may not go out yet */
    struct calls gathering, out, failed;
    unsigned count;
    bool is_up;
    int64_t last_us; /* a connection keeps its order */
    struct group *group;
    unsigned server;
    uint64_t life;     /* of the server, for this connection */
    uint64_t attempts; /* to connect, where a greeting takes time */
    uint64_t epoch;    /* grows with each connection that is over */
    int lost_err;      /* what those that were out are told */
    unsigned questions;
    const struct library *library; /* NULL: none */
    bool is_other_version;         /* of the library */
    bool is_full;                  /* there was no room for that */
    struct flight flight;
    uint64_t offset; /* of what this connection has written */
    int64_t timeout_ms;
    struct patience patience;
    int64_t heard_us; /* when an answer came last, or something went out behind none */
    bool is_timing;
    bool is_mute;             /* this connection gets no answers any more */
    struct group_wait *wait;  /* that is not over */
    struct call *waiting_for; /* whose answer that will be */
    bool is_looking;
    bool is_nudged; /* a turn will end, to ask for the count again */
    bool is_flying; /* with replicas: a pipeline is on its way */
    struct {
        store_on_up *on_up;
        void *ctx;
    } watchers[WATCHERS_MAX];
    unsigned watcher_count;
    TAILQ_ENTRY(store) in_all;
};

/* A call waits in one of the lists. It is told once. */
void session_add(struct store *r, struct calls *list, struct waiter waiter, const struct args *c);
void session_tell(struct store *r, struct waiter waiter, int err, struct texts reply);
void session_free_call(struct call *call);
/* All of a list are told that. */
void session_fail(struct store *r, struct calls *list, int err);
/* .. and those whose answers are here: nothing is concluded from them. */
void session_fail_held(struct store *r);

/* What the connection asks for itself goes out with the next pipeline. `ctx`: the store. */
void session_send_own(void *ctx, struct waiter waiter, const struct args *c);
/* Its answer. NULL: another command. Owns: the caller. */
struct server_reply *session_own_reply(const struct store *r, enum waiter_kind kind);
/* While a replica is missing it is looked for. */
void session_look(struct store *r);

/* An event: the connection is tried. `ctx`: the store. */
world_event session_on_attempt;
/* From now on an answer is owed. */
void session_owe(struct store *r);
void session_break(struct store *r);

/* The library is loaded, unless it is there. False: there is no room for it. */
bool session_load(struct group *g, unsigned server, const struct library *library,
                  bool is_other_version);

/* What is gathered goes out. */
void pipeline_write(struct store *r);

#endif
