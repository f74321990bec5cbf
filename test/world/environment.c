/* See environment.h. */
#include "test/world/environment.h"

#include <assert.h>
#include <string.h>

#include "test/world/world.h"

#define NUMBERS_MAX 8
#define NEVER_MS    100000000

static struct {
    const char *variable;
    int64_t value;
} numbers[NUMBERS_MAX];
static unsigned number_count;

void environment_reset(void)
{
    number_count = 0;
    environment_set("SAGA_DEADLINE_MS", 5000); /* some sagas meet it */
    if (world_bugs.no_reask) {
        environment_set("REASK_MS", NEVER_MS);
    }
    if (world_bugs.no_resend) {
        environment_set("SAGA_RESEND_MS", NEVER_MS);
        environment_set("SAGA_RESEND_MAX_MS", NEVER_MS);
        environment_set("SAGA_DEADLINE_MS", 2 * NEVER_MS);
    }
}

void environment_set(const char *variable, int64_t value)
{
    unsigned i = 0;
    while (i < number_count && strcmp(numbers[i].variable, variable) != 0) {
        i++;
    }
    assert(i < NUMBERS_MAX);
    numbers[i].variable = variable;
    numbers[i].value = value;
    number_count = i < number_count ? number_count : i + 1;
}

/* Names that nobody looks up: each store is one of its own (group.h). */
static const char *environment_text(const char *variable)
{
    static const char *const texts[][2] = {{"ORDER_REDIS", "order:6379"},
                                           {"PAYMENT_REDIS", "payment:6379"},
                                           {"STOCK_REDIS", "stock:6379"},
                                           {"SAGA_REDIS", "saga:6379"}};
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(variable, texts[i][0]) == 0) {
            return texts[i][1];
        }
    }
    return NULL;
}

static void environment_fill(struct conf *conf, const struct conf_table *table)
{
    char *values = conf_values(conf, table);
    for (unsigned r = 0; r < table->count; r++) {
        for (unsigned i = 0; i < number_count; i++) {
            if (strcmp(table->rows[r].variable, numbers[i].variable) == 0) {
                assert(table->rows[r].kind == CONF_INT);
                memcpy(values + table->rows[r].offset, &numbers[i].value, sizeof(int64_t));
            }
        }
    }
}

struct conf environment_conf(const struct service *service)
{
    struct conf conf;
    struct buf sentence = {0};
    int err = conf_load(&conf, service->tables, environment_text, &sentence);
    assert(err == 0);
    buf_free(&sentence);
    for (unsigned t = 0; t < conf.count; t++) {
        environment_fill(&conf, conf.tables[t]);
    }
    return conf;
}
