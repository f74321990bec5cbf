/* The schedule of a run. */
#include "bench/schedule.h"

#define NS_PER_SECOND 1e9

void schedule_begin(struct schedule *s, const struct options *options, int64_t now_ns)
{
    *s = (struct schedule){
        .options = options, .begin_ns = now_ns, .random = UINT64_C(0x9e3779b97f4a7c15)};
}

void schedule_end(struct schedule *s, int64_t now_ns)
{
    s->end_ns = now_ns;
}

bool schedule_next(const struct schedule *s, int64_t now_ns, int64_t *ret_due_ns)
{
    if (s->options == NULL || schedule_is_used_up(s)) {
        return false;
    }
    if (s->options->rate == 0) {
        *ret_due_ns = now_ns;
        return s->end_ns == 0;
    }
    int64_t due_ns = s->begin_ns + (int64_t)((double)s->taken * NS_PER_SECOND / s->options->rate);
    *ret_due_ns = due_ns;
    return s->end_ns == 0 || due_ns < s->end_ns;
}

/* xorshift64: the same numbers in each run. */
static uint64_t schedule_random(struct schedule *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

uint64_t schedule_take(struct schedule *s)
{
    const struct options *o = s->options;
    uint64_t n = s->taken++;
    return o->is_random ? o->low + schedule_random(s) % (o->high - o->low + 1) : o->from + n;
}

bool schedule_is_used_up(const struct schedule *s)
{
    return s->options != NULL && s->taken == s->options->count;
}

uint64_t schedule_missed(const struct schedule *s)
{
    struct schedule rest = *s;
    int64_t due_ns;
    while (s->options->rate > 0 && schedule_next(&rest, s->end_ns, &due_ns)) {
        schedule_take(&rest);
    }
    return rest.taken - s->taken;
}
