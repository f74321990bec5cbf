/* The way back: what an answer from inside means for those who wait for it. */
#ifndef KASSA_GATEWAY_HEARING_H
#define KASSA_GATEWAY_HEARING_H

#include "runtime/buf.h"

struct message;

/* ctx is the gateway. An envelope with answers has come on the gateway's channel. */
void hearing_on_notice(void *ctx, struct slice payload);
/* One of them, or an answer to a checkout that went the short way. */
void hearing_on_answer(void *ctx, const struct message *answer);

#endif
