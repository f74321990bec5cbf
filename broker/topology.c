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

const char *topology_queue_parked_text(enum topology_queue queue)
{
    assert((unsigned)queue < QUEUE_COUNT);
    return topology_parked_queues[queue];
}
