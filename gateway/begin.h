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
#ifndef KASSA_GATEWAY_BEGIN_H
#define KASSA_GATEWAY_BEGIN_H

#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "runtime/conf.h"
#include "runtime/loop.h"
#include "store/store.h"

struct begin;

/* An answer to a checkout, as a notice would bring it. Borrowed for the call. */
typedef void begin_on_answer(void *ctx, const struct message *answer);

/* Owns: the caller, until begin_free; the broker, longer than that. */
struct begin *begin_new(struct loop *loop, const struct conf *conf, struct broker *broker,
                        begin_on_answer *on_answer, void *ctx);
void begin_free(struct begin *b); /* NULL is fine. Nobody is answered any more */

/* Is the short way open? Not when the store is away. */
bool begin_is_open(const struct begin *b);

/* The orders' store. Borrowed. */
struct store *begin_store(const struct begin *b);

/* What time it is at the orders' store, which judges the ids of checkouts; `ret_ms` is untouched,
 * and false is returned, while the store is not known. */
bool begin_wall_ms(const struct begin *b, int64_t *ret_ms);

/* Why the orders' store cannot be used (store_refusal); NULL: no reason. */
const char *begin_refusal(const struct begin *b);

/* `request`: an order.checkout with a once_bucket of its id. Each request once: when it is asked
 * for again, that is the order services' to answer. */
void begin_ask(struct begin *b, const struct message *request);

#endif
