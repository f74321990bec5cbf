-- once.lua: what every function library begins with. Exactly-once effects and exact arithmetic.
--
-- A record is the answer of a command, stored in the same atomic call as its effect, as a field of
-- a bucket hash: 'outcome|detail|..'. A refusal is recorded like a success. A tombstone is the
-- record 'cancelled': written under the id of a command that must never act any more.
-- Source: protocol.md sections 1.2 and 2.

-- The answer of command `id`. The duplicate check comes first, always: a balance test before it
-- would refuse the retry of a payment that succeeded.
local function once(bucket, id, act)
    local seen = redis.call('HGET', bucket, id)
    if seen then
        return seen
    end
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
    local ids, records, recorded = {}, {}, {}
    for at = head + 1, #argv, width do
        ids[#ids + 1] = argv[at]
    end
    for i, seen in ipairs(redis.call('HMGET', bucket, unpack(ids))) do
        recorded[ids[i]] = seen
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

-- Drops about `limit` records of the oldest bucket before number `before`, going on at `cursor`
-- ('0' at first). Returns the cursor to go on at, or nil when there is no such bucket any more.
-- Starting anew each time would look for ever at the part that is empty already.
-- `fold(record)` keeps the books: what the record proved is taken into the entity's own totals.
local function sweep(buckets, prefix, before, limit, cursor, fold)
    local name = redis.call('ZRANGEBYSCORE', buckets, '-inf', '(' .. before, 'LIMIT', 0, 1)[1]
    if not name then
        return nil
    end
    local scan = redis.call('HSCAN', prefix .. name, cursor, 'COUNT', limit)
    local fields = scan[2]
    for i = 1, #fields, 2 do
        fold(fields[i + 1])
        redis.call('HDEL', prefix .. name, fields[i])
    end
    if redis.call('EXISTS', prefix .. name) == 0 then
        redis.call('ZREM', buckets, name)
        return '0'
    end
    return scan[1]
end
