/* Steps of the sweep. */
#include "test/lib/sweeps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const struct library payment_library, stock_library, order_library;

const struct once_life sweeps_life = {.ms = 8 * SWEEPS_DAY_MS, .kept_ms = 16 * SWEEPS_DAY_MS};

int64_t sweeps_now_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

const char *sweeps_bucket_name(const char *service, const char *id)
{
    return bucket_of(service, id) + strlen(service) + strlen(":once:");
}

int64_t sweeps_bucket_number(const char *service, const char *id)
{
    return strtoll(sweeps_bucket_name(service, id), NULL, 16);
}

static const struct library *sweeps_library(const char *service)
{
    return strcmp(service, "payment") == 0 ? &payment_library
           : strcmp(service, "stock") == 0 ? &stock_library
                                           : &order_library;
}

const char *sweeps_step(struct rig *s, const char *service, const char *keep, const char *seen,
                        int64_t rise_ms, int64_t limit, const char *cursor)
{
    static struct args c;
    args_reset(&c);
    once_sweep(&c, sweeps_library(service), sweeps_life, keep, seen, rise_ms, limit, cursor);
    rig_ask_command(s, &c, NULL, NULL);
    return text_of("%s", rig_at(s, 0));
}

const char *sweeps_floor(struct rig *s, const char *service)
{
    return text_of("%s", rig_ask(s, "GET", text_of("%s:floor", service)));
}

unsigned sweeps_all(struct rig *s, const char *service, int64_t limit)
{
    unsigned steps = 0;
    char clock[24] = "", cursor[24] = "0";
    do {
        snprintf(clock, sizeof(clock), "%s",
                 sweeps_step(s, service, SWEEPS_ALL, clock, SWEEPS_ANY, limit, cursor));
        snprintf(cursor, sizeof(cursor), "%s", rig_at(s, 1));
        assert_true(++steps < 1000);
    } while (rig_count(s) > 1);
    return steps;
}

void sweeps_young(struct rig *s, const char *service)
{
    const char *id = id_at(sweeps_now_ms());
    rig_ask(s, "FCALL", text_of("%s_create", service), "2", bucket_of(service, id), "any", id, "1");
}
