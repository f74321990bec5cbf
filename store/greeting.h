/* The greeting of a fresh connection to a store, one command after the other, before it counts
 * as up: who we are, whether the server is a master, what time it has, whether it knows WAITAOF,
 * and whether it has the functions of this version.
 *
 *   AUTH [user] password      where a user is set
 *     --> ROLE, "master"      a listener: PING, and no TIME
 *     --> TIME
 *     --> WAITAOF             where there are replicas
 *     --> FCALL <library>_greet_<hash> --missing--> FUNCTION LOAD --> FCALL again
 *     --> up
 *
 * An unneeded command costs no round trip, and a store that has the library already is not
 * written to: its memory may be full, and many processes may connect at once.
 * Source: protocol.md, "Versions side by side"; Redis manual: AUTH, ROLE, TIME, WAITAOF,
 * FUNCTION LOAD. */
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
    bool is_listener;              /* any server that answers will do, and needs no library */
    bool has_replicas;             /* .. that calls wait for */
    bool has_loaded;               /* on this connection: loading again would not help */
    enum greeting_step step;
};

/* The first command that is needed, from `step` on, becomes g->step and `c`, which was
 * empty; false when there is none: the server has been greeted. */
bool greeting_say(struct greeting *g, enum greeting_step step, struct args *c);

/* The next step when the last command was answered with `text`.
 * Errors: false: the server cannot be used. */
bool greeting_next(const struct greeting *g, bool is_error, struct slice text,
                   enum greeting_step *ret_step);

#endif
