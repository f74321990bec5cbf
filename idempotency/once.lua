-- once.lua: what every function library begins with. Exactly-once effects and exact arithmetic.
--
-- A record is the answer of a command, stored in the same atomic call as its effect, as a field of
-- a bucket hash: 'outcome|detail|..'. A refusal is recorded like a success. A tombstone is the
-- record 'cancelled': written under the id of a command that must never act any more.
-- Records do not live for ever. <service>:floor is the number of the first bucket that is kept,
-- raised by the very call that begins to drop lower ones: so exactly the dropped commands are
-- refused as too old, whatever any clock says.
-- The record of a command under a client's key lives longer (is_kept): it is written twice,
-- the second time into <service>:kept:<bucket>, and these have a floor of their own. The first copy
-- keeps the books, and a command looks there first; only when its bucket is gone
-- it looks for the second.
-- Source: protocol.md, "A step is one function call in the store", "Once-records".

-- A bucket: the 4096 ms that an id was made in.
local BUCKET_MS = 4096
local function bucket_number(ms)
    return math.floor(ms / BUCKET_MS)
end

-- When the UUIDv7 that a command id begins with was made: its first 12 hex digits.
local function id_ms(id)
    return tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
end

-- What an id that was made then begins with. Beginnings of ids are in order as texts, too.
local ID_STAMP = 13
local function id_stamp(ms)
    return string.format('%08x-%04x', math.floor(ms / 65536), ms % 65536)
end

-- Does it stand for a client's key, or is it a batch, or a chunk of one? runtime/uuid.h says so in
-- the id. What its saga's steps did is asked for by the saga alone, and no longer than it is open.
local function is_kept(id)
    return (string.byte(id, 16) or 0) >= 56 and string.find(id, '^:?%d*$', 37) -- '8' is 56
end

local function bucket_cut(bucket)
    local service, name = string.match(bucket, '^(.-):once:(%x+)$')
    return service, name, tonumber(name, 16)
end

-- Number of the first bucket that is kept; 0: none was dropped yet.
local function floor_of(key)
    return tonumber(redis.call('GET', key) or 0)
end

-- Might its records have been dropped?
local function is_below(floor_key, number)
    return number < floor_of(floor_key)
end

local function bucket_is_over(bucket)
    local service, _, number = bucket_cut(bucket)
    return is_below(service .. PART.floor, number)
end

-- Refuses a command, and says up to when, in ms, records may have been dropped.
local function too_old(floor_key)
    error({err = string.format('TOOOLD %.0f the record of this command may have been dropped',
        floor_of(floor_key) * BUCKET_MS)})
end

-- The record of a command whose bucket is over, as it is kept; nil: it never acted. Refuses the
-- command where that is not known.
local function kept_seen(bucket, id)
    local service, name, number = bucket_cut(bucket)
    local floor_key = service .. (is_kept(id) and PART.kept_floor or PART.floor)
    if is_below(floor_key, number) then
        too_old(floor_key)
    end
    return redis.call('HGET', service .. PART.kept .. name, id) or nil
end

-- Before a bucket's first record: into the index by which it is found again.
local function bucket_enter(key, index, name, number)
    if redis.call('EXISTS', key) == 0 then
        redis.call('ZADD', index, string.format('%.0f', number), name)
    end
end

local function kept_put(bucket, id, record)
    local service, name, number = bucket_cut(bucket)
    bucket_enter(service .. PART.kept .. name, service .. PART.kept_buckets, name, number)
    redis.call('HSET', service .. PART.kept .. name, id, record)
end

-- Writes the records of {id, record, ..}.
local function records_put(bucket, records)
    local service, name, number = bucket_cut(bucket)
    bucket_enter(bucket, service .. PART.buckets, name, number)
    redis.call('HSET', bucket, unpack(records))
    for i = 1, #records, 2 do
        if is_kept(records[i]) then
            kept_put(bucket, records[i], records[i + 1])
        end
    end
end

-- A record that is only looked at: it may lie in either place.
local function record_get(bucket, id)
    return redis.call('HGET', bucket, id) or
        redis.call('HGET', (string.gsub(bucket, PART.once, PART.kept, 1)), id)
end

-- The answer of command `id`. The duplicate check comes first, always: a balance test before it
-- would refuse the retry of a payment that succeeded.
local function once(bucket, id, act)
    local seen = redis.call('HGET', bucket, id)
    if seen then
        return seen
    end
    if bucket_is_over(bucket) then
        seen = kept_seen(bucket, id)
        if seen then
            return seen
        end
    end
    local answer = act()
    records_put(bucket, {id, answer})
    return answer
