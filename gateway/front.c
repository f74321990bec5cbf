/* Reads the name, and makes an id of it. See front.h. */
#include "gateway/front.h"

#include <string.h>

#define MS_DIGITS      3
#define SECONDS_DIGITS 12 /* at most: an id has 48 bits of ms */

bool front_read(struct slice header, struct front *ret_front)
{
    struct slice rest = header, time, seconds;
    int64_t s, ms;
    if (!slice_cut(&rest, '-', &time) || rest.bytes != FRONT_KEY_BYTES) {
        return false;
    }
    for (size_t i = 0; i < rest.bytes; i++) {
        if (hex_digit(rest.data[i]) < 0) {
            return false;
        }
    }
    if (!slice_cut(&time, '.', &seconds) || seconds.bytes > SECONDS_DIGITS ||
        time.bytes != MS_DIGITS || !slice_int64(seconds, &s) || !slice_int64(time, &ms) || s < 0 ||
        ms < 0 || s >= ((int64_t)1 << UUID_MS_BITS) / 1000) {
        return false;
    }
    *ret_front = (struct front){.made_ms = s * 1000 + ms, .key = rest};
    return true;
}

struct uuid front_id(const struct front *front, bool is_kept)
{
    unsigned char bytes[FRONT_KEY_BYTES / 2];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(hex_digit(front->key.data[2 * i]) << 4 |
                                   hex_digit(front->key.data[2 * i + 1]));
    }
    return uuid_of(front->made_ms, bytes, is_kept);
}
