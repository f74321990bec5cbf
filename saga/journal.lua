-- journal.lua: the saga journal. It lies in the hash of the entity that the saga is about, so
-- that freezing the entity and beginning its saga is one atomic step, and so is ending both.
--
-- One field, `journal`, because the store's work grows with the number of fields and texts; the hot
-- path looks at its beginning and appends to its end:
--   saga|attempt|state|due_ms|retries|reason|waiters|frozen..|story
--         saga      id of the newest saga of this entity
--         attempt   counts the sagas of this entity, from 1
--         state     its state
--         due_ms    when the outstanding command, which the state names, is to be sent again; 0: ended
--         retries   how often it was sent again in this state
--         reason    why it was refused
--         waiters   who gets a notice of the end: gateway/request,..
--         frozen    what the saga's commands are made of: fields of the entity, as they were when it
--                   began
--         story     state:wall_ms:retries,.. of every state entered; the retries of the last one
--                   are in `retries`
-- Open sagas are in a sorted set by due time; the score may be early, due_ms is the truth, so that
-- an ordinary transition need not touch the set. All times are by the store's clock.
-- Functions return a saga in the form of a record: outcome|entity|journal, or an outcome alone.
-- Source: protocol.md, "The journal is the truth", "Command ids are deterministic", "The journal",
-- "The windows" (6, 12, 14).

local WAITERS_MAX = 64

local SAGA, ATTEMPT, STATE, DUE_MS, RETRIES, REASON, WAITERS = 1, 2, 3, 4, 5, 6, 7
local JOURNAL_PARTS_MIN = 8

