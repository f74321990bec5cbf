/* Replays: what sagas have done at a participant whose store may have lost its tail is sent again,
 * in small steps, by one order process at a time. Source: protocol.md section 3.5. */
#ifndef KASSA_ORDER_REPLAY_H
#define KASSA_ORDER_REPLAY_H

#include "saga/consumer.h"

#define REPLAY_TICK_MS     500
#define REPLAY_LIMIT       100 /* records looked at in one call: the store is held for a millisecond */
#define REPLAY_BURST       1000 /* commands; then the others have until the next tick */
#define REPLAY_CALLS       100  /* likewise: a busy store has millions of records to look through */
#define REPLAY_SETTLE_MS   2000 /* between the passes: confirmed is not done yet */
#define REPLAY_PATIENCE_MS 5000 /* a journal that stands still for so long has nobody */

/* Handler: order.replay, a participant whose store may have lost its tail. It writes the journal of
 * the replay, or widens the one that is there. */
int checkout_replay_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next checkout_replay_answer(struct consumer_work *work,
                                          const struct redis_reply *reply);

/* Carries out what the journals say. Owns: the consumer, until replays_free, after its store. */
struct replays *replays_new(struct consumer *consumer);
void replays_free(struct replays *r); /* NULL is fine */

#endif
