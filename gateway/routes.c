/* The route table and its matcher. A path is split first and decoded then, segment by segment, so
 * that an encoded slash can never make another route. */
#include "gateway/routes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SEGMENTS_MAX 8

#define SERVICE(method, pattern, type, queue, creates, name)                                       \
    {                                                                                              \
        method, pattern, ROUTE_SERVICE, MESSAGE_##type, QUEUE_##queue, creates, name               \
    }
#define MADE(field) MESSAGE_HAS_##field
#define NONE        MESSAGE_HAS_id

const struct route routes[] = {
    SERVICE("POST", "/payment/create_user", PAYMENT_CREATE, PAYMENT, MADE(user), "create_user"),
    SERVICE("GET", "/payment/find_user/{user}", PAYMENT_FIND, PAYMENT, NONE, "find_user"),
    SERVICE("POST", "/payment/add_funds/{user}/{amount}", PAYMENT_FUND, PAYMENT, NONE, "add_funds"),
    SERVICE("POST", "/payment/pay/{user}/{amount}", PAYMENT_PAY, PAYMENT, NONE, "pay"),
    SERVICE("POST", "/payment/batch_init/{n}/{credit}", PAYMENT_INIT, PAYMENT, NONE, "batch_users"),
    SERVICE("POST", "/stock/item/create/{price}", STOCK_CREATE, STOCK, MADE(item), "create_item"),
    SERVICE("GET", "/stock/find/{item}", STOCK_FIND, STOCK, NONE, "find_item"),
    SERVICE("POST", "/stock/add/{item}/{quantity}", STOCK_ADD, STOCK, NONE, "add_stock"),
    SERVICE("POST", "/stock/subtract/{item}/{quantity}", STOCK_SUBTRACT, STOCK, NONE,
            "subtract_stock"),
    SERVICE("POST", "/stock/batch_init/{n}/{stock}/{price}", STOCK_INIT, STOCK, NONE,
            "batch_items"),
    SERVICE("POST", "/orders/create/{user}", ORDER_CREATE, ORDER, MADE(order), "create_order"),
    SERVICE("GET", "/orders/find/{order}", ORDER_FIND, ORDER, NONE, "find_order"),
    SERVICE("POST", "/orders/addItem/{order}/{item}/{quantity}", STOCK_QUOTE, STOCK, NONE,
            "add_item"),
    SERVICE("POST", "/orders/checkout/{order}", ORDER_CHECKOUT, ORDER, NONE, "checkout"),
    SERVICE("POST", "/orders/batch_init/{n}/{n_items}/{n_users}/{price}", ORDER_INIT, ORDER, NONE,
            "batch_orders"),
    SERVICE("GET", "/sagas/{saga}", ORDER_SAGA, ORDER, NONE, "find_saga"),
    SERVICE("POST", "/sagas/{saga}/cancel", ORDER_CANCEL, ORDER, NONE, "cancel_saga"),
    SERVICE("GET", "/sagas", ORDER_SAGAS, ORDER, NONE, "list_sagas"),
    {"GET", "/health", ROUTE_HEALTH, MESSAGE_NONE, QUEUE_COUNT, NONE, "health"},
    {"GET", "/ready", ROUTE_READY, MESSAGE_NONE, QUEUE_COUNT, NONE, "ready"},
    {"GET", "/metrics", ROUTE_METRICS, MESSAGE_NONE, QUEUE_COUNT, NONE, "metrics"},
};
const unsigned route_count = sizeof(routes) / sizeof(routes[0]);

/* A parameter: an id, or a whole number of at least `min`. */
struct parameter {
    const char *name; /* with its braces */
    bool is_id;
    int64_t min;
    enum message_field field;
    size_t offset;
};
#define ID(name, to)                                                                               \
    {                                                                                              \
        "{" name "}", true, 0, MESSAGE_HAS_##to, offsetof(struct message, to)                      \
    }
#define NUMBER(name, to, min)                                                                      \
    {                                                                                              \
        "{" name "}", false, min, MESSAGE_HAS_##to, offsetof(struct message, to)                   \
    }

static const struct parameter parameters[] = {
    ID("user", user),
    ID("item", item),
    ID("order", order),
    ID("saga", saga),
    NUMBER("amount", amount, 1),
    NUMBER("quantity", quantity, 1),
    NUMBER("price", price, 0),
    NUMBER("credit", credit, 0),
    NUMBER("stock", stock, 0),
    NUMBER("n", count, 0),
    NUMBER("n_items", items, 1),
    NUMBER("n_users", users, 1),
};

