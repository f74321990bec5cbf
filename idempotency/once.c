/* Where the record of a command lies: the bucket is a function of the time in the command id, so
 * every repetition of a command, by whomever, looks into the same one. */
#include "idempotency/once.h"

#include "runtime/err.h"
#include "runtime/uuid.h"

#define ONCE_DAY_MS INT64_C(86400000)
/* Clocks differ by seconds. An id from further ahead is made up, and its record would outlive
 * all others. */
#define ONCE_AHEAD_MS ONCE_DAY_MS

int once_bucket(struct slice command_id, int64_t wall_ms, char ret_bucket[10])
{
    int64_t made_ms;
    if (!uuid_time_ms(command_id, &made_ms) || made_ms - wall_ms > ONCE_AHEAD_MS) {
        return -ERR_FIELD;
    }
    if (wall_ms - made_ms > ONCE_RECORD_DAYS * ONCE_DAY_MS) {
        return -ERR_TOO_OLD;
    }
    /* Printed from the number, so that A and a do not name two buckets. */
    uint64_t bucket = (uint64_t)made_ms >> ONCE_BUCKET_SHIFT;
    for (unsigned i = ONCE_BUCKET_TEXT_BYTES; i-- > 0; bucket >>= 4) {
        ret_bucket[i] = "0123456789abcdef"[bucket & 15];
    }
    ret_bucket[ONCE_BUCKET_TEXT_BYTES] = '\0';
    return 0;
}
