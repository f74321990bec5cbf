/* Routes: method and path -> command, or a refusal. Pure.
 *
 * Every route is a row of a capability's table (gateway/api/<capability>.c): method, pattern, what
 * it becomes, and functions for what is special to it. A parameter's name tells its kind and the
 * field it fills. Source: README.md, "The API". */
#ifndef KASSA_GATEWAY_ROUTES_H
#define KASSA_GATEWAY_ROUTES_H

#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "gateway/conf.h"

struct gateway;
struct http_request;
struct route_match;

#define ROUTE_PARAMETERS_MAX 4 /* of a path, and as many parts of a query */
#define ROUTE_TEXT_BYTES     (ROUTE_PARAMETERS_MAX * (ID_BYTES_MAX + 1))
#define ROUTE_SENTENCE_BYTES 128
#define ROUTE_ALLOW_BYTES    sizeof("GET, HEAD, POST, PUT, DELETE")

/* As it was sent. Borrowed. */
struct route_request {
    const char *method;
    struct slice path, query; /* undecoded */
    struct slice body;        /* of a route that takes one */
};

/* What was percent-encoded, decoded. Only its used part is initialised. */
struct route_text {
    size_t bytes;
    char at[ROUTE_TEXT_BYTES];
};

/* The columns. Each returns false when it has refused (route_refuse).
 * check: what the parameters must fulfil together, and what the command has beside them.
 * query: reads the query; a route without that column ignores it.
 * body: reads the body, which is no longer than the route's body_max, and may be empty. */
typedef bool route_check(const struct gateway_conf *conf, struct route_match *match);
typedef bool route_query(struct slice query, struct route_text *text, struct route_match *match);
typedef bool route_body(struct slice body, struct route_match *match);
/* Adds the members of a 200's body. Errors: false for an answer that this command never gets. */
typedef bool route_reply(struct buf *body, const struct message *command,
                         const struct message *answer);
/* Answers the request: now or later, exactly once. */
typedef void route_serve(struct gateway *gw, struct http_request *http,
                         const struct route_match *match);

enum {
    ROUTE_BATCH = 1,    /* takes as long as it takes; its chunks are known again until it is done */
    ROUTE_CHECKOUT = 2, /* may take the short way (checkout.h), and be asked for 202 */
    ROUTE_ENDS = 4,     /* begins nothing: is let in while a store is nearly full */
};

struct route {
    const char *method;
    const char *pattern;
    const char *name;           /* label in metrics */
    enum message_type type;     /* of the command; MESSAGE_NONE: `serve` answers */
    enum queue queue;           /* that it goes to */
    enum message_field creates; /* the field that gets the command's id; 0 (id itself): none */
    unsigned is;                /* ROUTE_BATCH and so on */
    route_check *check;         /* these three, NULL: nothing to be done */
    route_query *query;
    route_body *body;
    size_t body_max;    /* 0: takes no body; one that comes is dropped */
    route_reply *reply; /* NULL: every answer is a refusal, or 202 */
    route_serve *serve; /* of a route without a command */
};

/* A parameter of a path: an id, or a whole number of at least `min`. */
struct route_parameter {
    const char *name; /* without its braces */
    enum message_field field;
    bool is_id;
    int64_t min;
};
#define ROUTE_ID(name, field)                                                                      \
    {                                                                                              \
        name, MESSAGE_HAS_##field, true, 0                                                         \
    }
#define ROUTE_NUMBER(name, field, min)                                                             \
    {                                                                                              \
        name, MESSAGE_HAS_##field, false, min                                                      \
    }

/* The routes of one capability, and the parameters that only they have. */
struct route_table {
    const struct route *routes;
    unsigned count;
    const struct route_parameter *parameters;
    unsigned parameter_count;
};
#define ROUTE_TABLE(rows)                                                                          \
    {                                                                                              \
        rows, sizeof(rows) / sizeof((rows)[0]), NULL, 0                                            \
    }
#define ROUTE_TABLE_WITH(rows, parameters)                                                         \
    {                                                                                              \
        rows, sizeof(rows) / sizeof((rows)[0]), parameters,                                        \
            sizeof(parameters) / sizeof((parameters)[0])                                           \
    }

/* Tables that are searched together. Of several routes for a method and path the first is taken. */
struct route_list {
    const struct route_table *const *tables;
    unsigned count;
};

/* The API: gateway/api/<name>.c defines <name>_routes, and gateway/routes.sh makes this list. */
extern const struct route_list route_api;

unsigned route_count(const struct route_list *list);
/* Of the route of that number; "none" beyond the last. */
const char *route_name(const struct route_list *list, unsigned row);

/* What a request is. `command` borrows from the request and from the route_text. */
struct route_match {
    const struct route *route; /* NULL: refused, see status */
    unsigned row;              /* its number in the list; of a refusal, how many there are */
    unsigned status;           /* 0, or 400, 404, 405 */
    struct message command;    /* without id and gateway */
    char sentence[ROUTE_SENTENCE_BYTES]; /* of a refusal, for the client */
    char allow[ROUTE_ALLOW_BYTES];       /* for 405; else "" */
};

/* `text` and *ret_match need no initialisation. */
void route_find(const struct route_list *list, const struct gateway_conf *conf,
                const struct route_request *request, struct route_text *text,
                struct route_match *ret_match);

/* How many bytes of a body a request may have: 0 when its route takes none, or there is none. */
size_t route_body_max(const struct route_list *list, const char *method, struct slice path);

/* Has it an effect? All but GET have. */
bool route_acts(const struct route *route);

/* Copies a match's command; what it borrowed from `from` it borrows from `to` then. */
void route_command_keep(const struct message *command, const struct route_text *from,
                        struct message *ret_command, struct route_text *to);

/* For the columns' functions. Refuses with a sentence; always false. */
bool route_refuse(struct route_match *match, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Decodes a part of a path or query; what is longer than an id is cut, see route_is_cut.
 * Errors: false for a percent sign without two hex digits, or when `text` is full. */
bool route_decode(struct slice part, struct route_text *text, struct slice *ret_text);
bool route_is_cut(struct slice text);
/* check: a batch is no larger than BATCH_MAX. */
bool route_check_batch(const struct gateway_conf *conf, struct route_match *match);

/* A whole number as the API has it: digits, a zero fraction allowed ("15.0"), within int64.
 * Errors: false for anything else. */
bool route_amount(struct slice text, int64_t *ret_amount);

#endif
