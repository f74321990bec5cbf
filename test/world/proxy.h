/* nginx in front of the gateways, as deploy/nginx/nginx.conf has it.
 *
 *   client -> a name, and a key if it has none -> the gateway with the fewest open
 *      ^                                              | no answer, 502, 503: the next one
 *      '-- its answer <-- once more, whoever it is <--' none answers: 503, nobody knows
 *
 * Every request is repeated like that, POSTs too, with a client's key or without one: each try has
 * the same name. A refusal is an answer, and never repeated. */
#ifndef KASSA_TEST_PROXY_H
#define KASSA_TEST_PROXY_H

#include "test/world/world.h"

/* `timeout_us`: how long it waits for a gateway. */
void proxy_world_reset(struct node *const *gateways, unsigned count, int64_t timeout_us);

/* A client's request, as http_world_request; key NULL: the client has none. Status 0 never comes.
 */
void proxy_request(const char *method, const char *path, const char *key, http_on_answer *on_answer,
                   void *ctx);

#endif
