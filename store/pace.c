/* The pace of reconnecting. No clock and no dice of its own, so that tests need no patience. */
#include "store/pace.h"

#include <stdio.h>
#include <string.h>

void pace_up(struct pace *p, int64_t now_ms)
{
    p->up_since_ms = now_ms;
}

int64_t pace_lost(struct pace *p, int64_t now_ms, uint32_t dice)
{
    /* A store that answers the greeting and then fails each time must not be met in a tight
     * loop: only one that was up for a while is forgiven. */
    if (p->up_since_ms != 0 && now_ms - p->up_since_ms >= PACE_STEADY_MS) {
        p->attempts = 0;
    }
    p->up_since_ms = 0;
    unsigned attempt = p->attempts;
    if (p->attempts < 16) {
        p->attempts++;
    }
    if (attempt == 0) {
        return 0;
    }
    int64_t most_ms = (int64_t)PACE_FIRST_MS << (attempt - 1);
    most_ms = most_ms < PACE_MAX_MS ? most_ms : PACE_MAX_MS;
    return most_ms / 2 + (int64_t)(dice % (uint32_t)(most_ms / 2 + 1));
}

bool pace_tell(struct pace *p, int64_t now_ms, const char *reason)
{
    if (strncmp(p->told, reason, sizeof(p->told) - 1) == 0 && p->told_ms != 0 &&
        now_ms - p->told_ms < PACE_TELL_MS) {
        return false;
    }
    snprintf(p->told, sizeof(p->told), "%s", reason);
    p->told_ms = now_ms;
    return true;
}
