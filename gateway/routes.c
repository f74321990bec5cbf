/* The matcher of routes. A path is split first and decoded then, segment by segment, so that an
 * encoded slash can never make another route.
 *
 *   path --pattern--> values --decode, check--> fields of the command
 *     '-- what is not percent-encoded stays where it is, and is borrowed from there */
#include "gateway/routes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Parameters that several capabilities have. */
static const struct route_parameter route_parameters[] = {
    ROUTE_ID("user", user),
    ROUTE_ID("item", item),
    ROUTE_ID("order", order),
    ROUTE_ID("saga", saga),
    ROUTE_NUMBER("amount", amount, 1),
    ROUTE_NUMBER("quantity", quantity, 1),
    ROUTE_NUMBER("price", price, 0),
    ROUTE_NUMBER("credit", credit, 0),
    ROUTE_NUMBER("stock", stock, 0),
    ROUTE_NUMBER("n", count, 0),
    ROUTE_NUMBER("n_items", items, 1),
    ROUTE_NUMBER("n_users", users, 1),
};

/* In the order in which Allow names them. */
static const char *const route_methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
enum { ROUTE_METHODS = sizeof(route_methods) / sizeof(route_methods[0]) };

static bool route_same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static const struct route_parameter *route_parameter_in(const struct route_parameter *parameters,
                                                        unsigned count, struct slice name)
{
    for (unsigned i = 0; i < count; i++) {
        if (slice_is(name, parameters[i].name)) {
            return &parameters[i];
        }
    }
    return NULL;
}

static const struct route_parameter *route_parameter_find(const struct route_table *table,
                                                          struct slice name)
{
    const struct route_parameter *own =
        route_parameter_in(table->parameters, table->parameter_count, name);
    return own ? own
               : route_parameter_in(route_parameters,
                                    sizeof(route_parameters) / sizeof(route_parameters[0]), name);
}

bool route_refuse(struct route_match *match, unsigned status, const char *format, ...)
{
    va_list args;
    match->route = NULL;
    match->status = status;
    va_start(args, format);
    vsnprintf(match->sentence, sizeof(match->sentence), format, args);
    va_end(args);
    return false;
}

/* Cuts the zero fraction off. Errors: false when it is none. */
static bool route_amount_whole(struct slice text, struct slice *ret_whole)
{
    slice_cut(&text, '.', ret_whole);
    if (text.data && text.bytes == 0) {
        return false;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] != '0') {
            return false;
        }
    }
    /* slice_int64 knows a sign, amounts do not */
    return ret_whole->bytes > 0 && ret_whole->data[0] != '-';
}

bool route_amount(struct slice text, int64_t *ret_amount)
{
    struct slice whole;
    return route_amount_whole(text, &whole) && slice_int64(whole, ret_amount);
}

/* A path may have them in either case. */
static int route_hex(char c)
{
    return hex_digit(c >= 'A' && c <= 'F' ? (char)(c | 0x20) : c);
}

bool route_decode(struct slice part, struct route_text *text, struct slice *ret_text)
{
    if (part.bytes == 0 || !memchr(part.data, '%', part.bytes)) {
        *ret_text = part;
        return true;
    }
    char *to = text->at + text->bytes;
    size_t bytes = 0;
    if (sizeof(text->at) - text->bytes < ID_BYTES_MAX + 1) {
        return false;
    }
    for (size_t i = 0; i < part.bytes && bytes < ID_BYTES_MAX + 1; i++) {
        char c = part.data[i];
        if (c == '%') {
            int high = i + 2 < part.bytes ? route_hex(part.data[i + 1]) : -1;
            int low = i + 2 < part.bytes ? route_hex(part.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        to[bytes++] = c;
    }
    text->bytes += bytes;
    *ret_text = (struct slice){to, bytes};
    return true;
}

/* An id of this length refuses itself; a number would lose the digits at its end. */
bool route_is_cut(struct slice text)
{
    return text.bytes > ID_BYTES_MAX;
}

/* Fills one field, or refuses with a sentence that says which parameter and what it may be. */
static bool route_fill(const struct route_parameter *p, struct slice segment,
                       struct route_text *text, struct route_match *match)
{
    struct slice value, whole;
    if (!route_decode(segment, text, &value)) {
        return route_refuse(match, 400, "malformed percent-encoding in the path");
    }
    if (p->is_id) {
        return slice_is_id(value)
                   ? message_put(&match->command, p->field, value)
                   : route_refuse(match, 400,
                                  "malformed %s id: 1 to 64 letters, digits, '-' or '_'", p->name);
    }
    int64_t number;
    bool is_number = !route_is_cut(value) && route_amount_whole(value, &whole) &&
                     slice_int64(whole, &number) && number >= p->min;
    return is_number ? message_put(&match->command, p->field, whole)
                     : route_refuse(match, 400,
                                    "%s must be a whole number from %lld to 9223372036854775807",
                                    p->name, (long long)p->min);
}

/* Errors: false when the path is not of this form; else `values` are its parameters' segments. */
static bool route_fits(const char *pattern, struct slice path,
                       struct slice values[ROUTE_PARAMETERS_MAX])
{
    const char *at = path.data, *end = at + path.bytes;
    unsigned count = 0;
    while (*pattern != '\0') {
        if (*pattern == '{') {
            const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
            slash = slash ? slash : end;
            assert(count < ROUTE_PARAMETERS_MAX);
            values[count++] = (struct slice){at, (size_t)(slash - at)};
            at = slash;
            pattern = strchr(pattern, '}') + 1;
        } else if (at == end || *at++ != *pattern++) {
            return false;
        }
    }
    return at == end;
}

static bool route_fill_all(const struct route_table *table, const char *pattern,
                           const struct slice *values, struct route_text *text,
                           struct route_match *match)
{
    for (; (pattern = strchr(pattern, '{')) != NULL; values++) {
        struct slice name = {pattern + 1, strcspn(pattern + 1, "}")};
        const struct route_parameter *p = route_parameter_find(table, name);
        assert(p);
        if (!route_fill(p, *values, text, match)) {
            return false;
        }
        pattern += name.bytes;
    }
    return true;
}

bool route_check_batch(const struct gateway_conf *conf, struct route_match *match)
{
    return match->command.count <= conf->batch_max ||
           route_refuse(match, 400, "n must be a whole number from 0 to %lld",
                        (long long)conf->batch_max);
}

static bool route_has_method(const struct route *route, const char *method)
{
    return route_same(route->method, method) ||
           (route_same(method, "HEAD") && route_same(route->method, "GET"));
}

/* Which of the methods the route has, as bits. */
static unsigned route_method_bits(const struct route *route)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < ROUTE_METHODS; i++) {
        bits |= route_has_method(route, route_methods[i]) ? 1u << i : 0;
    }
    return bits;
}

