-- Idempotency keys: one field for each key, in the hash of the day and slot that it was claimed in:
--   kassa:keys:day:<day>:<slot>  key -> 40 hex digits of the fingerprint's SHA-1, then the command id
--   kassa:clock                  the slow clock, which says what day it is (clock.lua)
--   kassa:keys:day               number of the first day that is kept
-- The SHA-1 instead of the fingerprint: it has one length, whatever the path has.
-- A day is a day, however many of them a key lives (IDEMPOTENCY_DAYS): who changes that loses none.

local SLOTS = 1024
local DAY_MS = 86400000

local function keys_of(day, slot)
    return string.format('kassa:keys:day:%.0f:%s', day, slot)
end

-- Not by the store's clock: after a jump of that one the same key would be another's.
local function clock_now()
    return tonumber(redis.call('GET', 'kassa:clock') or slow_clock('kassa', math.huge, '', 0))
end

-- The version before this one has weeks instead of days: kassa:keys:<week>:<slot>, of which the first
-- that is kept is in kassa:keys:from. A store that it has not used has none of these. While it is used,
-- which the list of libraries tells (library.lua), it has to find what is claimed here, too.
local WEEK_MS = 7 * DAY_MS
local function week_keys(clock, slot)
    local week = math.floor(clock / WEEK_MS)
    local names = {}
    for i, at in ipairs({week, week - 1, week + 1}) do
        names[i] = string.format('kassa:keys:%.0f:%s', at, slot)
    end
    return names
end

-- The hashes that a key may be in, the one it is claimed in first.
local function keys_all(clock, slot, days)
    local day = math.floor(clock / DAY_MS)
    local names = {keys_of(day, slot)}
    for at = day - 1, day - days, -1 do
        names[#names + 1] = keys_of(at, slot)
    end
    names[#names + 1] = keys_of(day + 1, slot) -- the clock's tail was lost
    if redis.call('EXISTS', 'kassa:keys:from') == 1 then
        for _, name in ipairs(week_keys(clock, slot)) do
            names[#names + 1] = name
        end
    end
    return names
end

-- KEYS: -. ARGV: key, command id, fingerprint, slot, days
-- Answers: "new", "known" or "mismatch", and the command id that the key stands for
local function key_claim(_, args)
    local key, command_id, slot, clock = args[1], args[2], args[4], clock_now()
    local fingerprint = redis.sha1hex(args[3])
    local names = keys_all(clock, slot, tonumber(args[5]))
    for _, name in ipairs(names) do
        local record = redis.call('HGET', name, key)
        if record then
            local is_same = string.sub(record, 1, 40) == fingerprint
            return {is_same and 'known' or 'mismatch', string.sub(record, 41)}
        end
    end
    redis.call('HSET', names[1], key, fingerprint .. command_id)
    if redis.call('ZCARD', 'key:libraries') > 1 then
        redis.call('HSET', week_keys(clock, slot)[1], key, fingerprint .. command_id)
    end
    return {'new', command_id}
end

-- The command that the key stands for will never be run, its own record says so: the next request
-- under the key is another one. KEYS: -. ARGV: key, command id, slot, days
local function key_release(_, args)
    local key, command_id, released = args[1], args[2], 0
    for _, name in ipairs(keys_all(clock_now(), args[3], tonumber(args[4]))) do
        if string.sub(redis.call('HGET', name, key) or '', 41) == command_id then
            released = released + redis.call('HDEL', name, key)
        end
    end
    return released
end

-- Drops up to `limit` slots of period `from_key` when that is before `first`, from `cursor` on, which
-- is a period and a slot. Returns the cursor to go on at; nil: nothing is left to drop.
local function period_drop(from_key, first, prefix, cursor, limit)
    local from = tonumber(redis.call('GET', from_key) or first)
    local at, slot = string.match(cursor, '^' .. prefix .. '(%d+)/(%d+)$')
    if from >= first then
        return nil
    end
    slot = tonumber(at) == from and tonumber(slot) or 0
    for i = slot, math.min(slot + limit, SLOTS) - 1 do
        redis.call('UNLINK', string.format('%s%.0f:%d', prefix, from, i))
    end
    if slot + limit >= SLOTS then
        redis.call('SET', from_key, string.format('%.0f', from + 1))
        return '0'
    end
    return string.format('%s%.0f/%d', prefix, from, slot + limit)
end

-- Moves the slow clock on, and drops some of the oldest slots of a day that is over.
-- KEYS: -. ARGV: days, seen, rise_ms (slow_clock), slots at once, where to go on
-- Returns the slow clock, and where to go on, which is absent when nothing is left to drop.
local function key_sweep(_, args)
    local days, limit = tonumber(args[1]), tonumber(args[4])
    local clock = slow_clock('kassa', math.huge, args[2], tonumber(args[3]))
    local first = math.floor(clock / DAY_MS) - days
    local cursor = period_drop('kassa:keys:day', first, 'kassa:keys:day:', args[5], limit)
    if not cursor and redis.call('EXISTS', 'kassa:keys:day') == 0 then
        redis.call('SET', 'kassa:keys:day', string.format('%.0f', first))
    elseif not cursor and redis.call('EXISTS', 'kassa:keys:from') == 1 then
        local week = math.floor(clock / WEEK_MS) - 1
        cursor = period_drop('kassa:keys:from', week, 'kassa:keys:', args[5], limit)
    end
    return {string.format('%.0f', clock), cursor}
end

register('key_claim', key_claim)
register('key_release', key_release, {'allow-oom'})
register('key_sweep', key_sweep, {'allow-oom'})
