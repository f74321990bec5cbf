/* Lines of a text. */
#include "store/info.h"

#include <string.h>

bool info_number(struct slice info, const char *name, int64_t *ret_value)
{
    size_t name_bytes = strlen(name);
    const char *at = info.data, *end = info.data + info.bytes;
    while (at != NULL && (size_t)(end - at) > name_bytes) {
        if (memcmp(at, name, name_bytes) == 0 && at[name_bytes] == ':') {
            const char *text = at + name_bytes + 1;
            size_t bytes = 0;
            while (text + bytes < end && text[bytes] != '\r' && text[bytes] != '\n') {
                bytes++;
            }
            return slice_int64((struct slice){text, bytes}, ret_value);
        }
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    return false;
}
