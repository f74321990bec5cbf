/* Calls that wait for the replicas: those of one turn are a flight, which ends with a WAIT.
 *
 *   call, call, PUBLISH, WAIT n, ROLE --> server --> answers --> held --n have it--> released
 *                                           ^                      '----less----> WAIT again
 *                                           '---------------------------------------'
 *
 * One flight is out at a time. Calls made meanwhile gather, and are the next one: so flights
 * grow with the load, and with the cost of a round. A short count is no reason to leave: slow is
 * not dead. The same WAIT is repeated, of the same offset, and nothing else is sent until it is
 * enough, or copies.h finds another master. (Further calls would be one more thing that the
 * replicas lack: with one that is always late, no count would ever be enough.)
 *
 * On a server that knows WAITAOF (Redis 7.2, Valkey) one follows the WAIT, and its count
 * decides: the master and n replicas have the writes in their files, fsynced. A replica does not
 * count there while its file is being rewritten after a full sync. The names of copies.h hold
 * all the same, since they also say who is promotable. The WAIT remains: a replica that is asked
 * how far its file is answers at once, before it has written what came with the question, and
 * reports by itself only a second later; asked when all have it in memory, it takes 8 ms instead
 * of 1 s [measured].
 *
 * Reads wait as well: a deposed master that does not know it yet would serve stale reads. Its
 * replicas acknowledge only writes, so each flight has one: a notice to nobody, which reaches
 * the replicas, but no file. copies.h says how many must have it, and which of those that ROLE
 * lists count. Knows no connection: sending is a callback.
 * Source: protocol.md, "The replicas", "One flight at a time"; Redis manual: WAIT, WAITAOF,
 * PUBLISH, ROLE. */
#ifndef KASSA_STORE_FLIGHT_H
#define KASSA_STORE_FLIGHT_H

#include "store/args.h"
#include "store/copies.h"
#include "store/waiters.h"

#define FLIGHT_PACE_MS 10 /* a WAIT that was answered sooner is repeated after this */

/* Zero-initialised, with the first three of copies set: nothing has been sent. */
struct flight {
    struct copies copies;
    struct waiters
        held;          /* those whose answers are here, but not yet at the replicas: the owner's */
    struct args word;  /* scratch */
    int64_t asked_ms;  /* when the last WAIT was sent */
    unsigned waited;   /* what the last WAIT has said, until ROLE has */
    bool is_begun;     /* a call was sent since the last WAIT */
    bool is_out;       /* its WAIT is: the count is not known yet */
    bool is_late;      /* the last count was short */
    bool has_too_many; /* replicas: was logged */
    bool is_by_files;  /* WAITAOF, not WAIT: as flight_files has said of this connection */
};

/* Sends one of its own commands; its answer goes to flight_answer, with `waiter`. */
typedef void flight_send(void *ctx, struct waiter waiter, const struct args *c);

/* The turn ends. The server gives a WAIT half of `timeout_ms`, and two of them together, so that a
 * short count is told apart from silence. */
void flight_end(struct flight *f, int64_t now_ms, int64_t timeout_ms, flight_send *send, void *ctx);
/* True while its count is unknown, or was short: no call may be sent. */
bool flight_is_out(const struct flight *f);
/* The count was short and came at once, as it does while a replica has it and is in doubt: another
 * turn has to end after FLIGHT_PACE_MS. Else server and process would busy-wait. */
bool flight_is_paced(const struct flight *f, int64_t now_ms);
/* The connection has ended. The owner fails the held answers. */
void flight_lost(struct flight *f);
/* While copies_are_missing: have they come back? */
void flight_look(struct flight *f, flight_send *send, void *ctx);
void flight_free(struct flight *f);

enum flight_verdict {
    FLIGHT_GOES_ON,
    FLIGHT_IS_DONE,  /* the held answers can be given out */
    FLIGHT_IS_SHORT, /* too few have it yet: answers stay held, WAIT is repeated */
    FLIGHT_IS_BROKEN /* not a usable server */
};
/* The answer to one of its own commands, in their order. */
enum flight_verdict flight_answer(struct flight *f, struct waiter waiter, struct texts reply,
                                  int err, int64_t now_ms);

/* In the greeting: probes for WAITAOF, without waiting for anything. */
void flight_ask_files(struct args *c);
/* .. and its answer. Errors: false when only WAIT can be used: `is_error`, or no count. */
bool flight_files(struct flight *f, struct texts reply, bool is_error);

/* ROLE has answered, in the greeting. Errors: false when the server is no master. */
bool flight_role(struct flight *f, struct texts reply);

#endif
