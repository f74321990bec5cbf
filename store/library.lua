-- library.lua: what every function library begins with: how its functions are named, and what it
-- says when a process greets the store. deploy/embed.sh sets LIBRARY and HASH.
--
-- The hash of the library's text is in each name, so all versions of a library stand side by side in
-- a store, and each process calls the functions of its own; none replaces another's.
--   <library>:schema     'readers|writer' (below)
--   <library>:libraries  names of the libraries in use, by when they were used last
--   <library>:readers    a hash, while a new schema is not written yet: which of these libraries read
--                        it, by name; since: when the first one came, by the slow clock, in ms
-- Source: protocol.md, "Versions side by side".

local function register(name, callback, flags)
    redis.register_function{function_name = name .. '_' .. HASH, callback = callback,
        flags = flags or {}}
end

-- The version of what is in the store, and the oldest one whose programs still understand what
-- this one writes at first. Raise the first when the form of a record or a key changes. What the
-- programs before would misread is written when the mark's readers have been raised, too: a day later
-- (readers_raise). 2: paid orders are packed.
local SCHEMA, SCHEMA_READERS = LIBRARY == 'order' and 2 or 1, 1

local USED_S = 3600 -- worth a write
local UNUSED_S = 86400 -- then it may go: who still has it loads it again

-- A store without a mark was written before there were marks; or it is new, and nobody has to read it
-- who cannot.
local function schema_check(key)
    local mark = redis.call('GET', key)
    if not mark and redis.call('EXISTS', LIBRARY .. PART.buckets) == 0 then
        redis.call('SET', key, SCHEMA .. '|' .. SCHEMA)
        return nil
    end
    mark = mark or '0|0'
    local readers, writer = string.match(mark, '^(%d+)|(%d+)$')
    if not readers or tonumber(readers) > SCHEMA then
        return redis.error_reply('SCHEMA ' .. key .. ' is ' .. mark .. ': a newer version has ' ..
            'written what this one, ' .. SCHEMA .. ', cannot read')
    end
    if tonumber(writer) < SCHEMA then
        redis.call('SET', key, math.max(tonumber(readers), SCHEMA_READERS) .. '|' .. SCHEMA)
    end
    return nil
end

-- Has nothing but libraries that read SCHEMA been in the store for a day, then no others are awaited any
-- more: the mark says so, and they are refused if they come. The day is one of the slow clock
-- (clock.lua), which no jump makes shorter than half a day.
local function readers_raise(schema, libraries, own)
    local readers, writer = string.match(redis.call('GET', schema), '^(%d+)|(%d+)$')
    if tonumber(readers) >= SCHEMA then
        return
    end
    local key = LIBRARY .. PART.readers
    local clock = tonumber(redis.call('GET', LIBRARY .. PART.clock) or 0)
    local since = redis.call('HGET', key, 'since')
    if redis.call('HGET', key, own) ~= tostring(SCHEMA) then
        redis.call('HSET', key, own, SCHEMA)
    end
    if not since then
        if clock > 0 then
            redis.call('HSET', key, 'since', string.format('%.0f', clock))
        end
        return
    end
    local is_known = clock - since >= UNUSED_S * 1000
    for _, name in ipairs(is_known and redis.call('ZRANGE', libraries, 0, -1) or {}) do
        is_known = is_known and tonumber(redis.call('HGET', key, name) or 0) >= SCHEMA
    end
    if is_known then
        redis.call('SET', schema, SCHEMA .. '|' .. writer)
        redis.call('DEL', key)
    end
end

-- KEYS: schema, libraries. Marks this library as used; answers the names of those that nobody has
-- used for long. Writes next to nothing when called often.
local function greet(keys)
    local fault = schema_check(keys[1])
    if fault then
        return fault
    end
    local now_s, own = tonumber(redis.call('TIME')[1]), 'kassa_' .. LIBRARY .. '_' .. HASH
    local used_s = redis.call('ZSCORE', keys[2], own)
    if not used_s or now_s - tonumber(used_s) >= USED_S then
        redis.call('ZADD', keys[2], now_s, own)
    end
    readers_raise(keys[1], keys[2], own)
    return redis.call('ZRANGEBYSCORE', keys[2], '-inf', now_s - UNUSED_S, 'LIMIT', 0, 16)
end

register(LIBRARY .. '_greet', greet, {'allow-oom'})
