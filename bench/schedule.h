/* Which request is due when, and the number it has. Pure: the time is told, in ns of any clock that
 * only goes forward.
 *
 *   closed loop: the next one is due now, whenever that is
 *   open loop:   request i is due at begin + i / rate, whether it can be sent then or not
 *
 * It is no queue: what is due and waits is just what was not taken yet, so it takes no memory. */
#ifndef KASSA_BENCH_SCHEDULE_H
#define KASSA_BENCH_SCHEDULE_H

#include "bench/options.h"

struct schedule {
    const struct options *options; /* borrowed: rate, from, count, random */
    uint64_t taken;
    int64_t begin_ns;
    int64_t end_ns; /* 0: goes on */
    uint64_t random;
};

void schedule_begin(struct schedule *s, const struct options *options, int64_t now_ns);
/* Nothing more becomes due; in open loop, what was due before is still to be taken. */
void schedule_end(struct schedule *s, int64_t now_ns);

/* When the next request is, or was, due; it may be later than now_ns.
 * Errors: false when none will be any more, or nothing has begun. */
bool schedule_next(const struct schedule *s, int64_t now_ns, int64_t *ret_due_ns);
/* Takes that one. Its number. */
uint64_t schedule_take(struct schedule *s);

bool schedule_is_used_up(const struct schedule *s); /* options.count were taken */

/* Open loop, at the end: those that were due and never taken. */
uint64_t schedule_missed(const struct schedule *s);

#endif
