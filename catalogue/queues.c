/* See queues.h. */
#include "catalogue/queues.h"

#include <assert.h>

static const struct topology_queue queues[] = {
#define X(name, queue, kind, bound, consumer, what)                                                \
    {queue, queue ".parked", TOPOLOGY_##kind, bound},
    CATALOGUE_QUEUES(X)
#undef X
};
static_assert(QUEUE_COUNT <= TOPOLOGY_QUEUES_MAX, "a set of queues has so many bits");

const struct topology queues_topology = {queues, QUEUE_COUNT};

const char *queues_text(enum queue queue)
{
    assert((unsigned)queue < QUEUE_COUNT);
    return queues[queue].name;
}

const char *queues_parked_text(enum queue queue)
{
    assert((unsigned)queue < QUEUE_COUNT);
    return queues[queue].parked;
}

bool queues_parse(struct slice text, enum queue *ret_queue)
{
    for (unsigned i = 0; i < QUEUE_COUNT; i++) {
        if (slice_is(text, queues[i].name)) {
            *ret_queue = (enum queue)i;
            return true;
        }
    }
    return false;
}
