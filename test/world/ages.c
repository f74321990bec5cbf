/* Time leaps. See ages.h. */
#include "test/world/ages.h"

#include <stdlib.h>
#include <string.h>

#include "idempotency/once.h"
#include "test/world/environment.h"
#include "test/world/group.h"
#include "test/world/shop.h"

#define LIFE_S   600                /* of records: the least that there is */
#define LEAP_US  INT64_C(400000000) /* two of them are more than that */
#define QUIET_US INT64_C(4000000)   /* of calm, before the first */
#define LOOK_US  INT64_C(6000000)   /* between the two: each process looks what has to be kept */
#define AGAIN_US INT64_C(14000000)  /* the second storm */
#define STILL_US INT64_C(1500000)   /* before the end of the first storm, at most */
#define WAKE_US  INT64_C(8000000)   /* behind the second leap, at most */

static struct {
    bool is_on, is_over;
    int64_t leapt_ms; /* what was made before that is old; by true time since 1970 */
    uint64_t old;     /* records then */
} ages;

void ages_make(bool may_last)
{
    memset(&ages, 0, sizeof(ages));
    ages.is_on = may_last && world_random(4) == 0;
    ages.is_over = !ages.is_on;
    if (ages.is_on) {
        environment_set("RECORDS_SECONDS", LIFE_S);
        world.chances.stale = 20 + world_random(100);
    }
}

bool ages_are_over(void)
{
    return ages.is_over;
}

struct count {
    uint64_t old_records, floors;
};

static void on_field(void *ctx, const char *key, const char *field, const char *value)
{
    struct count *count = ctx;
    const char *at = strstr(key, ":once:");
    size_t bytes = strlen(key);
    count->floors += field[0] == '\0' && bytes > 6 && strcmp(key + bytes - 6, ":floor") == 0 &&
                     strcmp(value, "0") != 0;
    if (at && strtoll(at + strlen(":once:"), NULL, 16) <= once_bucket_number(ages.leapt_ms)) {
        count->old_records++;
    }
}

static struct count count_now(void)
{
    struct count count = {0};
    store_each(on_field, &count);
    return count;
}

static void on_calm(void *ctx)
{
    (void)ctx;
    world.is_calm = true;
    ages.is_over = true;
    world_say("calm again");
}

static void on_second_leap(void *ctx)
{
    (void)ctx;
    world_say("time leaps");
    world_leap(LEAP_US);
    world.is_calm = false;
    group_world_storm();
    broker_world_stale(AGAIN_US);
    shop_again(AGAIN_US);
    clock_world_jump(world.chances.clocks, AGAIN_US);
    world_after(NULL, AGAIN_US, on_calm, NULL);
}

static void on_first_leap(void *ctx)
{
    (void)ctx;
    world_say("time leaps");
    ages.leapt_ms = clock_true_ms();
    ages.old = count_now().old_records;
    world_leap(LEAP_US);
    world_after(NULL, LOOK_US, on_second_leap, NULL);
}

/* `ctx`: the service's name. */
static void on_still(void *ctx)
{
    const char *service = ctx;
    int64_t still_us =
        STILL_US + QUIET_US + LEAP_US + LOOK_US + LEAP_US + (int64_t)world_random(WAKE_US);
    for (unsigned i = 0; i < world.node_count; i++) {
        struct node *node = &world.nodes[i];
        if (node->is_up && strcmp(node->service->name, service) == 0) {
            node_stand_still(node, still_us);
        }
    }
}

void ages_begin(int64_t storm_us)
{
    static char payment[] = "payment", stock[] = "stock";
    if (!ages.is_on) {
        return;
    }
    world_after(NULL, storm_us + QUIET_US, on_first_leap, NULL);
    if (world_random(2) == 0) {
        world_after(NULL, storm_us - world_random(STILL_US), on_still,
                    world_random(2) == 0 ? payment : stock);
    }
}

void ages_count(struct ages_seen *seen)
{
    if (ages.is_on) {
        seen->runs++;
        struct count count = count_now();
        /* sagas that were open have left more behind */
        seen->dropped += ages.old > count.old_records ? ages.old - count.old_records : 0;
        seen->floors += count.floors;
        seen->packed += store_packed();
        seen->refused += world.refusals;
    }
}
