/* The short way to begin a checkout: the gateway freezes the order and begins its saga in the
 * order's store itself, and sends the first command. That is one message, one commit and one hop
 * less than asking an order service to.
 *
 *   order.checkout --one call--> durable --> payment.charge     begun: its end comes as a notice
 *                                      '---> answer             running, ended, unknown order
 *                                      '---> nothing            lost, unreadable: who waits asks
 *                                                               again, by message
 * Nothing is kept here: the journal has the saga and its outstanding command, order services drive
 * it and send again what no answer came for. Source: protocol.md sections 1.1, 1.4 and 2. */
#ifndef KASSA_GATEWAY_CHECKOUT_H
#define KASSA_GATEWAY_CHECKOUT_H

#include "broker/broker.h"
#include "runtime/conf.h"
#include "runtime/loop.h"
#include "store/store.h"

struct checkout;

/* An answer to a checkout, as a notice would bring it. Borrowed for the call. */
typedef void checkout_on_answer(void *ctx, const struct message *answer);

/* Owns: the caller, until checkout_free; the broker, longer than that. */
struct checkout *checkout_new(struct loop *loop, const struct conf *conf, struct broker *broker,
                              checkout_on_answer *on_answer, void *ctx);
void checkout_free(struct checkout *c); /* NULL is fine. Nobody is answered any more */

/* Is the short way open? Not when the store is away, or an operator has closed it
 * (GATEWAY_BEGINS). */
bool checkout_is_open(const struct checkout *c);

/* The orders' store; NULL: an operator has closed the short way. */
struct store *checkout_store(const struct checkout *c);

/* What time it is at the orders' store, which judges the ids of checkouts; `ret_ms` is untouched,
 * and false is returned, while the store is not known. */
bool checkout_wall_ms(const struct checkout *c, int64_t *ret_ms);

/* Why the orders' store cannot be used (store_refusal); NULL: no reason. */
const char *checkout_refusal(const struct checkout *c);

/* `request`: an order.checkout with a once_bucket of its id. Each request once: when it is asked
 * for again, that is the order services' to answer. */
void checkout_ask(struct checkout *c, const struct message *request);

#endif
