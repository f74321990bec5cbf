/* Parked requests: a bounded table, each with its own deadline, retried until answered.
 *
 *   CLAIMING --key claimed--> ASKED --notice--> answered
 *                               '--each REASK_MS: the same command, with the same id, again;
 *                                  a read after twice as long each time, up to PENDING_REASK_MS
 * The notice is a hint; the retry is the truth: a service that has acted on the command answers
 * from its record. Source: protocol.md, "Parking and asking again". */
#ifndef KASSA_GATEWAY_PENDING_H
#define KASSA_GATEWAY_PENDING_H

#include <sys/queue.h>
#include <uthash.h>

#include "gateway/routes.h"
#include "idempotency/key.h"
#include "runtime/http.h"
#include "runtime/uuid.h"

#define PENDING_REASK_MS 8000 /* between two asks of a read, at most */
#define PENDING_LEVELS   16   /* doublings from the smallest REASK_MS to that, and more */

struct pending {
    struct gateway *owner; /* for callbacks that get only the request */
    struct http_request *http;
    const struct route *route;
    unsigned row;           /* of the route (route_match) */
    struct message command; /* what is asked for; borrows from http, and from text */
    struct route_text text;
    struct uuid id;              /* of the command */
    char key[KEY_BYTES_MAX + 1]; /* Idempotency-Key; "": none */
    bool is_front;               /* nginx has made the key, for its own repeats (front.h) */
    bool is_again;               /* its first id was refused; this is another */
    bool is_read;                /* has no effect: nothing is lost when it comes late, or never */
    bool is_claimed;             /* the key names `id` now, or there is no key */
    bool is_fresh;               /* no earlier request had that id */
    bool is_claiming;            /* a claim is under way */
    bool is_entered;             /* in the table, under `id` */
    int64_t began_ms;            /* monotonic */
    int64_t next_ask_ms;
    unsigned level;               /* how often the time between two asks was doubled */
    TAILQ_ENTRY(pending) in_asks; /* of its level, by next_ask_ms */
    struct pending *next_same;    /* requests with the same key wait for the same command */
    UT_hash_handle by_id;         /* of the first of them */
};

struct pending_table {
    struct pending *by_id;
    TAILQ_HEAD(pending_asks, pending) asks[PENDING_LEVELS]; /* all of one wait equally long */
    unsigned count;
    unsigned count_max;
    int64_t reask_ms;
    int64_t deadline_ms;
};

void pending_table_init(struct pending_table *t, const struct gateway_conf *conf,
                        int64_t deadline_ms);
bool pending_is_full(const struct pending_table *t);

/* Parks a matched request; the table is not full. Owns: the table, until pending_take or
 * pending_remove. */
struct pending *pending_park(struct pending_table *t, const struct route_match *match,
                             const struct route_text *text, int64_t now_ms);
/* Makes it findable by p->id. Once, when the id is final. */
void pending_enter(struct pending_table *t, struct pending *p);
/* The requests that wait for command `id`, linked by next_same; NULL: none. */
struct pending *pending_find(const struct pending_table *t, struct slice id);
/* Takes all that wait for p's id out of the table; the caller answers and frees each. */
struct pending *pending_take(struct pending_table *t, struct slice id);
/* The same, but they stay parked; the caller enters each under another id. */
struct pending *pending_withdraw(struct pending_table *t, struct slice id);
/* Takes just this one out. */
void pending_remove(struct pending_table *t, struct pending *p);
void pending_free(struct pending *p);
void pending_table_free(struct pending_table *t); /* which is empty */

/* Any of them; NULL: there is none. */
struct pending *pending_any(const struct pending_table *t);

/* The next request that is due for a retry, or NULL; it becomes due again REASK_MS later, a
 * read later than that. */
struct pending *pending_due(struct pending_table *t, int64_t now_ms);
bool pending_is_late(const struct pending_table *t, const struct pending *p, int64_t now_ms);

#endif
