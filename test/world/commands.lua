-- commands.lua: what the modelled server does with its keys. redis.lua comes behind it, in one text.
--
-- Only what the libraries use, as the Redis manual has it: a missing value is false in Lua, a
-- hash keeps the order of insertion, numbers come back as numbers and are kept as texts.

local servers = {}   -- number -> {data, log, run}
local server         -- the one that is talked to
local data = {}      -- its keys: key -> {kind, ..}
local functions = {} -- name -> function

local function text(value)
    if type(value) == 'number' then
        return string.format('%.14g', value)
    end
    return tostring(value)
end

local function hash(key, create)
    if not data[key] and create then
        data[key] = {kind = 'hash', order = {}, at = {}}
    end
    return data[key]
end

local commands = {}

function commands.HGET(key, field)
    local h = hash(key)
    return h and h.at[field] or false
end

function commands.HMGET(key, ...)
    local values, h = {}, hash(key)
    for i, field in ipairs({...}) do
        values[i] = h and h.at[field] or false
    end
    return values
end

function commands.HSET(key, ...)
    local h, added, pairs_ = hash(key, true), 0, {...}
    for i = 1, #pairs_, 2 do
        local field = text(pairs_[i])
        if h.at[field] == nil then
            h.order[#h.order + 1] = field
            added = added + 1
        end
        h.at[field] = text(pairs_[i + 1])
    end
    return added
end

local function field_delete(h, field)
    if h.at[field] == nil then
        return 0
    end
    h.at[field] = nil
    for i, name in ipairs(h.order) do
        if name == field then
            table.remove(h.order, i)
            break
        end
    end
    return 1
end

function commands.HDEL(key, ...)
    local h, removed = hash(key), 0
    for _, field in ipairs(h and {...} or {}) do
        removed = removed + field_delete(h, field)
    end
    if h and #h.order == 0 then
        data[key] = nil
    end
    return removed
end

function commands.HGETALL(key)
    local list, h = {}, hash(key)
    for _, field in ipairs(h and h.order or {}) do
        list[#list + 1], list[#list + 2] = field, h.at[field]
    end
    return list
end

function commands.HINCRBY(key, field, amount)
    if string.sub(amount, 1, 2) == '-0' or not string.match(amount, '^-?%d+$') then
        return {err = 'ERR value is not an integer or out of range'}
    end
    local h = hash(key, true)
    local sum = tonumber(h.at[field] or '0') + tonumber(amount)
    commands.HSET(key, field, sum)
    return sum
end

-- Where a field is found by this run of the server, and by no other.
local function place_of(field)
    local place = server.run
    for i = math.max(#field - 5, 1), #field do
        place = (place * 31 + string.byte(field, i) * server.run) % 1000003
    end
    return place + 1
end

-- The first of {place, name}, in order, into `list`, by add(name). Returns where to go on.
local function page(names, count, list, add)
    table.sort(names, function(a, b)
        return a[1] ~= b[1] and a[1] < b[1] or a[1] == b[1] and a[2] < b[2]
    end)
    for i, name in ipairs(names) do
        if i > count and name[1] ~= names[i - 1][1] then
            return text(names[i - 1][1])
        end
        list[#list + 1] = name[2]
        list[#list + 1] = add and add(name[2])
    end
    return '0'
end

-- A part, so that some calls are needed: COUNT is a hint.
function commands.HSCAN(key, cursor, _, count)
    local fields, list, h = {}, {}, hash(key)
    for _, field in ipairs(h and h.order or {}) do
        local place = place_of(field)
        if place > tonumber(cursor) then
            fields[#fields + 1] = {place, field}
        end
    end
    local next = page(fields, tonumber(count) / 10, list, function(field)
        return h.at[field]
    end)
    return {next, list}
end

-- Of what has a time. Nothing of it is dropped before: that would be no write.
local function is_over(key)
    return data[key] and data[key].until_ms and data[key].until_ms <= world_ms
end

function commands.EXISTS(key)
    return data[key] and not is_over(key) and 1 or 0
end

function commands.DEL(key)
    local was = commands.EXISTS(key)
    data[key] = nil
    return was
end

commands.UNLINK = commands.DEL

-- cursor MATCH prefix* COUNT count
function commands.SCAN(cursor, _, pattern, _, count)
    local prefix, names, list = string.sub(pattern, 1, -2), {}, {}
    for key in pairs(data) do
        local place = string.sub(key, 1, #prefix) == prefix and place_of(key)
        if place and place > tonumber(cursor) then
            names[#names + 1] = {place, key}
        end
    end
    return {page(names, tonumber(count) / 10, list), list}
end

function commands.HKEYS(key)
    local list = {}
    for field in pairs(data[key] or {}) do
        list[#list + 1] = field
    end
    table.sort(list)
    return list
end

function commands.EXPIREAT()
    return 1 -- virtual time is too short for it
end

local function zset(key, create)
    if not data[key] and create then
        data[key] = {kind = 'zset', score = {}}
    end
    return data[key]
end

function commands.ZADD(key, ...)
    local z, added, pairs_ = zset(key, true), 0, {...}
    for i = 1, #pairs_, 2 do
        if z.score[pairs_[i + 1]] == nil then
            added = added + 1
        end
        z.score[pairs_[i + 1]] = tonumber(pairs_[i])
    end
    return added
end

function commands.ZREM(key, ...)
    local z, removed = zset(key), 0
    for _, member in ipairs({...}) do
        if z and z.score[member] ~= nil then
            z.score[member] = nil
            removed = removed + 1
        end
    end
    if z and next(z.score) == nil then
        data[key] = nil
    end
    return removed
end

function commands.ZSCORE(key, member)
    local z = zset(key)
    return z and z.score[member] and text(z.score[member]) or false
end

local function sorted(key)
    local members, z = {}, zset(key)
    for member in pairs(z and z.score or {}) do
        members[#members + 1] = member
    end
    table.sort(members, function(a, b)
        if z.score[a] ~= z.score[b] then
            return z.score[a] < z.score[b]
        end
        return a < b
    end)
    return members, z
end

function commands.ZREVRANGE(key, first, last)
    local members, list = sorted(key), {}
    for i = tonumber(first) + 1, math.min(tonumber(last) + 1, #members) do
        list[#list + 1] = members[#members + 1 - i]
    end
    return list
end

function commands.ZSCAN(key)
    local members, z = sorted(key)
    local list = {}
    for _, member in ipairs(members) do
        list[#list + 1] = member
        list[#list + 1] = text(z.score[member])
    end
    return {'0', list}
end

function commands.ZCARD(key)
    return #sorted(key)
end

function commands.ZRANGE(key, first, last)
    local members, list = sorted(key), {}
    for i = tonumber(first) + 1, math.min(tonumber(last) + 1, #members) do
        list[#list + 1] = members[i]
    end
    return list
end

-- key 0 0 WITHSCORES
function commands.ZREVRANGE(key)
    local members, z = sorted(key)
    local last = members[#members]
    return last and {last, text(z.score[last])} or {}
end

-- key max min LIMIT 0 count, of numbers
function commands.ZREVRANGEBYSCORE(key, max, min, _, _, count)
    local members, z = sorted(key)
    local list = {}
    for i = #members, 1, -1 do
        local score = z.score[members[i]]
        if #list < tonumber(count) and score >= tonumber(min) and score <= tonumber(max) then
            list[#list + 1] = members[i]
        end
    end
    return list
end

-- key min max LIMIT 0 count; min is a number or -inf
function commands.ZRANGEBYSCORE(key, min, max, _, _, count)
    local members, z = sorted(key)
    local least = min == '-inf' and -math.huge or tonumber(min)
    local is_open = string.sub(text(max), 1, 1) == '('
    local bound = max == '+inf' and math.huge or tonumber(is_open and string.sub(max, 2) or max)
    local list = {}
    for _, member in ipairs(members) do
        local score = z.score[member]
        local is_within = score >= least and (score < bound or (score == bound and not is_open))
        if #list < tonumber(count) and is_within then
            list[#list + 1] = member
        end
    end
    return list
end

function commands.LPUSH(key, ...)
    data[key] = data[key] or {kind = 'list'}
    for _, value in ipairs({...}) do
        table.insert(data[key], 1, value)
    end
    return #data[key]
end

function commands.LTRIM(key, _, last)
    while #data[key] > tonumber(last) + 1 do
        table.remove(data[key])
    end
    return {ok = 'OK'}
end

function commands.LRANGE(key, first, last)
    local list = {}
    for i = tonumber(first) + 1, math.min(tonumber(last) + 1, #(data[key] or {})) do
        list[#list + 1] = data[key][i]
    end
    return list
end

function commands.SET(key, value, unit, until_ms) -- EX is for days, see EXPIREAT
    data[key] = {kind = 'text', value = value, until_ms = unit == 'PXAT' and tonumber(until_ms) or nil}
    return {ok = 'OK'}
end

function commands.GET(key)
    return data[key] and not is_over(key) and data[key].value or false
end

function commands.MGET(...)
    local values = {}
    for i, key in ipairs({...}) do
        values[i] = commands.GET(key)
    end
    return values
end
