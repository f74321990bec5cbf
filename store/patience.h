/* How long a silent server is waited for, and how much may be out at it.
 *
 * A retry gets cheaper, never equal: a server that was left because it was silent finishes what it
 * was asked, and is then asked again. If that is the same again, with the same patience, it never
 * ends. So after a silence the patience is twice as long, and only half of the calls that were out
 * go out at once: a slice, which grows with each answer until it is no limit any more. A call of
 * which one suspects that it is what takes so long goes out alone.
 *
 * Pure: counts and one clock. Source: protocol.md, "Silence". */
#ifndef KASSA_STORE_PATIENCE_H
#define KASSA_STORE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/* Of a server that was never silent, in times of REDIS_TIMEOUT_MS. After one such time a Sentinel
 * is asked; to leave the server at once as well would make a disk that takes a second dearer by
 * half. */
#define PATIENCE_FIRST 3

#define PATIENCE_MAX_MS    30000 /* upper bound of the doubling */
#define PATIENCE_LOOK_MS   10000 /* what a server took in so much time is what it takes */
#define PATIENCE_SLICE_MAX 1024  /* calls; a slice as large as this is none */

struct patience {
    int64_t first_ms;
    int64_t ms;       /* silence that is borne now */
    int64_t look_ms;  /* since then `worst_ms` is looked for; 0: not yet */
    int64_t worst_ms; /* the longest silence since then that an answer has ended */
    unsigned slice;   /* calls that may be out; 0: any number */
    unsigned out;     /* calls that are */
    bool is_slow;     /* more at once would be too much */
    bool is_alone;    /* one is, and nothing goes out beside it */
};

/* `first_ms`: what is borne of a server that was never silent. */
void patience_init(struct patience *p, int64_t first_ms);

/* May a call go out now? Else it waits, and with it all behind it. */
bool patience_lets(const struct patience *p, bool is_alone);
void patience_sent(struct patience *p, bool is_alone);
void patience_answered(struct patience *p); /* a call was */

/* Something came, after so long a silence: patience follows what the server takes, upwards at
 * once, downwards when it was better for a while. */
void patience_heard(struct patience *p, int64_t silent_ms, int64_t now_ms);

/* The connection is over: nothing is out any more. Of the first it was left for its silence. */
void patience_silent(struct patience *p);
void patience_lost(struct patience *p);

#endif
