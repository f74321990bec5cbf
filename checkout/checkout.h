/* The checkout saga, as a table for the engine.
 *
 *   CHARGING -taken-> PAID                 charge first, take stock last: all lines of an order are
 *      |   '-stock refused-> REFUNDING     taken in one step, the pivot, so only the charge is ever
 *      |credit refused          |          compensated. Payment sends the take on to stock itself:
 *      '------> FAILED <-refunded          CHARGING stands for both
 * Gateways begin it (checkout/begin.h), order services drive it to its end (saga/driver.h).
 * Source: protocol.md, "Charge first, take stock last", "The refund comes before the refusal", "The
 * states". */
#ifndef KASSA_CHECKOUT_CHECKOUT_H
#define KASSA_CHECKOUT_CHECKOUT_H

#include "saga/definition.h"

extern const struct saga_definition checkout_definition;
extern const struct library order_library; /* saga/journal.lua and order/order.lua */

#endif
