/* Few are parked at all, so looking through the ring costs nothing that matters. */
#include "consumer/flood.h"

bool flood_lets_line(struct flood_lines *lines, int64_t now_ms, unsigned *ret_left_out)
{
    if (now_ms < lines->next_ms) {
        lines->left_out++;
        return false;
    }
    *ret_left_out = lines->left_out;
    *lines = (struct flood_lines){.next_ms = now_ms + FLOOD_LINE_MS};
    return true;
}

bool flood_was_parked(struct flood_parked *parked, enum message_type type, struct slice id,
                      int64_t now_ms)
{
    struct flood_command *command = NULL;
    bool was_parked = false;
    for (unsigned i = 0; i < FLOOD_PARKED_MAX && !command; i++) {
        struct flood_command *one = &parked->last[i];
        if (one->until_ms != 0 && one->type == type && slice_is(id, one->id)) {
            command = one;
            was_parked = now_ms < one->until_ms;
        }
    }
    if (!command) {
        command = &parked->last[parked->next];
        parked->next = (parked->next + 1) % FLOOD_PARKED_MAX;
        command->type = type;
        slice_copy(id, command->id, sizeof(command->id));
    }
    command->until_ms = now_ms + FLOOD_PARKED_MS;
    return was_parked;
}
