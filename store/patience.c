/* Slices and doublings. No clock of its own, so that tests need no patience. */
#include "store/patience.h"

#include <assert.h>

void patience_init(struct patience *p, int64_t first_ms)
{
    assert(first_ms > 0);
    *p = (struct patience){.first_ms = first_ms, .ms = first_ms};
}

static int64_t patience_within(const struct patience *p, int64_t ms)
{
    int64_t most_ms = p->first_ms > PATIENCE_MAX_MS ? p->first_ms : PATIENCE_MAX_MS;
    ms = ms > p->first_ms ? ms : p->first_ms;
    return ms < most_ms ? ms : most_ms;
}

bool patience_lets(const struct patience *p, bool is_alone)
{
    if (is_alone || p->is_alone) {
        return p->out == 0;
    }
    return p->slice == 0 || p->out < p->slice;
}

void patience_sent(struct patience *p, bool is_alone)
{
    p->out++;
    p->is_alone = is_alone;
}

void patience_answered(struct patience *p)
{
    assert(p->out > 0);
    p->out--;
    p->is_alone = p->is_alone && p->out > 0;
    if (p->slice > 0 && !p->is_slow && ++p->slice >= PATIENCE_SLICE_MAX) {
        p->slice = 0;
    }
}

void patience_heard(struct patience *p, int64_t silent_ms, int64_t now_ms)
{
    p->worst_ms = silent_ms > p->worst_ms ? silent_ms : p->worst_ms;
    if (2 * silent_ms > p->ms) {
        p->ms = patience_within(p, 2 * silent_ms);
    }
    p->is_slow = 2 * silent_ms >= PATIENCE_MAX_MS; /* no patience is twice that */
    if (p->look_ms == 0) {
        p->look_ms = now_ms;
    } else if (now_ms - p->look_ms >= PATIENCE_LOOK_MS) {
        int64_t enough_ms = patience_within(p, 2 * p->worst_ms);
        p->ms = enough_ms < p->ms ? enough_ms : p->ms;
        p->look_ms = now_ms;
        p->worst_ms = 0;
    }
}

void patience_lost(struct patience *p)
{
    p->out = 0;
    p->is_alone = false;
    p->look_ms = 0;
    p->worst_ms = 0;
}

void patience_silent(struct patience *p)
{
    p->ms = patience_within(p, 2 * p->ms);
    if (p->out > 0) {
        p->slice = p->out > 1 ? p->out / 2 : 1;
    }
    patience_lost(p);
}