static void route_allow(unsigned bits, char ret_allow[ROUTE_ALLOW_BYTES])
{
    size_t bytes = 0;
    for (unsigned i = 0; i < ROUTE_METHODS; i++) {
        if ((bits & 1u << i) != 0) {
            bytes += (size_t)snprintf(ret_allow + bytes, ROUTE_ALLOW_BYTES - bytes, "%s%s",
                                      bytes > 0 ? ", " : "", route_methods[i]);
            assert(bytes < ROUTE_ALLOW_BYTES);
        }
    }
}

/* The first route that has this path and method. */
struct route_found {
    const struct route_table *table;
    const struct route *route; /* NULL: none */
    unsigned row;              /* or how many there are */
    unsigned others;           /* methods of those that have this path, as bits */
    struct slice values[ROUTE_PARAMETERS_MAX];
};

static void route_look(const struct route_list *list, const char *method, struct slice path,
                       struct route_found *f)
{
    f->route = NULL;
    f->row = f->others = 0;
    for (unsigned t = 0; t < list->count; t++) {
        const struct route_table *table = list->tables[t];
        for (unsigned i = 0; i < table->count; i++, f->row++) {
            const struct route *route = &table->routes[i];
            if (!route_fits(route->pattern, path, f->values)) {
                continue;
            }
            if (route_has_method(route, method)) {
                f->table = table;
                f->route = route;
                return;
            }
            f->others |= route_method_bits(route);
        }
    }
}

void route_find(const struct route_list *list, const struct gateway_conf *conf,
                const struct route_request *request, struct route_text *text,
                struct route_match *ret_match)
{
    struct route_match *m = ret_match;
    struct route_found f;
    route_look(list, request->method, request->path, &f);
    m->route = f.route;
    m->row = f.row;
    m->status = 0;
    m->command = (struct message){0};
    m->sentence[0] = m->allow[0] = '\0';
    text->bytes = 0;
    if (!f.route) {
        bool is_path = f.others != 0;
        route_allow(f.others, m->allow);
        m->status = is_path ? 405 : 404;
        slice_copy(is_path ? SLICE_TEXT("method not allowed") : SLICE_TEXT("no such path"),
                   m->sentence, sizeof(m->sentence));
        return;
    }
    m->command.type = f.route->type;
    bool is_good = route_fill_all(f.table, f.route->pattern, f.values, text, m) &&
                   (!f.route->query || f.route->query(request->query, text, m)) &&
                   (!f.route->body || f.route->body(request->body, m)) &&
                   (!f.route->check || f.route->check(conf, m));
    m->row = is_good ? f.row : route_count(list);
}

size_t route_body_max(const struct route_list *list, const char *method, struct slice path)
{
    struct route_found f;
    route_look(list, method, path, &f);
    return f.route ? f.route->body_max : 0;
}

unsigned route_count(const struct route_list *list)
{
    unsigned count = 0;
    for (unsigned t = 0; t < list->count; t++) {
        count += list->tables[t]->count;
    }
    return count;
}

const char *route_name(const struct route_list *list, unsigned row)
{
    for (unsigned t = 0; t < list->count; t++) {
        if (row < list->tables[t]->count) {
            return list->tables[t]->routes[row].name;
        }
        row -= list->tables[t]->count;
    }
    return "none";
}

bool route_acts(const struct route *route)
{
    return !route_same(route->method, "GET");
}

void route_command_keep(const struct message *command, const struct route_text *from,
                        struct message *ret_command, struct route_text *to)
{
    *ret_command = *command;
    to->bytes = from->bytes;
    if (from->bytes == 0) {
        return;
    }
    memcpy(to->at, from->at, from->bytes);
    for (unsigned field = 0; field < MESSAGE_FIELD_COUNT; field++) {
        struct slice value = message_text(command, field);
        if (value.data >= from->at && value.data < from->at + from->bytes) {
            value.data = to->at + (value.data - from->at);
            message_put(ret_command, field, value);
        }
    }
}
