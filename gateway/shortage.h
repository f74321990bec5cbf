/* Is a store nearly full? Then nothing new is begun: full, it would refuse in the middle of it.
 *
 *   services --SET kassa:short:<service>, while it is short--> the store of the keys
 *                                                                  |  MGET, each SHORTAGE_MS
 *   the gateway's own stores: INFO (store/memory.h) ---------'--> whose is short?
 *
 * Source: protocol.md section 2.7. */
#ifndef KASSA_GATEWAY_SHORTAGE_H
#define KASSA_GATEWAY_SHORTAGE_H

#include "store/store.h"

#define SHORTAGE_MS 1000

enum shortage_whose {
    SHORTAGE_NONE,
    SHORTAGE_PAYMENT,
    SHORTAGE_STOCK,
    SHORTAGE_ORDERS,
    SHORTAGE_KEYS,
    SHORTAGE_COUNT
};
/* What a client is told; NULL for SHORTAGE_NONE. */
const char *shortage_text(enum shortage_whose whose);

struct shortage;

/* `keys`: the store of the keys. `orders`: that of the orders.
 * Owns: the caller, until shortage_free; the stores outlive its timers, and their calls have been
 * told off before shortage_free. */
struct shortage *shortage_new(struct loop *loop, struct store *keys, struct store *orders);
void shortage_free(struct shortage *s); /* NULL is fine */

/* Whose store is short; of several, any. */
enum shortage_whose shortage_now(const struct shortage *s);

#endif
