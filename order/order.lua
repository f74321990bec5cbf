-- order.lua: orders and the journal of their checkout sagas.
--
-- order:order:<id>  user, total, lines ('item*pieces,..'), and the fields of saga/journal.lua
-- order:recent      saga|order of the newest sagas, newest first
-- order:open        open sagas by due time; members are order ids
-- order:buckets     the buckets of records that exist, by age
--
-- A checkout's record, under the request's id, which is also the saga's id if it begins one:
--   'begun|order|saga'  it began, or attached to, that saga
--   'ended|order|..'    that saga failed; its story (journal_advance)
--   'unknown'           there was no such order: and a late repeat must not find one

local FIELDS = journal_fields({'user', 'total', 'lines'})
local USER, LINES = 9, 11 -- of FIELDS

-- The bucket that a saga's own record is in (idempotency/once.h).
local function bucket_of(saga)
    return 'order:once:' .. string.sub(saga, 1, 8) .. string.sub(saga, 10, 10)
end

-- No addItem and no second saga while one is open. Absent and `failed` are changeable.
local function is_open(state, paid, failed)
    return state and state ~= paid and state ~= failed
end

local function order_create(keys, argv)
    return once(keys[1], argv[1], function()
        redis.call('HSET', keys[2], 'user', argv[2], 'total', 0, 'lines', '')
        return 'created'
    end)
end

-- ARGV: -, order, paid
local function order_find(keys, argv)
    local order = redis.call('HMGET', keys[2], 'user', 'total', 'lines', 'state')
    if not order[1] then
        return {'unknown'}
    end
    return {'order', order[1], order[2], order[3], order[4] == argv[3] and '1' or '0'}
end

-- 2^53 - 1: two quantities within it never add up to a number within it by rounding.
local QUANTITY_MAX = '9007199254740991'

