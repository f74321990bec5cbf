/* The beginning of a checkout: its order is frozen and its saga begun in one call of the order's
 * store, and the caller sends what follows from the reply. Pure.
 *
 *   request --checkout_begin--> order_checkout --checkout_begun--> payment.charge  begun
 *                                                             '--> an answer       running, ended
 *
 * A repeated request is one saga, whoever calls: a gateway does so itself (gateway/checkout.h),
 * and for its retries an order service does (order/commands.c). Source: protocol.md, "Freezing
 * and attaching". */
#ifndef KASSA_CHECKOUT_BEGIN_H
#define KASSA_CHECKOUT_BEGIN_H

#include "checkout/checkout.h"
#include "saga/command.h"
#include "saga/conf.h"

/* Builds the call, a row (args_row_begins). `request` is an order.checkout; `bucket` that of its
 * id (once_bucket). */
void checkout_begin(const struct message *request, const char *bucket,
                    const struct begin_conf *conf, struct args *call);

/* What follows: a command, an answer to the request, both, or none. */
struct checkout_begun {
    struct saga_outgoing command; /* message.type 0: none */
    struct message answer;        /* type 0: none yet, the saga's end will be told */
};

/* `text`: the call's reply to this request. Errors: -ERR_RECORD when it is none of ours: nothing
 * may be concluded from it. Borrows from the request and the text. *ret_begun may be used again;
 * zero-initialised at first. Owns: command, until saga_outgoing_free. */
int checkout_begun(const struct message *request, struct slice text,
                   struct checkout_begun *ret_begun);

#endif
