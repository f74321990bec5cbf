/* The order service: orders, and the checkout saga that pays them. */
#ifndef KASSA_ORDER_COMMANDS_H
#define KASSA_ORDER_COMMANDS_H

#include "consumer/consumer.h"

extern const struct consumer_definition order_definition;

#endif
