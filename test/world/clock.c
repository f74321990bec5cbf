/* Wall clocks: one for each node, and one for the servers of each group. They tell the true time,
 * until some jump, and jump back. */
#include <string.h>

#include "test/world/world.h"

#define WALL_MS     INT64_C(1700000000000)
#define CLOCKS_MAX  (WORLD_NODES_MAX + 8)
#define JUMP_MS_MAX 3000 /* how long one is wrong */

struct clock {
    const char *name;
    int64_t ahead_ms;
};

static struct {
    struct clock at[CLOCKS_MAX];
    unsigned count;
} clocks;

void clock_world_reset(void)
{
    memset(&clocks, 0, sizeof(clocks));
}

static struct clock *clock_named(const char *name)
{
    for (unsigned i = 0; i < clocks.count; i++) {
        if (strcmp(clocks.at[i].name, name) == 0) {
            return &clocks.at[i];
        }
    }
    clocks.at[clocks.count].name = name;
    return &clocks.at[clocks.count++];
}

int64_t clock_true_ms(void)
{
    return WALL_MS + world.now_us / 1000;
}

int64_t clock_ms(const char *name)
{
    return clock_true_ms() + clock_named(name)->ahead_ms;
}

static void on_right(void *ctx)
{
    struct clock *c = ctx;
    c->ahead_ms = 0;
    world_say("the clock of %s is right again", c->name);
}

static void on_jump(void *ctx)
{
    static const int64_t hour_ms = 3600 * 1000;
    const int64_t jumps_ms[] = {7000, hour_ms, 9 * 24 * hour_ms, -9 * 24 * hour_ms};
    struct clock *c = &clocks.at[world_random(clocks.count)];
    (void)ctx;
    c->ahead_ms = jumps_ms[world_random(4)];
    world_say("the clock of %s jumps by %lld s", c->name, (long long)c->ahead_ms / 1000);
    world_after(NULL, 200000 + (int64_t)world_random(JUMP_MS_MAX) * 1000, on_right, c);
}

void clock_world_jump(unsigned jumps, int64_t until_us)
{
    for (; jumps > 0; jumps--) {
        world_after(NULL, (int64_t)world_random((uint32_t)until_us), on_jump, NULL);
    }
}
