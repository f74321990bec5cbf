/* The sweep of a service, as its process makes it (idempotency/once.h), for the tests of test/live.
 */
#ifndef KASSA_TEST_SWEEPS_H
#define KASSA_TEST_SWEEPS_H

#include "idempotency/once.h"
#include "test/lib/rig.h"

#define SWEEPS_DAY_MS (INT64_C(24) * 3600 * 1000)
#define SWEEPS_ANY    (400 * SWEEPS_DAY_MS) /* time that has passed: as much as you like */
#define SWEEPS_ALL    "99999999999"         /* no saga is open */

extern const struct once_life sweeps_life; /* 8 days, and 16 of what a client's key stands for */

int64_t sweeps_now_ms(void); /* of the machine, in whole seconds */
/* The name of an id's bucket, as it stands in <service>:buckets; and its number. */
const char *sweeps_bucket_name(const char *service, const char *id);
int64_t sweeps_bucket_number(const char *service, const char *id);

/* One step; the slow clock that it leaves. */
const char *sweeps_step(struct rig *s, const char *service, const char *keep, const char *seen,
                        int64_t rise_ms, int64_t limit, const char *cursor);
/* Until nothing is left; how many steps that took. */
unsigned sweeps_all(struct rig *s, const char *service, int64_t limit);
const char *sweeps_floor(struct rig *s, const char *service); /* "": none yet */
/* The floor follows the ids as well as the clock: so there is one of now. */
void sweeps_young(struct rig *s, const char *service);

#endif
