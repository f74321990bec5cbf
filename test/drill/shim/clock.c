/* A clock that is wrong: everybody else's time and the seconds in the file `clock`. Time that only
 * goes forward (CLOCK_MONOTONIC) is left alone, as a wrong clock leaves it. */
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

#include "test/drill/shim/control.h"

static _Thread_local struct control shift = {.name = "clock"};

int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real) {
        real = control_real("clock_gettime");
    }
    int failed = real(id, t);
    if (failed == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        t->tv_sec += control_number(&shift);
    }
    return failed;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_t) {
        *ret_t = now.tv_sec;
    }
    return now.tv_sec;
}
