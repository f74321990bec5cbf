/* Replays: one process of the orchestrator at a time sends the sagas' commands to a participant
 * whose store may have lost its tail again, in small steps. Source: protocol.md, "Sending it
 * again". */
#ifndef KASSA_SAGA_RESTORE_H
#define KASSA_SAGA_RESTORE_H

#include "saga/driver.h"

#define RESTORE_TICK_MS     500
#define RESTORE_LIMIT       100  /* records looked at in one call: it holds the store for 1 ms */
#define RESTORE_BURST       1000 /* commands; then others have their turn until the next tick */
#define RESTORE_CALLS       100 /* likewise: a busy store has millions of records to look through */
#define RESTORE_SETTLE_MS   2000 /* between the passes: confirmed is not done yet */
#define RESTORE_PATIENCE_MS 5000 /* a journal that stands still for so long has no holder */

/* Handler: a participant announces that its store may have lost its tail. It writes the journal of
 * the replay, or widens the existing one. */
int restore_record(struct consumer_work *work, struct args *call);
enum consumer_next restore_answer(struct consumer_work *work, struct texts reply);

struct restore;

/* Carries out what the journals say. Owns: the driver, until restore_free, after the store. */
struct restore *restore_new(struct driver *driver);
void restore_free(struct restore *r); /* NULL is fine */

#endif
