-- journal.lua: the saga journal. It lies in the hash of the entity that the saga is about, so
-- that freezing the entity and beginning its saga is one atomic step, and so is ending both.
--
-- Fields: saga      id of the newest saga of this entity
--         attempt   counts the sagas of this entity, from 1
--         state     its state; absent: none yet
--         began_ms  wall clock
--         due_ms    when the outstanding command, which the state names, is to be sent again
--         retries   how often that was done in this state
--         reason    why it was refused
--         waiters   who is told of the end: gateway/request,..
--         story     state:ms since began_ms:retries,.. of every state entered; the retries of
--                   the last one are in `retries`
-- Open sagas are in a sorted set by due time; the score may be early, due_ms is the truth, so that
-- an ordinary transition need not touch the set.
-- Source: protocol.md sections 1.1, 1.3, 2 and 4 (windows 6, 12, 14).

local WAITERS_MAX = 64

-- What a library reads and hands out: the journal's fields in the order of struct journal_record
-- (saga/journal.c), then `frozen`, the entity's own fields that the saga's commands are made of.
-- Called while the library loads, when most globals (ipairs, say) are not there yet.
local function journal_fields(frozen)
    local fields = {'saga', 'attempt', 'state', 'began_ms', 'retries', 'reason', 'waiters', 'story'}
    for i = 1, #frozen do
        fields[#fields + 1] = frozen[i]
    end
    return fields
end
local SAGA, ATTEMPT, STATE, BEGAN_MS, RETRIES, REASON, WAITERS, STORY = 1, 2, 3, 4, 5, 6, 7, 8

-- {outcome, entity, fields..}
local function journal_record(outcome, entity, values, fields)
    local record = {outcome, entity}
    for i = 1, #fields do
        record[i + 2] = values[i] or ''
    end
    return record
end

local function journal_tell(outcome, key, entity, fields)
    return journal_record(outcome, entity, redis.call('HMGET', key, unpack(fields)), fields)
end

-- Begins saga `saga` in `state`; `due_ms` false: it ends at once. `now`: the journal as it was, by
-- HMGET of `fields`; becomes what it is.
local function journal_begin(key, open, entity, saga, state, waiter, now_ms, due_ms, now)
    now[SAGA], now[STATE], now[BEGAN_MS], now[WAITERS] = saga, state, now_ms, waiter
    now[ATTEMPT] = string.format('%d', (tonumber(now[ATTEMPT]) or 0) + 1)
    now[RETRIES], now[REASON], now[STORY] = '0', '', state .. ':0:0'
    redis.call('HSET', key, 'saga', saga, 'attempt', now[ATTEMPT], 'state', state,
        'began_ms', now_ms, 'due_ms', due_ms or '0', 'retries', '0', 'reason', '', 'waiters', waiter,
        'story', now[STORY])
    if due_ms then
        redis.call('ZADD', open, due_ms, entity)
    end
end

-- Who asks for a running saga is told of its end. One too many asks again each second instead.
local function journal_attach(key, waiter)
    local waiters = redis.call('HGET', key, 'waiters')
    local count = 0
    for known in string.gmatch(waiters, '[^,]+') do
        if known == waiter then
            return
        end
        count = count + 1
    end
    if count < WAITERS_MAX then
        redis.call('HSET', key, 'waiters', waiters == '' and waiter or waiters .. ',' .. waiter)
    end
end

-- Compare-and-set: {'moved', ..} if the journal was where the caller thought, else {'stale', ..}
-- with what it is now. `due_ms` nil: the saga ends; one that ends in failure (`archive`) leaves its
-- whole story in its once-record, because the next attempt begins a new journal.
local function journal_advance(key, open, bucket, entity, fields, move)
    local now = redis.call('HMGET', key, unpack(fields))
    if now[SAGA] ~= move.saga or now[ATTEMPT] ~= move.attempt or now[STATE] ~= move.from then
        return journal_record('stale', entity, now, fields)
    end
    local was_leased = now[RETRIES] ~= '0'
    if was_leased then
        now[STORY] = string.gsub(now[STORY], '%d+$', now[RETRIES])
    end
    now[STORY] = now[STORY] .. ',' .. move.to .. ':' ..
        string.format('%d', move.now_ms - now[BEGAN_MS]) .. ':0'
    now[STATE], now[RETRIES] = move.to, '0'
    if move.reason ~= '' then
        now[REASON] = move.reason
    end
    redis.call('HSET', key, 'state', move.to, 'retries', '0', 'due_ms', move.due_ms or '0',
        'reason', now[REASON], 'story', now[STORY])
    if not move.due_ms then
        redis.call('ZREM', open, entity)
        if move.archive then
            redis.call('HSET', bucket, move.saga, table.concat({'ended', entity, now[ATTEMPT],
                move.to, now[BEGAN_MS], '0', now[REASON], now[STORY]}, '|'))
        end
    elseif was_leased then -- the lease has set a later score than the new due time
        redis.call('ZADD', open, move.due_ms, entity)
    end
    return journal_record('moved', entity, now, fields)
end

-- The record of a saga that ended and was followed by another attempt, from its once-record.
local function journal_archived(outcome, saga, record, fields)
    return journal_record(outcome, part(record, 2), {saga, part(record, 3), part(record, 4),
        part(record, 5), part(record, 6), part(record, 7), '', part(record, 8)}, fields)
end

-- Leases the sagas that are due: moves each one's due time forward, so that no other process gets
-- it until then, and hands out what to send again. Returns records, one after the other.
local function journal_lease(open, prefix, fields, now_ms, limit, resend_ms, resend_max_ms)
    local leased = {}
    local entities = redis.call('ZRANGEBYSCORE', open, '-inf', now_ms, 'LIMIT', 0, limit)
    for _, entity in ipairs(entities) do
        local key = prefix .. entity
        local now = redis.call('HMGET', key, 'due_ms', 'retries')
        local due_ms, retries = tonumber(now[1] or 0), tonumber(now[2] or 0)
        if due_ms == 0 then
            redis.call('ZREM', open, entity)
        elseif due_ms > now_ms then
            redis.call('ZADD', open, due_ms, entity)
        else
            local wait_ms = math.min(resend_ms * 2 ^ math.min(retries + 1, 20), resend_max_ms)
            due_ms = string.format('%.0f', now_ms + wait_ms)
            redis.call('HSET', key, 'due_ms', due_ms, 'retries', retries + 1)
            redis.call('ZADD', open, due_ms, entity)
            for _, field in ipairs(journal_tell('due', key, entity, fields)) do
                leased[#leased + 1] = field
            end
        end
    end
    return leased
end
