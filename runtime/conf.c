/* Configuration: the table of conf.h, read from the environment and printed for a person.
 *
 *   CONF_TABLE --expanded--> conf_rows --conf_load--> struct conf --conf_print--> table
 *
 * Every rule about a value is in here, so that a service that has started has sane ones. */
#include "runtime/conf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/err.h"

enum conf_kind { CONF_INT, CONF_TEXT, CONF_SECRET };

struct conf_row {
    enum conf_kind kind;
    size_t offset; /* of the field in struct conf */
    const char *variable;
    int64_t default_int;
    const char *default_text;
    int64_t min;
    int64_t max;
    const char *what;
};

#define CONF_DEFAULT_INT(value)    value, NULL
#define CONF_DEFAULT_TEXT(value)   0, value
#define CONF_DEFAULT_SECRET(value) 0, value

static const struct conf_row conf_rows[] = {
#define X(kind, field, variable, value, min, max, what)                                            \
    {CONF_##kind, offsetof(struct conf, field), variable, CONF_DEFAULT_##kind(value), min, max,    \
     what},
    CONF_TABLE(X)
#undef X
};

#define CONF_ROWS (sizeof(conf_rows) / sizeof(conf_rows[0]))

static int64_t *conf_int(const struct conf *conf, const struct conf_row *row)
{
    return (int64_t *)((char *)conf + row->offset);
}

static char *conf_text(const struct conf *conf, const struct conf_row *row)
{
    return (char *)conf + row->offset;
}

/* What was given, in quotes, fit for a terminal and not longer than a line. */
static void conf_quote(struct buf *out, struct slice value)
{
    buf_add_text(out, "\"");
    for (size_t i = 0; i < value.bytes && i < 60; i++) {
        char c = value.data[i];
        buf_addf(out, "%c", c >= ' ' && c < 0x7f ? c : '?');
    }
    buf_add_text(out, value.bytes > 60 ? "...\"" : "\"");
}

static int conf_refuse(struct buf *ret_sentence, const struct conf_row *row, struct slice value,
                       const char *allowed)
{
    buf_reset(ret_sentence);
    buf_addf(ret_sentence, "%s is ", row->variable);
    if (row->kind == CONF_SECRET) {
        buf_addf(ret_sentence, "a secret of %zu bytes", value.bytes);
    } else {
        conf_quote(ret_sentence, value);
    }
    buf_addf(ret_sentence, ": it must be %s", allowed);
    return -ERR_CONFIG;
}

