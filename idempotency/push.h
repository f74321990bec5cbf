/* Between redis.c and subscription.c: a connection that listens. It is like that of a store,
 * kept up and watched for silence in the same way, but takes no calls, needs no library and no
 * master. */
#ifndef KASSA_IDEMPOTENCY_PUSH_H
#define KASSA_IDEMPOTENCY_PUSH_H

#include "idempotency/redis.h"

/* What the server pushes, and the answer to SUBSCRIBE: "subscribe" or "message", the channel,
 * the payload. redis_free from inside is not allowed. */
typedef void redis_on_push(void *ctx, const struct redis_reply *reply);

/* Owns: the caller, until redis_free. */
struct redis *redis_new_listener(struct loop *loop, const struct conf *conf, const char *node,
                                 redis_on_push *on_push, void *ctx);

/* Both only while up. Afterwards the server owes an answer, and its silence is noticed. */
void redis_listen(struct redis *r, const char *channel);
void redis_ping(struct redis *r);

#endif
