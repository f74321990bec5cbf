/* One table of the configuration by itself, without its check. */
#ifndef KASSA_TEST_GIVEN_H
#define KASSA_TEST_GIVEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/conf.h"

static inline const char *given_none(const char *variable)
{
    (void)variable;
    return NULL;
}

/* Fills the room's struct by `lookup`, given_none or getenv. What cannot be read ends the program.
 */
static inline void given_load(const struct conf_table *table, conf_lookup *lookup, void *ret_values)
{
    const struct conf_table unchecked = {table->rows, table->count, table->bytes, NULL};
    const struct conf_table *const tables[] = {&unchecked, NULL};
    struct conf conf;
    struct buf sentence = {0};
    if (conf_load(&conf, tables, lookup, &sentence) != 0) {
        fprintf(stderr, "%s\n", sentence.data);
        abort();
    }
    memcpy(ret_values, conf_of(&conf, &unchecked), table->bytes);
}

#endif
