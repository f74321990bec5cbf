/* Which store is nearly full? Then nothing new begins: a full store would refuse writes in the
 * middle of it.
 *
 *   services --SET kassa:short:<service>, while it is short--> the store of the keys
 *                                                                   |
 *                                                                   | MGET, each SHORTAGE_MS
 *                                                                   v
 *   the gateway's own stores: INFO (store/memory.h) ----------> shortage_now
 *
 * Source: protocol.md, "A store that is nearly full". */
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
/* The sentence for a client; NULL for SHORTAGE_NONE. */
const char *shortage_text(enum shortage_whose whose);

struct shortage;

/* `keys`: the store of the keys. `orders`: that of the orders.
 * Owns: the caller, until shortage_free; the stores outlive its timers, and their calls have
 * failed before shortage_free. */
struct shortage *shortage_new(struct loop *loop, struct store *keys, struct store *orders);
void shortage_free(struct shortage *s); /* NULL is fine */

/* Whose store is short; of several, any. */
enum shortage_whose shortage_now(const struct shortage *s);

#endif
