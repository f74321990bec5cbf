/* See releases.h. */
#include "test/lib/releases.h"

#include <stddef.h>

#include "catalogue/kind.h"

static const struct envelope_field fields[] = {
    {"number", 6, offsetof(struct message, number), &kind_INT},
    {"mood", 4, offsetof(struct message, mood), &kind_VALUE},
};

static const struct envelope_type types[] = {
    {"", 0, 0},
    {"note", 4, RELEASES_HAS_NUMBER},
    {"news", 4, RELEASES_HAS_NUMBER},
};

#define RELEASE(min, max, written, field_count, type_count)                                        \
    {                                                                                              \
        min, max, written, fields, field_count, types, type_count, sizeof(struct message)          \
    }

const struct envelope_schema releases[RELEASE_COUNT] = {
    [RELEASE_BEFORE] = RELEASE(2, 2, 2, 1, 2),
    [RELEASE_READS] = RELEASE(2, 3, 2, 2, 3),
    [RELEASE_WRITES] = RELEASE(2, 3, 3, 2, 3),
};

struct message releases_message(enum release release, int64_t n)
{
    struct message m = {.type = RELEASES_NOTE, .has = RELEASES_HAS_NUMBER, .number = n};
    if (release == RELEASE_WRITES && n % 2 == 0) {
        m.type = RELEASES_NEWS;
    } else if (release == RELEASE_WRITES) {
        m.has |= RELEASES_HAS_MOOD;
        m.mood = SLICE_TEXT("\"gl\xc3\xbc"
                            "cklich\"");
    }
    return m;
}
