/* Runs that last: when their storm is over, time leaps, twice, so that records are older than they
 * live. Then there is a second storm, in which they are swept, orders packed, and in which what was
 * said long ago is said again: by clients with their keys, and by the courier, who had kept some
 * letters.
 *
 *   storm, calm --leap--> --leap--> storm, in which it is swept --> calm
 *
 * While time leaps, both processes of payment or of stock may stand still: their sagas stay open,
 * and keep their records. */
#ifndef KASSA_TEST_AGES_H
#define KASSA_TEST_AGES_H

#include "test/world/world.h"

/* Is this run one that lasts? Before the processes start. */
void ages_make(bool may_last);
/* Behind shop_open. `storm_us`: the first one's end. */
void ages_begin(int64_t storm_us);
bool ages_are_over(void);

/* What has been seen in all runs that last. */
struct ages_seen {
    uint64_t runs;
    uint64_t dropped; /* records */
    uint64_t floors;  /* raised: of services, and of what they keep for clients */
    uint64_t packed;  /* orders */
    uint64_t refused; /* commands that records do not cover any more */
};
/* Adds this run's, at its end. */
void ages_count(struct ages_seen *seen);

#endif
