-- order.lua: orders and the journal of their checkout sagas.
--
-- order:order:<id>  user, total, lines ('item*pieces,..'), journal (saga/journal.lua)
-- order:paid..      orders that are paid for good (paid.lua); they have no hash of their own
-- order:recent      saga|order of the newest sagas, newest first
-- order:open        open sagas by due time; members are order ids
-- order:buckets     the buckets of records that exist, by age
--
-- A checkout's record, under the request's id, which is also the saga's id if it begins one:
--   'begun|order|saga'     it began, or attached to, that saga
--   'begun|order|saga|credits|pieces'  the same: paid, and then a batch replaced the order
--   'ended|order|journal'  that saga failed (journal_advance)
--   'unknown'              there was no such order: and a late repeat must not find one
--   'far'                  its id was made by a clock that differs: it never begins

-- The states that are looked for here, as checkout/checkout.c names them.
local FIRST, PAID, FAILED = 'CHARGING', 'PAID', 'FAILED'

local function key_of(order)
    return ORDER_PREFIX .. order
end

-- Everybody who reads an order does it here, or by journal_read: it may be packed. user, total, lines,
-- journal; nothing when it is unknown.
local function order_read(order)
    local own = redis.call('HMGET', key_of(order), 'user', 'total', 'lines', 'journal')
    if own[1] then
        return own[1], own[2], own[3], own[4]
    end
    return paid_read(order)
end

