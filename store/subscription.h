/* A channel, subscribed for as long as its owner wants, whatever happens to the connection.
 *
 *   up --> SUBSCRIBE --> "subscribe": it holds --> "message": on_message, for each
 *    |                                        '--> PING each second
 *    '<------- connection lost: again
 *
 * A dead link looks like a silent channel; hence the
 * pings. Messages published meanwhile are lost: notices are hints (protocol.md, "Vocabulary").
 * Source: Redis manual: Pub/sub. */
#ifndef KASSA_STORE_SUBSCRIPTION_H
#define KASSA_STORE_SUBSCRIPTION_H

#include "store/conf.h"
#include "runtime/loop.h"

struct subscription;

/* `payload` is borrowed. */
typedef void subscription_on_message(void *ctx, struct slice payload);

/* On a connection of its own. Owns: the caller, until subscription_free. */
struct subscription *subscription_new(struct loop *loop, const struct store_conf *conf,
                                      const char *node, const char *channel,
                                      subscription_on_message *on_message, void *ctx);
bool subscription_is_up(const struct subscription *s);
void subscription_free(struct subscription *s); /* NULL is fine; not in on_message: asserted */

#endif
