/* Looks for old buckets now and then, and drops what it finds step by step. */
#include "saga/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "idempotency/once.h"
#include "runtime/crash.h"

struct sweep {
    struct loop *loop;
    struct redis *store;
    const char *name;
    struct loop_timer *timer;
    struct redis_command call;
    char cursor[24]; /* where to go on in the bucket; "0": at its beginning */
    bool is_calling;
    bool is_freed; /* while a call is out: its reply frees the rest */
};

int64_t sweep_keep_from(int64_t wall_ms)
{
    const int64_t day_ms = INT64_C(24) * 3600 * 1000;
    return (wall_ms - (ONCE_RECORD_DAYS + 1) * day_ms) >> ONCE_BUCKET_SHIFT;
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
    struct slice cursor = redis_reply_at(reply, 0);
    if (cursor.data != NULL) {
        slice_copy(cursor, s->cursor, sizeof(s->cursor));
        loop_timer_start(s->timer, 1, SWEEP_MS); /* there is more; the others go first */
    }
}

static void sweep_step(void *ctx)
{
    struct sweep *s = ctx;
    if (s->is_calling || !redis_is_up(s->store)) {
        return;
    }
    s->is_calling = true;
    crash_point("sweep.before");
    redis_command_reset(&s->call);
    redis_arg_text(&s->call, "FCALL");
    redis_argf(&s->call, "%s_sweep", s->name);
    redis_arg_text(&s->call, "1");
    redis_argf(&s->call, "%s:buckets", s->name);
    redis_arg_int(&s->call, sweep_keep_from(loop_wall_ms(s->loop)));
    redis_arg_int(&s->call, SWEEP_LIMIT);
    redis_arg_text(&s->call, s->cursor);
    redis_call(s->store, &s->call, on_swept, s);
    crash_sent("sweep.sent");
}

struct sweep *sweep_new(struct loop *loop, struct redis *store, const char *name)
{
    struct sweep *s = mem_new(sizeof(*s));
    s->loop = loop;
    s->store = store;
    s->name = name;
    strcpy(s->cursor, "0");
    s->timer = loop_timer_new(loop, sweep_step, s);
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
