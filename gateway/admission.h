/* Admission: whether one more request is let in. Pure: time and counts are told, nothing is kept
 * but these few numbers.
 *
 *          standing queue, ADMISSION_PATIENCE windows long, more than ADMISSION_MIN in flight
 *   CALM ------------------------------------------------------------------> OVERLOADED
 *   limit PENDING_MAX  <--------------------------------------------------  limit follows the waits
 *                  each window that turns nobody away doubles it
 *
 * A queue is standing when even the fastest answer of a window has waited longer than
 * ADMISSION_TARGET_MS: a burst makes slow answers, too, but soon fast ones again. Then the limit
 * shrinks by a part, and grows by a smaller one while there are answers in time.
 *
 * Until then nobody is turned away, and with no more than ADMISSION_MIN clients nobody ever is:
 * those of a fault have to wait, whatever the waits are.
 * Source: the minimum over a window is CoDel's (RFC 8289), the two steps are TCP's (RFC 5681). */
#ifndef KASSA_GATEWAY_ADMISSION_H
#define KASSA_GATEWAY_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/conf.h"

#define ADMISSION_WINDOW_MS      100
#define ADMISSION_PATIENCE       3  /* windows in a row */
#define ADMISSION_PATIENCE_FAULT 20 /* the same, when the fastest was asked for more than once */

/* What waits equally long when nothing is wrong. The first kind that has ended in a window tells of
 * it: a checkout goes through all services, so it sees the queue of each. */
enum admission_kind { ADMISSION_CHECKOUT, ADMISSION_OTHER, ADMISSION_KINDS };

struct admission {
    unsigned limit; /* of requests in flight: one more is turned away */
    unsigned least, calm_min, most;
    int64_t target_ms;
    int64_t reask_ms;
    bool is_overloaded;
    unsigned standing; /* windows in a row with a standing queue */
    /* of the window that runs: */
    int64_t end_ms;
    int64_t fastest_ms[ADMISSION_KINDS]; /* INT64_MAX: none has ended */
    unsigned crowd;                      /* the most that were in flight at once */
    bool has_shed;
};

void admission_init(struct admission *a, const struct gateway_conf *conf);

/* A request comes, `in_flight` others are there. Units: now_ms of a clock that only goes forward.
 */
bool admission_let_in(struct admission *a, unsigned in_flight, int64_t now_ms);

/* A request of this kind was answered; `in_flight` others are still there. */
void admission_ended(struct admission *a, enum admission_kind kind, int64_t wait_ms,
                     unsigned in_flight, int64_t now_ms);

/* The limit as it is now, to be shown. */
unsigned admission_limit(struct admission *a, unsigned in_flight, int64_t now_ms);

#endif
