/* The environment variables of all nodes. Each service reads of them what it has listed. */
#ifndef KASSA_TEST_ENVIRONMENT_H
#define KASSA_TEST_ENVIRONMENT_H

#include <stdint.h>

#include "runtime/service.h"

void environment_reset(void);
/* A number, for nodes that are made afterwards; it may be beyond the limits of the tables. */
void environment_set(const char *variable, int64_t value);
/* The configuration of a node of this service. */
struct conf environment_conf(const struct service *service);

#endif
