-- stock.lua: items, their pieces and prices.
--
-- stock:item:<id>  quantity  pieces left
--                  price     credits for a piece
--                  added     pieces ever added: quantity + what records of this gen took = added
--                  gen       which batch made the item; absent for single ones
-- Most functions get KEYS[1] = bucket of records, KEYS[2] = item; ARGV[1] = command id.

-- ARGV: id, price
local function stock_create(keys, argv)
    return once(keys[1], argv[1], function()
        redis.call('HSET', keys[2], 'quantity', 0, 'price', argv[2], 'added', 0)
        return 'created'
    end)
end

local function stock_find(keys)
    local item = redis.call('HMGET', keys[2], 'quantity', 'price')
    return item[1] and 'item|' .. item[1] .. '|' .. item[2] or 'unknown'
end

-- ARGV: id, pieces
local function stock_add(keys, argv)
    return once(keys[1], argv[1], function()
        if redis.call('EXISTS', keys[2]) == 0 then
            return 'unknown'
        end
        -- added is never less than quantity: if it stays within int64, so does quantity
        if not add(keys[2], 'added', argv[2]) then
            return 'refused|stock too large'
        end
        add(keys[2], 'quantity', argv[2])
        return 'item|' .. redis.call('HGET', keys[2], 'quantity')
    end)
end

-- ARGV: id, item, pieces. Outside a saga.
local function stock_subtract(keys, argv)
    return once(keys[1], argv[1], function()
        local item = redis.call('HMGET', keys[2], 'quantity', 'gen')
        if not item[1] then
            return 'unknown'
        end
        if not covers(item[1], argv[3]) then
            return 'refused|out of stock'
        end
        take_off(keys[2], 'quantity', argv[3])
        return 'subtracted|' .. argv[2] .. '*' .. argv[3] .. '*' .. (item[2] or '') .. '|' ..
            redis.call('HGET', keys[2], 'quantity')
    end)
end

-- KEYS: bucket. ARGV: id, 'item*pieces,..' for each take. The pivot: all lines or none.
local function stock_take(keys, argv)
    return once_each(keys[1], argv, 0, 2, function(at)
        local wanted, taken = {}, {}
        for name, pieces in string.gmatch(argv[at + 1], '([^*,]+)%*(%d+)') do
            local key = KEY.stock_item .. name
            local item = redis.call('HMGET', key, 'quantity', 'gen')
            if not item[1] or not covers(item[1], pieces) then
                return 'refused|out of stock'
            end
            wanted[#wanted + 1], wanted[#wanted + 2] = key, '-' .. pieces
            taken[#taken + 1] = name .. '*' .. pieces .. '*' .. (item[2] or '')
        end
        for i = 1, #wanted, 2 do
            redis.call('HINCRBY', wanted[i], 'quantity', wanted[i + 1])
        end
        return 'taken|' .. table.concat(taken, ',')
    end)
end

-- ARGV: id of the take. Tells what became of the take, or sees to it that it never happens.
local function stock_cancel(keys, argv)
    return cancel(keys[1], argv[1])
end

-- KEYS: bucket. ARGV: id, first item, one past the last, pieces, price, gen
local function stock_init(keys, argv)
    return once(keys[1], argv[1], function()
        local pieces, price, gen = argv[4], argv[5], argv[6]
        for item = tonumber(argv[2]), tonumber(argv[3]) - 1 do
            redis.call('HSET', KEY.stock_item .. item, 'quantity', pieces, 'price', price,
                'added', pieces, 'gen', gen)
        end
        return 'created'
    end)
end

-- added stays quantity + what the records that are left took; what sagas took is summed up.
local function fold(record, id, _, sums)
    local outcome, all = part(record, 1), 0
    if outcome ~= 'taken' and outcome ~= 'subtracted' then
        return
    end
    for item, pieces, gen in string.gmatch(part(record, 2), '([^*,]+)%*(%d+)%*([^,]*)') do
        local key = KEY.stock_item .. item
        if (redis.call('HGET', key, 'gen') or '') == gen then
            take_off(key, 'added', pieces)
        end
        all = (all + amount_number(pieces)) % SUM_MODULUS
    end
    local saga = outcome == 'taken' and saga_of(id)
    if saga then
        folded_enter(sums, saga, 1, 0, all)
    end
end

-- ARGV: see sweep
local function stock_sweep(_, argv)
    return sweep_summed('stock', argv, fold)
end

register('stock_sweep', stock_sweep, {'allow-oom'})
register('stock_create', stock_create)
register('stock_find', stock_find, {'no-writes'})
register('stock_add', stock_add)
register('stock_subtract', stock_subtract)
register('stock_take', stock_take, {'allow-oom'}) -- of a saga that was begun
register('stock_cancel', stock_cancel, {'allow-oom'})
register('stock_init', stock_init)