-- The key of an order, by which order_create, order_find and order_add are called.
local function order_of(key)
    return string.sub(key, #ORDER_PREFIX + 1)
end

-- The bucket that a saga's own record is in (idempotency/once.h).
local function bucket_of(saga)
    return 'order' .. PART.once .. string.sub(saga, 1, 8) .. string.sub(saga, 10, 10)
end

-- No addItem and no second saga while one is open. Absent and FAILED are changeable.
local function is_open(state)
    return state and state ~= PAID and state ~= FAILED
end

local function order_create(keys, argv)
    return once(keys[1], argv[1], function()
        redis.call('HSET', keys[2], 'user', argv[2], 'total', 0, 'lines', '')
        return 'created'
    end)
end

local function order_find(keys, argv)
    local user, total, lines, journal = order_read(order_of(keys[2]))
    if not user then
        return {'unknown'}
    end
    local is_paid = journal_parse(journal)[STATE] == PAID
    return {'order', user, total, lines, is_paid and '1' or '0'}
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

-- ARGV: id, item, pieces, cost of them, most lines
local function order_add(keys, argv)
    return once(keys[1], argv[1], function()
        local user, _, before, journal = order_read(order_of(keys[2]))
        if not user then
            return 'unknown'
        end
        local state = journal_parse(journal)[STATE]
        if state == PAID then
            return 'conflict|the order is paid'
        end
        if is_open(state) then
            return 'conflict|a checkout of the order is running'
        end
        local lines, reason = lines_add(before, argv[2], argv[3], argv[5])
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

-- What a saga that has paid has cost: credits, and pieces, 0 of which say that it had no lines.
local FROZEN_TOTAL, FROZEN_LINES = 9, 10
local function paid_cost(now)
    local pieces = 0
    for quantity in string.gmatch(now[FROZEN_LINES], '%*(%d+)') do
        pieces = (pieces + amount_number(quantity)) % SUM_MODULUS
    end
    return amount_number(now[FROZEN_TOTAL]), pieces
end

-- A batch is about to replace a paid order. What its saga has cost outlives it in the saga's record, if
-- that is there yet: else it is in the sums already.
local function paid_leave(now)
    local bucket, saga = bucket_of(now[SAGA]), now[SAGA]
    local record = redis.call('HGET', bucket, saga) or ''
    if part(record, 1) == 'begun' and not part(record, 4) then
        redis.call('HSET', bucket, saga, string.format('%s|%.0f|%.0f', record, paid_cost(now)))
    end
end

-- KEYS: bucket. ARGV: id, first order, one past the last, items, users, cost, seed
-- An order whose checkout runs is left alone: its saga holds money.
local function order_init(keys, argv)
    return once(keys[1], argv[1], function()
        local items, users, cost = tonumber(argv[4]), tonumber(argv[5]), argv[6]
        math.randomseed(tonumber(argv[7]))
        local left_alone = 0
        for order = tonumber(argv[2]), tonumber(argv[3]) - 1 do
            local key = key_of(order)
            local now = journal_read(key)
            local state = now[STATE]
            if is_open(state) then
                left_alone = left_alone + 1
            else
                if state == PAID then
                    paid_leave(now)
                end
                if state then
                    redis.call('DEL', key)
                    paid_drop(ms_text(order))
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
local function checkout_again(seen, order, waiter)
    if seen == 'far' then
        return seen
    end
    if part(seen, 1) == 'ended' then
        return journal_record('failed', order, select(2, journal_archived(seen)))
    end
    local saga = part(seen, 3)
    if not saga then
        return 'unknown'
    end
    local now, text = journal_read(key_of(order))
    if now[SAGA] ~= saga then
        local record = record_get(bucket_of(saga), saga)
        if record and part(record, 1) == 'ended' then
            return journal_record('failed', order, select(2, journal_archived(record)))
        elseif bucket_is_over(bucket_of(saga)) then
            too_old('order' .. PART.floor) -- how it ended is not known any more
        end
        return 'unknown'
    elseif now[STATE] == PAID then
        return journal_record('paid', order, text)
    elseif now[STATE] == FAILED then
        return journal_record('failed', order, text)
    end
    return journal_record('running', order, journal_attach(key_of(order), now, waiter))
end

-- The list of recent sagas is cut now and then, so that the ordinary checkout pays for one push.
local RECENT_MIN, RECENT_MAX = 1000, 2000

local function recent_push(recent, entries)
    if #entries > 0 and redis.call('LPUSH', recent, unpack(entries)) > RECENT_MAX then
        redis.call('LTRIM', recent, 0, RECENT_MIN - 1)
    end
end

-- The clock that a request's id was made by, and this one, differ by seconds.
local AHEAD_MAX_MS = 60000

-- KEYS: bucket, open, recent. ARGV: resend_ms, late_ms; then request, order, gateway for each
-- checkout. Freezes the order and begins its saga, or attaches, in one step
-- (window 12). A request whose id is from further ahead than clocks may differ, or older than
-- late_ms, begins nothing: the records of a saga live from the time in its id.
local function order_checkout(keys, argv)
    local ms, opened, begun = store_ms(), {}, {}
    local now_ms, due_ms = ms_text(ms), ms_text(ms + argv[1])
    local oldest, newest = id_stamp(math.max(ms - argv[2], 0)), id_stamp(ms + AHEAD_MAX_MS)
    local answers = once_each(keys[1], argv, 2, 3, function(at)
        local request, order = argv[at], argv[at + 1]
        local waiter, key = argv[at + 2] .. '/' .. request, key_of(order)
        local user, total, lines, journal = order_read(order)
        local now = journal_parse(journal)
        if not user then
            return 'unknown'
        elseif now[STATE] == PAID then -- for ever, unless a batch makes the order anew
            return journal_record('paid', order, journal),
                is_kept(request) and 'begun|' .. order .. '|' .. now[SAGA]
        elseif is_open(now[STATE]) then
            return journal_record('running', order, journal_attach(key, now, waiter)),
                'begun|' .. order .. '|' .. now[SAGA]
        end
        local stamp = string.sub(request, 1, ID_STAMP)
        if stamp < oldest or stamp > newest then
            return 'far' -- for good: its record says so
        end
        local frozen, is_empty = user .. '|' .. total .. '|' .. lines, lines == ''
        local text = journal_begin(key, order, request, is_empty and PAID or FIRST, waiter, now_ms,
            is_empty and '0' or due_ms, now, frozen, opened)
        begun[#begun + 1] = request .. '|' .. order
        return journal_record(is_empty and 'paid' or 'begun', order, text),
            'begun|' .. order .. '|' .. request
    end, function(seen, at)
        return checkout_again(seen, argv[at + 1], argv[at + 2] .. '/' .. argv[at])
    end)
    journal_index(keys[2], opened, {})
    recent_push(keys[3], begun)
    return answers
end

local function order_advance(keys, argv)
    return journal_advance(keys, argv, KEY.order_order, bucket_of)
end

-- KEYS: open. ARGV: limit, resend_ms, resend_max_ms
local function order_lease(keys, argv)
    return journal_lease(keys[1], KEY.order_order, tonumber(argv[1]), tonumber(argv[2]),
        tonumber(argv[3]))
end

-- KEYS: open. ARGV: cursor, limit. A replay needs the records that it has not looked through yet.
local function order_oldest(keys, argv)
    local part, first = journal_oldest(keys[1], KEY.order_order, argv[1], argv[2]),
        replay_oldest{'payment', 'stock'}
    if first then
        part[3] = ms_text(math.min(tonumber(part[3] or math.huge), first * BUCKET_MS))
    end
    return part
end

-- One saga, `seen` being its once-record or what that was at first: its journal, the journal's text
-- and its order; from the order while it is the newest there, else as it was archived. Or nil.
local function saga_read(saga, seen)
    local kind, order = part(seen, 1), part(seen, 2)
    if kind ~= 'ended' and (kind ~= 'begun' or part(seen, 3) ~= saga) then
        return nil
    end
    local now, text = journal_read(key_of(order))
    if now[SAGA] ~= saga then
        if kind == 'begun' then
            seen = record_get(bucket_of(saga), saga) or ''
        end
        if part(seen, 1) ~= 'ended' then
            return nil
        end
        now, text = journal_archived(seen)
    end
    return now, text, order
end

-- The same for lists: an unreadable one is returned without its journal, and hides no other.
local function saga_look(saga, seen)
    local is_read, now, text, order = pcall(saga_read, saga, seen)
    if not is_read then
        return {}, saga .. '|', part(seen, 2) or ''
    end
    return now, text, order
end

-- KEYS: bucket. ARGV: saga
local function order_saga(keys, argv)
    local seen = record_get(keys[1], argv[1])
    local now, text, order = saga_read(argv[1], seen or '')
    return now and journal_record('saga', order, text) or 'unknown'
end

-- A list looks at so many sagas in one call, for nobody else is served meanwhile; and at so many in
-- all.
local LOOK_MAX, LIST_MAX = 50, RECENT_MIN

-- Spares taking a journal apart that is not wanted.
local function is_elsewhere(order, saga, state)
    local text = journal_text(key_of(order))
    local newest, at = string.match(text or '', '^([^|]*)|%d+|([^|]*)|')
    return newest == saga and at ~= state
end

-- Of all, from the list that order_checkout keeps, newest first. Returns how many there were to be
-- looked at, too.
local function sagas_recent(recent, first, limit, state)
    local list, entries = {}, redis.call('LRANGE', recent, first, first + LOOK_MAX - 1)
    for _, entry in ipairs(entries) do
        local saga, order = part(entry, 1), part(entry, 2)
        if state == '' or not is_elsewhere(order, saga, state) then
            local now, text = saga_look(saga, 'begun|' .. order .. '|' .. saga)
            if now and (state == '' or now[STATE] == state) then
                list[#list + 1] = journal_record('saga', order, text)
                if #list == limit then
                    return list, 0 -- older ones are not wanted
                end
            end
        end
    end
    return list, #entries
end

-- Of those that are open, by due time.
local function sagas_open(open, first)
    local list, entries = {}, redis.call('ZRANGE', open, first, first + LOOK_MAX - 1)
    for _, order in ipairs(entries) do
        local is_read, _, text = pcall(journal_read, key_of(order))
        if not is_read then
            text = ''
        end
        if text then
            list[#list + 1] = journal_record('saga', order, text)
        end
    end
    return list, #entries
end

-- KEYS: recent, open. ARGV: limit, state ('': any, 'open': not ended), order ('': any; else its
-- newest saga), cursor (at first '0'). Records, and behind them the cursor of where to go on, '' when
-- that was all. The same saga may be met again, for what is listed moves.
local function order_sagas(keys, argv)
    local limit, state, order, first = tonumber(argv[1]), argv[2], argv[3], tonumber(argv[4])
    if order ~= '' then
        local now, text = journal_read(key_of(order))
        local is_wanted = text and (state == '' or now[STATE] == state or
            (state == 'open' and redis.call('ZSCORE', keys[2], order)))
        return is_wanted and {journal_record('saga', order, text), ''} or {''}
    end
    local list, looked
    if state == 'open' then
        list, looked = sagas_open(keys[2], first)
    else
        list, looked = sagas_recent(keys[1], first, limit, state)
    end
    local next = first + LOOK_MAX
    list[#list + 1] = looked == LOOK_MAX and next < LIST_MAX and tostring(next) or ''
    return list
end

-- The outcome of an order is in the order itself: there are no books to keep, but what was paid is
-- summed up. A saga that began and whose record does not say that it failed has paid.
local function fold(record, id, sums)
    local outcome, order, saga, credits, pieces = unpack(parts(record), 1, 5)
    if outcome ~= 'begun' or saga ~= id then
        return
    end
    if not credits then
        local is_read, now = pcall(journal_read, key_of(order))
        if is_read and now[SAGA] == saga and now[DUE_MS] == '0' then
            credits, pieces = paid_cost(now)
        end
    end
    if pieces ~= 0 and pieces ~= '0' then -- else nothing was charged
        folded_enter(sums, saga, 1, credits and tonumber(credits), tonumber(pieces))
    end
end

-- Records of one call, because an order that is packed takes as long as some records that go.
local PACK_MAX = 25

-- ARGV: see sweep. A paid order is packed when the record of its saga goes. With nothing to drop, the
-- cursor may be that of the walk.
local function order_sweep(_, argv)
    local limit, cursor, is_allowed = argv[5], argv[6], paid_is_allowed()
    if is_allowed then
        limit = ms_text(math.min(tonumber(limit), PACK_MAX))
    end
    if not string.find(cursor, '^%d+$') then
        if is_allowed then
            return {redis.call('GET', 'order' .. PART.clock) or '0', paid_walk(cursor, limit)}
        end
        cursor = '0'
    end
    local floor
    local step = {argv[1], argv[2], argv[3], argv[4], limit, cursor, argv[7]}
    local reply = sweep_summed('order', step, function(record, id, _, sums)
        fold(record, id, sums)
        if is_allowed and part(record, 1) == 'begun' then
            floor = floor or floor_of('order' .. PART.floor)
            paid_take(part(record, 2), floor)
        end
    end)
    if is_allowed and #reply == 1 and paid_has_to_walk() then
        reply[2] = WALK
    end
    return reply
end

register('order_sweep', order_sweep, {'allow-oom'})
register('order_create', order_create)
register('order_find', order_find, {'no-writes'})
register('order_add', order_add)
register('order_init', order_init)
register('order_checkout', order_checkout)
register('order_advance', order_advance, {'allow-oom'})
register('order_lease', order_lease, {'allow-oom'})
register('order_oldest', order_oldest, {'no-writes'})
register('order_saga', order_saga, {'no-writes'})
register('order_sagas', order_sagas, {'no-writes'})
replay_register(saga_look)
