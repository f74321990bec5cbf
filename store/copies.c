/* Counts, names and one clock: no input or output. */
#include "store/copies.h"

#include <stdio.h>
#include <string.h>

#include "runtime/buf.h"

/* ---- who the master is ---- */

static bool copies_are_most(const struct copies *c, uint32_t sentinels)
{
    return (unsigned)__builtin_popcount(sentinels) * 2 > c->sentinels;
}

static bool copies_are_late(const struct copies *c, int64_t now_ms)
{
    return c->short_ms > 0 && now_ms - c->short_ms >= c->degrade_ms;
}

/* The time starts over, if one is missing then. */
static void copies_restart(struct copies *c)
{
    c->short_ms = 0;
    c->named_lately = 0;
    c->comings = 0;
}

void copies_lost(struct copies *c)
{
    c->named = 0;
    copies_restart(c);
}

void copies_named(struct copies *c, const char *node, unsigned sentinel, int64_t now_ms)
{
    uint32_t bit = 1u << (sentinel % 32);
    if (strcmp(c->master, node) != 0) {
        copies_lost(c);
        c->is_successor = c->home[0] && strcmp(c->home, node) != 0;
        c->which = 0;
        snprintf(c->master, sizeof(c->master), "%s", node);
    }
    c->named |= bit;
    c->named_lately |= copies_are_late(c, now_ms) ? bit : 0;
}

/* ---- who its replicas are ---- */

static bool copies_is(const char *node, const char *doubt)
{
    return strncmp(node, doubt, strlen(doubt)) == 0;
}

/* Is the address of host:port on the list? */
static bool copies_is_kept(const struct copies *c, const char *node)
{
    struct slice rest = slice_from(c->with), one;
    size_t bytes = strcspn(node, ":");
    while (slice_cut(&rest, ' ', &one)) {
        if (one.bytes == bytes && memcmp(one.data, node, bytes) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned copies_kept_count(const struct copies *c)
{
    struct slice rest = slice_from(c->with), one;
    unsigned count = 0;
    while (slice_cut(&rest, ' ', &one)) {
        count++;
    }
    return count;
}

void copies_kept(struct copies *c, struct slice with)
{
    bool is_long = with.bytes >= sizeof(c->with);
    slice_copy(is_long ? SLICE_TEXT("long") : with, c->with, sizeof(c->with));
}

void copies_list_add(struct copies_list *l, const struct copies *c, const char *node)
{
    bool is_unsure = copies_is(node, COPIES_UNSURE);
    if (is_unsure || copies_is(node, COPIES_IN_DOUBT)) {
        l->doubtful++;
        l->unsure += is_unsure;
        return;
    }
    l->count++;
    l->kept += copies_is_kept(c, node);
    l->which += slice_hash(slice_from(node));
    l->has_home = l->has_home || strcmp(node, c->home) == 0;
}

static void copies_are_whole(struct copies *c)
{
    copies_restart(c);
    c->which = 0;
    c->is_successor = false;
    memcpy(c->home, c->master, sizeof(c->home));
}

void copies_listed(struct copies *c, const struct copies_list *l)
{
    c->doubted = c->doubtful;
    c->doubtful = l->doubtful;
    c->unsure = l->unsure;
    c->is_written =
        c->with[0] == '\0' || l->kept + copies_is_kept(c, c->master) >= copies_kept_count(c);
    if (l->count >= c->all) {
        copies_are_whole(c);
        return;
    }
    if (l->unsure > 0) {
        copies_restart(c); /* it may be promoted: it is not missing */
    }
    if (l->has_home) {
        c->is_successor = false; /* so it is another one that is missing */
    }
    if (l->count > 0) {
        if (c->which != 0 && c->which != l->which) {
            copies_restart(c); /* others than before */
        }
        c->which = l->which;
    }
}

/* Of the first time it is only known that nobody comes unnoticed from now on. Whose coming it was
 * nobody knows; while none is listed, it is the other one that follows a successor. */
void copies_came(struct copies *c, int64_t comings, int64_t now_ms)
{
    bool is_same = comings >= 0 && c->comings == comings + 1;
    if (!is_same && c->comings != 0 && c->which != 0) {
        c->is_successor = false;
    }
    if (!is_same && c->short_ms > 0) {
        copies_restart(c);
        c->short_ms = now_ms;
    }
    c->comings = comings + 1;
}

bool copies_are_missing(const struct copies *c)
{
    return c->short_ms > 0;
}

/* ---- how many have it ---- */

unsigned copies_needed(const struct copies *c, int64_t now_ms)
{
    bool is_sure = (c->is_successor && copies_are_most(c, c->named)) ||
                   (copies_are_late(c, now_ms) && copies_are_most(c, c->named_lately));
    return c->unsure == 0 && c->is_written && c->short_ms > 0 && c->have > 0 && is_sure ? c->have
                                                                                        : c->all;
}

unsigned copies_asked(const struct copies *c, unsigned needed)
{
    unsigned asked = needed + c->doubtful;
    return asked < c->all ? asked : c->all;
}

/* Of those that have it so many may be doubtful: by the list before the WAIT, or the one behind. */
static unsigned copies_sure(const struct copies *c, unsigned count)
{
    unsigned doubtful = c->doubtful > c->doubted ? c->doubtful : c->doubted;
    return count > doubtful ? count - doubtful : 0;
}

bool copies_counted(struct copies *c, unsigned needed, unsigned count, int64_t now_ms)
{
    count = copies_sure(c, count);
    bool is_enough = count >= needed && count >= copies_needed(c, now_ms);
    c->have = count;
    if (count >= c->all) {
        copies_are_whole(c);
    } else if (c->short_ms == 0) {
        c->short_ms = now_ms;
    }
    return is_enough;
}

void copies_tell(const struct copies *c, struct buf *out)
{
    buf_addf(out, "%u of %u replicas have what was written", c->have, c->all);
    if (c->unsure > 0) {
        buf_addf(out, "; %u of them may be promoted, and may not have it on disk", c->unsure);
    } else if (!c->is_written) {
        buf_addf(out,
                 "; %s had all that was answered, and must follow this master, or redis.sh trust "
                 "at one of them makes it the truth",
                 c->with);
    }
}
