/* Configuration: environment variables. Each room has a table of those that it reads, and a struct
 * of their values; each process lists the tables of its rooms.
 *
 *   environment --conf_load(tables)--> struct conf --<room>_conf(conf)--> struct <room>_conf
 *                                         '--conf_print--> --config
 *
 * A variable that no table of the process has is not looked at: all processes may share one
 * environment. A wrong value stops the start with one sentence that names the variable, the value
 * and what is allowed. */
#ifndef KASSA_RUNTIME_CONF_H
#define KASSA_RUNTIME_CONF_H

#include <stddef.h>
#include <stdint.h>
#include "runtime/buf.h"

#define CONF_TEXT_MAX   256
#define CONF_TABLES_MAX 24   /* of a process */
#define CONF_BYTES_MAX  8192 /* of its values */

/* A table is a macro, <ROOM>_CONF(X), of rows
 *   X(kind, field, variable, default, min, max, what it is)
 * INT: a whole number within min..max. TEXT: min..max bytes. SECRET: TEXT that is never printed; it
 * may also be the first line of a file that <variable>_FILE names. NODES: TEXT, host:port of one or
 * several separated by commas; none if min is 0. */
enum conf_kind { CONF_INT, CONF_TEXT, CONF_SECRET, CONF_NODES };

/* The field of a row in the room's struct: struct <room>_conf { <ROOM>_CONF(CONF_FIELD) }; */
#define CONF_FIELD(kind, field, ...) CONF_FIELD_##kind(field)
#define CONF_FIELD_INT(field)        int64_t field;
#define CONF_FIELD_TEXT(field)       char field[CONF_TEXT_MAX];
#define CONF_FIELD_SECRET(field)     char field[CONF_TEXT_MAX];
#define CONF_FIELD_NODES(field)      char field[CONF_TEXT_MAX];

struct conf_row {
    enum conf_kind kind;
    size_t offset; /* of the field in the room's struct */
    const char *variable;
    int64_t default_int;
    const char *default_text;
    int64_t min;
    int64_t max;
    const char *what;
};

#define CONF_ROW(type, kind, field, variable, value, min, max, what)                               \
    {CONF_##kind, offsetof(struct type, field), variable, CONF_DEFAULT_##kind(value), min, max,    \
     what},
#define CONF_DEFAULT_INT(value)    value, NULL
#define CONF_DEFAULT_TEXT(value)   0, value
#define CONF_DEFAULT_SECRET(value) 0, value
#define CONF_DEFAULT_NODES(value)  0, value

struct conf;
struct conf_table;
/* What the limits of rows cannot say; asked when all tables are read.
 * Errors: -ERR_CONFIG, with the sentence (conf_refuse). */
typedef int conf_check(const struct conf *conf, const struct conf_table *table,
                       struct buf *ret_sentence);

struct conf_table {
    const struct conf_row *rows;
    unsigned count;
    size_t bytes;      /* of the room's struct */
    conf_check *check; /* may be NULL */
};

/* The rows must be an array, so that they can be counted. */
#define CONF_TABLE(type, all_rows, check)                                                          \
    {                                                                                              \
        all_rows, sizeof(all_rows) / sizeof((all_rows)[0]), sizeof(struct type), check             \
    }

/* The values of a process. May be copied. */
struct conf {
    unsigned count;
    const struct conf_table *tables[CONF_TABLES_MAX];
    size_t at[CONF_TABLES_MAX]; /* of their values */
    size_t bytes;
    _Alignas(max_align_t) unsigned char values[CONF_BYTES_MAX];
};

typedef const char *conf_lookup(const char *variable); /* getenv, or a test's own */

/* Fills *ret_conf from the defaults and what `lookup` gives; `tables` ends with NULL.
 * Errors: -ERR_CONFIG, with one sentence in *ret_sentence. */
int conf_load(struct conf *ret_conf, const struct conf_table *const *tables, conf_lookup *lookup,
              struct buf *ret_sentence);

/* The values of one table, the room's struct; it must be one of those that were loaded (asserted).
 * Borrowed from conf. */
const void *conf_of(const struct conf *conf, const struct conf_table *table);
void *conf_values(struct conf *conf, const struct conf_table *table);

/* The tables as a person reads them, with the effective values (secrets as ***). */
void conf_print(const struct conf *conf, struct buf *out);

/* For a check: the sentence about a value that is no secret, and -ERR_CONFIG. */
int conf_refuse(struct buf *ret_sentence, const char *variable, const char *value,
                const char *allowed);

/* host:port[,host:port..]: the n-th, counted from 0, wrapping around.
 * Errors: false when the text is malformed. Units: host_size in bytes. */
bool conf_node(const char *nodes, unsigned n, char *ret_host, size_t host_size, int *ret_port);
unsigned conf_node_count(const char *nodes); /* 0: malformed */

#endif
