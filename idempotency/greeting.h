/* What is said on a fresh connection to a store, one word after the other, before it counts as up:
 * who we are, whether it is a master, what time it has, and the library of functions.
 *
 *   AUTH [user] password --> ROLE, "master" --> TIME --> FUNCTION LOAD REPLACE library --> up
 *        where one is set    a listener: PING, and no TIME     where there is one
 *
 * What is not needed costs no round trip. Source: Redis manual: AUTH, ROLE, TIME,
 * FUNCTION LOAD. */
#ifndef KASSA_IDEMPOTENCY_GREETING_H
#define KASSA_IDEMPOTENCY_GREETING_H

#include "idempotency/redis.h"

enum greeting_step { GREETING_AUTH, GREETING_ROLE, GREETING_TIME, GREETING_LIBRARY, GREETING_DONE };

/* Texts are borrowed. */
struct greeting {
    const char *user;     /* empty: the default one */
    const char *password; /* empty: none */
    const char *library;  /* NULL: none */
    bool is_listener;     /* any server that answers will do, and it needs no library */
    enum greeting_step step;
};

/* The first word that is needed, from `step` on, becomes g->step, and its command `c`, which was
 * empty; false when there is none: the server has been greeted. */
bool greeting_say(struct greeting *g, enum greeting_step step, struct redis_command *c);

#endif
