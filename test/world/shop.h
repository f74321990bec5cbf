/* The shop of a simulated run: who buys what, what they were told, and whether it was true. */
#ifndef KASSA_TEST_SHOP_H
#define KASSA_TEST_SHOP_H

#include "test/world/world.h"

/* Fills the store and schedules the clients, by chance. `gateways`: the nodes they talk to.
 * `loss`: the service whose store will lose its tail, static text; NULL: none. */
void shop_open(struct node *const *gateways, unsigned count, const char *loss);
/* From then on the memory of some store is full, and soon each gateway knows it: who comes then is
 * sent away. */
void shop_is_full(int64_t from_us, int64_t to_us);
/* Long after: clients come once more, some with requests that were answered then. */
void shop_again(int64_t within_us);
/* No saga is open. */
void shop_check_ended(void);
/* Leaves out the requests whose bit is set, from the next shop_open on: to shorten a failing run.
 */
void shop_leave_out(uint64_t requests);
unsigned shop_requests(void);
/* Requests that were not answered yet. */
unsigned shop_waiting(void);
unsigned shop_checkouts(void);
/* Holds every answer to the stores (C1 to C6 and C8 of drills.md, "What is checked"). */
void shop_check(void);

#endif
