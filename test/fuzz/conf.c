/* Any environment: lines NAME=value. A configuration within its limits, or one sentence that says
 * what is wrong. The first byte asks conf_node for its n-th node and for how much of it. */
#include "test/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/conf.h"
#include "runtime/err.h"
#include "test/lib/all_tables.h"

static struct buf environment; /* NAME=value, each terminated */

static const char *environment_get(const char *variable)
{
    size_t bytes = strlen(variable);
    for (size_t at = 0; at < environment.bytes; at += strlen(environment.data + at) + 1) {
        const char *line = environment.data + at;
        if (strncmp(line, variable, bytes) == 0 && line[bytes] == '=') {
            return line + bytes + 1;
        }
    }
    return NULL;
}

static void node_check(const char *nodes, unsigned n, size_t host_size)
{
    char host[CONF_TEXT_MAX];
    int port = -1;
    if (conf_node(nodes, n, host, host_size, &port)) {
        assert(strlen(host) > 0 && strlen(host) < host_size);
        assert(port >= 1 && port <= 65535);
    } else {
        assert(port == -1);
    }
}

static void row_check(const void *values, const struct conf_row *row)
{
    const void *field = (const char *)values + row->offset;
    int64_t measure = row->kind == CONF_INT ? *(const int64_t *)field : (int64_t)strlen(field);
    assert(measure >= row->min && measure <= row->max);
}

static void conf_check_all(const struct conf *conf)
{
    struct buf table = {0};
    for (unsigned t = 0; t < conf->count; t++) {
        for (unsigned i = 0; i < conf->tables[t]->count; i++) {
            row_check(conf_of(conf, conf->tables[t]), &conf->tables[t]->rows[i]);
        }
    }
    conf_print(conf, &table);
    assert(table.bytes > 0);
    buf_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf conf;
    struct buf sentence = {0};
    struct slice lines = fuzz_slice(data, size), line;
    buf_reset(&environment);
    while (slice_cut(&lines, '\n', &line)) {
        buf_add_slice(&environment, line);
        buf_add(&environment, "", 1);
    }
    memset(&conf, 0x5a, sizeof(conf));
    int err = conf_load(&conf, all_tables, environment_get, &sentence);
    if (err == 0) {
        conf_check_all(&conf);
    } else {
        assert(err == -ERR_CONFIG);
        fuzz_check_sentence(buf_slice(&sentence), 1024);
    }
    buf_free(&sentence);
    if (size > 1) {
        char *nodes = mem_text(fuzz_slice(data + 1, size - 1));
        node_check(nodes, data[0] % 5, 1 + data[0] % CONF_TEXT_MAX);
        free(nodes);
    }
    return 0;
}
