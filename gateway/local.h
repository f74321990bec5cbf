/* Routes that the gateway answers itself. */
#ifndef KASSA_GATEWAY_LOCAL_H
#define KASSA_GATEWAY_LOCAL_H

#include "gateway/routes.h"

void local_health(struct gateway *gw, struct http_request *http, const struct route_match *match);
void local_ready(struct gateway *gw, struct http_request *http, const struct route_match *match);
void local_metrics(struct gateway *gw, struct http_request *http, const struct route_match *match);

#endif
