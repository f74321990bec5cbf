/* Routes: method and path -> command, or a refusal. Pure.
 *
 * Every route is one row: method, pattern, what it becomes. A parameter's name tells its kind and
 * the field it fills. Source: README.md, "The API". */
#ifndef KASSA_GATEWAY_ROUTES_H
#define KASSA_GATEWAY_ROUTES_H

#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "gateway/conf.h"

enum route_place {
    ROUTE_SERVICE, /* a command to a service */
    ROUTE_HEALTH,  /* answered by the gateway itself */
    ROUTE_READY,
    ROUTE_METRICS,
};

struct route {
    const char *method;
    const char *pattern;
    enum route_place place;
    enum message_type type; /* of the command */
    enum queue queue;
    enum message_field creates; /* the field that gets the command's id; 0 (id itself): none */
    const char *name;           /* label in metrics */
};

extern const struct route routes[];
extern const unsigned route_count;

#define ROUTE_PARAMETERS_MAX 4
#define ROUTE_TEXT_BYTES     (ROUTE_PARAMETERS_MAX * (ID_BYTES_MAX + 1))

/* What a request is. `command` borrows from `text`: do not move or copy the struct. */
struct route_match {
    const struct route *route; /* NULL: refused, see status */
    struct message command;    /* without id and gateway */
    unsigned status;           /* 0, or 400, 404, 405, 414 */
    struct buf refusal;        /* the sentence for the client */
    char allow[32];            /* for 405 */
    char text[ROUTE_TEXT_BYTES];
    size_t text_bytes;
};

/* Fills *ret_match, zeroed by the caller. `path` and `query` as they were sent. */
void route_find(const struct gateway_conf *conf, const char *method, struct slice path,
                struct slice query, struct route_match *ret_match);
void route_match_free(struct route_match *match);

/* A whole number as the API has it: digits, a zero fraction allowed ("15.0"), within int64.
 * Errors: false for anything else. */
bool route_amount(struct slice text, int64_t *ret_amount);

#endif
