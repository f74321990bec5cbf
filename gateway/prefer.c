/* The Prefer header of a request: of all preferences, one is known here. */
#include "gateway/prefer.h"

#include <string.h>
#include <strings.h>

static bool prefer_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool prefer_async(struct slice header)
{
    const struct slice wanted = SLICE_TEXT("respond-async");
    struct slice preference, name;
    while (slice_cut(&header, ',', &preference)) {
        slice_cut(&preference, ';', &name);
        while (name.bytes > 0 && prefer_is_blank(name.data[0])) {
            name = (struct slice){name.data + 1, name.bytes - 1};
        }
        while (name.bytes > 0 && prefer_is_blank(name.data[name.bytes - 1])) {
            name.bytes--;
        }
        if (name.bytes == wanted.bytes && strncasecmp(name.data, wanted.data, name.bytes) == 0) {
            return true;
        }
    }
    return false;
}
