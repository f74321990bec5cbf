/* Counts, names and one clock: no input or output. */
#include "idempotency/copies.h"

#include <stdio.h>
#include <string.h>

static bool copies_are_confirmed(const struct copies *c)
{
    return (unsigned)__builtin_popcount(c->named) * 2 > c->sentinels;
}

unsigned copies_needed(const struct copies *c, int64_t now_ms)
{
    bool is_old_master = c->is_successor && !c->is_home_listed;
    bool is_degraded = c->short_ms > 0 && c->have > 0 && copies_are_confirmed(c) &&
                       (is_old_master || now_ms - c->short_ms >= c->degrade_ms);
    return is_degraded ? c->have : c->all;
}

static void copies_are_whole(struct copies *c)
{
    c->short_ms = 0;
    c->is_successor = false;
    memcpy(c->home, c->master, sizeof(c->home));
}

void copies_listed(struct copies *c, unsigned count, bool is_home_listed)
{
    c->is_home_listed = is_home_listed;
    if (count >= c->all) {
        copies_are_whole(c);
    }
}

bool copies_counted(struct copies *c, unsigned needed, unsigned count, int64_t now_ms)
{
    bool is_enough = count >= needed && count >= copies_needed(c, now_ms);
    c->have = count;
    if (count >= c->all) {
        copies_are_whole(c);
    } else if (c->short_ms == 0) {
        c->short_ms = now_ms;
        c->named = c->is_successor ? c->named : 0;
    }
    return is_enough;
}

void copies_named(struct copies *c, const char *node, unsigned sentinel)
{
    if (strcmp(c->master, node) != 0) {
        c->is_successor = c->home[0] && strcmp(c->home, node) != 0;
        c->short_ms = 0;
        c->named = 0;
        snprintf(c->master, sizeof(c->master), "%s", node);
    }
    c->named |= 1u << (sentinel % 32);
}
