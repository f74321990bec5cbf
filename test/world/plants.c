/* Planted bugs: each must be found, or the simulation is blind. */
#include "test/world/plants.h"

#include <stddef.h>

#define PATCH(...)                                                                                 \
    (const struct world_patch[])                                                                   \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

const struct plant plants[] = {
    {"no duplicate check",
     PATCH({"    if seen then\n        return seen\n    end\n", ""},
           {"    if redis.call('HSETNX', bucket, id, answer) == 0 then\n",
            "    if redis.call('HSET', bucket, id, answer) == -1 then\n"}),
     {0}},
    {"balance before the duplicate check",
     PATCH({"local function payment_charge(keys, argv)\n",
            "local function payment_charge(keys, argv)\n"
            "    if not covers(redis.call('HGET', keys[2], 'credit') or '0', argv[3]) then\n"
            "        return 'refused|insufficient credit'\n    end\n"}),
     {0}},
    {"a refund leaves no tombstone",
     PATCH({"local charge = cancel(keys[1], argv[2])",
            "local charge = redis.call('HGET', keys[1], argv[2]) or ''"}),
     {0}},
    {"a cancel leaves no tombstone",
     PATCH({"    return cancel(keys[1], argv[1])\n",
            "    return redis.call('HGET', keys[1], argv[1]) or 'cancelled'\n"}),
     {0}},
    {"a refund is given again",
     PATCH({"    return once(keys[1], argv[1], function()\n        local charge",
            "    return (function(_, _, act) return act() end)(keys[1], argv[1], function()\n"
            "        local charge"}),
     {0}},
    {"a refusal is not recorded",
     PATCH({"    redis.call('HSET', bucket, id, answer)\n",
            "    if string.sub(answer, 1, 7) ~= 'refused' then\n"
            "        redis.call('HSET', bucket, id, answer)\n    end\n"},
           {"    if redis.call('HSETNX', bucket, id, answer) == 0 then\n",
            "    if string.sub(answer, 1, 7) == 'refused' or\n"
            "        redis.call('HSETNX', bucket, id, answer) == 0 then\n"}),
     {0}},
    {"stock goes below zero",
     PATCH({"        if not item[1] or not covers(item[1], argv[line * 2 + 1]) then\n",
            "        if not item[1] then\n"}),
     {0}},
    {"a part of the lines is taken",
     PATCH({"        taken[line] = ", "        redis.call('HINCRBY', keys[line + 1], "
                                      "'quantity', '-' .. argv[line * 2 + 1])\n"
                                      "        taken[line] = "},
           {"        for line = 1, #keys - 1 do\n            redis.call('HINCRBY'",
            "        for line = 1, 0 do\n            redis.call('HINCRBY'"}),
     {0}},
    {"a transition from any state", PATCH({" or now[STATE] ~= move.from then", " then"}), {0}},
    {"a second saga beside the open one",
     PATCH({"is_running = is_open(now[STATE], paid, failed)\n", "is_running = false\n"}),
     {0}},
    {"a repeated request begins anew",
     PATCH({"    if seen then\n        return checkout_again",
            "    if false then\n        return checkout_again"}),
     {0}},
    {"a failed saga is not archived", PATCH({"if move.archive then", "if false then"}), {0}},
    {"a line is added while the checkout runs",
     PATCH({"        if is_open(order[3], argv[6], argv[7]) then\n", "        if false then\n"}),
     {0}},
    {"a key is forgotten", PATCH({"  if record then\n", "  if false then\n"}), {0}},
    {"a charge that is half as much",
     PATCH({"redis.call('HINCRBY', user_key, 'credit', '-' .. amount)",
            "redis.call('HINCRBY', user_key, 'credit', '-' .. math.ceil(amount / 2))"}),
     {0}},
    {"what a store has lost is not sent again",
     PATCH({"        if record and record[11] and (is_open(", "        if false and (is_open("}),
     {0}},
    {"what ended is not sent again",
     PATCH(
         {"            entered_ms(record) >= tonumber(argv[5])) then", "            false) then"}),
     {0}},
    {"a saga that is followed by another is not sent again",
     PATCH({"record[11] = user_of(record)", "record = nil"}),
     {0}},
    {"gateways do not ask again", NULL, {.no_reask = true}},
    {"sagas do not send again", NULL, {.no_resend = true}},
};
const unsigned plant_count = sizeof(plants) / sizeof(plants[0]);
