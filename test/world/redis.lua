-- redis.lua: the modelled servers. Each has its own data, and a log of the writes that made it, of
-- which a replica has a beginning. Executes the real function libraries against tables.
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

-- A part, so that some calls are needed: COUNT is a hint.
function commands.HSCAN(key, cursor, _, count)
    local fields, list, h = {}, {}, hash(key)
    for _, field in ipairs(h and h.order or {}) do
        local place = place_of(field)
        if place > tonumber(cursor) then
            fields[#fields + 1] = {place, field}
        end
    end
    table.sort(fields, function(a, b)
        return a[1] ~= b[1] and a[1] < b[1] or a[1] == b[1] and a[2] < b[2]
    end)
    for i, field in ipairs(fields) do
        if i > tonumber(count) / 10 and field[1] ~= fields[i - 1][1] then
            return {text(fields[i - 1][1]), list}
        end
        list[#list + 1], list[#list + 2] = field[2], h.at[field[2]]
    end
    return {'0', list}
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

-- A memory in which nothing but keys and what is in them takes room.
local function used()
    local bytes = 0
    for key, value in pairs(data) do
        bytes = bytes + #key + #(value.value or '')
        for field, text_ in pairs(value.at or {}) do
            bytes = bytes + #field + #text_
        end
        for member in pairs(value.score or {}) do
            bytes = bytes + #member + 8
        end
    end
    return bytes
end

local FULL = "OOM command not allowed when used memory > 'maxmemory'."
local function is_full()
    return server.limit and used() > server.limit
end

-- So that the server uses `percent` of it; 0: none.
function world_limit(number, percent)
    world_use(number)
    server.limit = percent > 0 and math.floor(used() * 100 / percent) or nil
    return server.limit or 0
end

function world_limit_like(number, other)
    servers[number].limit = servers[other].limit
end

function commands.INFO(section)
    if section == 'memory' then
        return string.format('used_memory:%d\r\nmaxmemory:%d\r\nmem_not_counted_for_evict:0\r\n',
            used(), server.limit or 0)
    end
    return '# Server\r\nrun_id:' .. server.run .. '\r\n'
end

-- By the clock of the servers of the group (world_clock).
function commands.TIME()
    return {string.format('%d', world_ms / 1000), string.format('%d', world_ms % 1000 * 1000)}
end

function commands.PING()
    return {ok = 'PONG'}
end

-- Of a connection that has gone: nobody hears it.
function commands.ROLE()
    return {'master'}
end

-- What goes to the replicas; a PUBLISH does, too.
local is_write = {}
for name in string.gmatch('DEL HDEL HINCRBY HSET LPUSH LTRIM PUBLISH SET UNLINK ZADD ZREM', '%u+') do
    is_write[name] = true
end

-- What is refused when the memory is full; a PUBLISH and what frees something are not.
local needs_room = {}
for name in string.gmatch('HINCRBY HSET LPUSH SET ZADD', '%u+') do
    needs_room[name] = true
end

function commands.PUBLISH()
    return 0 -- the world sees to who hears it
end

local function run(name, ...)
    local arguments = {...}
    for i = 1, #arguments do
        arguments[i] = text(arguments[i])
    end
    name = string.upper(name)
    local command = commands[name]
    if not command then
        error('the modelled store does not know ' .. name)
    end
    if name == 'SET' and arguments[3] == 'PX' then -- the replicas are told until when, as by Redis
        arguments = {arguments[1], arguments[2], 'PXAT', text(world_ms + arguments[4])}
    end
    if is_write[name] then
        server.log[#server.log + 1] = {name, unpack(arguments)}
    end
    return command(unpack(arguments))
end

redis = {}

function redis.pcall(...)
    return run(...)
end

function redis.call(...)
    local reply = run(...)
    if type(reply) == 'table' and reply.err then
        error(reply.err, 0)
    end
    return reply
end

function redis.sha1hex(value)
    return string.rep('0', 40 - math.min(#value, 40)) .. string.sub(value, -40)
end

local frees = {} -- name -> does not mind that the memory is full, or does not write

function redis.register_function(name, callback)
    local flags = {}
    if type(name) == 'table' then
        name, callback, flags = name.function_name, name.callback, name.flags or {}
    end
    assert(not functions[name], name)
    functions[name] = callback
    for _, flag in ipairs(flags) do
        frees[name] = frees[name] or flag == 'allow-oom' or flag == 'no-writes'
    end
end

-- Which versions of a library a server has is a part of its data: replicas take it over, and it can be
-- lost. The functions themselves are here for all of them.
local function loaded(library, hash)
    return 'function:' .. library .. ':' .. hash
end

-- `replaced`: a version that goes by it, as when all have the same name.
local function load(library, hash, replaced)
    if not redis.call('GET', loaded(library, hash)) then
        if is_full() then
            return {err = FULL}
        end
        redis.call('DEL', loaded(library, replaced))
        redis.call('SET', loaded(library, hash), '1')
    end
    return 'OK'
end

local function is_loaded(name)
    return redis.call('GET', loaded(string.match(name, '^(%a+)_.*_(%w+)$')))
end

-- Called from C: the words of one command; FCALL name numkeys key.. arg.., or LOAD library hash
-- replaced, which is what a greeting does.
function world_run(...)
    local words = {...}
    if words[1] == 'LOAD' then
        return load(words[2], words[3], words[4])
    elseif string.upper(words[1]) ~= 'FCALL' then
        return needs_room[string.upper(words[1])] and is_full() and {err = FULL} or redis.pcall(...)
    end
    local keys, arguments, count = {}, {}, tonumber(words[3])
    for i = 4, #words do
        if i < 4 + count then
            keys[#keys + 1] = words[i]
        else
            arguments[#arguments + 1] = words[i]
        end
    end
    local callback = is_loaded(words[2]) and functions[words[2]]
    if not callback then
        return {err = 'ERR Function not found'}
    elseif not frees[words[2]] and is_full() then
        return {err = 'OOM allow-oom flag is not set on the function, can not run it when used ' ..
            "memory > 'maxmemory'"}
    end
    return callback(keys, arguments)
end

local function copy(value)
    if type(value) ~= 'table' then
        return value
    end
    local copied = {}
    for k, v in pairs(value) do
        copied[k] = copy(v)
    end
    return copied
end

local runs = 0 -- of servers: each start is another one

-- From now on this one is talked to.
function world_use(number)
    if not servers[number] then
        runs = runs + 1
        servers[number] = {data = {}, log = {}, run = runs}
    end
    server = servers[number]
    data = server.data
end

-- The server starts anew, with what it has.
function world_restart(number)
    runs = runs + 1
    servers[number].run = runs
end

-- How long the log is.
function world_position(number)
    return #servers[number].log
end

-- A replica takes all that its master has.
function world_copy(number, master)
    world_use(number)
    server.data, server.log = copy(servers[master].data), {unpack(servers[master].log)}
end

-- .. or, of the master whose log it has a beginning of, the rest.
function world_follow(number, master)
    world_use(number)
    local log = servers[master].log
    for i = #server.log + 1, #log do
        run(unpack(log[i]))
    end
end

local function is_same(a, b)
    if type(a) ~= 'table' or type(b) ~= 'table' then
        return a == b
    end
    for k, v in pairs(a) do
        if not is_same(v, b[k]) then
            return false
        end
    end
    for k in pairs(b) do
        if a[k] == nil then
            return false
        end
    end
    return true
end

function world_is_same(number, other)
    return is_same(servers[number].data, servers[other].data)
end

-- What the server has now, and later had then: another server, which has a prefix of what this one
-- was told.
local kept = {}

function world_keep(number)
    kept[number] = {data = copy(servers[number].data), log = {unpack(servers[number].log)}}
end

function world_restore(number)
    world_use(number)
    server.data, server.log = copy(kept[number].data), {unpack(kept[number].log)}
    world_restart(number)
end

-- Has the service announced that its store is this server?
function world_is_announced(number, service)
    world_use(number)
    local text = commands.GET(service .. ':run')
    return text and string.match(text, '^%d+') == tostring(server.run) or false
end

function world_has(number, key)
    world_use(number)
    return data[key] ~= nil
end

-- For the checks: calls visit(key, field, value) for each field of each hash of the server that is
-- talked to, in order of keys.
function world_each(visit)
    local keys = {}
    for key, value in pairs(data) do
        if value.kind == 'hash' then
            keys[#keys + 1] = key
        end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do
        for _, field in ipairs(data[key].order) do
            visit(key, field, data[key].at[field])
        end
    end
end
