/* See record.h. */
#include "consumer/record.h"

struct record record_read(struct slice text)
{
    struct record record = {0};
    slice_cut(&text, '|', &record.outcome);
    for (unsigned i = 0; i < RECORD_DETAILS_MAX; i++) {
        if (!slice_cut(&text, '|', &record.detail[i])) {
            break;
        }
    }
    return record;
}

struct record record_of(struct texts reply)
{
    return record_read(texts_at(reply, 0));
}

int64_t record_int(struct slice detail)
{
    int64_t value;
    return slice_int64(detail, &value) && value >= 0 ? value : -1;
}
