/* The gateway: HTTP in front, commands behind. */
#ifndef KASSA_GATEWAY_GATEWAY_H
#define KASSA_GATEWAY_GATEWAY_H

#include "gateway/routes.h"
#include "runtime/service.h"

/* What the routes are told of a request. Borrowed from it. */
struct route_request gateway_request(const struct http_request *http);

/* For service_run. */
int gateway_start(struct service_context *context);
void gateway_drain(struct service_context *context);
bool gateway_is_drained(struct service_context *context);
void gateway_stop(struct service_context *context);

#endif
