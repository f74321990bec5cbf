/* How many bytes a paid order takes when it is packed (order/paid.lua), in a real server: a hundred
 * thousand of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/orders.h"
#include "test/lib/packing.h"

#define NOW_MS ORDERS_NOW_MS
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct rig *store;

static int group_setup(void **state)
{
    (void)state;
    store = packing_new();
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    rig_free(store);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    rig_ask(store, "FLUSHALL");
    rig_ask(store, "SET", "order:schema", "2|2");
    return 0;
}

#define MANY       100000
#define BYTES_EACH 100

/* Orders as order_checkout and order_advance leave them, with the records of their sagas; ids are
 * UUIDs of users and items that are up to two years old, or the numbers of batches. */
static const char fill[] =
    "local first, last, ms0, is_batch = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), "
    "ARGV[4] == '1'\n"
    "math.randomseed(first)\n"
    "local function id(ms)\n"
    "  return string.format('%08x-%04x-7%03x-%x%03x-%06x%06x', math.floor(ms / 65536), ms % "
    "65536,\n"
    "    math.random(0, 4095), math.random(8, 11), math.random(0, 4095), math.random(0, 2^24 - "
    "1),\n"
    "    math.random(0, 2^24 - 1))\n"
    "end\n"
    "local function old(ms)\n"
    "  return is_batch and tostring(math.random(0, 99999)) or\n"
    "    id(ms - math.random(1, 730) * 86400000 - math.random(0, 86400000))\n"
    "end\n"
    "for n = first, last - 1 do\n"
    "  local ms = ms0 + n * 10\n"
    "  local saga, order = id(ms), is_batch and tostring(n) or id(ms - math.random(2000, 600000))\n"
    "  local user, total = old(ms), tostring(math.random(2, 5000))\n"
    "  local lines = old(ms) .. '*' .. math.random(1, 9) .. ',' .. old(ms) .. '*1'\n"
    "  local began = ms + math.random(0, 9)\n"
    "  redis.call('HSET', 'order:order:' .. order, 'user', user, 'total', total, 'lines', lines,\n"
    "    'journal', table.concat({saga, '1', 'PAID', '0', '0', '', id(ms) .. '/' .. saga, user,\n"
    "    total, lines, string.format('CHARGING:%.0f:0,PAID:%.0f:0', began,\n"
    "    began + math.random(5, 900))}, '|'))\n"
    "  local bucket = string.format('%09x', math.floor(ms / 4096))\n"
    "  redis.call('HSET', 'order:once:' .. bucket, saga, 'begun|' .. order .. '|' .. saga)\n"
    "  redis.call('ZADD', 'order:buckets', math.floor(ms / 4096), bucket)\n"
    "end\n";

static int64_t number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtoll(at + strlen(name), NULL, 10);
}

static int64_t used_memory(void)
{
    return number_after(rig_ask(store, "INFO", "memory"), "used_memory:");
}

/* The tables of keys and fields shrink by themselves, in the background. */
static int64_t used_memory_settled(int64_t base)
{
    int64_t used = INT64_MAX;
    for (int i = 0; i < 200 && (used - base) / MANY > BYTES_EACH; i++) {
        poll(NULL, 0, 20);
        used = used_memory();
    }
    return used;
}

/* As the server counts each bucket, its key included. And that each bucket is short and packed. */
static int64_t buckets_bytes(void)
{
    int64_t bytes = 0;
    int count = atoi(rig_ask(store, "HGET", "order:paid", "buckets"));
    assert_in_range(count, MANY / 41, MANY / 39);
    for (int i = 0; i < count; i++) {
        const char *key = text_of("order:paid:%d", i);
        bytes += strtoll(rig_ask(store, "MEMORY", "USAGE", key, "SAMPLES", "0"), NULL, 10);
        assert_in_range(atoi(rig_ask(store, "HLEN", key)), 1, 128);
        assert_string_equal(rig_ask(store, "OBJECT", "ENCODING", key), "listpack");
    }
    return bytes;
}

static void many_are_small(bool is_batch)
{
    rig_ask(store, "CONFIG", "SET", "appendonly", "no");
    rig_ask(store, "CONFIG", "SET", "slowlog-log-slower-than", "-1");
    rig_ask(store, "SET", "order:schema", "2|2");
    packing_step(store, "", "0");
    int64_t base = used_memory();
    for (int i = 0; i < MANY; i += 1000) {
        rig_ask(store, "EVAL", fill, "0", text_of("%d", i), text_of("%d", i + 1000),
                text_of("%lld", (long long)NOW_MS), is_batch ? "1" : "0");
    }
    int64_t before = used_memory() - base;
    packing_longest_ms = 0;
    packing_later(store, NOW_MS + 20 * DAY_MS);
    unsigned steps = packing_all(store);
    assert_string_equal(packing_count(store), text_of("%d", MANY));
    int64_t after = used_memory_settled(base) - base, keys = buckets_bytes();
    print_message("%s: %.1f bytes each with records, then %.1f, %.1f of them in buckets; %u steps, "
                  "the longest %.1f ms\n",
                  is_batch ? "numbers" : "UUIDs", (double)before / MANY, (double)after / MANY,
                  (double)keys / MANY, steps, packing_longest_ms);
    assert_true(keys <= (int64_t)BYTES_EACH * MANY);
    assert_true(after <= (int64_t)BYTES_EACH * MANY);
    assert_true(steps >= MANY / 128); /* none of them is long */
}

static void many_of_the_api(void **state)
{
    (void)state;
    many_are_small(false);
}

static void many_of_batches(void **state)
{
    (void)state;
    many_are_small(true);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_of_the_api),
        TEST(many_of_batches),
    };
    return cmocka_run_group_tests_name("live/packed", tests, group_setup, group_teardown);
}