-- 'a*1,b*2' with `quantity` more of `item`; or nil and why not.
local function lines_add(lines, item, quantity, lines_max)
    local merged, found = {}, false
    if not covers(QUANTITY_MAX, quantity) then
        return nil, 'quantity too large'
    end
    for name, pieces in string.gmatch(lines, '([^*,]+)%*(%d+)') do
        if name == item then
            found = true
            pieces = tonumber(pieces) + tonumber(quantity)
            if pieces > tonumber(QUANTITY_MAX) then
                return nil, 'quantity too large'
            end
            pieces = string.format('%.0f', pieces)
        end
        merged[#merged + 1] = name .. '*' .. pieces
    end
    if not found then
        if #merged >= tonumber(lines_max) then
            return nil, 'too many items in the order'
        end
        merged[#merged + 1] = item .. '*' .. quantity
    end
    return table.concat(merged, ',')
end

-- ARGV: id, item, pieces, cost of them, most lines, paid, failed
local function order_add(keys, argv)
    return once(keys[1], argv[1], function()
        local order = redis.call('HMGET', keys[2], 'user', 'lines', 'state')
        if not order[1] then
            return 'unknown'
        end
        if order[3] == argv[6] then
            return 'conflict|the order is paid'
        end
        if is_open(order[3], argv[6], argv[7]) then
            return 'conflict|a checkout of the order is running'
        end
        local lines, reason = lines_add(order[2], argv[2], argv[3], argv[5])
        if not lines then
            return 'refused|' .. reason
        end
        if not add(keys[2], 'total', argv[4]) then
            return 'refused|total cost too large'
        end
        redis.call('HSET', keys[2], 'lines', lines)
        return 'order|' .. redis.call('HGET', keys[2], 'total')
    end)
end

-- KEYS: bucket. ARGV: id, first order, one past the last, items, users, cost, seed, paid, failed
-- An order whose checkout runs is left alone: its saga holds money.
local function order_init(keys, argv)
    return once(keys[1], argv[1], function()
        local items, users, cost = tonumber(argv[4]), tonumber(argv[5]), argv[6]
        math.randomseed(tonumber(argv[7]))
        local left_alone = 0
        for order = tonumber(argv[2]), tonumber(argv[3]) - 1 do
            local key = 'order:order:' .. order
            local state = redis.call('HGET', key, 'state')
            if is_open(state, argv[8], argv[9]) then
                left_alone = left_alone + 1
            else
                if state then
                    redis.call('DEL', key)
                end
                local first = math.random(0, items - 1)
                local second = (first + math.random(1, math.max(items - 1, 1))) % items
                local lines = first .. '*1,' .. second .. '*1'
                if first == second then
                    lines = first .. '*2'
                end
                redis.call('HSET', key, 'user', math.random(0, users - 1), 'total', cost,
                    'lines', lines)
            end
        end
        return left_alone == 0 and 'created' or 'conflict|a checkout of these orders is running'
    end)
end

-- A repeat of a request: tells what became of the saga it began or attached to.
local function checkout_again(seen, key, order, request, waiter, paid, failed)
    if part(seen, 1) == 'ended' then
        return journal_archived('failed', request, seen, FIELDS)
    end
    local saga = part(seen, 3)
    if not saga then
        return {'unknown'}
    end
    local now = redis.call('HMGET', key, 'saga', 'state')
    if now[1] ~= saga then
        local record = redis.call('HGET', bucket_of(saga), saga)
        if record and part(record, 1) == 'ended' then
            return journal_archived('failed', saga, record, FIELDS)
        end
        return {'unknown'}
    end
    if now[2] == paid then
        return journal_tell('paid', key, order, FIELDS)
    elseif now[2] == failed then
        return journal_tell('failed', key, order, FIELDS)
    end
    journal_attach(key, waiter)
    return journal_tell('running', key, order, FIELDS)
end

-- The list of recent sagas is cut now and then, so that the ordinary checkout pays for one push.
local RECENT_MIN, RECENT_MAX = 1000, 2000

local function recent_push(recent, saga, order)
    if redis.call('LPUSH', recent, saga .. '|' .. order) > RECENT_MAX then
        redis.call('LTRIM', recent, 0, RECENT_MIN - 1)
    end
end

-- KEYS: bucket, order, open, recent. ARGV: request, order, waiter, now_ms, due_ms, first state, paid,
-- failed. Freezes the order and begins its saga, or attaches, in one step (window 12).
local function order_checkout(keys, argv)
    local bucket, key, open = keys[1], keys[2], keys[3]
    local request, order, waiter, paid, failed = argv[1], argv[2], argv[3], argv[7], argv[8]
    local now = redis.call('HMGET', key, unpack(FIELDS))
    local is_known, is_paid = now[USER], now[STATE] == paid
    local is_running = is_open(now[STATE], paid, failed)
    local seen
    if is_paid then -- for ever: needs no record
        seen = redis.call('HGET', bucket, request)
    else
        seen = recorded(bucket, request, is_known and
            'begun|' .. order .. '|' .. (is_running and now[SAGA] or request) or 'unknown')
    end
    if seen then
        return checkout_again(seen, key, order, request, waiter, paid, failed)
    elseif is_paid then
        return journal_record('paid', order, now, FIELDS)
    elseif not is_known then
        return {'unknown'}
    elseif is_running then
        journal_attach(key, waiter)
        return journal_record('running', order, now, FIELDS)
    end
    recent_push(keys[4], request, order)
    if now[LINES] == '' then
        journal_begin(key, open, order, request, paid, waiter, argv[4], nil, now)
        return journal_record('paid', order, now, FIELDS)
    end
    journal_begin(key, open, order, request, argv[6], waiter, argv[4], argv[5], now)
    return journal_record('begun', order, now, FIELDS)
end

-- KEYS: bucket, order, open. ARGV: order, saga, attempt, from, to, now_ms, due_ms or '', reason,
-- '1' when it ends in failure
local function order_advance(keys, argv)
    return journal_advance(keys[2], keys[3], keys[1], argv[1], FIELDS, {
        saga = argv[2], attempt = argv[3], from = argv[4], to = argv[5], now_ms = argv[6],
        due_ms = argv[7] ~= '' and argv[7] or nil, reason = argv[8], archive = argv[9] == '1'})
end

-- KEYS: open. ARGV: now_ms, limit, resend_ms, resend_max_ms
local function order_lease(keys, argv)
    return journal_lease(keys[1], 'order:order:', FIELDS, tonumber(argv[1]), tonumber(argv[2]),
        tonumber(argv[3]), tonumber(argv[4]))
end

-- The record of one saga, `seen` being its once-record or what that was at first: from the order's
-- journal while it is the newest there, else as it was archived.
local function saga_record(saga, seen)
    local kind, order = part(seen, 1), part(seen, 2)
    if kind ~= 'ended' and (kind ~= 'begun' or part(seen, 3) ~= saga) then
        return nil
    end
    local record = journal_tell('saga', 'order:order:' .. order, order, FIELDS)
    if record[3] == saga then
        return record
    end
    if kind == 'begun' then
        seen = redis.call('HGET', bucket_of(saga), saga) or ''
    end
    return part(seen, 1) == 'ended' and journal_archived('saga', saga, seen, FIELDS) or nil
end

-- KEYS: bucket. ARGV: saga
local function order_saga(keys, argv)
    local seen = redis.call('HGET', keys[1], argv[1])
    return seen and saga_record(argv[1], seen) or {'unknown'}
end

local function append(list, record)
    for i = 1, #record do
        list[#list + 1] = record[i]
    end
end

local function newest_first(a, b)
    return a[1] > b[1]
end

-- Newest sagas of all, from the list that order_checkout keeps.
local function sagas_recent(recent, limit, state)
    local list, found = {}, 0
    for _, entry in ipairs(redis.call('LRANGE', recent, 0, RECENT_MIN - 1)) do
        local saga, order = part(entry, 1), part(entry, 2)
        local record = saga_record(saga, 'begun|' .. order .. '|' .. saga)
        if record and (state == '' or record[5] == state) then
            append(list, record)
            found = found + 1
            if found == limit then
                break
            end
        end
    end
    return list
end

-- Open sagas, newest first among the SCAN_OPEN_MAX that are due next.
local SCAN_OPEN_MAX = 1000
local function sagas_open(open, limit)
    local sagas, list = {}, {}
    for i, order in ipairs(redis.call('ZRANGE', open, 0, SCAN_OPEN_MAX - 1)) do
        sagas[i] = {redis.call('HGET', 'order:order:' .. order, 'saga') or '', order}
    end
    table.sort(sagas, newest_first)
    for i = 1, math.min(limit, #sagas) do
        append(list, journal_tell('saga', 'order:order:' .. sagas[i][2], sagas[i][2], FIELDS))
    end
    return list
end

-- When the saga of a record has entered the state that it is in.
local function entered_ms(record)
    return tonumber(record[6]) + tonumber(string.match(record[10], ':(%d+):%d+$') or 0)
end

-- An archived record has no user. The order has, unless a batch has made it anew since: then its
-- attempts are counted anew, and the user may be another.
local function user_of(record)
    local now = redis.call('HMGET', 'order:order:' .. record[2], 'user', 'attempt')
    return tonumber(now[2] or 0) > tonumber(record[4]) and now[1] or nil
end

-- KEYS: buckets. ARGV: number of the bucket to look into, of the last one, cursor, records at once,
-- since_ms, paid, failed. Records of the sagas that are open or have ended since then; and behind
-- them number and cursor of where to go on, the number being '' when that was all.
local function order_replay(keys, argv)
    local name = redis.call('ZRANGEBYSCORE', keys[1], argv[1], argv[2], 'LIMIT', 0, 1)[1]
    if not name then
        return {'', '0'}
    end
    local number = tonumber(name, 16)
    local cursor = number == tonumber(argv[1]) and argv[3] or '0'
    local scan = redis.call('HSCAN', 'order:once:' .. name, cursor, 'COUNT', argv[4])
    local list, seen = {}, scan[2]
    for i = 1, #seen, 2 do
        local record = saga_record(seen[i], seen[i + 1])
        if record and record[11] == '' then
            record[11] = user_of(record)
        end
        if record and record[11] and (is_open(record[5], argv[6], argv[7]) or
            entered_ms(record) >= tonumber(argv[5])) then
            append(list, record)
        end
    end
    local is_through = scan[1] == '0'
    append(list, {string.format('%.0f', is_through and number + 1 or number), scan[1]})
    return list
end

-- KEYS: recent, open. ARGV: limit, state ('': any, 'open': not ended), order ('': any; else its
-- newest saga)
local function order_sagas(keys, argv)
    local limit, state, order = tonumber(argv[1]), argv[2], argv[3]
    if order ~= '' then
        local record = journal_tell('saga', 'order:order:' .. order, order, FIELDS)
        local is_wanted = state == '' or record[5] == state or
            (state == 'open' and redis.call('ZSCORE', keys[2], order))
        return record[3] ~= '' and is_wanted and record or {}
    end
    if state == 'open' then
        return sagas_open(keys[2], limit)
    end
    return sagas_recent(keys[1], limit, state)
end

-- KEYS: buckets. ARGV: number of the first bucket to keep, records at once, cursor. The
-- outcome of an order is in the order itself: there are no books to keep.
local function order_sweep(keys, argv)
    return sweep(keys[1], 'order:once:', argv[1], argv[2], argv[3], function() end)
end

redis.register_function('order_sweep', order_sweep)
redis.register_function('order_create', order_create)
redis.register_function{function_name = 'order_find', callback = order_find,
    flags = {'no-writes'}}
redis.register_function('order_add', order_add)
redis.register_function('order_init', order_init)
redis.register_function('order_checkout', order_checkout)
redis.register_function('order_advance', order_advance)
redis.register_function('order_lease', order_lease)
redis.register_function{function_name = 'order_saga', callback = order_saga,
    flags = {'no-writes'}}
redis.register_function{function_name = 'order_replay', callback = order_replay,
    flags = {'no-writes'}}
redis.register_function{function_name = 'order_sagas', callback = order_sagas,
    flags = {'no-writes'}}
