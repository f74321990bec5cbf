/* What was sent and is not confirmed yet: envelopes on their way out, in four stages.
 *
 *   outbox_add --> open, one a queue --full--> waiting --room--> window --confirmed--> on_confirm
 *                   |                          ^     ^           ^ | |
 *                   |                          |     '- reset ---|-' '-- nacked, returned --.
 *                   |                          |                 |                          v
 *                   |                          '---- release ----|---------------- kept back
 *                   '-------------- flush, room -----------------'
 *
 * It knows no connection: publishing is a callback. The window bounds what is published and
 * unconfirmed. What exceeds it gathers in the open envelopes, so a slow broker gets larger
 * envelopes, not more of them.
 * Source: protocol.md, "The broker"; RabbitMQ manual: Publisher Confirms. */
#ifndef KASSA_BROKER_OUTBOX_H
#define KASSA_BROKER_OUTBOX_H

#include "broker/broker.h"
#include "broker/envelope.h"
#include "broker/topology.h"

struct outbox;

struct outbox_limits {
    unsigned window_envelopes;
    size_t window_bytes;
    unsigned envelope_commands;
    size_t envelope_bytes;
};

/* Errors: anything but 0 stops the flush; the envelope stays. The n-th publish since the last
 * reset is tag n. */
typedef int outbox_publish(void *ctx, const char *queue, struct slice body, uint64_t sequence,
                           struct broker_header header);

/* `schema` and `topology` outlive it. */
struct outbox *outbox_new(const struct envelope_schema *schema, const struct topology *topology,
                          const struct outbox_limits *limits, outbox_publish *publish, void *ctx);
void outbox_free(struct outbox *o); /* NULL is fine; forgets what is left */

void outbox_add(struct outbox *o, unsigned queue, const struct message *m,
                broker_on_confirm *on_confirm, void *ctx);
void outbox_park(struct outbox *o, unsigned queue, struct slice body, const char *reason,
                 broker_on_confirm *on_confirm, void *ctx);

void outbox_give_back(struct outbox *o, unsigned queue, struct slice body, unsigned returns,
                      broker_on_confirm *on_confirm, void *ctx);

/* Publishes while the window has room. room_bytes: what the connection takes without waiting. */
void outbox_flush(struct outbox *o, size_t room_bytes, int64_t now_ms);

/* Is the oldest envelope that is out overdue: not confirmed for patience_ms, doubled for each time
 * that it was so before? */
bool outbox_is_overdue(const struct outbox *o, int64_t patience_ms, int64_t now_ms);
/* It is, and its connection is given up for it. */
void outbox_give_up(struct outbox *o);

/* Tags that are not out are ignored. on_confirm may add and park, not flush.
 * Returns the number of commands confirmed. Those nacked or returned are kept back until
 * outbox_release. */
uint64_t outbox_confirm(struct outbox *o, uint64_t tag, bool is_multiple, bool is_ack);
/* The broker could not route it. Errors: false when it is not out. */
bool outbox_return(struct outbox *o, uint64_t sequence);
bool outbox_has_kept_back(const struct outbox *o);
void outbox_release(struct outbox *o); /* what was kept back is to be published again */

/* A new connection: all that is out is published again, oldest first; tags start over. */
void outbox_reset(struct outbox *o);

uint64_t outbox_unconfirmed(const struct outbox *o); /* commands */

#endif