static bool conf_is_printable(struct slice value)
{
    for (size_t i = 0; i < value.bytes; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c < ' ' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static int conf_load_row(struct conf *conf, const struct conf_row *row, const char *given,
                         struct buf *ret_sentence)
{
    struct slice value = slice_from(given);
    char allowed[160];
    if (row->kind == CONF_INT) {
        int64_t number;
        if (!slice_int64(value, &number) || number < row->min || number > row->max) {
            snprintf(allowed, sizeof(allowed), "a whole number from %lld to %lld",
                     (long long)row->min, (long long)row->max);
            return conf_refuse(ret_sentence, row, value, allowed);
        }
        *conf_int(conf, row) = number;
        return 0;
    }
    assert(row->max < CONF_TEXT_MAX);
    if (value.bytes < (size_t)row->min || value.bytes > (size_t)row->max ||
        !conf_is_printable(value)) {
        snprintf(allowed, sizeof(allowed), "%lld to %lld printable characters", (long long)row->min,
                 (long long)row->max);
        return conf_refuse(ret_sentence, row, value, allowed);
    }
    memcpy(conf_text(conf, row), given, value.bytes + 1);
    return 0;
}

/* Rules that a length cannot say, by field. */
static bool conf_is_node(const char *text)
{
    char host[CONF_TEXT_MAX];
    int port;
    return !strchr(text, ',') && conf_node(text, 0, host, sizeof(host), &port);
}

/* Which of the two it has to be depends on REDIS_SENTINELS: conf_check_stores. */
#define STORE_ALLOWED "host:port, or with REDIS_SENTINELS the name of a master"
static bool conf_is_store(const char *text)
{
    return conf_is_node(text) || slice_is_id(slice_from(text));
}

static bool conf_is_node_list_or_none(const char *text)
{
    return text[0] == '\0' || conf_node_count(text) > 0;
}

static bool conf_is_node_list(const char *text)
{
    char host[CONF_TEXT_MAX];
    int port;
    return conf_node(text, 0, host, sizeof(host), &port);
}

static bool conf_is_level(const char *text)
{
    return strcmp(text, "debug") == 0 || strcmp(text, "info") == 0 || strcmp(text, "warn") == 0 ||
           strcmp(text, "error") == 0;
}

static const struct conf_rule {
    size_t offset;
    bool (*is_allowed)(const char *text);
    const char *allowed;
} conf_rules[] = {
    {offsetof(struct conf, rabbitmq_nodes), conf_is_node_list,
     "host:port, or several of them separated by commas"},
    {offsetof(struct conf, order_redis), conf_is_store, STORE_ALLOWED},
    {offsetof(struct conf, stock_redis), conf_is_store, STORE_ALLOWED},
    {offsetof(struct conf, payment_redis), conf_is_store, STORE_ALLOWED},
    {offsetof(struct conf, saga_redis), conf_is_store, STORE_ALLOWED},
    {offsetof(struct conf, redis_sentinels), conf_is_node_list_or_none,
     "host:port, several of them separated by commas, or nothing"},
    {offsetof(struct conf, log_level), conf_is_level, "debug, info, warn or error"},
};

static int conf_check_row(const struct conf *conf, const struct conf_row *row,
                          struct buf *ret_sentence)
{
    for (size_t i = 0; i < sizeof(conf_rules) / sizeof(conf_rules[0]); i++) {
        const struct conf_rule *rule = &conf_rules[i];
        const char *text = conf_text(conf, row);
        if (rule->offset == row->offset && !rule->is_allowed(text)) {
            return conf_refuse(ret_sentence, row, slice_from(text), rule->allowed);
        }
    }
    return 0;
}

bool conf_has_sentinels(const struct conf *conf)
{
    return conf->redis_sentinels[0] != '\0';
}

/* All stores are addresses, or all are names. */
static int conf_check_stores(const struct conf *conf, struct buf *ret_sentence)
{
    static const size_t stores[] = {
        offsetof(struct conf, order_redis), offsetof(struct conf, stock_redis),
        offsetof(struct conf, payment_redis), offsetof(struct conf, saga_redis)};
    for (size_t i = 0; i < CONF_ROWS; i++) {
        for (size_t s = 0; s < sizeof(stores) / sizeof(stores[0]); s++) {
            const struct conf_row *row = &conf_rows[i];
            const char *text = conf_text(conf, row);
            if (row->offset == stores[s] && conf_is_node(text) == conf_has_sentinels(conf)) {
                return conf_refuse(ret_sentence, row, slice_from(text),
                                   conf_has_sentinels(conf)
                                       ? "the name of a master, since REDIS_SENTINELS is set"
                                       : "host:port, since REDIS_SENTINELS is not set");
            }
        }
    }
    return 0;
}

/* Waiting requests must not take all the room. */
static int conf_check_connections(const struct conf *conf, struct buf *ret_sentence)
{
    int64_t least = conf->pending_max + CONF_CONNECTIONS_SPARE;
    if (conf->http_connections_max >= least) {
        return 0;
    }
    buf_reset(ret_sentence);
    buf_addf(ret_sentence,
             "HTTP_CONNECTIONS_MAX is %lld and PENDING_MAX %lld: there must be room for %d more "
             "connections than may wait, so HTTP_CONNECTIONS_MAX must be at least %lld",
             (long long)conf->http_connections_max, (long long)conf->pending_max,
             CONF_CONNECTIONS_SPARE, (long long)least);
    return -ERR_CONFIG;
}

/* A secret that is not in the environment may be in a file, as containers are given theirs: its
 * first line. Errors: -ERR_CONFIG when the file cannot be read. */
static int conf_load_file(struct conf *conf, const struct conf_row *row, const char *path,
                          struct buf *ret_sentence)
{
    char line[CONF_TEXT_MAX + 2];
    FILE *file = fopen(path, "re");
    char *read = file ? fgets(line, sizeof(line), file) : NULL;
    if (file) {
        fclose(file);
    }
    if (!read) {
        buf_reset(ret_sentence);
        buf_addf(ret_sentence, "%s_FILE is ", row->variable);
        conf_quote(ret_sentence, slice_from(path));
        buf_addf(ret_sentence, ": it must be a file that can be read, with a line in it");
        return -ERR_CONFIG;
    }
    line[strcspn(line, "\n")] = '\0';
    return conf_load_row(conf, row, line, ret_sentence);
}

/* The path in <variable>_FILE, of a secret; or NULL. */
static const char *conf_file(const struct conf_row *row, conf_lookup *lookup)
{
    char variable[64];
    snprintf(variable, sizeof(variable), "%s_FILE", row->variable);
    return row->kind == CONF_SECRET ? lookup(variable) : NULL;
}

int conf_load(struct conf *ret_conf, conf_lookup *lookup, struct buf *ret_sentence)
{
    struct conf conf = {0};
    for (size_t i = 0; i < CONF_ROWS; i++) {
        const struct conf_row *row = &conf_rows[i];
        const char *given = lookup(row->variable);
        const char *path = given ? NULL : conf_file(row, lookup);
        int err = 0;
        if (given) {
            err = conf_load_row(&conf, row, given, ret_sentence);
        } else if (path) {
            err = conf_load_file(&conf, row, path, ret_sentence);
        } else if (row->kind == CONF_INT) {
            *conf_int(&conf, row) = row->default_int;
        } else {
            err = conf_load_row(&conf, row, row->default_text, ret_sentence);
        }
        err = err ? err : conf_check_row(&conf, row, ret_sentence);
        if (err) {
            return err;
        }
    }
    int err = conf_check_stores(&conf, ret_sentence);
    err = err ? err : conf_check_connections(&conf, ret_sentence);
    if (!err) {
        *ret_conf = conf;
    }
    return err;
}

/* The value (or, without conf, the default) as the table shows it. */
static void conf_cell(const struct conf *conf, const struct conf_row *row, struct buf *out)
{
    buf_reset(out);
    if (row->kind == CONF_INT) {
        buf_addf(out, "%lld", (long long)(conf ? *conf_int(conf, row) : row->default_int));
        return;
    }
    const char *text = conf ? conf_text(conf, row) : row->default_text;
    if (!*text) {
        buf_add_text(out, "(empty)");
    } else {
        buf_add_text(out, row->kind == CONF_SECRET ? "***" : text);
    }
}

static bool conf_is_changed(const struct conf *conf, const struct conf_row *row)
{
    if (row->kind == CONF_INT) {
        return *conf_int(conf, row) != row->default_int;
    }
    return strcmp(conf_text(conf, row), row->default_text) != 0;
}

void conf_print(const struct conf *conf, struct buf *out)
{
    struct buf value = {0};
    struct buf usual = {0};
    int variable_width = 8;
    int value_width = 5;
    int usual_width = 7;
    for (size_t i = 0; i < CONF_ROWS; i++) {
        const struct conf_row *row = &conf_rows[i];
        conf_cell(conf, row, &value);
        conf_cell(NULL, row, &usual);
        int variable_bytes = (int)strlen(row->variable);
        variable_width = variable_bytes > variable_width ? variable_bytes : variable_width;
        value_width = (int)value.bytes > value_width ? (int)value.bytes : value_width;
        usual_width = (int)usual.bytes > usual_width ? (int)usual.bytes : usual_width;
    }
    buf_addf(out, "  %-*s  %-*s  %-*s  %s\n", variable_width, "variable", value_width, "value",
             usual_width, "default", "what it is");
    for (size_t i = 0; i < CONF_ROWS; i++) {
        const struct conf_row *row = &conf_rows[i];
        conf_cell(conf, row, &value);
        conf_cell(NULL, row, &usual);
        buf_addf(out, "%c %-*s  %-*s  %-*s  %s\n", conf_is_changed(conf, row) ? '*' : ' ',
                 variable_width, row->variable, value_width, value.data, usual_width, usual.data,
                 row->what);
    }
    buf_add_text(out, "* differs from the default\n");
    buf_free(&value);
    buf_free(&usual);
}

/* A host name, an IPv4 address, or an IPv6 address in brackets. */
static bool conf_host(struct slice *host)
{
    const char *allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    if (host->bytes > 2 && host->data[0] == '[' && host->data[host->bytes - 1] == ']') {
        *host = (struct slice){host->data + 1, host->bytes - 2};
        allowed = "ABCDEFabcdef0123456789:.";
    }
    for (size_t i = 0; i < host->bytes; i++) {
        if (!host->data[i] || !strchr(allowed, host->data[i])) {
            return false;
        }
    }
    return host->bytes > 0;
}

static bool conf_node_parse(struct slice node, struct slice *ret_host, int64_t *ret_port)
{
    const char *colon = node.bytes > 0 ? memrchr(node.data, ':', node.bytes) : NULL;
    if (!colon) {
        return false;
    }
    *ret_host = (struct slice){node.data, (size_t)(colon - node.data)};
    struct slice port = {colon + 1, node.bytes - ret_host->bytes - 1};
    return conf_host(ret_host) && slice_int64(port, ret_port) && *ret_port >= 1 &&
           *ret_port <= 65535;
}

unsigned conf_node_count(const char *nodes)
{
    unsigned count = 0;
    struct slice node, host;
    int64_t port;
    for (struct slice rest = slice_from(nodes); slice_cut(&rest, ',', &node); count++) {
        if (!conf_node_parse(node, &host, &port)) {
            return 0;
        }
    }
    return count;
}

bool conf_node(const char *nodes, unsigned n, char *ret_host, size_t host_size, int *ret_port)
{
    struct slice node;
    struct slice host = {NULL, 0};
    int64_t port = 0;
    unsigned count = conf_node_count(nodes);
    if (count == 0) {
        return false;
    }
    struct slice rest = slice_from(nodes);
    for (unsigned i = 0; i <= n % count; i++) {
        slice_cut(&rest, ',', &node);
    }
    if (!conf_node_parse(node, &host, &port) || host.bytes >= host_size) {
        return false;
    }
    memcpy(ret_host, host.data, host.bytes);
    ret_host[host.bytes] = '\0';
    *ret_port = (int)port;
    return true;
}
