/* What is said on a fresh connection to a store, one word after the other, before it counts as up:
 * who we are, whether it is a master, what time it has, whether it can wait for files, and whether
 * its functions are those of this version.
 *
 *   AUTH [user] password --> ROLE, "master" --> TIME --> WAITAOF --> FCALL <library>_greet_<hash>
 *   where one is set    a listener: PING, no TIME        |             |  ^   where there is a
 * library where there are replicas         |  |                  '--> up
 *                                                                      '--missing--> FUNCTION LOAD
 *
 * What is not needed costs no round trip, and a store that has the library already is not written
 * to: its memory may be full, and many may connect at once.
 * Source: protocol.md, "Versions side by side"; Redis manual: AUTH, ROLE, TIME, WAITAOF, FUNCTION
 * LOAD. */
#ifndef KASSA_STORE_GREETING_H
#define KASSA_STORE_GREETING_H

#include "store/library.h"

enum greeting_step {
    GREETING_AUTH,
    GREETING_ROLE,
    GREETING_TIME,
    GREETING_FILES, /* does it know WAITAOF? An error says no (flight.h) */
    GREETING_LIBRARY,
    GREETING_LOAD,
    GREETING_DONE
};

/* Texts are borrowed. */
struct greeting {
    const char *user;              /* empty: the default one */
    const char *password;          /* empty: none */
    const struct library *library; /* NULL: none */
    bool is_listener;              /* any server that answers will do, and it needs no library */
    bool has_replicas;             /* .. that are waited for */
    bool has_loaded; /* on this connection: what is missing now will not come by loading */
    enum greeting_step step;
};

/* The first word that is needed, from `step` on, becomes g->step, and its command `c`, which was
 * empty; false when there is none: the server has been greeted. */
bool greeting_say(struct greeting *g, enum greeting_step step, struct args *c);

/* What is to be said when the last word was answered with `text`.
 * Errors: false: the server cannot be used. */
bool greeting_next(const struct greeting *g, bool is_error, struct slice text,
                   enum greeting_step *ret_step);

#endif
