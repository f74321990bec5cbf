/* Exactly-once effects: where records lie, and the Lua every function library begins with.
 *
 * A command's answer is stored in the same atomic function call as its effect, under the command
 * id, in a bucket hash named from the time in that id: <prefix>:once:<9 hex digits>, 4096 ms
 * each. So there is no Redis key for each saga, and records are dropped a bucket at a time,
 * ONCE_RECORD_DAYS + 1 after their time. A command older than ONCE_RECORD_DAYS is not run (its
 * record may be gone) but parked.
 * once.lua has the duplicate check, for one command and for the rows of a call (rows.h), the
 * tombstones and the exact arithmetic.
 * Source: protocol.md sections 1.2, 1.3 and 3. */
#ifndef KASSA_IDEMPOTENCY_ONCE_H
#define KASSA_IDEMPOTENCY_ONCE_H

#include "runtime/buf.h"

#define ONCE_RECORD_DAYS       7
#define ONCE_BUCKET_TEXT_BYTES 9
#define ONCE_BUCKET_SHIFT      12 /* the last 3 of the 12 hex digits of the time: 4096 ms */

/* First 9 hex digits of the UUIDv7 that the command id begins with.
 * Errors: -ERR_FIELD when it does not begin with one; -ERR_TOO_OLD (POISON). */
int once_bucket(struct slice command_id, int64_t wall_ms, char ret_bucket[10]);

#endif
