/* The short way to begin a checkout: the gateway freezes the order and begins its saga in the
 * order's store itself, and sends the first command. That saves one message, one commit and one
 * hop.
 *
 *   order.checkout --one call--> durable --> payment.charge     begun: its end comes as a notice
 *                                      '---> answer             running, ended, unknown order
 *                                      '---> nothing            lost, unreadable: the request is
 *                                                               retried, by message
 * Nothing is kept here: the journal has the saga and its outstanding command, order services drive
 * it and re-send. Source: protocol.md, "The journal is the truth", "Five beats", "A checkout, from
 * request to answer". */
#ifndef KASSA_GATEWAY_CHECKOUT_H
#define KASSA_GATEWAY_CHECKOUT_H

#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "runtime/conf.h"
#include "runtime/loop.h"
#include "store/store.h"

struct checkout;

/* An answer to a checkout, as a notice would bring it. Borrowed for the call. */
typedef void checkout_on_answer(void *ctx, const struct message *answer);

/* Owns: the caller, until checkout_free; the broker, longer than that. */
struct checkout *checkout_new(struct loop *loop, const struct conf *conf, struct broker *broker,
                              checkout_on_answer *on_answer, void *ctx);
void checkout_free(struct checkout *c); /* NULL is fine. Its checkouts get no answer any more */

/* Is the short way open? Not when the store is away. */
bool checkout_is_open(const struct checkout *c);

/* The orders' store. Borrowed. */
struct store *checkout_store(const struct checkout *c);

/* The time of the orders' store, which judges the ids of checkouts. Errors: false, and `ret_ms`
 * untouched, while the store is unknown. */
bool checkout_wall_ms(const struct checkout *c, int64_t *ret_ms);

/* Why the orders' store cannot be used (store_refusal); NULL: no reason. */
const char *checkout_refusal(const struct checkout *c);

/* `request`: an order.checkout with a once_bucket of its id. Each request once: an order service
 * answers its retries. */
void checkout_ask(struct checkout *c, const struct message *request);

#endif
