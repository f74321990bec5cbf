/* The services that a gateway sends commands to, and waits for: those of the list `services` but
 * itself. X(name, NAME): its queue is QUEUE_<NAME>, its ping MESSAGE_<NAME>_PING. */
#ifndef KASSA_GATEWAY_SERVICES_H
#define KASSA_GATEWAY_SERVICES_H

/* clang-format off */
/* begin generated: gateway-services, by make generate */
#define GATEWAY_SERVICES(X) \
    X(order, ORDER) \
    X(stock, STOCK) \
    X(payment, PAYMENT)
/* end generated */
/* clang-format on */

#endif
