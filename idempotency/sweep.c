/* Asks, remembers what it was told, and asks for more. */
#include "idempotency/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/crash.h"

struct sweep {
    struct loop *loop;
    struct redis *store;
    sweep_step *step;
    void *ctx;
    struct loop_timer *timer;
    struct redis_command call;
    char seen[24];
    int64_t seen_ms; /* when first, by the clock that does not jump */
    char cursor[24];
    bool is_calling;
    bool is_freed; /* while a call is out: its reply frees the rest */
};

/* Another process may have moved it: then that time has passed for us, too. */
static void sweep_saw(struct sweep *s, struct slice clock)
{
    if (clock.data != NULL && !slice_is(clock, s->seen)) {
        slice_copy(clock, s->seen, sizeof(s->seen));
        s->seen_ms = loop_now_ms(s->loop);
    }
}

static void on_swept(void *ctx, int err, const struct redis_reply *reply)
{
    struct sweep *s = ctx;
    s->is_calling = false;
    crash_point("sweep.after");
    if (s->is_freed) {
        free(s);
        return;
    }
    if (err != 0) {
        return;
    }
    sweep_saw(s, redis_reply_at(reply, 0));
    if (redis_reply_count(reply) > 1) {
        slice_copy(redis_reply_at(reply, 1), s->cursor, sizeof(s->cursor));
        loop_timer_start(s->timer, 1, SWEEP_MS); /* there is more; the others go first */
    }
}

static void on_timer(void *ctx)
{
    struct sweep *s = ctx;
    if (s->is_calling || !redis_is_up(s->store)) {
        return;
    }
    s->is_calling = true;
    crash_point("sweep.before");
    redis_command_reset(&s->call);
    s->step(s->ctx, &s->call, s->seen, loop_now_ms(s->loop) - s->seen_ms, s->cursor);
    redis_call(s->store, &s->call, on_swept, s);
    crash_sent("sweep.sent");
}

struct sweep *sweep_new(struct loop *loop, struct redis *store, sweep_step *step, void *ctx)
{
    struct sweep *s = mem_new(sizeof(*s));
    s->loop = loop;
    s->store = store;
    s->step = step;
    s->ctx = ctx;
    s->seen_ms = loop_now_ms(loop);
    strcpy(s->cursor, "0");
    s->timer = loop_timer_new(loop, on_timer, s);
    loop_timer_start(s->timer, SWEEP_MS, SWEEP_MS);
    return s;
}

void sweep_free(struct sweep *s)
{
    if (s == NULL) {
        return;
    }
    loop_timer_free(s->timer);
    redis_command_free(&s->call);
    s->is_freed = true;
    if (!s->is_calling) {
        free(s);
    }
}
