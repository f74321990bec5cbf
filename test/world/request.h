/* The requests of the shop's clients. Each has a key, mostly, and is sent again with it, to any
 * gateway, when its connection is lost; what it is told is held to the books at that very instant.
 */
#ifndef KASSA_TEST_REQUEST_H
#define KASSA_TEST_REQUEST_H

#include "test/world/world.h"

#define USERS        4
#define ITEMS        3
#define ORDERS       8
#define REQUESTS_MAX 64
#define FULL_TOLD_US 6000000 /* until each gateway knows that a store is full */

enum kind { CHECKOUT, FUND, ADD, CANCEL, BATCH };

struct request {
    enum kind kind;
    unsigned order, user;
    unsigned amount;
    char path[128];
    char key[32]; /* "": none */
    bool is_answered;
    bool is_unknown; /* it was told that nobody knows, and must not be sent again */
    unsigned status;
    char body[160];
};

struct shop {
    struct node *const *gateways;
    unsigned gateway_count;
    struct request requests[REQUESTS_MAX];
    unsigned request_count, answered;
    unsigned credit[USERS], stock[ITEMS];
    const char *loss;   /* whose store loses its tail; NULL: none */
    int64_t settled_us; /* then all know which store is full */
    int64_t room_us;    /* soon it will not be so any more */
};
extern struct shop shop;

/* Owns: the shop. */
struct request *request_new(enum kind kind);
/* Behind nginx not everybody needs a key: nginx repeats what has none, too. True: it has one. */
bool request_has_key(struct request *r);
/* Schedules it with one of the events below, unless it is left out: then it is as good as answered.
 */
void request_at(struct request *r, int64_t at_us, world_event *send);
void request_leave_out(uint64_t requests);
/* May it be told that its key has expired? Then nothing was done now. */
bool request_is_expired(unsigned status);
bool request_body_has(const struct request *r, const char *text);

/* Events; `ctx`: the request. It is sent; a late repeat: sent once more under its key it must be
 * told the same; it comes while a store is full: nothing is begun, then it is a request like any
 * other. */
world_event request_send, request_repeat, request_turned_away;

#endif
