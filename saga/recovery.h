/* Recovery: re-sends unanswered commands, cancels sagas that took too long, raises the alarm for
 * a compensation that does not succeed.
 *
 * Each process of the orchestrator leases due sagas every RECOVERY_MS: the lease moves a saga's due
 * time forward in the store, so that no other process has it until then, and a process that wakes
 * from a pause finds its lease gone and its compare-and-set refused. Source: protocol.md, "The
 * journal is the truth", "Re-send, lease, deadline", "The windows" (5, 6, 14). */
#ifndef KASSA_SAGA_RECOVERY_H
#define KASSA_SAGA_RECOVERY_H

#include "saga/driver.h"

#define RECOVERY_MS      200
#define RECOVERY_IDLE_MS 1000 /* the same while no saga is open; at most SAGA_RESEND_MS */
#define RECOVERY_LIMIT   100  /* sagas of one lease; the next follows at once when it was full */

struct recovery;

/* Owns: the driver, until recovery_free, after the consumer's store was freed. */
struct recovery *recovery_new(struct driver *driver);
void recovery_free(struct recovery *r);

/* The event for a due saga: 0 and SAGA_EVENT_DUE (re-send), _CANCEL or _STICK.
 * Pure. Errors: -ERR_RECORD. */
int recovery_event(const struct saga_definition *def, const struct journal_record *record,
                   const struct saga_conf *conf, int64_t now_ms, enum saga_event_kind *ret_kind);

#endif
