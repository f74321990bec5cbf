-- restore.lua: replays that are under way. The commands of a time's sagas to a participant are
-- sent again, from their newest bucket of records to the oldest, twice: first what must be undone.
--
-- <library>:replay:<participant>, a hash that is there until it is done:
--   since     ms since 1970: what ended before that is not lost
--   first     number of the oldest bucket to look into; last: of the newest
--   pass      0: what must be undone; 1: what must stand
--   bucket    of this pass: newer ones are sent and confirmed
--   token     fences: a new one for each process that takes it, and when it starts over, from the
--             counter in <library>:replays. Never that of an earlier replay: its end may come twice
--   beat      the steps made. No wall clock matters: a process that sees it stand still takes it
--   sent      commands, in all
--   begun_ms  when it was announced first
-- No cursor: that would be valid for one run of one server only. A new holder starts its bucket over.
-- Source: protocol.md, "Sending it again".

local REPLAY_FIELDS =
    {'since', 'first', 'last', 'pass', 'bucket', 'token', 'beat', 'sent', 'begun_ms'}

local function replay_token()
    return string.format('%.0f', redis.call('HINCRBY', LIBRARY .. PART.replays, 'token', 1))
end

local function replay_read(key)
    local now, values = {}, redis.call('HMGET', key, unpack(REPLAY_FIELDS))
    for i, name in ipairs(REPLAY_FIELDS) do
        now[name] = values[i]
    end
    return now.token and now, values
end

-- KEYS: bucket of its once-record, journal. ARGV: id, since, first, last, now_ms. Another one while
-- one is under way widens it, and it starts over: what was sent until now may be lost again.
local function replay_begin(keys, argv)
    return once(keys[1], argv[1], function()
        local since, first, last = tonumber(argv[2]), tonumber(argv[3]), tonumber(argv[4])
        local now = replay_read(keys[2])
        if now then
            since, first = math.min(since, now.since), math.min(first, now.first)
            last = math.max(last, now.last)
        end
        redis.call('HSET', keys[2], 'since', string.format('%.0f', since),
            'first', string.format('%.0f', first), 'last', string.format('%.0f', last),
            'pass', '0', 'bucket', string.format('%.0f', last),
            'token', replay_token(), 'beat', '0',
            'sent', now and now.sent or '0', 'begun_ms', now and now.begun_ms or argv[5])
        return 'created'
    end)
end

-- KEYS: journal. ARGV: token and beat, if the caller has seen them for so long that the holder
-- must be gone. Takes it if so, or if nobody has had it yet. '1': taken, else '0'; then its fields, or
-- nothing when there is none.
local function replay_take(keys, argv)
    local now, values = replay_read(keys[1])
    if not now then
        return {'0'}
    end
    local is_gone = now.token == argv[1] and now.beat == argv[2]
    if not is_gone and now.beat ~= '0' then
        return {'0', unpack(values)}
    end
    redis.call('HSET', keys[1], 'token', replay_token(), 'beat', '1')
    return {'1', unpack((select(2, replay_read(keys[1]))))}
end

-- When a saga has entered the state that it is in.
local function entered_ms(now)
    return tonumber(string.match(now[#now], ':(%d+):%d+$') or 0)
end

-- A part of the newest bucket from `number` down to `first`: records of sagas that are open, or have
-- ended since; and behind them number and cursor of where to go on, the number being '' when that
-- was all. look(saga, its once-record): its journal, the journal's text and the entity; or nil.
local function replay_part(buckets, number, first, cursor, limit, since, look)
    local name = redis.call('ZREVRANGEBYSCORE', buckets, number, first, 'LIMIT', 0, 1)[1]
    if not name then
        return {'', '0'}
    end
    local found = tonumber(name, 16)
    local at = found == tonumber(number) and cursor or '0'
    local scan = redis.call('HSCAN', LIBRARY .. PART.once .. name, at, 'COUNT', limit)
    local list, seen = {}, scan[2]
    for i = 1, #seen, 2 do
        local now, text, entity = look(seen[i], seen[i + 1])
        if now and (not now[STATE] or now[DUE_MS] ~= '0' or entered_ms(now) >= tonumber(since)) then
            list[#list + 1] = journal_record('saga', entity, text)
        end
    end
    list[#list + 1] = string.format('%.0f', scan[1] == '0' and found - 1 or found)
    list[#list + 1] = scan[1]
    return list
end

-- KEYS: journal, buckets. ARGV: token, pass, bucket, commands sent in all, cursor, records at once.
-- What was handed out before is confirmed: so the journal is moved to where the next part is looked
-- for, and that is handed out. Nothing when somebody else has it.
local function replay_step(keys, argv, look)
    local now = replay_read(keys[1])
    if not now or now.token ~= argv[1] then
        return {}
    end
    redis.call('HSET', keys[1], 'pass', argv[2], 'bucket', argv[3], 'sent', argv[4],
        'beat', string.format('%.0f', now.beat + 1))
    return replay_part(keys[2], argv[3], now.first, argv[5], argv[6], now.since, look)
end

-- KEYS: journal. ARGV: token. All of it is confirmed. Answers, behind that, the time before which there
-- were no records of sagas to go by any more; '': they went back far enough.
local function replay_end(keys, argv)
    local now = replay_read(keys[1])
    if not now or now.token ~= argv[1] then
        return {'lost', ''}
    end
    local floor = floor_of(LIBRARY .. PART.floor)
    redis.call('DEL', keys[1])
    return {'done', floor > tonumber(now.first) and ms_text(floor * BUCKET_MS) or ''}
end

-- Where the oldest of the replays for these participants has to look yet: number of a bucket, or nil.
local function replay_oldest(participants)
    local oldest
    for _, participant in ipairs(participants) do
        local first = redis.call('HGET', LIBRARY .. PART.replay .. participant, 'first')
        oldest = first and math.min(oldest or math.huge, first) or oldest
    end
    return oldest
end

-- To be called once by a library, which says how its sagas are looked at (replay_part).
local function replay_register(look)
    register(LIBRARY .. '_replay_begin', replay_begin, {'allow-oom'})
    register(LIBRARY .. '_replay_take', replay_take, {'allow-oom'})
    register(LIBRARY .. '_replay_step', function(keys, argv)
        return replay_step(keys, argv, look)
    end, {'allow-oom'})
    register(LIBRARY .. '_replay_end', replay_end, {'allow-oom'})
end
