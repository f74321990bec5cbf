-- trip.lua: the smallest library on the journal, for the tests: trips, whose saga books a flight,
-- a hotel and a car. Nothing in it knows of orders, and nothing in the journal knows of trips.
--
-- trip:trip:<id>  traveller, nights, and the fields of saga/journal.lua
-- trip:open       open sagas by due time

local FIELDS = journal_fields({'traveller', 'nights'})

-- KEYS: bucket, trip, open. ARGV: saga, trip, waiter, now_ms, due_ms, first state, traveller, nights
local function trip_begin(keys, argv)
    once(keys[1], argv[1], function()
        redis.call('HSET', keys[2], 'traveller', argv[7], 'nights', argv[8])
        journal_begin(keys[2], keys[3], argv[2], argv[1], argv[6], argv[3], argv[4], argv[5],
            redis.call('HMGET', keys[2], unpack(FIELDS)))
        return 'begun|' .. argv[2] .. '|' .. argv[1]
    end)
    return journal_tell('begun', keys[2], argv[2], FIELDS)
end

-- KEYS: trip. ARGV: waiter
local function trip_attach(keys, argv)
    journal_attach(keys[1], argv[1])
    return redis.call('HGET', keys[1], 'waiters')
end

-- KEYS: bucket, trip, open. ARGV: trip, saga, attempt, from, to, now_ms, due_ms or '', reason,
-- '1' when it ends in failure
local function trip_advance(keys, argv)
    return journal_advance(keys[2], keys[3], keys[1], argv[1], FIELDS, {
        saga = argv[2], attempt = argv[3], from = argv[4], to = argv[5], now_ms = argv[6],
        due_ms = argv[7] ~= '' and argv[7] or nil, reason = argv[8], archive = argv[9] == '1'})
end

-- KEYS: open. ARGV: now_ms, limit, resend_ms, resend_max_ms
local function trip_lease(keys, argv)
    return journal_lease(keys[1], 'trip:trip:', FIELDS, tonumber(argv[1]), tonumber(argv[2]),
        tonumber(argv[3]), tonumber(argv[4]))
end

-- KEYS: bucket. ARGV: saga, which ended in failure
local function trip_archived(keys, argv)
    return journal_archived('failed', argv[1], redis.call('HGET', keys[1], argv[1]), FIELDS)
end

redis.register_function('trip_begin', trip_begin)
redis.register_function('trip_attach', trip_attach)
redis.register_function('trip_advance', trip_advance)
redis.register_function('trip_lease', trip_lease)
redis.register_function('trip_archived', trip_archived)
