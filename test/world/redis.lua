-- redis.lua: the modelled servers. Each has its own data, and a log of the writes that made it, of
-- which a replica has a beginning. Executes the real function libraries against tables, by the
-- commands of commands.lua, which stands before it.

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

-- What a command costs: itself, and what it looks at.
local looked = 0

function world_looked()
    local since = looked
    looked = 0
    return since
end

local function run(name, ...)
    local arguments = {...}
    for i = 1, #arguments do
        if type(arguments[i]) ~= 'string' then
            arguments[i] = text(arguments[i])
        end
    end
    local command = commands[name] or error('the modelled store does not know ' .. name)
    if name == 'SET' and arguments[3] == 'PX' then -- the replicas are told until when, as by Redis
        arguments = {arguments[1], arguments[2], 'PXAT', text(world_ms + arguments[4])}
    end
    if is_write[name] then
        server.log[#server.log + 1] = {name, unpack(arguments)}
    end
    local reply = command(unpack(arguments))
    looked = looked + 1 + (type(reply) == 'table' and #reply or 0)
    return reply
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
    functions[library .. '_greet_' .. hash]({library .. ':schema', library .. ':libraries'})
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

function world_packed(number)
    world_use(number)
    return tonumber(commands.HGET('order:paid', 'orders') or 0)
end

-- Orders whose names are texts that are no numbers and no UUIDs (order/paid.lua), as if they had a hash
-- of their own.
local function visit_packed(visit, bucket)
    for _, name in ipairs(bucket.order) do
        local order = string.match(name, '^=+(.*)$')
        local user, total, lines, journal = world_paid_read(order)
        local key = 'order:order:' .. order
        visit(key, 'user', user)
        visit(key, 'total', total)
        visit(key, 'lines', lines)
        visit(key, 'journal', journal)
    end
end

-- For the checks: calls visit(key, field, value) for each field of each hash of the server that is
-- talked to, in order of keys, and for each text, without a field.
function world_each(visit)
    local keys = {}
    for key, value in pairs(data) do
        if value.kind == 'hash' then
            keys[#keys + 1] = key
        elseif value.kind == 'text' then
            visit(key, '', value.value)
        end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do
        if string.find(key, '^order:paid:%d+$') then
            visit_packed(visit, data[key])
        end
        for _, field in ipairs(data[key].order) do
            visit(key, field, data[key].at[field])
        end
    end
end
