-- once.lua: what every function library begins with. Exactly-once effects and exact arithmetic.
--
-- A record is the answer of a command, stored in the same atomic call as its effect, as a field of
-- a bucket hash: 'outcome|detail|..'. A refusal is recorded like a success. A tombstone is the
-- record 'cancelled': written under the id of a command that must never act any more.
-- Records do not live for ever. <service>:floor is the number of the first bucket that is kept,
-- raised in the very call that begins to drop what lies below it: so what is refused as too old and
-- what is gone are the same thing, whatever any clock says.
-- Source: protocol.md sections 1.2, 2 and 3.3.

-- A bucket: the 4096 ms that an id was made in.
local BUCKET_MS = 4096
local function bucket_number(ms)
    return math.floor(ms / BUCKET_MS)
end

-- When the UUIDv7 that a command id begins with was made: its first 12 hex digits.
local function id_ms(id)
    return tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
end

-- Before a command acts for which there is no record. Refuses it where a record might have been
-- dropped; and enters a new bucket into the index by which it is found again.
local function bucket_open(bucket)
    local service, name = string.match(bucket, '^(.-):once:(%x+)$')
    local number, floor = tonumber(name, 16), redis.call('GET', service .. ':floor')
    if floor and number < tonumber(floor) then
        error({err = 'TOOOLD the record of this command may have been dropped'})
    end
    if redis.call('EXISTS', bucket) == 0 then
        redis.call('ZADD', service .. ':buckets', string.format('%.0f', number), name)
    end
end

-- The answer of command `id`. The duplicate check comes first, always: a balance test before it
-- would refuse the retry of a payment that succeeded.
local function once(bucket, id, act)
    local seen = redis.call('HGET', bucket, id)
    if seen then
        return seen
    end
    bucket_open(bucket)
    local answer = act()
    redis.call('HSET', bucket, id, answer)
    return answer
end

-- Many commands in one call, for the hot path: ARGV is `head` arguments for all of them, then a row
-- of `width` for each. act(at) answers the row that begins at argv[at]. One that fails does not
-- touch the others: its answer is nil, and it is sent alone to learn why.
local function each_row(argv, head, width, act)
    local answers, is_alone = {}, #argv == head + width
    for at = head + 1, #argv, width do
        local is_done, answer = pcall(act, at)
        if not is_done and is_alone then
            error(answer, 0)
        end
        answers[#answers + 1] = is_done and answer
    end
    return answers
end

-- once() for rows that begin with the command's id: one reading and one writing of records for all.
-- act(at) returns the answer and its record, nil being the same, false being none; again(seen, at),
-- if given, makes the answer to a repeat of its record.
local function once_each(bucket, argv, head, width, act, again)
    local ids, records, recorded, is_new = {}, {}, {}, false
    for at = head + 1, #argv, width do
        ids[#ids + 1] = argv[at]
    end
    for i, seen in ipairs(redis.call('HMGET', bucket, unpack(ids))) do
        recorded[ids[i]] = seen
        is_new = is_new or not seen
    end
    if is_new then
        bucket_open(bucket)
    end
    local answers = each_row(argv, head, width, function(at)
        local seen = recorded[argv[at]]
        if seen then
            return again and again(seen, at) or seen
        end
        local answer, record = act(at)
        if record == nil then
            record = answer
        end
        if record then
            recorded[argv[at]] = record -- the same command may be in two rows
            records[#records + 1], records[#records + 2] = argv[at], record
        end
        return answer
    end)
    if #records > 0 then
        redis.call('HSET', bucket, unpack(records))
    end
    return answers
end

-- The record of command `id`, or a tombstone in its place: after this it acts no more.
local function cancel(bucket, id)
    return once(bucket, id, function()
        return 'cancelled'
    end)
end

-- Amounts are int64, Lua's numbers are doubles: so amounts stay decimal texts (without sign and
-- leading zeros) and are compared as such; adding is the server's HINCRBY, which is exact.
local AMOUNT_MAX = '9223372036854775807'
local function covers(have, want)
    if not string.find(have, '^[1-9]%d*$') and have ~= '0' or
        #have >= #AMOUNT_MAX and (#have > #AMOUNT_MAX or have > AMOUNT_MAX) then
        error('not an amount: ' .. have) -- before anything is done: the server would not add to it
    end
    if #have ~= #want then
        return #have > #want
    end
    return have >= want
end

-- Adds to a counter of a hash. False, and nothing changed, when it would leave int64.
local function add(key, field, amount)
    local sum = redis.pcall('HINCRBY', key, field, amount)
    return type(sum) ~= 'table'
end

-- The n-th field, from 1, of 'a|b|c'; nil when there is none.
local function part(record, n)
    for field in string.gmatch(record .. '|', '([^|]*)|') do
        n = n - 1
        if n == 0 then
            return field
        end
    end
    return nil
end

-- All fields of 'a|b|c'.
local function parts(record)
    local all = {}
    for field in string.gmatch(record .. '|', '([^|]*)|') do
        all[#all + 1] = field
    end
    return all
end

-- Raises the floor of `service` to where records are older than `life_ms`, but not beyond `keep`, the
-- first bucket that an open saga may need; '': nobody knows, so it stays. Returns the slow clock.
local function floor_raise(service, life_ms, keep, seen, rise_ms)
    local newest = redis.call('ZREVRANGE', service .. ':buckets', 0, 0)[1]
    if not newest then -- nothing to go by, and nothing to drop
        return tonumber(redis.call('GET', service .. ':clock') or 0)
    end
    local clock = slow_clock(service, (tonumber(newest, 16) + 1) * BUCKET_MS, seen, rise_ms)
    local floor = keep ~= '' and math.min(bucket_number(clock - life_ms), tonumber(keep)) or 0
    if floor > tonumber(redis.call('GET', service .. ':floor') or 0) then
        redis.call('SET', service .. ':floor', string.format('%.0f', floor))
    end
    return clock
end

-- Raises the floor, and drops about `limit` records of the oldest bucket below it, going on at
-- `cursor` ('0' at first). ARGV: life_ms, keep, seen, rise_ms (floor_raise), limit, cursor. Returns
-- the slow clock, and the cursor to go on at, which is absent when no such bucket is left. Starting
-- anew each time would look for ever at the part that is empty already.
-- `fold(record, id)` keeps the books: what the record proved is taken into the entity's own totals.
local function sweep(service, argv, fold)
    local clock = string.format('%.0f', floor_raise(service, tonumber(argv[1]), argv[2], argv[3],
        tonumber(argv[4])))
    local buckets, prefix = service .. ':buckets', service .. ':once:'
    local floor = redis.call('GET', service .. ':floor') or '0'
    local name = redis.call('ZRANGEBYSCORE', buckets, '-inf', '(' .. floor, 'LIMIT', 0, 1)[1]
    if not name then
        return {clock}
    end
    local scan = redis.call('HSCAN', prefix .. name, argv[6], 'COUNT', argv[5])
    local fields = scan[2]
    for i = 1, #fields, 2 do
        fold(fields[i + 1], fields[i])
        redis.call('HDEL', prefix .. name, fields[i])
    end
    if redis.call('EXISTS', prefix .. name) == 0 then
        redis.call('ZREM', buckets, name)
        return {clock, '0'}
    end
    return {clock, scan[1]}
end
