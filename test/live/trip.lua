-- trip.lua: the smallest library on the journal, for the tests: trips, whose saga books a flight,
-- a hotel and a car. Nothing in it knows of orders, and nothing in the journal knows of trips.
--
-- trip:trip:<id>  the journal (saga/journal.lua), which freezes traveller and nights
-- trip:open       open sagas by due time

local function bucket_of(saga)
    return 'trip' .. PART.once .. string.sub(saga, 1, 8) .. string.sub(saga, 10, 10)
end

-- KEYS: bucket, trip, open. ARGV: saga, trip, waiter, resend_ms, first state, traveller, nights
local function trip_begin(keys, argv)
    once(keys[1], argv[1], function()
        local opened, last, ms = {}, journal_read(keys[2]), store_ms()
        journal_begin(keys[2], argv[2], argv[1], argv[5], argv[3], ms_text(ms), ms_text(ms + argv[4]), last,
            argv[6] .. '|' .. argv[7], opened)
        journal_index(keys[3], opened, {})
        return 'begun|' .. argv[2] .. '|' .. argv[1]
    end)
    local _, text = journal_read(keys[2])
    return journal_record('begun', argv[2], text)
end

-- KEYS: trip. ARGV: waiter
local function trip_attach(keys, argv)
    local now = journal_read(keys[1])
    return part(journal_attach(keys[1], now, argv[1]), WAITERS)
end

-- As journal_advance.
local function trip_advance(keys, argv)
    return journal_advance(keys, argv, 'trip:trip:', bucket_of)
end

-- KEYS: open. ARGV: limit, resend_ms, resend_max_ms
local function trip_lease(keys, argv)
    return journal_lease(keys[1], 'trip:trip:', tonumber(argv[1]), tonumber(argv[2]),
        tonumber(argv[3]))
end

-- KEYS: bucket. ARGV: saga, which ended in failure
local function trip_archived(keys, argv)
    local _, text = journal_archived(redis.call('HGET', keys[1], argv[1]))
    return journal_record('failed', 't1', text)
end

-- A saga by its id, and what its once-record says of it: as order_saga.
local function trip_look(saga, seen)
    local now, text = journal_read('trip:trip:' .. (part(seen, 2) or ''))
    if now[SAGA] == saga then
        return now, text, part(seen, 2)
    end
end

-- KEYS: bucket. ARGV: saga
local function trip_saga(keys, argv)
    local now, text, trip = trip_look(argv[1], redis.call('HGET', keys[1], argv[1]) or '')
    return now and journal_record('saga', trip, text) or 'unknown'
end

-- KEYS: open. ARGV: cursor, limit
local function trip_oldest(keys, argv)
    return journal_oldest(keys[1], 'trip:trip:', argv[1], argv[2])
end

register('trip_begin', trip_begin)
register('trip_attach', trip_attach)
register('trip_advance', trip_advance)
register('trip_lease', trip_lease)
register('trip_archived', trip_archived)
register('trip_saga', trip_saga)
register('trip_oldest', trip_oldest)
register('trip_sweep', function()
    return {'0'}
end)
replay_register(trip_look)
