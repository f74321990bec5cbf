/* Cuts journals, and tells stories. */
#include "test/lib/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "test/lib/rig.h"

const char *journal_part(const char *text, unsigned n)
{
    for (; n > 0; n--) {
        text = strchr(text, '|');
        if (text == NULL) {
            return "";
        }
        text++;
    }
    return text_of("%.*s", (int)strcspn(text, "|"), text);
}

const char *story_from(int64_t began_ms, const char *from_then_on)
{
    char story[512] = "", state[32];
    size_t bytes = 0;
    for (const char *at = from_then_on; *at != '\0';) {
        int64_t ms = 0;
        int retries = 0, end = 0;
        sscanf(at, "%31[^:]:%" SCNd64 ":%d%n", state, &ms, &retries, &end);
        assert_true(end > 0);
        bytes += (size_t)snprintf(story + bytes, sizeof(story) - bytes, "%s%s:%" PRId64 ":%d",
                                  bytes > 0 ? "," : "", state, began_ms + ms, retries);
        assert_true(bytes < sizeof(story));
        at += end + (at[end] == ',');
    }
    return text_of("%s", story);
}
