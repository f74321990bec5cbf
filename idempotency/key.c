/* Idempotency-Key: from the header's text to the claim in the store, and back.
 *
 *   key --FNV-1a--> slot --.
 *   slow clock --> day -----+--> kassa:keys:day:<day>:<slot>, and the same slot of the days before
 *
 * The slots keep each hash small enough for redis to grow and to drop it without a pause. */
#include "idempotency/key.h"

#include "runtime/err.h"

#define KEY_SWEEP_SLOTS 32 /* of one step; the server frees them beside its work */

bool key_parse(struct slice header, struct slice *ret_key)
{
    struct slice key = header;
    if (key.bytes >= 2 && key.data[0] == '"' && key.data[key.bytes - 1] == '"') {
        key = (struct slice){key.data + 1, key.bytes - 2};
    }
    if (key.bytes < KEY_BYTES_MIN || key.bytes > KEY_BYTES_MAX || !slice_is_id(key)) {
        return false;
    }
    *ret_key = key;
    return true;
}

static unsigned key_slot(struct slice key)
{
    uint32_t hash = slice_hash(key);
    /* The low bits of FNV-1a depend on the low bits of its input alone. */
    return (hash >> 16 ^ hash) % KEY_SLOTS;
}

void key_claim(struct args *c, struct slice key, struct slice fingerprint, struct slice command_id,
               int64_t days)
{
    args_reset(c);
    library_call(c, &key_library, "key_claim", 0);
    args_add(c, key);
    args_add(c, command_id);
    args_add(c, fingerprint);
    args_int(c, key_slot(key));
    args_int(c, days);
}

void key_release(struct args *c, struct slice key, struct slice command_id, int64_t days)
{
    args_reset(c);
    library_call(c, &key_library, "key_release", 0);
    args_add(c, key);
    args_add(c, command_id);
    args_int(c, key_slot(key));
    args_int(c, days);
}

void key_sweep(struct args *c, int64_t days, const char *seen, int64_t rise_ms, const char *cursor)
{
    library_call(c, &key_library, "key_sweep", 0);
    args_int(c, days);
    args_text(c, seen);
    args_int(c, rise_ms);
    args_int(c, KEY_SWEEP_SLOTS);
    args_text(c, cursor);
}

int key_claim_read(struct texts reply, enum key_claimed *ret_claimed, struct slice *ret_command_id)
{
    static const struct {
        const char *text;
        enum key_claimed claimed;
    } answers[] = {{"new", KEY_NEW}, {"known", KEY_KNOWN}, {"mismatch", KEY_MISMATCH}};
    if (reply.count != 2) {
        return -ERR_RECORD;
    }
    struct slice status = texts_at(reply, 0);
    struct slice command_id = texts_at(reply, 1);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (slice_is(status, answers[i].text) && command_id.bytes > 0) {
            *ret_claimed = answers[i].claimed;
            *ret_command_id = command_id;
            return 0;
        }
    }
    return -ERR_RECORD;
}
