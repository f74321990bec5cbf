/* Planted bugs of the simulation. */
#ifndef KASSA_TEST_PLANTS_H
#define KASSA_TEST_PLANTS_H

#include "test/world/world.h"

struct plant {
    const char *name;
    const struct world_patch *patch; /* of the function libraries; NULL: none */
    struct world_bugs bugs;          /* of the adapters */
};
extern const struct plant plants[];
extern const unsigned plant_count;

#endif
