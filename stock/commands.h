/* The stock service: items, their pieces and prices. */
#ifndef KASSA_STOCK_COMMANDS_H
#define KASSA_STOCK_COMMANDS_H

#include "consumer/consumer.h"

extern const struct consumer_definition stock_definition;

#endif
