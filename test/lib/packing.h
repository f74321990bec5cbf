/* The orders' sweep, which packs paid orders (order/paid.lua), in a server that is set as the
 * servers of both deployments are. For the tests of test/live. */
#ifndef KASSA_TEST_PACKING_H
#define KASSA_TEST_PACKING_H

#include "test/lib/rig.h"

#define PACKING_LIFE_MS (INT64_C(8) * 24 * 3600 * 1000) /* of records */

extern double packing_longest_ms; /* of the steps, as the caller sees them */

/* A private server with the orders' library and the settings of hashes. Owns: the caller, rig_free.
 */
struct rig *packing_new(void);
/* One step. */
void packing_step(struct rig *store, const char *seen, const char *cursor);
/* Until nothing is left to do, once the clock is known; how many steps that took. */
unsigned packing_all(struct rig *store);
/* It is ms now, of which there is an id, too. */
void packing_later(struct rig *store, int64_t ms);
const char *packing_count(struct rig *store); /* of packed orders; "": none yet */

#endif
