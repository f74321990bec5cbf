/* Configuration: the tables of a process, read from the environment and printed for a person.
 *
 *   tables --conf_load--> struct conf, the values of one table after those of the other
 *                                                                   --conf_print--> table
 * Every rule about a value is in here or in a table's check, so that a service that has started has
 * sane ones. */
#include "runtime/conf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/err.h"

static int64_t *conf_int(const void *values, const struct conf_row *row)
{
    return (int64_t *)((char *)values + row->offset);
}

static char *conf_text(const void *values, const struct conf_row *row)
{
    return (char *)values + row->offset;
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

int conf_refuse(struct buf *ret_sentence, const char *variable, const char *value,
                const char *allowed)
{
    buf_reset(ret_sentence);
    buf_addf(ret_sentence, "%s is ", variable);
    conf_quote(ret_sentence, slice_from(value));
    buf_addf(ret_sentence, ": it must be %s", allowed);
    return -ERR_CONFIG;
}

static int conf_refuse_row(struct buf *ret_sentence, const struct conf_row *row, const char *value,
                           const char *allowed)
{
    if (row->kind != CONF_SECRET) {
        return conf_refuse(ret_sentence, row->variable, value, allowed);
    }
    buf_reset(ret_sentence);
    buf_addf(ret_sentence, "%s is a secret of %zu bytes: it must be %s", row->variable,
             strlen(value), allowed);
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

static int conf_load_row(void *values, const struct conf_row *row, const char *given,
                         struct buf *ret_sentence)
{
    struct slice value = slice_from(given);
    char allowed[160];
    if (row->kind == CONF_INT) {
        int64_t number;
        if (!slice_int64(value, &number) || number < row->min || number > row->max) {
            snprintf(allowed, sizeof(allowed), "a whole number from %lld to %lld",
                     (long long)row->min, (long long)row->max);
            return conf_refuse_row(ret_sentence, row, given, allowed);
        }
        *conf_int(values, row) = number;
        return 0;
    }
    assert(row->max < CONF_TEXT_MAX);
    if (value.bytes < (size_t)row->min || value.bytes > (size_t)row->max ||
        !conf_is_printable(value)) {
        snprintf(allowed, sizeof(allowed), "%lld to %lld printable characters", (long long)row->min,
                 (long long)row->max);
        return conf_refuse_row(ret_sentence, row, given, allowed);
    }
    if (row->kind == CONF_NODES && value.bytes > 0 && conf_node_count(given) == 0) {
        return conf_refuse_row(ret_sentence, row, given,
                               row->min > 0
                                   ? "host:port, or several of them separated by commas"
                                   : "host:port, several of them separated by commas, or nothing");
    }
    memcpy(conf_text(values, row), given, value.bytes + 1);
    return 0;
}

/* A secret that is not in the environment may be in a file, as containers are given theirs: its
 * first line. Errors: -ERR_CONFIG when the file cannot be read. */
static int conf_load_file(void *values, const struct conf_row *row, const char *path,
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
    return conf_load_row(values, row, line, ret_sentence);
}

/* The path in <variable>_FILE, of a secret; or NULL. */
static const char *conf_file(const struct conf_row *row, conf_lookup *lookup)
{
    char variable[64];
    snprintf(variable, sizeof(variable), "%s_FILE", row->variable);
    return row->kind == CONF_SECRET ? lookup(variable) : NULL;
}

static int conf_load_variable(void *values, const struct conf_row *row, conf_lookup *lookup,
                              struct buf *ret_sentence)
{
    const char *given = lookup(row->variable);
    const char *path = given ? NULL : conf_file(row, lookup);
    if (given) {
        return conf_load_row(values, row, given, ret_sentence);
    }
    if (path) {
        return conf_load_file(values, row, path, ret_sentence);
    }
    if (row->kind == CONF_INT) {
        *conf_int(values, row) = row->default_int;
        return 0;
    }
    return conf_load_row(values, row, row->default_text, ret_sentence);
}

static int conf_load_table(struct conf *conf, const struct conf_table *table, conf_lookup *lookup,
                           struct buf *ret_sentence)
{
    size_t aligned = (table->bytes + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    assert(conf->count < CONF_TABLES_MAX && conf->bytes + aligned <= CONF_BYTES_MAX);
    conf->tables[conf->count] = table;
    conf->at[conf->count] = conf->bytes;
    conf->count++;
    conf->bytes += aligned;
    for (unsigned i = 0; i < table->count; i++) {
        int err =
            conf_load_variable(conf_values(conf, table), &table->rows[i], lookup, ret_sentence);
        if (err) {
            return err;
        }
    }
    return 0;
}

int conf_load(struct conf *ret_conf, const struct conf_table *const *tables, conf_lookup *lookup,
              struct buf *ret_sentence)
{
    struct conf conf = {0};
    int err = 0;
    for (; *tables && err == 0; tables++) {
        err = conf_load_table(&conf, *tables, lookup, ret_sentence);
    }
    for (unsigned t = 0; t < conf.count && err == 0; t++) {
        if (conf.tables[t]->check) {
            err = conf.tables[t]->check(&conf, conf.tables[t], ret_sentence);
        }
    }
    if (err == 0) {
        *ret_conf = conf;
    }
    return err;
}

void *conf_values(struct conf *conf, const struct conf_table *table)
{
    for (unsigned t = 0; t < conf->count; t++) {
        if (conf->tables[t] == table) {
            return conf->values + conf->at[t];
        }
    }
    assert(!"a table that this process has not listed");
    return NULL;
}

const void *conf_of(const struct conf *conf, const struct conf_table *table)
{
    return conf_values((struct conf *)conf, table);
}

/* The value (or, without values, the default) as the table shows it. */
static void conf_cell(const void *values, const struct conf_row *row, struct buf *out)
{
    buf_reset(out);
    if (row->kind == CONF_INT) {
        buf_addf(out, "%lld", (long long)(values ? *conf_int(values, row) : row->default_int));
        return;
    }
    const char *text = values ? conf_text(values, row) : row->default_text;
    if (!*text) {
        buf_add_text(out, "(empty)");
    } else {
        buf_add_text(out, row->kind == CONF_SECRET ? "***" : text);
    }
}

static bool conf_is_changed(const void *values, const struct conf_row *row)
{
    if (row->kind == CONF_INT) {
        return *conf_int(values, row) != row->default_int;
    }
    return strcmp(conf_text(values, row), row->default_text) != 0;
}

/* What conf_print works with: the cells of a row, and how wide its columns are. */
struct conf_columns {
    struct buf value, usual;
    int variable_width, value_width, usual_width;
};

static void conf_measure(struct conf_columns *columns, const void *values,
                         const struct conf_row *row)
{
    int variable_bytes = (int)strlen(row->variable);
    conf_cell(values, row, &columns->value);
    conf_cell(NULL, row, &columns->usual);
    if (variable_bytes > columns->variable_width) {
        columns->variable_width = variable_bytes;
    }
    if ((int)columns->value.bytes > columns->value_width) {
        columns->value_width = (int)columns->value.bytes;
    }
    if ((int)columns->usual.bytes > columns->usual_width) {
        columns->usual_width = (int)columns->usual.bytes;
    }
}

static void conf_print_row(struct conf_columns *columns, const void *values,
                           const struct conf_row *row, struct buf *out)
{
    conf_cell(values, row, &columns->value);
    conf_cell(NULL, row, &columns->usual);
    buf_addf(out, "%c %-*s  %-*s  %-*s  %s\n", conf_is_changed(values, row) ? '*' : ' ',
             columns->variable_width, row->variable, columns->value_width, columns->value.data,
             columns->usual_width, columns->usual.data, row->what);
}

void conf_print(const struct conf *conf, struct buf *out)
{
    struct conf_columns columns = {.variable_width = 8, .value_width = 5, .usual_width = 7};
    for (unsigned t = 0; t < conf->count; t++) {
        for (unsigned i = 0; i < conf->tables[t]->count; i++) {
            conf_measure(&columns, conf_of(conf, conf->tables[t]), &conf->tables[t]->rows[i]);
        }
    }
    buf_addf(out, "  %-*s  %-*s  %-*s  %s\n", columns.variable_width, "variable",
             columns.value_width, "value", columns.usual_width, "default", "what it is");
    for (unsigned t = 0; t < conf->count; t++) {
        for (unsigned i = 0; i < conf->tables[t]->count; i++) {
            conf_print_row(&columns, conf_of(conf, conf->tables[t]), &conf->tables[t]->rows[i],
                           out);
        }
    }
    buf_add_text(out, "* differs from the default\n");
    buf_free(&columns.value);
    buf_free(&columns.usual);
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
