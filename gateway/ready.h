/* GET /ready: pings everything that a checkout needs: each service, with its store, through the
 * broker; names the first that does not answer. */
#ifndef KASSA_GATEWAY_READY_H
#define KASSA_GATEWAY_READY_H

#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "runtime/http.h"
#include "runtime/service.h"
#include "store/store.h"
#include "store/subscription.h"

#define READY_WAIT_MS    1500 /* then a service that did not answer is down */
#define READY_CHECKS_MAX 64   /* at once; one more is answered 429 */

struct ready;

struct ready *ready_new(struct service_context *context, struct broker *broker, struct store *store,
                        struct subscription *notices, const char *gateway);
void ready_free(struct ready *r); /* NULL is fine; answers what waits */

/* `refusal`: why a store of the gateway's own cannot be used (store_refusal); NULL: no reason. */
void ready_check(struct ready *r, struct http_request *request, const char *refusal);
/* True: it is a pong, or the reason why there is none, that a check waits for. */
bool ready_on_answer(struct ready *r, const struct message *answer);

#endif