static const struct parameter *parameter_find(struct slice name)
{
    for (unsigned i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        if (slice_is(name, parameters[i].name)) {
            return &parameters[i];
        }
    }
    return NULL;
}

static void refuse(struct route_match *match, unsigned status, const char *sentence)
{
    match->route = NULL;
    match->status = status;
    buf_reset(&match->refusal);
    buf_add_text(&match->refusal, sentence);
}

bool route_amount(struct slice text, int64_t *ret_amount)
{
    struct slice whole, zeros = {0};
    slice_cut(&text, '.', &whole);
    if (text.data != NULL) {
        zeros = text;
        if (zeros.bytes == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < zeros.bytes; i++) {
        if (zeros.data[i] != '0') {
            return false;
        }
    }
    /* slice_int64 knows a sign, amounts do not */
    return whole.bytes > 0 && whole.data[0] != '-' && slice_int64(whole, ret_amount);
}

/* A path may have them in either case. */
static int hex_value(char c)
{
    return hex_digit(c >= 'A' && c <= 'F' ? (char)(c | 0x20) : c);
}

/* Decodes into match->text. A value longer than an id can be is cut, and must be refused.
 * Errors: false for a percent sign without two hex digits. */
static bool segment_decode(struct route_match *match, struct slice segment, struct slice *ret_text)
{
    char *to = match->text + match->text_bytes;
    size_t room = sizeof(match->text) - match->text_bytes;
    size_t bytes = 0;
    if (room > ID_BYTES_MAX + 1) {
        room = ID_BYTES_MAX + 1;
    }
    for (size_t i = 0; i < segment.bytes && bytes < room; i++) {
        char c = segment.data[i];
        if (c == '%') {
            int high = i + 2 < segment.bytes ? hex_value(segment.data[i + 1]) : -1;
            int low = i + 2 < segment.bytes ? hex_value(segment.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        to[bytes++] = c;
    }
    match->text_bytes += bytes;
    *ret_text = (struct slice){to, bytes};
    return true;
}

/* An id of this length refuses itself; a number would lose the digits at its end. */
static bool is_cut(struct slice text)
{
    return text.bytes > ID_BYTES_MAX;
}

/* Fills one field, or refuses with a sentence that says which parameter and what it may be. */
static bool parameter_fill(const struct parameter *p, struct slice segment,
                           struct route_match *match)
{
    char sentence[128];
    struct slice text;
    int name_bytes = (int)strlen(p->name) - 2;
    if (!segment_decode(match, segment, &text)) {
        refuse(match, 400, "malformed percent-encoding in the path");
        return false;
    }
    char *field = (char *)&match->command + p->offset;
    if (p->is_id) {
        if (!slice_is_id(text)) {
            snprintf(sentence, sizeof(sentence),
                     "malformed %.*s id: 1 to 64 letters, digits, '-' or '_'", name_bytes,
                     p->name + 1);
            refuse(match, 400, sentence);
            return false;
        }
        memcpy(field, &text, sizeof(text));
    } else {
        int64_t value;
        if (is_cut(text) || !route_amount(text, &value) || value < p->min) {
            snprintf(sentence, sizeof(sentence),
                     "%.*s must be a whole number from %lld to 9223372036854775807", name_bytes,
                     p->name + 1, (long long)p->min);
            refuse(match, 400, sentence);
            return false;
        }
        memcpy(field, &value, sizeof(value));
    }
    match->command.has |= UINT64_C(1) << p->field;
    return true;
}

struct segments {
    struct slice at[SEGMENTS_MAX];
    unsigned count;
};

/* Errors: false for more segments than any route has. */
static bool segments_split(struct slice path, struct segments *ret_segments)
{
    struct slice segment;
    ret_segments->count = 0;
    while (slice_cut(&path, '/', &segment)) {
        if (ret_segments->count == SEGMENTS_MAX) {
            return false;
        }
        ret_segments->at[ret_segments->count++] = segment;
    }
    return true;
}

static bool is_parameter(struct slice pattern)
{
    return pattern.bytes > 0 && pattern.data[0] == '{';
}

/* Patterns are split once, at the first request. */
static const struct segments *route_segments(const struct route *route)
{
    static struct segments split[sizeof(routes) / sizeof(routes[0])];
    struct segments *segments = &split[route - routes];
    if (segments->count == 0) {
        bool is_split = segments_split(slice_from(route->pattern), segments);
        assert(is_split);
    }
    return segments;
}

static bool pattern_fits(const struct segments *pattern, const struct segments *path)
{
    if (pattern->count != path->count) {
        return false;
    }
    for (unsigned i = 0; i < path->count; i++) {
        if (!is_parameter(pattern->at[i]) && !slice_equal(pattern->at[i], path->at[i])) {
            return false;
        }
    }
    return true;
}

static bool parameters_fill(const struct segments *pattern, const struct segments *path,
                            struct route_match *match)
{
    for (unsigned i = 0; i < path->count; i++) {
        if (is_parameter(pattern->at[i]) &&
            !parameter_fill(parameter_find(pattern->at[i]), path->at[i], match)) {
            return false;
        }
    }
    return true;
}

/* GET /sagas?state=&order=&limit= */
#define SAGAS_LIMIT_DEFAULT 20
#define SAGAS_LIMIT_MAX     100
static bool sagas_query(struct slice query, struct route_match *match)
{
    struct message *command = &match->command;
    struct slice pair, name, value;
    unsigned count = 0;
    message_set(command, limit, SAGAS_LIMIT_DEFAULT);
    while (slice_cut(&query, '&', &pair)) {
        slice_cut(&pair, '=', &name);
        if (name.bytes == 0 && pair.data == NULL) {
            continue; /* no query, or && */
        }
        if (++count > ROUTE_PARAMETERS_MAX) { /* match->text has no room for more */
            refuse(match, 400, "too many parts in the query");
            return false;
        }
        if (!segment_decode(match, pair, &value)) {
            refuse(match, 400, "malformed percent-encoding in the query");
            return false;
        }
        int64_t limit;
        if (slice_is(name, "limit")) {
            if (is_cut(value) || !route_amount(value, &limit) || limit < 1 ||
                limit > SAGAS_LIMIT_MAX) {
                refuse(match, 400, "limit must be a whole number from 1 to 100");
                return false;
            }
            message_set(command, limit, limit);
        } else if (slice_is(name, "order") && (value.bytes == 0 || slice_is_id(value))) {
            if (value.bytes > 0) {
                message_set(command, order, value);
            }
        } else if (slice_is(name, "state") && (value.bytes == 0 || slice_is_id(value))) {
            if (value.bytes > 0) {
                message_set(command, state, value);
            }
        } else {
            refuse(match, 400, "the query may have state, order and limit, each well-formed");
            return false;
        }
    }
    return true;
}

/* What the parameters must fulfil together. */
static bool limits_hold(const struct gateway_conf *conf, struct route_match *match)
{
    const struct message *command = &match->command;
    char sentence[128];
    if (message_has(command, count) && command->count > conf->batch_max) {
        snprintf(sentence, sizeof(sentence), "n must be a whole number from 0 to %lld",
                 (long long)conf->batch_max);
        refuse(match, 400, sentence);
        return false;
    }
    if (command->type == MESSAGE_ORDER_INIT &&
        (command->items > conf->batch_max || command->users > conf->batch_max ||
         command->price > INT64_MAX / 2)) {
        refuse(match, 400, "n_items, n_users or price too large");
        return false;
    }
    return true;
}

static void allow_add(struct route_match *match, const char *method)
{
    if (match->allow[0] != '\0') {
        strcat(match->allow, ", ");
    }
    strcat(match->allow, method);
}

static bool method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

void route_find(const struct gateway_conf *conf, const char *method, struct slice path,
                struct slice query, struct route_match *ret_match)
{
    struct segments segments;
    refuse(ret_match, 404, "no such path");
    if (!segments_split(path, &segments)) {
        return;
    }
    for (unsigned i = 0; i < route_count; i++) {
        const struct route *route = &routes[i];
        const struct segments *pattern = route_segments(route);
        if (!pattern_fits(pattern, &segments)) {
            continue;
        }
        if (!method_fits(route, method)) {
            refuse(ret_match, 405, "method not allowed");
            allow_add(ret_match, strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method);
            continue;
        }
        ret_match->command.type = route->type;
        bool is_good = parameters_fill(pattern, &segments, ret_match) &&
                       (route->type != MESSAGE_ORDER_SAGAS || sagas_query(query, ret_match)) &&
                       limits_hold(conf, ret_match);
        if (is_good && route->type == MESSAGE_ORDER_CANCEL) {
            message_set(&ret_match->command, async, 1); /* told that it has begun: 202 */
        }
        if (is_good) {
            ret_match->route = route;
            ret_match->status = 0;
        }
        return;
    }
}

void route_match_free(struct route_match *match)
{
    buf_free(&match->refusal);
}
