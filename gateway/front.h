/* The name that nginx gives a request, the same at each of its tries: so the gateway that gets the
 * second try sends the same command as the first one, and nothing has to be stored for it.
 *
 *   Kassa-Request: <seconds since 1970>.<3 digits of ms>-<32 hex digits>
 *                          '--> the command's id, a UUIDv7 of that time
 *
 * nginx overwrites what a client sends under that name. The digits are its request
 * id, which it also sends as Idempotency-Key where the client has sent none, for gateways of the
 * version before this one. Pure. Source: protocol.md, "What nginx repeats";
 * deploy/nginx/nginx.conf. */
#ifndef KASSA_GATEWAY_FRONT_H
#define KASSA_GATEWAY_FRONT_H

#include "runtime/uuid.h"

#define FRONT_HEADER    "Kassa-Request"
#define FRONT_KEY_BYTES 32
#define FRONT_AHEAD_MS  3600000

struct front {
    int64_t made_ms;  /* since 1970, by nginx' clock */
    struct slice key; /* the digits; borrowed from the header */
};

/* Errors: false for anything else than such a name. */
bool front_read(struct slice header, struct front *ret_front);

/* The id of the request's command; kept: as uuid_make_kept. */
struct uuid front_id(const struct front *front, bool is_kept);

#endif
