/* A participant of sagas announces that its store came back as another server: a replica that
 * was promoted without the tail, or a restart from an older copy. So nothing stays lost.
 *
 *   <name>:run  "<run id>|<ms since 1970>", in the store itself: the server's run at the last
 *               announcement, and the time up to which the store has all records
 *
 *   store up --> whose run is it? --the one of <name>:run--> write it each PULSE_MS, with the time
 *                    ^         '--another--> order.replay, since that time
 *                    '---- written, with this run <---confirmed---'
 *
 * Since that time, or since the newest of its records if that is earlier: the process that
 * writes the key may have a clock that is ahead.
 *
 * The store itself holds the mark, so neither a crash of this process nor a loss of that very
 * key can hide that an announcement is due; the worst is one too many, whose commands find their
 * records.
 * Source: protocol.md, "Announcing it". */
#ifndef KASSA_CONSUMER_ANNOUNCE_H
#define KASSA_CONSUMER_ANNOUNCE_H

#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "store/store.h"

#define ANNOUNCE_PULSE_MS 5000

struct announce;

/* Owns: the consumer, until announce_free. `name` is the service's, static text; `queue` that of
 * the orchestrator, which replays what may have been lost. */
struct announce *announce_new(struct loop *loop, struct store *store, struct broker *broker,
                              const char *name, enum queue queue);
void announce_free(
    struct announce *a); /* NULL is fine; after the store and the broker were freed */

#endif
