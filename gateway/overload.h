/* Overload control: whether to admit one more request. Pure: the caller passes time and counts; the state
 * is these few numbers.
 *
 *          standing queue, OVERLOAD_PATIENCE windows long, more than ADMISSION_MIN in flight
 *   CALM ------------------------------------------------------------------> OVERLOADED
 *   limit PENDING_MAX  <--------------------------------------------------  limit follows the waits
 *                  each window without a 429 doubles it
 *
 * A queue is standing when even the fastest answer of a window has waited longer than
 * ADMISSION_TARGET_MS: a burst makes slow answers, too, but soon fast ones again. Then the limit
 * shrinks by a part, and grows by a smaller one while there are answers in time.
 *
 * Until then nobody is turned away, and with no more than ADMISSION_MIN clients nobody ever is:
 * clients that wait because of a fault are never turned away.
 * Source: the minimum over a window is CoDel's (RFC 8289), the two steps are TCP's (RFC 5681). */
#ifndef KASSA_GATEWAY_OVERLOAD_H
#define KASSA_GATEWAY_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/conf.h"

#define OVERLOAD_WINDOW_MS      100
#define OVERLOAD_PATIENCE       3  /* windows in a row */
#define OVERLOAD_PATIENCE_FAULT 20 /* the same, when even the fastest was retried */

/* Kinds of requests that wait equally long in calm. The first kind that has ended in a window
 * decides: a checkout goes through all services, so it sees the queue of each. */
enum overload_kind { OVERLOAD_CHECKOUT, OVERLOAD_OTHER, OVERLOAD_KINDS };

struct overload {
    unsigned limit; /* of requests in flight: one more is turned away */
    unsigned least, calm_min, most;
    int64_t target_ms;
    int64_t reask_ms;
    bool is_overloaded;
    unsigned standing; /* windows in a row with a standing queue */
    /* of the window that runs: */
    int64_t end_ms;
    int64_t fastest_ms[OVERLOAD_KINDS]; /* INT64_MAX: none has ended */
    unsigned crowd;                     /* the most that were in flight at once */
    bool has_shed;
};

void overload_init(struct overload *a, const struct gateway_conf *conf);

/* A request comes, `in_flight` others are there. Units: now_ms of a clock that only goes forward.
 */
bool overload_let_in(struct overload *a, unsigned in_flight, int64_t now_ms);

/* A request of this kind was answered; `in_flight` others are still there. */
void overload_ended(struct overload *a, enum overload_kind kind, int64_t wait_ms,
                    unsigned in_flight, int64_t now_ms);

/* The limit as it is now, to be shown. */
unsigned overload_limit(struct overload *a, unsigned in_flight, int64_t now_ms);

#endif
