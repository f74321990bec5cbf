-- Idempotency keys: one field for each key, in the hash of its period and slot:
--   kassa:keys:<period>:<slot>   key -> 40 hex digits of the fingerprint's SHA-1, then the command id
--   kassa:clock                  the slow clock, which says what period it is (clock.lua)
--   kassa:keys:from              number of the first period that is kept
-- The SHA-1 instead of the fingerprint: it has one length, whatever the path has.

local SLOTS = 1024

local function keys_of(period, slot)
    return string.format('kassa:keys:%.0f:%s', period, slot)
end

-- The period that keys are claimed in. Not by the store's clock: after a jump of that one the same
-- key would be another's.
local function period_now(period_ms)
    return math.floor((redis.call('GET', 'kassa:clock') or slow_clock('kassa', math.huge, '', 0)) /
        period_ms)
end

-- KEYS: -. ARGV: key, command id, fingerprint, slot, ms of a period
-- Answers: "new", "known" or "mismatch", and the command id that the key stands for
local function key_claim(_, args)
    local key, command_id, slot, period = args[1], args[2], args[4], period_now(tonumber(args[5]))
    local fingerprint = redis.sha1hex(args[3])
    -- A repetition first: it may have been claimed in the period before.
    local record = redis.call('HGET', keys_of(period, slot), key) or
        redis.call('HGET', keys_of(period - 1, slot), key) or
        redis.call('HGET', keys_of(period + 1, slot), key) -- by an older version's clock
    if record then
        if string.sub(record, 1, 40) ~= fingerprint then
            return {'mismatch', string.sub(record, 41)}
        end
        return {'known', string.sub(record, 41)}
    end
    redis.call('HSET', keys_of(period, slot), key, fingerprint .. command_id)
    return {'new', command_id}
end

-- The command that the key stands for will never be run, its own record says so: the next request
-- under the key is another one. KEYS: -. ARGV: key, command id, slot, ms of a period
local function key_release(_, args)
    local key, command_id, period = args[1], args[2], period_now(tonumber(args[4]))
    local released = 0
    for at = period - 1, period + 1 do
        local name = keys_of(at, args[3])
        if string.sub(redis.call('HGET', name, key) or '', 41) == command_id then
            released = released + redis.call('HDEL', name, key)
        end
    end
    return released
end

-- Moves the slow clock on, and drops some of the oldest slots of a period that is over.
-- KEYS: -. ARGV: ms of a period, seen, rise_ms (slow_clock), slots at once, slot to go on at
-- Returns the slow clock, and the slot to go on at, which is absent when nothing is left to drop.
local function key_sweep(_, args)
    local period_ms, limit, slot = tonumber(args[1]), tonumber(args[4]), tonumber(args[5])
    local clock = slow_clock('kassa', math.huge, args[2], tonumber(args[3]))
    local first = math.floor(clock / period_ms) - 1
    local from = tonumber(redis.call('GET', 'kassa:keys:from') or first)
    local text = string.format('%.0f', clock)
    if from >= first then
        redis.call('SET', 'kassa:keys:from', string.format('%.0f', from))
        return {text}
    end
    for i = slot, math.min(slot + limit, SLOTS) - 1 do
        redis.call('UNLINK', keys_of(from, i))
    end
    if slot + limit >= SLOTS then
        redis.call('SET', 'kassa:keys:from', string.format('%.0f', from + 1))
        return {text, '0'}
    end
    return {text, string.format('%d', slot + limit)}
end

register('key_claim', key_claim)
register('key_release', key_release, {'allow-oom'})
register('key_sweep', key_sweep, {'allow-oom'})
