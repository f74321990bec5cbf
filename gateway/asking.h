/* The way in, behind the match: a request is parked, its key is claimed, its command is sent, and
 * sent again until there is an answer.
 *
 *   asking_park --[key]--> claim --id is final--> begin --> broker, or the short way (checkout.h)
 *                            ^                                ^
 *                            '------- asking_on_tick ---------'
 * Source: protocol.md, "A checkout, from request to answer". */
#ifndef KASSA_GATEWAY_ASKING_H
#define KASSA_GATEWAY_ASKING_H

#include "gateway/front.h"
#include "gateway/state.h"

#define ASKING_TICK_MS 20 /* resolution of asking again, and of deadlines */

/* What a request's headers say that matters. */
struct asking_wanted {
    bool is_async;
    bool is_front;    /* the key is nginx' own */
    struct slice key; /* of a request that acts; absent: none */
    struct front front;
};

/* Parks a matched request and asks for it. `http` is answered later. */
void asking_park(struct gateway *gw, struct http_request *http, const struct route_match *match,
                 const struct route_text *text, const struct asking_wanted *wanted);

/* What time it is: ids follow the clock of the orders' store, which judges them; else that of the
 * keys' store. */
int64_t asking_wall_ms(const struct gateway *gw);

/* Each request that waits is asked for again, or told at its deadline that nothing is known. */
void asking_on_tick(void *ctx);

/* The command is never run, its record says so: whoever comes with the same key again begins anew.
 */
void asking_release(struct gateway *gw, const struct pending *p);
/* Asks for a withdrawn request again, under another id, that a claim of its key gives it. */
void asking_again(struct pending *p);

#endif
