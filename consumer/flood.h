/* Against floods of the same: lines of the log, and parked copies of one command. Pure. */
#ifndef KASSA_CONSUMER_FLOOD_H
#define KASSA_CONSUMER_FLOOD_H

#include "catalogue/message.h"

#define FLOOD_LINE_MS    1000
#define FLOOD_PARKED_MAX 256
#define FLOOD_PARKED_MS  120000 /* more than between two re-sends */

/* At most one line each FLOOD_LINE_MS. Zero-initialised: none was written yet. */
struct flood_lines {
    int64_t next_ms;
    unsigned left_out; /* since the last one */
};
/* True when one may be written now; *ret_left_out is how many were left out since the last.
 * Units: ms of a clock that only goes forward. */
bool flood_lets_line(struct flood_lines *lines, int64_t now_ms, unsigned *ret_left_out);

/* Which commands were parked lately. A saga re-sends the same one again and again, and one copy is
 * enough; but one that comes much later may have been put back by a person, so it is parked again.
 * Zero-initialised is none. */
struct flood_parked {
    struct flood_command {
        enum message_type type;
        char id[ID_BYTES_MAX + 1];
        int64_t until_ms; /* 0: free */
    } last[FLOOD_PARKED_MAX];
    unsigned next; /* the oldest, forgotten next */
};
/* True when it was; from now on it was. */
bool flood_was_parked(struct flood_parked *parked, enum message_type type, struct slice id,
                      int64_t now_ms);

#endif
