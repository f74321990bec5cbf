/* How fast to retry, and how often to log why: the first attempt after a loss is at once, the
 * next ones after a growing delay with jitter, so that a store that comes back does not meet all
 * its clients in the same millisecond. */
#ifndef KASSA_STORE_PACE_H
#define KASSA_STORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_FIRST_MS     20    /* doubles with each attempt */
#define PACE_MAX_MS       1000  /* upper bound of a delay */
#define PACE_STEADY_MS    1000  /* up for this long: the next loss is a new one */
#define PACE_TELL_MS      10000 /* the same reason is logged again after this */
#define PACE_REASON_BYTES 160

/* Zero-initialised: nothing went wrong yet. */
struct pace {
    unsigned attempts;
    int64_t up_since_ms; /* 0: not up */
    char told[PACE_REASON_BYTES];
    int64_t told_ms;
};

void pace_up(struct pace *p, int64_t now_ms);

/* Lost, or not reached: the delay to the next attempt. `dice` is any random number. */
int64_t pace_lost(struct pace *p, int64_t now_ms, uint32_t dice);

/* True when this reason is news; it then counts as told. */
bool pace_tell(struct pace *p, int64_t now_ms, const char *reason);

#endif
