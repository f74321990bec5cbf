/* The payment service: users and their credit. */
#ifndef KASSA_PAYMENT_COMMANDS_H
#define KASSA_PAYMENT_COMMANDS_H

#include "consumer/consumer.h"

extern const struct consumer_definition payment_definition;

#endif
