/* The way out: replies with their headers, and the metrics of them. */
#ifndef KASSA_GATEWAY_ANSWERING_H
#define KASSA_GATEWAY_ANSWERING_H

#include "gateway/reply.h"
#include "gateway/state.h"

/* Counts an answer of the route of that number (route_match.row). */
void answering_count(struct gateway *gw, unsigned row, unsigned status);

/* Answers a request that has been taken out of the table. Owns: request and reply; both are gone
 * then. */
void answering_reply(struct pending *p, struct reply reply);
/* Takes it out first. */
void answering_refuse(struct pending *p, unsigned status, const char *sentence);
/* Takes it out, and says that nothing is known. */
void answering_give_up(struct pending *p);
/* The same for one whose client has left: it is counted as left, not as answered. */
void answering_leave(struct pending *p);

/* Answer a request that was never parked. allow: NULL or "": no such header. */
void answering_refuse_now(struct gateway *gw, struct http_request *http, unsigned row,
                          unsigned status, struct slice sentence, const char *allow);
/* The cheapest of all answers: in an overload most are this one. */
void answering_turn_away(struct gateway *gw, struct http_request *http, unsigned row,
                         const struct http_answer *answer);

#endif
