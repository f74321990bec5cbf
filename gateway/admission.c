/* A window is judged by the first event after its end: where nothing happens, nothing is decided.
 */
#include "gateway/admission.h"

/* While overloaded at least this part of ADMISSION_MIN is let in: with fewer there would be too
 * little to commit in groups, and the waits would not get shorter. */
#define LEAST_PART  4
#define SHRINK_PART 8
#define GROW_PART   32
#define RELAX_TIMES 2

static void admission_begin_window(struct admission *a, unsigned in_flight, int64_t now_ms)
{
    a->end_ms = now_ms + ADMISSION_WINDOW_MS;
    a->has_shed = false;
    a->crowd = in_flight;
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

void admission_init(struct admission *a, const struct gateway_conf *conf)
{
    *a = (struct admission){
        .most = (unsigned)conf->pending_max,
        .calm_min = (unsigned)conf->admission_min,
        .target_ms = conf->admission_target_ms,
        .reask_ms = conf->reask_ms,
    };
    a->least = within(a->calm_min / LEAST_PART, 1, a->most);
    admission_calm(a);
}

/* So many would have waited for the target, by what the fastest has waited (Little's law). */
static unsigned admission_fitting(const struct admission *a, int64_t wait_ms)
{
    return within((uint64_t)a->crowd * (uint64_t)a->target_ms / (uint64_t)wait_ms, a->least,
                  a->most);
}

/* What is waited for longer than REASK_MS tells of a fault first, whose clients get more time to be
 * answered. But a queue that stays so long is one, too, and asking again makes it longer. */
static void admission_judge_calm(struct admission *a, int64_t fastest_ms)
{
    unsigned patience = fastest_ms < a->reask_ms ? ADMISSION_PATIENCE : ADMISSION_PATIENCE_FAULT;
    bool is_standing = fastest_ms > a->target_ms && a->crowd > a->calm_min;
    a->standing = is_standing ? a->standing + 1 : 0;
    if (a->standing >= patience) {
        a->is_overloaded = true;
        a->limit = admission_fitting(a, fastest_ms);
    }
}

static void admission_relax(struct admission *a)
{
    a->limit = within((uint64_t)a->limit * RELAX_TIMES, a->least, a->most);
    if (a->limit == a->most) {
        admission_calm(a);
    }
}

static void admission_judge(struct admission *a)
{
    int64_t fastest_ms = a->fastest_ms[ADMISSION_CHECKOUT];
    if (fastest_ms == INT64_MAX) {
        fastest_ms = a->fastest_ms[ADMISSION_OTHER];
    }
    if (a->is_overloaded && !a->has_shed) {
        admission_relax(a);
    } else if (fastest_ms == INT64_MAX) {
        return; /* nothing is known */
    } else if (!a->is_overloaded) {
        admission_judge_calm(a, fastest_ms);
    } else if (fastest_ms > a->target_ms) {
        a->limit = within(a->limit - a->limit / SHRINK_PART, a->least, a->most);
    } else {
        a->limit = within((uint64_t)a->limit + a->limit / GROW_PART + 1, a->least, a->most);
    }
}

/* Windows in which nothing has happened have turned nobody away; unless much is in flight all the
 * same: then the process was not let run. */
static void admission_see(struct admission *a, unsigned in_flight, int64_t now_ms)
{
    if (now_ms >= a->end_ms) {
        admission_judge(a);
        while (a->is_overloaded && in_flight < a->least &&
               now_ms >= (a->end_ms += ADMISSION_WINDOW_MS)) {
            admission_relax(a);
        }
        admission_begin_window(a, in_flight, now_ms);
    }
    a->crowd = in_flight > a->crowd ? in_flight : a->crowd;
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

unsigned admission_limit(struct admission *a, unsigned in_flight, int64_t now_ms)
{
    admission_see(a, in_flight, now_ms);
    return a->limit;
}
