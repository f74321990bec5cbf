/* Writes a number, and looks for it whenever the store comes up. */
#include "store/pulse.h"

#include <stdlib.h>
#include <stdio.h>

#include "catalogue/names.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "runtime/uuid.h"

struct pulse {
    struct loop *loop;
    struct store *store;
    const char *group;
    struct loop_timer *timer;
    struct args call;
    struct uuid process;
    bool is_known; /* on this connection: the number was looked for */
    bool is_writing;
    int64_t written;      /* newest number that was sent */
    int64_t had;          /* newest one that was confirmed; 0: none */
    int64_t confirmed_ms; /* when, by the loop's clock */
    struct stat_value *rollbacks;
};

static void on_written(void *ctx, int err, struct texts reply)
{
    struct pulse *p = ctx;
    (void)reply;
    p->is_writing = false;
    if (err == 0) {
        p->had = p->written;
        p->confirmed_ms = loop_now_ms(p->loop);
    }
}

static void pulse_write(struct pulse *p)
{
    p->is_writing = true;
    args_reset(&p->call);
    args_text(&p->call, "SET");
    args_format(&p->call, "%s%s%s", p->group, PART.pulse, p->process.text);
    args_int(&p->call, ++p->written);
    args_text(&p->call, "EX");
    args_int(&p->call, PULSE_KEEP_S);
    store_call(p->store, &p->call, on_written, p);
}

/* Half of the time for which the key is kept: after longer than that its absence says nothing. */
static bool is_young(const struct pulse *p)
{
    return loop_now_ms(p->loop) - p->confirmed_ms < INT64_C(1000) * PULSE_KEEP_S / 2;
}

static void on_known(void *ctx, int err, struct texts reply)
{
    struct pulse *p = ctx;
    int64_t has;
    if (err != 0) {
        return; /* the next connection retries */
    }
    if (!slice_int64(texts_at(reply, 0), &has)) {
        has = 0;
    }
    if (has < p->had && is_young(p)) {
        log_error("store_rolled_back", "group=%s had=%lld has=%lld", p->group, (long long)p->had,
                  (long long)has);
        stat_add(p->rollbacks, 1);
        p->had = 0; /* said once */
    }
    p->is_known = true;
}

static void on_store_up(void *ctx)
{
    struct pulse *p = ctx;
    p->is_known = false;
    args_reset(&p->call);
    args_text(&p->call, "GET");
    args_format(&p->call, "%s%s%s", p->group, PART.pulse, p->process.text);
    store_call(p->store, &p->call, on_known, p);
}

static void on_pulse(void *ctx)
{
    struct pulse *p = ctx;
    if (p->is_known && !p->is_writing && store_is_up(p->store)) {
        pulse_write(p);
    }
}

struct pulse *pulse_new(struct loop *loop, struct store *store, const char *group)
{
    struct pulse *p = mem_new(sizeof(*p));
    char labels[80];
    p->loop = loop;
    p->store = store;
    p->group = group;
    p->process = uuid_make(loop_wall_ms(loop));
    snprintf(labels, sizeof(labels), "group=\"%s\"", group);
    p->rollbacks = stat_counter("kassa_store_rollbacks_total", labels,
                                "times that a store came back without what it had confirmed");
    p->timer = loop_timer_new(loop, on_pulse, p);
    loop_timer_start(p->timer, PULSE_MS, PULSE_MS);
    store_watch_up(store, on_store_up, p);
    return p;
}

void pulse_free(struct pulse *p)
{
    if (p != NULL) {
        loop_timer_free(p->timer);
        args_free(&p->call);
        free(p);
    }
}
