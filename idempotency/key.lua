-- Idempotency keys: one field for each key, in the hash of the day and slot that it was claimed in:
--   kassa:keys:day:<day>:<slot>  key -> 40 hex digits of the fingerprint's SHA-1, then the command id
--   kassa:clock                  the slow clock, which says what day it is (clock.lua)
--   kassa:keys:day               number of the first day that is kept
-- The SHA-1 instead of the fingerprint: it has one length, whatever the path has.
-- A day is a day, however many of them a key lives (IDEMPOTENCY_DAYS): who changes that loses none.

local SLOTS = 1024
local DAY_MS = 86400000

local function keys_of(day, slot)
    return string.format(KEY.kassa_day .. '%.0f:%s', day, slot)
end

-- Not by the store's clock: after a jump of that one the same key would be another's.
local function day_now()
    return math.floor((redis.call('GET', 'kassa' .. PART.clock) or slow_clock('kassa', math.huge, '', 0)) / DAY_MS)
end

-- The version before this one has weeks instead of days: kassa:keys:<week>:<slot>, of which the first
-- that is kept is in kassa:keys:from. While both are used, each has to find what the other one has
-- claimed. So a claim is written there, too, and goes from there with its day. The next version need not.
local function week_of(day, slot)
    return string.format(KEY.kassa_week .. '%.0f:%s', math.floor(day / 7), slot)
end

-- The hashes that a key may be in; it is claimed in the first two.
local function keys_all(day, slot, days)
    local names = {keys_of(day, slot), week_of(day, slot), week_of(day - 7, slot), week_of(day + 7, slot)}
    for at = day - 1, day - days, -1 do
        names[#names + 1] = keys_of(at, slot)
    end
    names[#names + 1] = keys_of(day + 1, slot) -- the clock's tail was lost
    return names
end

-- KEYS: -. ARGV: key, command id, fingerprint, slot, days
-- Answers: "new", "known" or "mismatch", and the command id that the key stands for
local function key_claim(_, args)
    local key, command_id = args[1], args[2]
    local fingerprint = redis.sha1hex(args[3])
    local names = keys_all(day_now(), args[4], tonumber(args[5]))
    for _, name in ipairs(names) do
        local record = redis.call('HGET', name, key)
        if record then
            local is_same = string.sub(record, 1, 40) == fingerprint
            return {is_same and 'known' or 'mismatch', string.sub(record, 41)}
        end
    end
    for i = 1, 2 do
        redis.call('HSET', names[i], key, fingerprint .. command_id)
    end
    return {'new', command_id}
end

-- The command that the key stands for will never be run, its own record says so: the next request
-- under the key is another one. KEYS: -. ARGV: key, command id, slot, days
local function key_release(_, args)
    local key, command_id, released = args[1], args[2], 0
    for _, name in ipairs(keys_all(day_now(), args[3], tonumber(args[4]))) do
        if string.sub(redis.call('HGET', name, key) or '', 41) == command_id then
            released = released + redis.call('HDEL', name, key)
        end
    end
    return released
end

-- A day's copies in the week, and the day.
local function slot_drop(day, slot)
    local claimed = redis.call('HKEYS', keys_of(day, slot))
    for at = 1, #claimed, 1000 do
        redis.call('HDEL', week_of(day, slot), unpack(claimed, at, math.min(at + 999, #claimed)))
    end
    redis.call('UNLINK', keys_of(day, slot))
end

-- Drops up to `limit` slots of period `from_key` when that is before `first`, from `cursor` on, which
-- is a period and a slot. Returns the cursor to go on at; nil: nothing is left to drop.
local function period_drop(from_key, first, prefix, cursor, limit, drop)
    local known = redis.call('GET', from_key)
    local from = tonumber(known or first)
    local at, slot = string.match(cursor, '^' .. prefix .. '(%d+)/(%d+)$')
    if from >= first then
        if not known then -- a write is an fsync, and this is called each second
            redis.call('SET', from_key, string.format('%.0f', from))
        end
        return nil
    end
    slot = tonumber(at) == from and tonumber(slot) or 0
    for i = slot, math.min(slot + limit, SLOTS) - 1 do
        drop(from, i)
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
    local day = math.floor(clock / DAY_MS)
    local cursor = period_drop(KEY.kassa_days, day - days, KEY.kassa_day, args[5], limit, slot_drop) or
        period_drop(KEY.kassa_weeks, math.min(math.floor(day / 7) - 1, math.floor((day - days) / 7)),
            KEY.kassa_week, args[5], limit, function(week, slot)
            redis.call('UNLINK', week_of(7 * week, slot))
        end)
    return {string.format('%.0f', clock), cursor}
end

register('key_claim', key_claim)
register('key_release', key_release, {'allow-oom'})
register('key_sweep', key_sweep, {'allow-oom'})
