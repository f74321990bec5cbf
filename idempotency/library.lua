-- library.lua: what every function library begins with: how its functions are named, and what it
-- says when a process greets the store. deploy/embed.sh sets LIBRARY and HASH.
--
-- The hash of the library's text is in each name, so all versions of a library stand side by side in
-- a store, and each process calls the functions of its own: who connects last replaces nobody's.
--   <library>:schema     'readers|writer' (below)
--   <library>:libraries  names of the libraries in use, by when they were used last
-- Source: protocol.md section 3.6.

local function register(name, callback, flags)
    redis.register_function{function_name = name .. '_' .. HASH, callback = callback,
        flags = flags or {}}
end

-- The version of what is in the store, and the oldest one whose programs still understand what
-- this one writes. Raise the first when the form of a record or a key changes, and the second to
-- it when the programs before would misread that.
local SCHEMA, SCHEMA_READERS = 1, 1

local USED_S = 3600 -- worth a write
local UNUSED_S = 86400 -- then it may go: who still has it loads it again

-- A store without a mark is new, or was written before there were marks.
local function schema_check(key)
    local mark = redis.call('GET', key) or '0|0'
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
    return redis.call('ZRANGEBYSCORE', keys[2], '-inf', now_s - UNUSED_S, 'LIMIT', 0, 16)
end

register(LIBRARY .. '_greet', greet, {'allow-oom'})
