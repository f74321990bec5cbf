/* Calls that wait for the replicas: those of one turn are a flight, which ends with a WAIT.
 *
 *   call, call, PUBLISH, WAIT n, ROLE --> server --> answers --> held --n have it--> released
 *                                           ^                      '----less----> WAIT again
 *                                           '---------------------------------------'
 *
 * One flight is out at a time. What is called meanwhile gathers, and is the next one: so flights
 * grow with the load, and with what a round costs.
 * A short count is no reason to go: slow is not dead. The same WAIT is asked again, of the same
 * offset, and nothing else is sent until it is enough, or who looks after copies.h finds another
 * master. (What was sent meanwhile would be one more thing that the replicas have not got yet: with
 * one that is always late, no count would ever be enough.)
 *
 * A server that knows it (Redis 7.2, Valkey) is asked with WAITAOF behind the WAIT, and what that
 * says is what counts: who has it in its file, fsynced, the master itself and n replicas. A replica
 * does not count there while its file is being rewritten after a full sync. The names of copies.h
 * hold all the same, since they also say who is promotable. The WAIT remains: a replica that is
 * asked how far its file is says so at once, before it has written what came with the question, and
 * then by itself only a second later; so who asks when all have it in memory gets 8 ms instead of 1
 * s [measured].
 *
 * What was only read has to be waited for as well: a master that was deposed and does not know it
 * yet would tell old things. Its replicas acknowledge only what is written, so something is: a
 * notice to nobody, which goes to the replicas, but into no file. How many have to have it, and
 * which of those that ROLE lists count, says copies.h. Knows no connection: sending is a callback.
 * Source: protocol.md, "The replicas", "One flight at a time"; Redis manual: WAIT, WAITAOF,
 * PUBLISH, ROLE. */
#ifndef KASSA_STORE_FLIGHT_H
#define KASSA_STORE_FLIGHT_H

#include "store/args.h"
#include "store/copies.h"
#include "store/waiters.h"

#define FLIGHT_PACE_MS 10 /* a WAIT that was answered sooner is asked again after this */

/* Zero-initialised, with the first three of copies set, is: nothing has been sent. */
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
    bool has_too_many; /* replicas: was told */
    bool is_by_files;  /* WAITAOF, not WAIT: as flight_files has said of this connection */
};

/* Sends one of its own commands; `waiter` is to be given to flight_answer, with the answer. */
typedef void flight_send(void *ctx, struct waiter waiter, const struct args *c);

/* The turn ends. The server gives a WAIT half of `timeout_ms`, and two of them together, so that a
 * short count is told apart from silence. */
void flight_end(struct flight *f, int64_t now_ms, int64_t timeout_ms, flight_send *send, void *ctx);
/* Its count is not known yet, or was short: no call is to be sent. */
bool flight_is_out(const struct flight *f);
/* The count was short and came at once, as it does while a replica has it and is in doubt: another
 * turn has to end after FLIGHT_PACE_MS. Else server and process would do nothing but ask. */
bool flight_is_paced(const struct flight *f, int64_t now_ms);
/* The connection is over. What is held is the owner's to fail. */
void flight_lost(struct flight *f);
/* While copies_are_missing: have they come back? */
void flight_look(struct flight *f, flight_send *send, void *ctx);
void flight_free(struct flight *f);

enum flight_verdict {
    FLIGHT_GOES_ON,
    FLIGHT_IS_DONE,  /* who is held can be told */
    FLIGHT_IS_SHORT, /* too few have it yet: what is held stays so, WAIT is asked again */
    FLIGHT_IS_BROKEN /* this is not a server to talk to */
};
/* The answer to one of its own commands, in their order. */
enum flight_verdict flight_answer(struct flight *f, struct waiter waiter, struct texts reply,
                                  int err, int64_t now_ms);

/* Asks in the greeting whether the server knows WAITAOF, without waiting for anything. */
void flight_ask_files(struct args *c);
/* .. and has the answer. Errors: false when WAIT will have to do: `is_error`, or no count. */
bool flight_files(struct flight *f, struct texts reply, bool is_error);

/* ROLE has answered, in the greeting. Errors: false when the server is no master. */
bool flight_role(struct flight *f, struct texts reply);

#endif
