/* Asks, and remembers the answer. See shortage.h. */
#include "gateway/shortage.h"

#include <stdlib.h>

#include "catalogue/names.h"
#include "store/memory.h"

/* The services report their own stores. */
static const struct {
    const char *service; /* NULL: the gateway's own word is all there is */
    const char *text;
} whose[SHORTAGE_COUNT] = {
#define TEXT(what)       "the store of " what " is nearly full, try again later"
#define X(service, NAME) [SHORTAGE_##NAME] = {#service, TEXT(#service)},
    GATEWAY_SERVICES(X)
#undef X
        [SHORTAGE_KEYS] = {NULL, TEXT("keys")},
};

struct shortage {
    struct store *keys_store;
    struct memory *keys, *orders;
    struct loop_timer *timer;
    struct args call;
    bool is_asking;
    enum shortage_whose told; /* by a service */
};

const char *shortage_text(enum shortage_whose w)
{
    return w == SHORTAGE_ORDER ? TEXT("orders") : whose[w].text;
}

/* A text for each key that was asked for, or none: then that service's store is not short. */
static void shortage_on_told(void *ctx, int err, struct texts reply)
{
    struct shortage *s = ctx;
    unsigned i = 0;
    s->is_asking = false;
    s->told = SHORTAGE_NONE;
    for (unsigned w = 0; w < SHORTAGE_COUNT && !err; w++) {
        if (whose[w].service && texts_at(reply, i++).data) {
            s->told = w;
        }
    }
}

static void shortage_on_timer(void *ctx)
{
    struct shortage *s = ctx;
    if (!store_is_up(s->keys_store)) {
        s->told = SHORTAGE_NONE;
        return;
    }
    if (s->is_asking) {
        return;
    }
    s->is_asking = true;
    args_reset(&s->call);
    args_text(&s->call, "MGET");
    for (unsigned w = 0; w < SHORTAGE_COUNT; w++) {
        if (whose[w].service) {
            args_join(&s->call, KEY.kassa_short, slice_from(whose[w].service));
        }
    }
    store_ask(s->keys_store, &s->call, shortage_on_told, s);
}

struct shortage *shortage_new(struct loop *loop, struct store *keys, struct store *orders)
{
    struct shortage *s = mem_new(sizeof(*s));
    s->keys_store = keys;
    s->keys = memory_new(loop, keys, "saga", NULL, NULL);
    s->orders = memory_new(loop, orders, "order", NULL, NULL);
    s->timer = loop_timer_new(loop, shortage_on_timer, s);
    loop_timer_start(s->timer, SHORTAGE_MS, SHORTAGE_MS);
    return s;
}

void shortage_free(struct shortage *s)
{
    if (s) {
        memory_free(s->keys);
        memory_free(s->orders);
        loop_timer_free(s->timer);
        args_free(&s->call);
        free(s);
    }
}

enum shortage_whose shortage_now(const struct shortage *s)
{
    if (s->told != SHORTAGE_NONE) {
        return s->told;
    }
    return memory_is_short(s->orders) ? SHORTAGE_ORDER
           : memory_is_short(s->keys) ? SHORTAGE_KEYS
                                      : SHORTAGE_NONE;
}
