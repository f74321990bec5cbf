/* The routes for those who run it: the gateway answers them itself. */
#include "gateway/local.h"

static const struct route operation_rows[] = {
    {"GET", "/health", "health", .queue = QUEUE_COUNT, .serve = local_health},
    {"GET", "/ready", "ready", .queue = QUEUE_COUNT, .serve = local_ready},
    {"GET", "/metrics", "metrics", .queue = QUEUE_COUNT, .serve = local_metrics},
};
const struct route_table operation_routes = ROUTE_TABLE(operation_rows);
