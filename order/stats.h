/* What the order process counts. All of it is there from the start, at 0: who watches a counter
 * that appears with its first increment misses that one. */
#ifndef KASSA_ORDER_STATS_H
#define KASSA_ORDER_STATS_H

#include "runtime/stat.h"

struct order_stats {
    struct stat_value *paid, *failed; /* sagas that ended */
    struct stat_value *stale, *denied;
    struct stat_value *resent, *cancelled, *stuck, *replayed, *immovable, *unreadable,
        *replay_short;
    struct stat_value *open, *oldest;
    struct stat_value *replay_oldest;
};

/* Owns: the process, for good. The first call registers them. */
const struct order_stats *order_stats(void);

#endif
