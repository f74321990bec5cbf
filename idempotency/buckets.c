/* Remembers the buckets that were named since the store came up: a store that comes up may be
 * another one, without the names. */
#include "idempotency/buckets.h"

#include <stdlib.h>
#include <string.h>

#include "idempotency/once.h"

#define BUCKETS_KNOWN 64

struct buckets {
    struct redis *store;
    const char *service;
    struct redis_command call;
    char known[BUCKETS_KNOWN][ONCE_BUCKET_TEXT_BYTES + 1];
    unsigned next;
};

static void on_store_up(void *ctx)
{
    struct buckets *b = ctx;
    memset(b->known, 0, sizeof(b->known));
}

struct buckets *buckets_new(struct redis *store, const char *service)
{
    struct buckets *b = mem_new(sizeof(*b));
    b->store = store;
    b->service = service;
    redis_watch_up(store, on_store_up, b);
    return b;
}

void buckets_free(struct buckets *b)
{
    if (b != NULL) {
        redis_command_free(&b->call);
        free(b);
    }
}

void buckets_use(struct buckets *b, const char *bucket)
{
    for (unsigned i = 0; i < BUCKETS_KNOWN; i++) {
        if (strcmp(b->known[i], bucket) == 0) {
            return;
        }
    }
    strcpy(b->known[b->next++ % BUCKETS_KNOWN], bucket);
    redis_command_reset(&b->call);
    redis_arg_text(&b->call, "ZADD");
    redis_argf(&b->call, "%s:buckets", b->service);
    redis_arg_int(&b->call, strtoll(bucket, NULL, 16));
    redis_arg_text(&b->call, bucket);
    redis_call(b->store, &b->call, NULL, NULL);
}
