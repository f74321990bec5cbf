/* A window is judged by the first event after its end: where nothing happens, nothing is decided.
 */
#include "gateway/overload.h"

/* While overloaded at least this part of ADMISSION_MIN is let in: with fewer there would be too
 * little to commit in groups, and the waits would not get shorter. */
#define LEAST_PART  4
#define SHRINK_PART 8
#define GROW_PART   32
#define RELAX_TIMES 2

static void overload_begin_window(struct overload *a, unsigned in_flight, int64_t now_ms)
{
    a->end_ms = now_ms + OVERLOAD_WINDOW_MS;
    a->has_shed = false;
    a->crowd = in_flight;
    for (int i = 0; i < OVERLOAD_KINDS; i++) {
        a->fastest_ms[i] = INT64_MAX;
    }
}

static void overload_calm(struct overload *a)
{
    a->is_overloaded = false;
    a->standing = 0;
    a->limit = a->most;
}

static unsigned within(uint64_t n, unsigned low, unsigned high)
{
    return n < low ? low : n > high ? high : (unsigned)n;
}

void overload_init(struct overload *a, const struct gateway_conf *conf)
{
    *a = (struct overload){
        .most = (unsigned)conf->pending_max,
        .calm_min = (unsigned)conf->admission_min,
        .target_ms = conf->admission_target_ms,
        .reask_ms = conf->reask_ms,
    };
    a->least = within(a->calm_min / LEAST_PART, 1, a->most);
    overload_calm(a);
}

/* So many would have waited for the target, by what the fastest has waited (Little's law). */
static unsigned overload_fitting(const struct overload *a, int64_t wait_ms)
{
    return within((uint64_t)a->crowd * (uint64_t)a->target_ms / (uint64_t)wait_ms, a->least,
                  a->most);
}

/* Waits above REASK_MS are first attributed to a fault, whose clients get more time. But a queue
 * that stands so long is an overload, too, and retries make it longer. */
static void overload_judge_calm(struct overload *a, int64_t fastest_ms)
{
    unsigned patience = fastest_ms < a->reask_ms ? OVERLOAD_PATIENCE : OVERLOAD_PATIENCE_FAULT;
    bool is_standing = fastest_ms > a->target_ms && a->crowd > a->calm_min;
    a->standing = is_standing ? a->standing + 1 : 0;
    if (a->standing >= patience) {
        a->is_overloaded = true;
        a->limit = overload_fitting(a, fastest_ms);
    }
}

static void overload_relax(struct overload *a)
{
    a->limit = within((uint64_t)a->limit * RELAX_TIMES, a->least, a->most);
    if (a->limit == a->most) {
        overload_calm(a);
    }
}

static void overload_judge(struct overload *a)
{
    int64_t fastest_ms = a->fastest_ms[OVERLOAD_CHECKOUT];
    if (fastest_ms == INT64_MAX) {
        fastest_ms = a->fastest_ms[OVERLOAD_OTHER];
    }
    if (a->is_overloaded && !a->has_shed) {
        overload_relax(a);
    } else if (fastest_ms == INT64_MAX) {
        return; /* nothing is known */
    } else if (!a->is_overloaded) {
        overload_judge_calm(a, fastest_ms);
    } else if (fastest_ms > a->target_ms) {
        a->limit = within(a->limit - a->limit / SHRINK_PART, a->least, a->most);
    } else {
        a->limit = within((uint64_t)a->limit + a->limit / GROW_PART + 1, a->least, a->most);
    }
}

/* Windows in which nothing has happened have turned nobody away; unless much is in flight all the
 * same: then the process was not let run. */
static void overload_see(struct overload *a, unsigned in_flight, int64_t now_ms)
{
    if (now_ms >= a->end_ms) {
        overload_judge(a);
        while (a->is_overloaded && in_flight < a->least &&
               now_ms >= (a->end_ms += OVERLOAD_WINDOW_MS)) {
            overload_relax(a);
        }
        overload_begin_window(a, in_flight, now_ms);
    }
    a->crowd = in_flight > a->crowd ? in_flight : a->crowd;
}

bool overload_let_in(struct overload *a, unsigned in_flight, int64_t now_ms)
{
    overload_see(a, in_flight, now_ms);
    a->has_shed = a->has_shed || in_flight >= a->limit;
    return in_flight < a->limit;
}

void overload_ended(struct overload *a, enum overload_kind kind, int64_t wait_ms,
                    unsigned in_flight, int64_t now_ms)
{
    overload_see(a, in_flight, now_ms);
    if (wait_ms < a->fastest_ms[kind]) {
        a->fastest_ms[kind] = wait_ms;
    }
}

unsigned overload_limit(struct overload *a, unsigned in_flight, int64_t now_ms)
{
    overload_see(a, in_flight, now_ms);
    return a->limit;
}
