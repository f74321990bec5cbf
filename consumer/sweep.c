/* Makes steps, from the clock and the cursor of the last reply. */
#include "consumer/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/crash.h"

struct sweep {
    struct loop *loop;
    struct store *store;
    sweep_step *step;
    void *ctx;
    struct loop_timer *timer;
    struct args call;
    char seen[24];
    int64_t seen_ms; /* when first, by the clock that does not jump */
    char cursor[24];
    bool is_calling;
    bool is_freed; /* while a call is out: its reply frees the rest */
};

/* Another process may have moved it: then that time has passed for us, too. */
static void sweep_saw(struct sweep *s, struct slice clock)
{
    if (clock.data && !slice_is(clock, s->seen)) {
        slice_copy(clock, s->seen, sizeof(s->seen));
        s->seen_ms = loop_now_ms(s->loop);
    }
}

static void on_swept(void *ctx, int err, struct texts reply)
{
    struct sweep *s = ctx;
    s->is_calling = false;
    crash_point("sweep.after");
    if (s->is_freed) {
        free(s);
        return;
    }
    if (err) {
        return;
    }
    sweep_saw(s, texts_at(reply, 0));
    if (reply.count > 1) {
        slice_copy(texts_at(reply, 1), s->cursor, sizeof(s->cursor));
        loop_timer_start(s->timer, 1, SWEEP_MS); /* there is more; the others go first */
    }
}

static void on_timer(void *ctx)
{
    struct sweep *s = ctx;
    if (s->is_calling || !store_is_up(s->store)) {
        return;
    }
    s->is_calling = true;
    crash_point("sweep.before");
    args_reset(&s->call);
    s->step(s->ctx, &s->call, s->seen, loop_now_ms(s->loop) - s->seen_ms, s->cursor);
    store_call(s->store, &s->call, on_swept, s);
    crash_sent("sweep.sent");
}

struct sweep *sweep_new(struct loop *loop, struct store *store, sweep_step *step, void *ctx)
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
    if (!s) {
        return;
    }
    loop_timer_free(s->timer);
    args_free(&s->call);
    s->is_freed = true;
    if (!s->is_calling) {
        free(s);
    }
}