end

-- Many commands in one call, for the hot path: ARGV is `head` arguments for all of them, then a row
-- of `width` for each. act(at) answers the row that begins at argv[at]. One that fails does not
-- touch the others: its answer is nil, and it is sent alone to learn why.
local function each_row(argv, head, width, act)
    local answers = {}
    if #argv == head + width then
        return {act(head + 1) or false} -- an error that was caught loses its name
    end
    for at = head + 1, #argv, width do
        local is_done, answer = pcall(act, at)
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
    local is_over = is_new and bucket_is_over(bucket)
    local answers = each_row(argv, head, width, function(at)
        local seen = recorded[argv[at]] or is_over and kept_seen(bucket, argv[at])
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
        records_put(bucket, records)
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

-- Takes from a counter of a hash. '-0' is no integer to the server, and an order may cost nothing.
local function take_off(key, field, amount)
    if amount ~= '0' then
        redis.call('HINCRBY', key, field, '-' .. amount)
    end
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

-- Raises a floor to where records are older than `life_ms`, but not beyond `keep`, the first bucket
-- that an open saga may need; '': nobody knows, so it stays.
local function floor_raise(key, clock, life_ms, keep)
    local floor = keep ~= '' and math.min(bucket_number(clock - life_ms), tonumber(keep)) or 0
    if floor > floor_of(key) then
        redis.call('SET', key, string.format('%.0f', floor))
    end
end

-- The slow clock of a service's records, moved on.
local function records_clock(service, seen, rise_ms)
    local newest = redis.call('ZREVRANGE', service .. PART.buckets, 0, 0)[1]
    if not newest then -- nothing to go by, and nothing to drop
        return tonumber(redis.call('GET', service .. PART.clock) or 0)
    end
    return slow_clock(service, (tonumber(newest, 16) + 1) * BUCKET_MS, seen, rise_ms)
end

-- The oldest bucket below its floor: its name, or nil.
local function bucket_below(index, floor_key)
    local floor = string.format('(%.0f', floor_of(floor_key))
    return redis.call('ZRANGEBYSCORE', index, '-inf', floor, 'LIMIT', 0, 1)[1]
end

-- Raises both floors, and drops about `limit` records of the oldest bucket below the first; when there
-- is none, a whole bucket below the second, which the server frees beside its work. ARGV: life_ms,
-- keep, seen, rise_ms (floor_raise, slow_clock), limit, cursor to go on at ('0' at first), and life_ms
-- of what is kept for clients. Returns the slow clock, and the cursor to go on at, which is absent
-- when nothing is left. Starting over each time would look for ever at the part that is empty already.
-- `fold(record, id, bucket)` keeps the books: what the record proved is taken into the entity's own
-- totals. It may drop another record of the bucket with it. A record that it fails at is put aside,
-- into <service>:unfolded, for the others must not wait.
local function sweep(service, argv, fold)
    local ms = records_clock(service, argv[3], tonumber(argv[4]))
    local clock, buckets = string.format('%.0f', ms), service .. PART.buckets
    floor_raise(service .. PART.floor, ms, tonumber(argv[1]), argv[2])
    floor_raise(service .. PART.kept_floor, ms, tonumber(argv[7]), argv[2])
    local name = bucket_below(buckets, service .. PART.floor)
    if not name then
        local kept = bucket_below(service .. PART.kept_buckets, service .. PART.kept_floor)
        if not kept then
            return {clock}
        end
        redis.call('UNLINK', service .. PART.kept .. kept)
        redis.call('ZREM', service .. PART.kept_buckets, kept)
        return {clock, '0'}
    end
    local bucket = service .. PART.once .. name
    local scan = redis.call('HSCAN', bucket, argv[6], 'COUNT', argv[5])
    local fields = scan[2]
    for i = 1, #fields, 2 do
        local is_left = redis.call('HDEL', bucket, fields[i]) == 1
        if is_left and not pcall(fold, fields[i + 1], fields[i], bucket) then
            redis.call('HSET', service .. PART.unfolded, fields[i], fields[i + 1])
        end
    end
    if redis.call('EXISTS', bucket) == 0 then
        redis.call('ZREM', buckets, name)
        return {clock, '0'}
    end
    return {clock, scan[1]}
end
