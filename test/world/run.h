/* A run: one seed, from the start of all processes to the last look at the books. */
#ifndef KASSA_TEST_RUN_H
#define KASSA_TEST_RUN_H

#include "test/world/ages.h"
#include "test/world/world.h"

/* What runs have covered. */
struct totals {
    uint64_t seeds, checkouts, events, crashes, messages, calls;
    double virtual_s;
    struct ages_seen ages;
};

/* True: no fault. Adds to the totals. */
bool run_seed(uint64_t seed, struct totals *totals);

#endif
