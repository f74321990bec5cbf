/* A window is judged by the first event after its end: where nothing happens, nothing is decided.
 */
#include "gateway/admission.h"

/* While overloaded the limit goes down to this part of ADMISSION_MIN: fewer would leave too little
 * to commit in groups, so the waits would not get shorter. */
#define LEAST_PART  8
#define SHRINK_PART 8
#define GROW_PART   32

static void admission_begin_window(struct admission *a, int64_t now_ms)
{
    a->end_ms = now_ms + ADMISSION_WINDOW_MS;
    a->has_shed = false;
    for (int i = 0; i < ADMISSION_KINDS; i++) {
        a->fastest_ms[i] = INT64_MAX;
    }
}

static void admission_calm(struct admission *a)
{
    a->is_overloaded = false;
    a->standing = 0;
    a->limit = a->most;
}

static unsigned within(uint64_t n, unsigned low, unsigned high)
{
    return n < low ? low : n > high ? high : (unsigned)n;
}

void admission_init(struct admission *a, const struct conf *conf)
{
    *a = (struct admission){
        .most = (unsigned)conf->pending_max,
        .calm_min = (unsigned)conf->admission_min,
        .least = (unsigned)conf->admission_min / LEAST_PART,
        .target_ms = conf->admission_target_ms,
        .reask_ms = conf->reask_ms,
    };
    a->calm_min = within(a->calm_min, 1, a->most);
    a->least = within(a->least, 1, a->most);
    admission_calm(a);
}

/* So many would have waited for the target, by what the fastest has waited (Little's law). */
static unsigned admission_fitting(const struct admission *a, unsigned in_flight, int64_t wait_ms)
{
    uint64_t fitting = (uint64_t)in_flight * (uint64_t)a->target_ms / (uint64_t)wait_ms;
    return within(fitting, a->least, a->calm_min);
}

/* What is waited for longer than REASK_MS tells of a fault first, whose clients get more time to be
 * answered. But a queue that stays so long is one, too, and asking again makes it longer. */
static void admission_judge_calm(struct admission *a, unsigned in_flight, int64_t fastest_ms)
{
    bool is_standing = fastest_ms > a->target_ms && in_flight > a->calm_min;
    a->standing = is_standing ? a->standing + 1 : 0;
    if (a->standing >= (fastest_ms < a->reask_ms ? ADMISSION_PATIENCE : ADMISSION_PATIENCE_FAULT)) {
        a->is_overloaded = true;
        a->limit = admission_fitting(a, in_flight, fastest_ms);
    }
}

static void admission_judge(struct admission *a, unsigned in_flight)
{
    int64_t fastest_ms = a->fastest_ms[ADMISSION_CHECKOUT];
    if (fastest_ms == INT64_MAX) {
        fastest_ms = a->fastest_ms[ADMISSION_OTHER];
    }
    if (a->is_overloaded && !a->has_shed) {
        admission_calm(a);
    } else if (fastest_ms == INT64_MAX) {
        return; /* nothing is known */
    } else if (!a->is_overloaded) {
        admission_judge_calm(a, in_flight, fastest_ms);
    } else if (fastest_ms > a->target_ms) {
        a->limit = within(a->limit - a->limit / SHRINK_PART, a->least, a->most);
    } else if (a->has_shed) {
        a->limit = within((uint64_t)a->limit + a->limit / GROW_PART + 1, a->least, a->most);
    }
}

static void admission_see(struct admission *a, unsigned in_flight, int64_t now_ms)
{
    if (now_ms < a->end_ms) {
        return;
    }
    admission_judge(a, in_flight);
    if (now_ms >= a->end_ms + ADMISSION_WINDOW_MS) {
        admission_calm(a); /* since then a whole window has turned nobody away */
    }
    admission_begin_window(a, now_ms);
}

bool admission_let_in(struct admission *a, unsigned in_flight, int64_t now_ms)
{
    admission_see(a, in_flight, now_ms);
    a->has_shed = a->has_shed || in_flight >= a->limit;
    return in_flight < a->limit;
}

void admission_ended(struct admission *a, enum admission_kind kind, int64_t wait_ms,
                     unsigned in_flight, int64_t now_ms)
{
    admission_see(a, in_flight, now_ms);
    if (wait_ms < a->fastest_ms[kind]) {
        a->fastest_ms[kind] = wait_ms;
    }
}
