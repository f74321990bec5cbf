/* The names of the queues, from the table in topology.h. */
#include "broker/topology.h"

#include <assert.h>

static const char *const topology_queues[] = {
#define X(name, queue, consumer, what) queue,
    TOPOLOGY_QUEUES(X)
#undef X
};

static const char *const topology_parked_queues[] = {
#define X(name, queue, consumer, what) queue ".parked",
    TOPOLOGY_QUEUES(X)
#undef X
};

const char *topology_queue_text(enum topology_queue queue)
{
    assert((unsigned)queue < QUEUE_COUNT);
    return topology_queues[queue];
}

bool topology_queue_parse(struct slice text, enum topology_queue *ret_queue)
{
    for (unsigned i = 0; i < QUEUE_COUNT; i++) {
        if (slice_is(text, topology_queue_text((enum topology_queue)i))) {
            *ret_queue = (enum topology_queue)i;
            return true;
        }
    }
    return false;
}

const char *topology_queue_parked_text(enum topology_queue queue)
{
    assert((unsigned)queue < QUEUE_COUNT);
    return topology_parked_queues[queue];
}
