/* How long to wait for a silent server, and how many calls may be out at it.
 *
 * A retry must cost less than the first try: a server still finishes the calls of a connection
 * that was dropped for its silence, and then gets them again. With the same calls and the same
 * patience this never ends. So after a silence the patience is twice as long, and only half of
 * the calls that were out go out at once: a slice, which grows with each answer until it is no
 * limit any more. A call that may be the cause of the silence goes out alone.
 *
 * Pure: counts and one clock. Source: protocol.md, "Silence". */
#ifndef KASSA_STORE_PATIENCE_H
#define KASSA_STORE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/* For a server that was never silent, in multiples of REDIS_TIMEOUT_MS. After one of them the
 * connection asks a Sentinel; to leave the server at once as well would make a disk that takes a
 * second dearer by half. */
#define PATIENCE_FIRST 3

#define PATIENCE_MAX_MS    30000 /* upper bound of the doubling */
#define PATIENCE_LOOK_MS   10000 /* the time over which its slowness is measured */
#define PATIENCE_SLICE_MAX 1024  /* calls; a slice as large as this is none */

struct patience {
    int64_t first_ms;
    int64_t ms;       /* the silence that is borne now */
    int64_t look_ms;  /* `worst_ms` is measured since then; 0: not yet */
    int64_t worst_ms; /* the longest silence since then that an answer ended */
    unsigned slice;   /* calls that may be out; 0: any number */
    unsigned out;     /* calls that are */
    bool is_slow;     /* it gets no more at once */
    bool is_alone;    /* one is, and nothing goes out beside it */
};

/* `first_ms`: the patience with a server that was never silent. */
void patience_init(struct patience *p, int64_t first_ms);

/* True when a call may go out now; else it waits, and all behind it. */
bool patience_lets(const struct patience *p, bool is_alone);
void patience_sent(struct patience *p, bool is_alone);
void patience_answered(struct patience *p); /* a call was */

/* A reply came, after so long a silence: the patience follows the server's slowness, upwards at
 * once, downwards when it was faster for a while. */
void patience_heard(struct patience *p, int64_t silent_ms, int64_t now_ms);

/* The connection has ended: nothing is out any more. The first: it was dropped for its silence. */
void patience_silent(struct patience *p);
void patience_lost(struct patience *p);

#endif
