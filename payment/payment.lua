-- payment.lua: users and their credit.
--
-- payment:user:<id>  credit   credits left
--                    funded   credits ever given: credit + what records of this gen took = funded
--                    gen      which batch made the user; absent for single ones. A refund of an
--                             earlier gen is recorded but gives nothing to the new user.
-- Most functions get KEYS[1] = bucket of records, KEYS[2] = user; ARGV[1] = command id.

local function payment_create(keys, argv)
    return once(keys[1], argv[1], function()
        redis.call('HSET', keys[2], 'credit', 0, 'funded', 0)
        return 'created'
    end)
end

local function payment_find(keys)
    local credit = redis.call('HGET', keys[2], 'credit')
    return credit and 'user|' .. credit or 'unknown'
end

-- ARGV: id, amount
local function payment_fund(keys, argv)
    return once(keys[1], argv[1], function()
        if redis.call('EXISTS', keys[2]) == 0 then
            return 'unknown'
        end
        -- funded, with what records took, covers every refund: so both stay within int64.
        if not add(keys[2], 'funded', argv[2]) then
            return 'refused|credit too large'
        end
        if not add(keys[2], 'credit', argv[2]) then
            take_off(keys[2], 'funded', argv[2])
            return 'refused|credit too large'
        end
        return 'user|' .. redis.call('HGET', keys[2], 'credit')
    end)
end

-- The credit and generation of a user that can pay `amount`; else nil and the answer why not.
local function account_of(user_key, amount)
    local account = redis.call('HMGET', user_key, 'credit', 'gen')
    if not account[1] then
        return nil, 'unknown'
    end
    if not covers(account[1], amount) then
        return nil, 'refused|insufficient credit'
    end
    return account
end

local function taken(outcome, user, amount, account)
    return outcome .. '|' .. user .. '|' .. amount .. '|' .. (account[2] or '')
end

-- ARGV: id, user, amount. Outside a saga.
local function payment_pay(keys, argv)
    return once(keys[1], argv[1], function()
        local account, refusal = account_of(keys[2], argv[3])
        if not account then
            return refusal
        end
        take_off(keys[2], 'credit', argv[3])
        return taken('paid', argv[2], argv[3], account) .. '|' ..
            redis.call('HGET', keys[2], 'credit')
    end)
end

-- KEYS: bucket. ARGV: id, user, amount for each charge. A user that is not there has no credit.
local function payment_charge(keys, argv)
    return once_each(keys[1], argv, 0, 3, function(at)
        local user, amount = argv[at + 1], argv[at + 2]
        local key = KEY.payment_user .. user
        local account = account_of(key, amount)
        if not account then
            return 'refused|insufficient credit'
        end
        take_off(key, 'credit', amount)
        return taken('charged', user, amount, account)
    end)
end

-- ARGV: id, id of the charge. Gives back what the charge took; before the charge it leaves a
-- tombstone, so that a late charge takes nothing.
local function payment_refund(keys, argv)
    return once(keys[1], argv[1], function()
        local charge = cancel(keys[1], argv[2])
        local outcome = part(charge, 1)
        if outcome == 'refused' or outcome == 'cancelled' then
            return 'refunded'
        end
        if outcome ~= 'charged' then
            error('the record of the charge cannot be read') -- and so nobody knows what to give
        end
        local user, amount, gen = part(charge, 2), part(charge, 3), part(charge, 4)
        if (redis.call('HGET', keys[2], 'gen') or '') == gen then
            redis.call('HINCRBY', keys[2], 'credit', amount)
        end
        return 'refunded|' .. user .. '|' .. amount .. '|' .. gen
    end)
end

-- KEYS: bucket. ARGV: id, first user, one past the last, credit, gen
local function payment_init(keys, argv)
    return once(keys[1], argv[1], function()
        local credit, gen = argv[4], argv[5]
        for user = tonumber(argv[2]), tonumber(argv[3]) - 1 do
            redis.call('HSET', KEY.payment_user .. user, 'credit', credit, 'funded', credit,
                'gen', gen)
        end
        return 'created'
    end)
end

-- A charge and its refund are dropped together, in whichever order they are found: both took nothing.
-- One by one they might lead `funded` out of int64, and the books would be wrong between them.
local function is_dropped_with_other(outcome, id, bucket)
    local other = outcome == 'charged' and id .. '-undo' or
        outcome == 'refunded' and string.match(id, '^(.*)-undo$')
    return other and redis.call('HDEL', bucket, other) == 1
end

-- funded stays credit + what the records that are left took; what sagas took is summed up.
local function fold(record, id, bucket, sums)
    local outcome, user, amount, gen = part(record, 1), part(record, 2), part(record, 3),
        part(record, 4)
    local sign = (outcome == 'charged' or outcome == 'paid') and 1 or outcome == 'refunded' and -1
    if not sign or not amount or is_dropped_with_other(outcome, id, bucket) then
        return
    end
    local key, number = KEY.payment_user .. user, amount_number(amount)
    if (redis.call('HGET', key, 'gen') or '') == gen then
        if sign == 1 then
            take_off(key, 'funded', amount)
        else
            redis.call('HINCRBY', key, 'funded', amount)
        end
    end
    local saga = saga_of(id)
    if saga then
        folded_enter(sums, saga, sign, number, 0)
    end
end

-- ARGV: see sweep
local function payment_sweep(_, argv)
    return sweep_summed('payment', argv, fold)
end

register('payment_sweep', payment_sweep, {'allow-oom'})
register('payment_create', payment_create)
register('payment_find', payment_find, {'no-writes'})
register('payment_fund', payment_fund)
register('payment_pay', payment_pay)
register('payment_charge', payment_charge, {'allow-oom'}) -- of a saga that was begun
register('payment_refund', payment_refund, {'allow-oom'})
register('payment_init', payment_init)
