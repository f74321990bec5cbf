/* What queues are declared with: see topology.h. */
#include "broker/topology.h"

#include <assert.h>

static void topology_add_text(struct topology_argument *arguments, unsigned *count, const char *key,
                              const char *text)
{
    assert(*count < TOPOLOGY_ARGUMENTS_MAX);
    arguments[(*count)++] = (struct topology_argument){.key = key, .text = text};
}

static void topology_add_number(struct topology_argument *arguments, unsigned *count,
                                const char *key, int64_t number)
{
    assert(*count < TOPOLOGY_ARGUMENTS_MAX);
    arguments[(*count)++] = (struct topology_argument){.key = key, .number = number};
}

bool topology_has_dead_letters(const struct topology_queue *queue)
{
    return queue->kind != TOPOLOGY_STREAM;
}

static void topology_add_bound(struct topology_argument *arguments, unsigned *count,
                               const struct topology_queue *queue)
{
    if (queue->kind == TOPOLOGY_STREAM) {
        topology_add_number(arguments, count, "x-max-length-bytes", queue->bound);
    } else {
        topology_add_number(arguments, count, "x-max-length", queue->bound);
        topology_add_text(arguments, count, "x-overflow", "reject-publish");
    }
}

unsigned topology_arguments(const struct topology_queue *queue,
                            struct topology_argument ret_arguments[TOPOLOGY_ARGUMENTS_MAX])
{
    static const char *const types[] = {
        [TOPOLOGY_QUORUM] = "quorum",
        [TOPOLOGY_CLASSIC] = "classic",
        [TOPOLOGY_STREAM] = "stream",
    };
    unsigned count = 0;
    topology_add_text(ret_arguments, &count, "x-queue-type", types[queue->kind]);
    if (topology_has_dead_letters(queue)) {
        topology_add_text(ret_arguments, &count, "x-dead-letter-exchange", TOPOLOGY_DEAD_EXCHANGE);
        topology_add_text(ret_arguments, &count, "x-dead-letter-routing-key", queue->name);
    }
    if (queue->kind == TOPOLOGY_QUORUM) {
        topology_add_number(ret_arguments, &count, "x-delivery-limit", TOPOLOGY_DELIVERY_LIMIT);
    }
    if (queue->bound > 0) {
        topology_add_bound(ret_arguments, &count, queue);
    }
    return count;
}

unsigned topology_parked_arguments(struct topology_argument ret_arguments[TOPOLOGY_ARGUMENTS_MAX])
{
    unsigned count = 0;
    topology_add_text(ret_arguments, &count, "x-queue-type", "quorum");
    return count;
}
