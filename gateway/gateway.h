/* The gateway: HTTP in front, commands behind. */
#ifndef KASSA_GATEWAY_GATEWAY_H
#define KASSA_GATEWAY_GATEWAY_H

#include "runtime/service.h"

/* For service_run. */
int gateway_start(struct service_context *context);
void gateway_drain(struct service_context *context);
bool gateway_is_drained(struct service_context *context);
void gateway_stop(struct service_context *context);

#endif
