/* Idempotency-Key of HTTP requests (IETF draft-ietf-httpapi-idempotency-key-header).
 *
 * A key names a command id, for good: the first request with a key gives the key its own command
 * id; each later one with the same key sends that command again, and the once-record of the
 * service answers it. So the answer is stored where the effect is, in the same atomic step, and
 * what is stored here is one field: key -> command id and a fingerprint of method and path.
 *
 * Keys lie in hashes kassa:keys:day:<day>:<slot>, by the slow clock of the store; a claim looks
 * into as many days as a key lives, and whole hashes are dropped: no Redis key for each request.
 * Source: protocol.md, "Idempotency keys"; README.md, "The API". */
#ifndef KASSA_IDEMPOTENCY_KEY_H
#define KASSA_IDEMPOTENCY_KEY_H

#include "store/store.h"

#define KEY_BYTES_MIN 8
#define KEY_BYTES_MAX 64
#define KEY_SLOTS     1024

extern const struct library key_library; /* Lua, for store_new */

/* The header's value: bare or in double quotes, [A-Za-z0-9_-]{8,64}.
 * Errors: false for anything else. */
bool key_parse(struct slice header, struct slice *ret_key);

/* Builds the claim. `fingerprint` is the method and the path. `days`, here and below: how long keys
 * live (IDEMPOTENCY_DAYS). */
void key_claim(struct args *c, struct slice key, struct slice fingerprint, struct slice command_id,
               int64_t days);

/* Builds the call by which the key does not stand for that command any more, whose record says that
 * it is never run. */
void key_release(struct args *c, struct slice key, struct slice command_id, int64_t days);

/* Builds a step of the sweep (sweep.h), which drops the keys of days that are over. */
void key_sweep(struct args *c, int64_t days, const char *seen, int64_t rise_ms, const char *cursor);

enum key_claimed {
    KEY_NEW,      /* the key is this request's */
    KEY_KNOWN,    /* the key has a command id: send that one again */
    KEY_MISMATCH, /* the key was used with another method or path: 422 */
};
/* Reads the claim's reply. Errors: -ERR_RECORD. */
int key_claim_read(struct texts reply, enum key_claimed *ret_claimed, struct slice *ret_command_id);

#endif
