/* What the weather of a run is: a seed is a climate too, some are all storm, some have one kind of
 * trouble only. */
#ifndef KASSA_TEST_CLIMATE_H
#define KASSA_TEST_CLIMATE_H

#include "test/world/world.h"

#define STORM_US INT64_C(8000000)

/* Chances, costs, replicas and losses of this run, into the world and the environment. */
void climate_make(void);
/* The troubles that come at times of their own, and the calm in the end. Behind shop_open. */
void climate_begin(void);

/* Of each group of servers, as store_world_reset has them. */
unsigned climate_replicas(void);
/* The service whose store loses its tail, static text; NULL: none. */
const char *climate_loss(void);
/* Nothing that climate_begin made is still to come. */
bool climate_is_over(void);
/* Leaves out the kinds of trouble whose bit is set, from the next climate_make on. */
void climate_leave_out(unsigned chances);

#endif
