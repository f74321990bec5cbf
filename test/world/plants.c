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

/* Records that no saga needs, a few seconds old; the books of the simulation do not miss them. */
#define FUNDS_GO_EARLY                                                                             \
    {                                                                                              \
        "    local name = bucket_below(buckets, service .. ':floor')\n",                           \
            "    local to = string.format('(%.0f', bucket_number(store_ms()))\n"                   \
            "    for _, early in ipairs(redis.call('ZRANGEBYSCORE', buckets, '-inf', to, "         \
            "'LIMIT', 0, 9)) do\n"                                                                 \
            "        local all = redis.call('HGETALL', service .. ':once:' .. early)\n"            \
            "        for i = 1, #all, 2 do\n"                                                      \
            "            if string.sub(all[i + 1], 1, 5) == 'user|' then\n"                        \
            "                redis.call('HDEL', service .. ':once:' .. early, all[i])\n"           \
            "            end\n        end\n    end\n"                                              \
            "    local name = bucket_below(buckets, service .. ':floor')\n"                        \
    }

const struct plant plants[] = {
    {"no duplicate check",
     PATCH({"    if seen then\n        return seen\n    end\n", ""},
           {"        local seen = recorded[argv[at]] or is_over and",
            "        local seen = false and"}),
     {0}},
    {"a command that is twice in a call acts twice",
     PATCH(
         {"            recorded[argv[at]] = record -- the same command may be in two rows\n", ""}),
     {0}},
    {"balance before the duplicate check",
     PATCH({"local function payment_charge(keys, argv)\n",
            "local function payment_charge(keys, argv)\n"
            "    for at = 1, #argv, 3 do\n"
            "        if not account_of('payment:user:' .. argv[at + 1], argv[at + 2]) then\n"
            "            argv[at] = argv[at] .. '-refused'\n        end\n    end\n"}),
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
     PATCH({"    records_put(bucket, {id, answer})\n",
            "    if string.sub(answer, 1, 7) ~= 'refused' then\n"
            "        records_put(bucket, {id, answer})\n    end\n"},
           {"        if record then\n            recorded",
            "        if record and string.sub(record, 1, 7) ~= 'refused' then\n"
            "            recorded"}),
     {0}},
    {"stock goes below zero",
     PATCH({"            if not item[1] or not covers(item[1], pieces) then\n",
            "            if not item[1] then\n"}),
     {0}},
    {"a part of the lines is taken",
     PATCH({"            wanted[#wanted + 1], wanted[#wanted + 2] = key, '-' .. pieces\n",
            "            redis.call('HINCRBY', key, 'quantity', '-' .. pieces)\n"}),
     {0}},
    {"a transition from any state",
     PATCH({"string.sub(text, 1, #expected) ~= expected then\n            journal_parse(text)",
            "string.sub(text, 1, #saga) ~= saga then\n            journal_parse(text)"},
           {"'^%d+|(%d+)|([^|]*)|()', #expected + 1)", "'^[^|]*|%d+|[^|]*|%d+|(%d+)|([^|]*)|()')"}),
     {0}},
    {"a second saga beside the open one",
     PATCH({"elseif is_open(now[STATE]) then", "elseif false then"}),
     {0}},
    {"a repeated request begins anew",
     PATCH({"        if seen then\n            return again",
            "        if seen and not again then\n            return again"}),
     {0}},
    {"a failed saga is not archived", PATCH({"if is_failure then", "if false then"}), {0}},
    {"a line is added while the checkout runs",
     PATCH({"        if is_open(state) then\n", "        if false then\n"}),
     {0}},
    {"a key is forgotten", PATCH({"  if record then\n", "  if false then\n"}), {0}},
    {"a charge that is half as much",
     PATCH({"take_off(key, 'credit', amount)",
            "take_off(key, 'credit', string.format('%d', math.ceil(amount / 2)))"}),
     {0}},
    {"what a store has lost is not sent again",
     PATCH({"        if now and (not now", "        if false and (not now"}),
     {0}},
    {"what ended is not sent again",
     PATCH({"entered_ms(now) >= tonumber(since)) then", "false) then"}),
     {0}},
    {"a saga that is followed by another is not sent again",
     PATCH({"        now, text = journal_archived(seen)\n", "        now = nil\n"}),
     {0}},
    {"the slow clock is as fast as the store's",
     PATCH({"    local to = math.min(store_ms(), most_ms)\n", "    local to = store_ms()\n"},
           {"        to = math.min(to, clock + 2 * rise_ms)\n", ""},
           {"keep ~= '' and math.min(bucket_number(clock - life_ms), tonumber(keep)) or 0",
            "bucket_number(clock - life_ms)"}),
     {0}},
    {"what was dropped is not refused",
     PATCH({"    local to = math.min(store_ms(), most_ms)\n", "    local to = store_ms()\n"},
           {"        to = math.min(to, clock + 2 * rise_ms)\n", ""},
           {"keep ~= '' and math.min(bucket_number(clock - life_ms), tonumber(keep)) or 0",
            "bucket_number(clock - life_ms)"},
           {"    return number < floor_of(floor_key)\n", "    return false\n"}),
     {0}},
    {"a key is looked for by the clock of the store",
     PATCH({"(redis.call('GET', 'kassa:clock') or slow_clock('kassa', math.huge, '', 0))",
            "store_ms()"}),
     {0}},
    {"the floor rises beyond an open saga",
     PATCH({"    floor_raise(service .. ':floor', ms, tonumber(argv[1]), argv[2])\n",
            "    floor_raise(service .. ':floor', ms, 5000, '99999999999')\n"},
           {"    local name = bucket_below(buckets, service .. ':floor')\n",
            "    local name = nil\n"}),
     {0}},
    {"records go early, and nobody refuses their repeats", PATCH(FUNDS_GO_EARLY), {0}},
    {"what a client's key stands for goes with the rest",
     PATCH(FUNDS_GO_EARLY, {"    if bucket_is_over(bucket) then\n", "    if true then\n"},
           {"        if is_kept(records[i]) then\n", "        if false then\n"}),
     {0}},
    {"a due time that no clock of today would give is waited for",
     PATCH({"    for _, entity in ipairs(ahead) do\n", "    for _, entity in ipairs({}) do\n"}),
     {.seen_from = 1500}},
    {"a replay goes on before what it sends is confirmed",
     PATCH({"    return replay_part(keys[2], argv[3], now.first, argv[5], argv[6], now.since, "
            "look)\n",
            "    local list = replay_part(keys[2], argv[3], now.first, argv[5], argv[6], "
            "now.since, look)\n"
            "    if list[#list - 1] ~= '' then\n"
            "        redis.call('HSET', keys[1], 'bucket', list[#list - 1])\n    end\n"
            "    return list\n"}),
     {.seen_from = 3800}},
    {"a replay ends with its process",
     PATCH({"    local is_gone = now.token == argv[1] and now.beat == argv[2]\n",
            "    local is_gone = false\n"}),
     {0}},
    {"what ends a saga needs room in a full store",
     PATCH({"register('order_advance', order_advance, {'allow-oom'})",
            "register('order_advance', order_advance)"}),
     {0}},
    {"a refund needs room in a full store",
     PATCH({"register('payment_refund', payment_refund, {'allow-oom'})",
            "register('payment_refund', payment_refund)"}),
     {0}},
    {"nobody asks how full a store is", NULL, {.no_questions = true}},
    {"gateways do not ask again", NULL, {.no_reask = true}},
    {"sagas do not send again", NULL, {.no_resend = true}},
    {"one replica is enough", NULL, {.wait_for_one = true}},
    {"nobody waits for replicas", NULL, {.wait_for_none = true}},
    {"a replica that comes back is not noticed", NULL, {.wait_unlisted = true}},
    {"a replica that comes and goes between two looks is not noticed", NULL, {.come_unseen = true}},
    {"the library of whoever connects last replaces all others", NULL, {.libraries_replace = true}},
    {"a replica in doubt is counted", NULL, {.count_doubtful = true}},
    {"a replica in doubt is promoted", NULL, {.promote_doubtful = true}},
    {"a node alone decides that it has everything", NULL, {.serve_alone = true}},
    {"after a silence the same is asked again", NULL, {.silence_is_even = true}},
    {"a short count ends the connection", NULL, {.short_is_lost = true}},
    {"a call that is never answered is made for ever", NULL, {.silence_is_loss = true}},
    {"nginx names each try anew", NULL, {.names_differ = true}},
    {"records are dropped, and the floor does not say so",
     PATCH({"        redis.call('SET', key, string.format('%.0f', floor))\n",
            "        redis.call('SET', key .. ':unsaid', string.format('%.0f', floor))\n"},
           {"local floor = string.format('(%.0f', floor_of(floor_key))",
            "local floor = string.format('(%.0f', floor_of(floor_key .. ':unsaid'))"}),
     {0}},
    {"what is below the floor is done",
     PATCH({"    return is_below(service .. ':floor', number)\n", "    return false\n"}),
     {0}},
    {"records go though a saga is open",
     PATCH({"keep ~= '' and math.min(bucket_number(clock - life_ms), tonumber(keep)) or 0",
            "bucket_number(clock - life_ms)"}),
     {0}},
    {"what a client's key stands for goes with the rest",
     PATCH({"        if is_kept(records[i]) then\n", "        if false then\n"}),
     {0}},
    {"a record is dropped without the books",
     PATCH({"        take_off(key, 'added', pieces)\n", ""},
           {"            take_off(key, 'funded', amount)\n", ""}),
     {0}},
    {"a packed order forgets what it has cost",
     PATCH({"again[2] ~= total or again[3] ~= lines or again[4] ~= journal", "again[3] ~= lines"},
           {"text_pack(total, 0, 1)}", "text_pack('0', 0, 1)}"}),
     {0}},
    {"a packed order is not found",
     PATCH({"    return paid_read(order)\n", "    return nil\n"}),
     {0}},
    {"a packed order has no journal",
     PATCH({"    return (select(4, paid_read(string.sub(key, #ORDER_PREFIX + 1))))\n",
            "    return nil\n"}),
     {0}},
    {"a packed order can be bought once more",
     PATCH({" or again[4] ~= journal", ""},
           {"ms_text(attempt), 'PAID',", "ms_text(attempt), 'FAILED',"}),
     {0}},
};
const unsigned plant_count = sizeof(plants) / sizeof(plants[0]);