-- The journal of a text, by the numbers above, the story being the last; empty when there is none.
local function journal_parse(text)
    local now = text and parts(text) or {}
    if text and (#now < JOURNAL_PARTS_MIN or not string.find(now[#now], ':%d+:%d+$')) then
        error('not a journal: ' .. text) -- and so nobody knows what was done
    end
    return now
end

-- The journal of an entity that has none where it belongs: a library that takes entities away from
-- there says here where they are.
local journal_elsewhere = function() end

local function journal_text(key)
    return redis.call('HGET', key, 'journal') or journal_elsewhere(key)
end

local function journal_read(key)
    local text = journal_text(key)
    return journal_parse(text), text
end

local function journal_record(outcome, entity, text)
    return outcome .. '|' .. entity .. '|' .. text
end

local function ms_text(ms)
    return string.format('%.0f', ms)
end

-- Begins a saga in `state`. `now_ms` and `due_ms` are texts, for they are those of many; '0': it ends
-- at once. `last`: the journal until now; `frozen`: 'a|b|..'. An open one goes into `opened`, for
-- journal_index. Returns the journal's text.
local function journal_begin(key, entity, saga, state, waiter, now_ms, due_ms, last, frozen, opened)
    local attempt = last[ATTEMPT] and string.format('%d', last[ATTEMPT] + 1) or '1'
    local text = saga .. '|' .. attempt .. '|' .. state .. '|' .. due_ms .. '|0||' .. waiter .. '|' ..
        frozen .. '|' .. state .. ':' .. now_ms .. ':0'
    redis.call('HSET', key, 'journal', text)
    if due_ms ~= '0' then
        opened[#opened + 1], opened[#opened + 2] = due_ms, entity
    end
    return text
end

-- A request that finds a saga running becomes one of its waiters and gets a notice when it ends.
-- Beyond WAITERS_MAX it is not added and retries instead.
-- Returns the journal's text.
local function journal_attach(key, now, waiter)
    local count = 0
    for known in string.gmatch(now[WAITERS], '[^,]+') do
        if known == waiter then
            return table.concat(now, '|')
        end
        count = count + 1
    end
    if count < WAITERS_MAX then
        now[WAITERS] = now[WAITERS] == '' and waiter or now[WAITERS] .. ',' .. waiter
        redis.call('HSET', key, 'journal', table.concat(now, '|'))
    end
    return table.concat(now, '|')
end

-- What rows have opened ({due_ms, entity, ..}) and ended ({entity, ..}), in one call each.
local function journal_index(open, opened, ended)
    if #opened > 0 then
        redis.call('ZADD', open, unpack(opened))
    end
    if #ended > 0 then
        redis.call('ZREM', open, unpack(ended))
    end
end

-- A saga that ended in failure leaves its journal in its once-record, because the next attempt begins
-- a new one. `waiters`: what the journal's part of that name is the beginning of. Who came to this
-- saga under a key of his may ask for its end as long as the key is his.
local function journal_archive(bucket, saga, waiters, record)
    records_put(bucket, {saga, record})
    for request in string.gmatch(string.match(waiters, '^[^|]*'), '/([^,]+)') do
        if is_kept(request) and not is_kept(saga) then
            kept_put(bucket, saga, record)
            return
        end
    end
end

-- Compare-and-set of many: 'moved' if the journal was where the caller thought, else 'stale', with
-- what it is now. KEYS: open. ARGV: from, to, resend_ms ('': the saga ends), '1' if it ends in
-- failure; then entity, saga, attempt, reason for each.
local ADVANCE_HEAD, ADVANCE_WIDTH = 4, 4
local function journal_advance(keys, argv, prefix, bucket_of)
    local from, to, is_failure = argv[1], argv[2], argv[4] == '1'
    local opened, ended = {}, {}
    local ms = store_ms()
    local now_ms, due_ms = ms_text(ms), argv[3] ~= '' and ms_text(ms + argv[3]) or '0'
    local records = each_row(argv, ADVANCE_HEAD, ADVANCE_WIDTH, function(at)
        local entity, saga, attempt, reason = argv[at], argv[at + 1], argv[at + 2], argv[at + 3]
        local key = prefix .. entity
        local text = journal_text(key)
        local expected = saga .. '|' .. attempt .. '|' .. from .. '|'
        if not text or string.sub(text, 1, #expected) ~= expected then
            journal_parse(text)
            return text and journal_record('stale', entity, text) or 'stale'
        end
        local retries, was, behind = string.match(text, '^%d+|(%d+)|([^|]*)|()', #expected + 1)
        if not behind then
            error('not a journal: ' .. text)
        end
        local rest = string.sub(text, behind)
        if retries ~= '0' then
            rest = string.gsub(rest, '%d+$', retries)
        end
        text = saga .. '|' .. attempt .. '|' .. to .. '|' .. due_ms .. '|0|' ..
            (reason ~= '' and reason or was) .. '|' .. rest .. ',' .. to .. ':' .. now_ms .. ':0'
        if is_failure then -- first: nothing is done yet if this fails
            journal_archive(bucket_of(saga), saga, rest, journal_record('ended', entity, text))
        end
        redis.call('HSET', key, 'journal', text)
        if due_ms == '0' then
            ended[#ended + 1] = entity
        elseif retries ~= '0' then -- the lease has set a later score than the new due time
            opened[#opened + 1], opened[#opened + 2] = due_ms, entity
        end
        return journal_record('moved', entity, text)
    end)
    journal_index(keys[1], opened, ended)
    return records
end

-- As journal_read, of a saga that ended and was followed by another attempt: from its once-record.
local function journal_archived(record)
    local text = string.match(record, '^ended|[^|]*|(.*)$')
    return journal_parse(text), text
end

-- Who is due: by his due time, or because that is further ahead than any that was honest: then the
-- clock has jumped since it was written.
local function journal_due(open, now_ms, limit, resend_max_ms)
    local due = redis.call('ZRANGEBYSCORE', open, '-inf', ms_text(now_ms), 'LIMIT', 0, limit)
    local ahead = redis.call('ZRANGEBYSCORE', open, ms_text(now_ms + 2 * resend_max_ms), '+inf',
        'LIMIT', 0, limit - #due)
    for _, entity in ipairs(ahead) do
        due[#due + 1] = entity
    end
    return due
end

-- Leases the sagas that are due: moves each one's due time forward, so that no other process gets
-- it until then, and hands out what to send again, behind what time it is. One that cannot be read
-- is handed out too, without its journal, to be told of; the others must not wait for it.
local function journal_lease(open, prefix, limit, resend_ms, resend_max_ms)
    local now_ms = store_ms()
    local leased = {ms_text(now_ms)}
    for _, entity in ipairs(journal_due(open, now_ms, limit, resend_max_ms)) do
        local key = prefix .. entity
        local is_read, now = pcall(journal_read, key)
        local due_ms = is_read and tonumber(now[DUE_MS] or 0)
        local retries = is_read and tonumber(now[RETRIES] or 0)
        if not due_ms or not retries then
            redis.call('ZADD', open, ms_text(now_ms + resend_max_ms), entity)
            leased[#leased + 1] = journal_record('due', entity, '')
        elseif due_ms == 0 then
            redis.call('ZREM', open, entity)
        elseif due_ms > now_ms and due_ms <= now_ms + 2 * resend_max_ms then
            redis.call('ZADD', open, ms_text(due_ms), entity)
        else
            local wait_ms = math.min(resend_ms * 2 ^ math.min(retries + 1, 20), resend_max_ms)
            now[DUE_MS] = ms_text(now_ms + wait_ms)
            now[RETRIES] = string.format('%d', retries + 1)
            local text = table.concat(now, '|')
            redis.call('HSET', key, 'journal', text)
            redis.call('ZADD', open, now[DUE_MS], entity)
            leased[#leased + 1] = journal_record('due', entity, text)
        end
    end
    return leased
end

-- Which open saga is the oldest, by the time in its id? A part of them, from `cursor` on ('0' at
-- first). Returns what time it is, where to go on ('0': that was all), and the time of the oldest
-- one of this part; absent: there was none. One that cannot be read may be of any age.
local function journal_oldest(open, prefix, cursor, limit)
    local scan, oldest = redis.call('ZSCAN', open, cursor, 'COUNT', limit), nil
    for i = 1, #scan[2], 2 do
        local is_read, now = pcall(journal_read, prefix .. scan[2][i])
        local ms = is_read and (not now[SAGA] or id_ms(now[SAGA]))
        if ms ~= true then
            oldest = math.min(oldest or math.huge, ms or 0)
        end
    end
    return {ms_text(store_ms()), scan[1], oldest and ms_text(oldest)}
end
