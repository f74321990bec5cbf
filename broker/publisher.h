/* The publishing half of a process's way to the broker: the outbox on a connection of its own.
 *
 *   publisher_send --> outbox --turn end--> link --> broker --> confirm --> on_confirm
 *
 * broker.h has the public side, and what each call promises. */
#ifndef KASSA_BROKER_PUBLISHER_H
#define KASSA_BROKER_PUBLISHER_H

#include "broker/broker.h"

struct publisher;

struct publisher *publisher_new(struct loop *loop, const struct broker_conf *conf,
                                const char *service, const struct envelope_schema *schema,
                                const struct topology *topology);
void publisher_free(struct publisher *p); /* NULL is fine; forgets what is not confirmed */

bool publisher_is_up(const struct publisher *p);           /* connected and not blocked */
uint64_t publisher_unconfirmed(const struct publisher *p); /* commands */

void publisher_send(struct publisher *p, unsigned queue, const struct message *m,
                    broker_on_confirm *on_confirm, void *ctx);
void publisher_park(struct publisher *p, unsigned queue, struct slice body, const char *reason,
                    broker_on_confirm *on_confirm, void *ctx);
void publisher_give_back(struct publisher *p, unsigned queue, struct slice body, unsigned returns,
                         broker_on_confirm *on_confirm, void *ctx);

/* The end of a turn: what is open and waits goes out, as far as the window allows. */
void publisher_flush(struct publisher *p);

#endif
