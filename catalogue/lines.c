/* See lines.h. */
#include "catalogue/lines.h"

#define LINES_QUANTITY_MAX ((INT64_C(1) << 53) - 1) /* what Lua's numbers carry exactly */

bool lines_next(struct slice *rest, struct slice *ret_item, int64_t *ret_quantity)
{
    if (rest->bytes == 0) {
        return false;
    }
    struct slice ahead = *rest;
    struct slice line;
    struct slice item;
    int64_t quantity;
    if (!slice_cut(&ahead, ',', &line) || !slice_cut(&line, '*', &item) || !slice_is_id(item) ||
        !slice_int64(line, &quantity) || quantity < 1 || quantity > LINES_QUANTITY_MAX) {
        return false;
    }
    if (ahead.data != NULL && ahead.bytes == 0) {
        return false; /* a comma with nothing behind it */
    }
    *rest = ahead;
    *ret_item = item;
    *ret_quantity = quantity;
    return true;
}

/* An item twice would be checked twice against the same pieces, and taken twice. */
bool lines_are_valid(struct slice lines)
{
    struct slice items[LINES_MAX];
    int64_t quantity;
    unsigned count = 0;
    while (count < LINES_MAX && lines_next(&lines, &items[count], &quantity)) {
        for (unsigned i = 0; i < count; i++) {
            if (slice_equal(items[i], items[count])) {
                return false;
            }
        }
        count++;
    }
    return lines.bytes == 0;
}
