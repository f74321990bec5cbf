/* See lookout.h. */
#include "store/lookout.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "runtime/stat.h"

struct lookout {
    struct loop *loop;
    const char *group;
    const struct copies *copies;
    struct connection *connection;
    int64_t timeout_ms;
    lookout_on_look *on_look;
    void *ctx;
    struct loop_timer *timer; /* runs while a replica is missing, and the connection is up */
    bool is_looking;
    int64_t short_ms;    /* since when a flight is short; 0: none is */
    struct buf sentence; /* about that; empty: it does not last long yet */
    struct stat_value *stat_degraded;
};

static void lookout_on_timer(void *ctx)
{
    struct lookout *l = ctx;
    bool is_degraded = copies_are_missing(l->copies);
    if (is_degraded && connection_is_up(l->connection)) {
        l->on_look(l->ctx);
        return;
    }
    loop_timer_stop(l->timer);
    l->is_looking = false;
    stat_set(l->stat_degraded, is_degraded);
}

void lookout_see(struct lookout *l)
{
    bool is_degraded = copies_are_missing(l->copies);
    stat_set(l->stat_degraded, is_degraded);
    if (is_degraded && !l->is_looking) {
        l->is_looking = true;
        loop_timer_start(l->timer, COPIES_LOOK_MS, COPIES_LOOK_MS);
    }
}

void lookout_short(struct lookout *l)
{
    int64_t now_ms = loop_now_ms(l->loop);
    lookout_see(l);
    if (l->short_ms == 0) {
        l->short_ms = now_ms;
    }
    if (now_ms - l->short_ms >= l->timeout_ms) {
        buf_reset(&l->sentence);
        buf_addf(&l->sentence, "the store %s waits: ", l->group);
        copies_tell(l->copies, &l->sentence);
        connection_say(l->connection, LOG_WARN, "store_waits", l->sentence.data);
    }
}

void lookout_enough(struct lookout *l)
{
    lookout_see(l);
    if (l->sentence.bytes > 0) {
        log_info("store_goes_on", "group=%s node=%s waited_ms=%lld", l->group,
                 connection_node(l->connection), (long long)(loop_now_ms(l->loop) - l->short_ms));
    }
    lookout_lost(l);
}

void lookout_lost(struct lookout *l)
{
    buf_reset(&l->sentence);
    l->short_ms = 0;
}

const char *lookout_sentence(const struct lookout *l)
{
    return l->sentence.bytes > 0 ? l->sentence.data : NULL;
}

struct lookout *lookout_new(struct loop *loop, const char *group, const struct copies *copies,
                            struct connection *connection, int64_t timeout_ms,
                            lookout_on_look *on_look, void *ctx)
{
    char labels[96];
    struct lookout *l = mem_new(sizeof(*l));
    l->loop = loop;
    l->group = group;
    l->copies = copies;
    l->connection = connection;
    l->timeout_ms = timeout_ms;
    l->on_look = on_look;
    l->ctx = ctx;
    l->timer = loop_timer_new(loop, lookout_on_timer, l);
    snprintf(labels, sizeof(labels), "group=\"%s\"", group);
    l->stat_degraded =
        stat_gauge("kassa_store_degraded", labels, "1: not all replicas have what was written");
    return l;
}

void lookout_free(struct lookout *l)
{
    if (l) {
        loop_timer_free(l->timer);
        buf_free(&l->sentence);
        free(l);
    }
}
