/* Asks, and judges with a distance between the two limits: a store at one of them is not to be said
 * to be short each other second. */
#include "store/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/stat.h"
#include "store/info.h"

/* ---- pure ---- */

bool memory_read(struct slice info, struct memory_use *ret_use)
{
    int64_t used, limit, beside;
    if (info.data == NULL || !info_number(info, "used_memory", &used) ||
        !info_number(info, "maxmemory", &limit) ||
        !info_number(info, "mem_not_counted_for_evict", &beside)) {
        return false;
    }
    *ret_use = (struct memory_use){.used = used > beside ? used - beside : 0, .limit = limit};
    return true;
}

static bool is_above(struct memory_use use, int part)
{
    return use.limit > 0 && use.used >= use.limit / 100 * part;
}

bool memory_is_tight_of(struct memory_use use, bool was_tight)
{
    return is_above(use, was_tight ? MEMORY_LOOSE_PART : MEMORY_TIGHT_PART);
}

bool memory_is_short_of(struct memory_use use, bool was_short)
{
    return is_above(use, was_short ? MEMORY_ENOUGH_PART : MEMORY_SHORT_PART);
}

/* ---- of a store ---- */

struct memory {
    struct store *store;
    const char *group;
    memory_on_short *on_short;
    void *ctx;
    struct loop_timer *timer;
    struct args call;
    bool is_asking;
    bool is_tight, is_short;
    struct stat_value *used, *limit;
};

static void memory_log(bool is_short, const char *group, struct memory_use use)
{
    log_write(is_short ? LOG_WARN : LOG_INFO, is_short ? "store_short" : "store_roomy",
              "group=%s used=%lld limit=%lld", group, (long long)use.used, (long long)use.limit);
}

static void memory_judge(struct memory *m, bool is_short)
{
    bool was_short = m->is_short;
    m->is_short = is_short;
    if (m->on_short != NULL && (is_short || was_short)) {
        m->on_short(m->ctx, is_short);
    }
}

static void on_info(void *ctx, int err, struct texts reply)
{
    struct memory *m = ctx;
    struct memory_use use;
    m->is_asking = false;
    if (err != 0 || !memory_read(texts_at(reply, 0), &use)) {
        return;
    }
    stat_set(m->used, use.used);
    stat_set(m->limit, use.limit);
    m->is_tight = memory_is_tight_of(use, m->is_tight);
    bool is_short = memory_is_short_of(use, m->is_short);
    if (m->is_short != is_short) {
        memory_log(is_short, m->group, use);
    }
    memory_judge(m, is_short);
}

static void on_timer(void *ctx)
{
    struct memory *m = ctx;
    if (store_is_full(m->store)) {
        memory_judge(m, true);
    }
    if (m->is_asking || !store_is_up(m->store)) {
        return;
    }
    m->is_asking = true;
    args_reset(&m->call);
    args_text(&m->call, "INFO");
    args_text(&m->call, "memory");
    store_ask(m->store, &m->call, on_info, m);
}

struct memory *memory_new(struct loop *loop, struct store *store, const char *group,
                          memory_on_short *on_short, void *ctx)
{
    struct memory *m = mem_new(sizeof(*m));
    char labels[80];
    m->store = store;
    m->group = group;
    m->on_short = on_short;
    m->ctx = ctx;
    snprintf(labels, sizeof(labels), "group=\"%s\"", group);
    m->used = stat_gauge("kassa_store_memory_bytes", labels,
                         "memory of the store that counts towards its limit");
    m->limit = stat_gauge("kassa_store_memory_limit_bytes", labels,
                          "memory from which on the store refuses writes; 0: no limit");
    m->timer = loop_timer_new(loop, on_timer, m);
    loop_timer_start(m->timer, MEMORY_MS, MEMORY_MS);
    return m;
}

void memory_free(struct memory *m)
{
    if (m != NULL) {
        loop_timer_free(m->timer);
        args_free(&m->call);
        free(m);
    }
}

bool memory_is_short(const struct memory *m)
{
    return m != NULL && (store_is_full(m->store) || (m->is_short && store_is_up(m->store)));
}

bool memory_is_tight(const struct memory *m)
{
    return memory_is_short(m) || (m != NULL && m->is_tight && store_is_up(m->store));
}
