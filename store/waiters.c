/* The ring of those who wait: no allocation for a call once it has its size. */
#include "store/waiters.h"

#include <assert.h>
#include <stdlib.h>

#define WAITERS_FIRST 256

static void waiters_grow(struct waiters *w)
{
    unsigned size = w->size ? w->size * 2 : WAITERS_FIRST;
    assert(size > w->size);
    struct waiter *ring = mem_new(size * sizeof(*ring));
    for (unsigned i = 0; i < w->count; i++) {
        ring[i] = w->ring[(w->first + i) & (w->size - 1)];
    }
    free(w->ring);
    w->ring = ring;
    w->size = size;
    w->first = 0;
}

void waiters_push(struct waiters *w, struct waiter waiter)
{
    if (w->count == w->size) {
        waiters_grow(w);
    }
    w->ring[(w->first + w->count) & (w->size - 1)] = waiter;
    w->count++;
}

struct waiter waiters_pop(struct waiters *w)
{
    assert(w->count > 0);
    struct waiter waiter = w->ring[w->first];
    w->first = (w->first + 1) & (w->size - 1);
    w->count--;
    return waiter;
}

void waiters_free(struct waiters *w)
{
    free(w->ring);
    *w = (struct waiters){0};
}
