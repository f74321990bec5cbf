/* Sweeps until everything is packed. */
#include "test/lib/packing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "idempotency/once.h"
#include "test/lib/orders.h"

extern const struct library order_library;

#define ANY (50 * PACKING_LIFE_MS) /* time that has passed: as much as you like */
#define ALL "99999999999"          /* no saga is open */

double packing_longest_ms;

/* As the servers of both deployments are set. */
static void configure(struct rig *store, const char *file)
{
    char line[256], name[64], value[64];
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    for (unsigned count = 0; fgets(line, sizeof(line), f) != NULL;) {
        if (sscanf(line, "%63s %63s", name, value) == 2 &&
            (strncmp(name, "hash-max-", 9) == 0 || strcmp(name, "latency-tracking") == 0)) {
            rig_ask(store, "CONFIG", "SET", name, value);
            count++;
        }
    }
    fclose(f);
}

struct rig *packing_new(void)
{
    struct rig *store = rig_new(&order_library);
    configure(store, "deploy/native/redis.conf");
    return store;
}

static double monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void packing_step(struct rig *store, const char *seen, const char *cursor)
{
    static struct args c;
    double began_ms = monotonic_ms();
    args_reset(&c);
    once_sweep(&c, &order_library, (struct once_life){PACKING_LIFE_MS, PACKING_LIFE_MS}, ALL, seen,
               ANY, 500, cursor);
    rig_ask_command(store, &c, NULL, NULL);
    double took_ms = monotonic_ms() - began_ms;
    packing_longest_ms = took_ms > packing_longest_ms ? took_ms : packing_longest_ms;
}

unsigned packing_all(struct rig *store)
{
    char clock[24] = "", cursor[24] = "0";
    unsigned steps = 0;
    do {
        packing_step(store, clock, cursor);
        snprintf(clock, sizeof(clock), "%s", rig_at(store, 0));
        if (rig_count(store) > 1) {
            snprintf(cursor, sizeof(cursor), "%s", rig_at(store, 1));
        }
        assert_true(++steps < 100000);
    } while (rig_count(store) > 1 || steps < 2);
    return steps;
}

void packing_later(struct rig *store, int64_t ms)
{
    rig_clock(store, ms);
    orders_create(store, id_at(ms), "later", "u");
}

const char *packing_count(struct rig *store)
{
    return text_of("%s", rig_ask(store, "HGET", "order:paid", "orders"));
}
