-- paid.lua: orders that are paid for good, packed. A paid order is kept for ever, so it has to be
-- small: not a hash of its own, but a field of a bucket that has some dozens of them.
--
-- order:paid           a hash. orders: how many are packed; buckets: how many buckets there are;
--                      walked: all orders were looked at once (paid_walk)
-- order:paid:<bucket>  a hash, packed by the server too: packed id -> packed order
--
-- An order is packed when its saga is older than all records that are kept: then no reader needs
-- its steps or its waiters (the part `waiters` comes
-- back empty). All else comes back as it was, or the order stays as it is.
-- Every read of a packed order passes through paid_read.
-- Source: protocol.md, "Keys in the store".

-- Buckets split one after the other (linear hashing), so that there are always about so many orders
-- in one, and no step is longer than a split.
local PAID_FILL = 40

-- Versions of less than this schema know nothing of all this (library.lua).
local PAID_SCHEMA = 2

-- ---- bytes ----

-- A whole number below 2^53: 7 bits a byte, the lowest first; the top bit says that more follow.
local function number_pack(number)
    local bytes = ''
    while number >= 128 do
        bytes = bytes .. string.char(number % 128 + 128)
        number = math.floor(number / 128)
    end
    return bytes .. string.char(number)
end

-- The number at `at`, and where the next thing is.
local function number_unpack(bytes, at)
    local number, unit = 0, 1
    while true do
        local byte = string.byte(bytes, at)
        at = at + 1
        if byte < 128 then
            return number + byte * unit, at
        end
        number, unit = number + (byte - 128) * unit, unit * 128
    end
end

-- A difference: 0, -1, 1, -2, ..
local function signed_pack(number)
    return number_pack(number < 0 and -2 * number - 1 or 2 * number)
end

local function signed_unpack(bytes, at)
    local number
    number, at = number_unpack(bytes, at)
    return number % 2 == 1 and -(number + 1) / 2 or number / 2, at
end

-- A head byte with the `bits` upper bits of a number, `kind` above them, and how many bytes follow.
local function head_pack(kind, bits, number)
    local rest, count = '', 0
    while number >= 2 ^ bits do
        local low = number % 65536
        if number < 2 ^ (bits + 8) then
            rest, number, count = string.char(number % 256) .. rest, math.floor(number / 256), count + 1
        else
            rest = string.char(math.floor(low / 256), low % 256) .. rest
            number, count = math.floor(number / 65536), count + 2
        end
    end
    return string.char(kind + count * 2 ^ bits + number) .. rest
end

local function head_unpack(bytes, at, bits)
    local head = string.byte(bytes, at)
    local number, count = head % 2 ^ bits, math.floor(head / 2 ^ bits) % 8
    for i = at + 1, at + count do
        number = number * 256 + string.byte(bytes, i)
    end
    return number, at + 1 + count
end

-- ---- texts ----

local UUID = '^(%x%x%x%x%x%x%x%x)%-(%x%x%x%x)%-7(%x%x%x)%-([89ab]%x%x%x)%-(%x%x%x%x)(%x%x%x%x%x%x%x%x)$'

-- Of a UUIDv7 as we write it: when it was made, and its random part in 12, 14, 16 and 32 bits. nil: it
-- is none.
local function uuid_cut(text)
    local high, low, a, b, c, d = string.match(text, UUID)
    if high and not string.find(text, '%u') then
        return tonumber(high, 16) * 65536 + tonumber(low, 16), tonumber(a, 16),
            tonumber(b, 16) - 32768, tonumber(c, 16), tonumber(d, 16)
    end
end

-- The random part, with `above`, 4 bits, and `between`, 2 bits, in front of its first two numbers.
local function random_pack(above, a, between, b, c, d)
    local top, low = math.floor(d / 65536), d % 65536
    a, b = above * 4096 + a, between * 16384 + b
    return string.char(math.floor(a / 256), a % 256, math.floor(b / 256), b % 256, math.floor(c / 256),
        c % 256, math.floor(top / 256), top % 256, math.floor(low / 256), low % 256)
end

local NUMBER_MAX = 2 ^ 51

-- A text, and a small number `beside` it if that is given. The first byte says what it is:
--   0nnnvvvv  a UUIDv7, made v ms (with the next n bytes) before `base`, or after it where `sign` is -1.
--             Then its random part, whose six bits that are the same in all UUIDs are `beside`, or 0
--             when that does not fit
--   10nnnvvv  a whole number (with the next n bytes)
--   11nnnnnn  a text of n + 1 bytes, which follow
-- and what does not fit, or has no place, of `beside` follows.
local function text_pack(text, base, sign, beside)
    local made, a, b, c, d = uuid_cut(text)
    local before = made and sign * (base - made)
    local packed
    if before and before >= 0 and before < 2 ^ 52 then
        local inside = beside and beside < 64 and beside or 0
        packed = head_pack(0, 4, before) ..
            random_pack(math.floor(inside / 4), a, inside % 4, b, c, d)
        if inside > 0 or not beside then
            return packed
        end
    elseif (text == '0' or #text < 17 and string.find(text, '^[1-9]%d*$')) and
        tonumber(text) < NUMBER_MAX then
        packed = head_pack(128, 3, tonumber(text))
    elseif #text > 0 and #text <= 64 then
        packed = string.char(191 + #text) .. text
    else
        error('no place for ' .. text)
    end
    return beside and packed .. number_pack(beside) or packed
end

-- The text at `at`, what is beside it if something is, and where the next thing is.
local function text_unpack(bytes, at, base, sign, has_beside)
    local head, text, inside, number = string.byte(bytes, at), nil, 0, nil
    if head < 128 then
        number, at = head_unpack(bytes, at, 4)
        local made, a, b, c, d, e, f, g, h, i, j = base - sign * number,
            string.byte(bytes, at, at + 9)
        text = string.format('%08x-%04x-7%x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x',
            math.floor(made / 65536), made % 65536, a % 16, b, c % 64 + 128, d, e, f, g, h, i, j)
        inside, at = math.floor(a / 16) * 4 + math.floor(c / 64), at + 10
    elseif head < 192 then
        number, at = head_unpack(bytes, at, 3)
        text = string.format('%.0f', number)
    else
        text, at = string.sub(bytes, at + 1, at + head - 191), at + head - 190
    end
    if has_beside and inside == 0 then
        inside, at = number_unpack(bytes, at)
    end
    return text, inside, at
end

-- An order's id as a field: a UUID in its 16 bytes; a number as it is, of which the server makes
-- few bytes by itself; others with '=' in front, so that none of them has 16 bytes.
local function name_pack(order)
    local made, a, b, c, d = uuid_cut(order)
    if made then
        local high, low = math.floor(made / 2 ^ 24), made % 2 ^ 24
        return string.char(math.floor(high / 65536), math.floor(high / 256) % 256, high % 256,
            math.floor(low / 65536), math.floor(low / 256) % 256, low % 256) ..
            random_pack(7, a, 2, b, c, d)
    elseif #order < 16 and string.find(order, '^%d+$') then
        return order
    end
    return (#order == 15 and '==' or '=') .. order
end

-- ---- an order ----

-- Most stories are one of these; how long after the saga's id, and after each other, the states were
-- entered says the rest.
local STORY_OTHER, STORY_PLAIN, STORY_RETRIED, STORY_EMPTY = 1, 2, 3, 4

local function story_pack(story, reason, made)
    local began, retries, ended = string.match(story, '^CHARGING:(%d+):(%d+),PAID:(%d+):0$')
    local empty = string.match(story, '^PAID:(%d+):0$')
    if reason ~= '' or not began and not empty then
        return STORY_OTHER, number_pack(#reason) .. reason .. number_pack(#story) .. story
    elseif empty then
        return STORY_EMPTY, signed_pack(empty - made)
    end
    local times = signed_pack(began - made) .. signed_pack(ended - began)
    if retries == '0' then
        return STORY_PLAIN, times
    end
    return STORY_RETRIED, times .. number_pack(tonumber(retries))
end

local function story_unpack(bytes, at, kind, made)
    local began, after, retries
    if kind == STORY_OTHER then
        local texts = {}
        for i = 1, 2 do
            local count
            count, at = number_unpack(bytes, at)
            texts[i], at = string.sub(bytes, at, at + count - 1), at + count
        end
        return texts[2], texts[1], at
    end
    began, at = signed_unpack(bytes, at)
    if kind == STORY_EMPTY then
        return 'PAID:' .. ms_text(made + began) .. ':0', '', at
    end
    after, at = signed_unpack(bytes, at)
    retries = 0
    if kind == STORY_RETRIED then
        retries, at = number_unpack(bytes, at)
    end
    return 'CHARGING:' .. ms_text(made + began) .. ':' .. ms_text(retries) .. ',PAID:' ..
        ms_text(made + began + after) .. ':0', '', at
end

-- The saga, beside it the kind of the story; the story; the user, beside it the attempt; the total;
-- each item, beside it its pieces. The saga's time is relative to the order's, all others to the saga's.
-- Returns user, total, lines, journal.
local function order_unpack(order, packed)
    local saga, kind, at = text_unpack(packed, 1, uuid_cut(order) or 0, -1, true)
    local made, lines = uuid_cut(saga) or 0, {}
    local story, reason, user, attempt, total, _
    story, reason, at = story_unpack(packed, at, kind, made)
    user, attempt, at = text_unpack(packed, at, made, 1, true)
    total, _, at = text_unpack(packed, at, 0, 1)
    while at <= #packed do
        local item, pieces
        item, pieces, at = text_unpack(packed, at, made, 1, true)
        lines[#lines + 1] = item .. '*' .. ms_text(pieces)
    end
    lines = table.concat(lines, ',')
    return user, total, lines, table.concat({saga, ms_text(attempt), 'PAID', '0', '0', reason, '',
        user, total, lines, story}, '|')
end

local function order_pack(order, user, total, lines, journal)
    local now = parts(journal)
    local saga, made = now[SAGA], uuid_cut(now[SAGA]) or 0
    local kind, story = story_pack(now[#now], now[REASON], made)
    local packed = {text_pack(saga, uuid_cut(order) or 0, -1, kind), story,
        text_pack(user, made, 1, tonumber(now[ATTEMPT])), text_pack(total, 0, 1)}
    for item, pieces in string.gmatch(lines, '([^*,]+)%*(%d+)') do
        packed[#packed + 1] = text_pack(item, made, 1, tonumber(pieces))
    end
    packed = table.concat(packed)
    local again = {order_unpack(order, packed)}
    if again[1] ~= user or again[2] ~= total or again[3] ~= lines or again[4] ~= journal then
        error('it would not come back as it is')
    end
    return packed
end

-- ---- buckets ----

-- Modulo a prime, so that the lowest digits of names that are numbers spread, too.
local function hash_of(name)
    local hash = 0
    for i = 1, #name do
        hash = (hash * 1000003 + string.byte(name, i)) % 4294967291
    end
    return hash * 1000003 % 4294967291
end

-- Of `buckets`, the one that a name is in: those that were not split yet in this round have twice as
-- many names as the others. And what the round began with.
local function bucket_at(name, buckets)
    local round = 1
    while round * 2 <= buckets do
        round = round * 2
    end
    local bucket = hash_of(name) % (round * 2)
    return bucket < buckets and bucket or bucket - round, round
end

local function bucket_key(bucket)
    return string.format(KEY.order_paid_bucket .. '%.0f', bucket)
end

-- Where an order is, or would be: bucket, field. nil: there is nobody.
local function paid_place(order)
    local buckets = redis.call('HGET', KEY.order_paid, 'buckets')
    local name = buckets and name_pack(order)
    return name and bucket_key(bucket_at(name, tonumber(buckets))), name
end

-- The next bucket in the line gives about half of its names to a new one.
local function bucket_split(buckets)
    local _, round = bucket_at('', buckets)
    local from, moved, names = bucket_key(buckets - round), {}, {}
    local all = redis.call('HGETALL', from)
    for i = 1, #all, 2 do
        if hash_of(all[i]) % (round * 2) == buckets then
            names[#names + 1] = all[i]
            moved[#moved + 1], moved[#moved + 2] = all[i], all[i + 1]
        end
    end
    if #names > 0 then
        redis.call('HSET', bucket_key(buckets), unpack(moved))
        redis.call('HDEL', from, unpack(names))
    end
    redis.call('HSET', KEY.order_paid, 'buckets', ms_text(buckets + 1))
end

-- ---- what order.lua calls ----

local ORDER_PREFIX = KEY.order_order

-- user, total, lines, journal of an order; nothing when there is no such order here.
local function paid_read(order)
    local key, name = paid_place(order)
    local packed = key and redis.call('HGET', key, name)
    if packed then
        return order_unpack(order, packed)
    end
end

journal_elsewhere = function(key)
    return (select(4, paid_read(string.sub(key, #ORDER_PREFIX + 1))))
end

-- A batch replaces the order.
local function paid_drop(order)
    local key, name = paid_place(order)
    if key and redis.call('HDEL', key, name) == 1 then
        redis.call('HINCRBY', KEY.order_paid, 'orders', -1)
    end
end

-- Takes an order out of its own hash, if it is paid by a saga that was begun before the bucket `floor`.
-- What would not come back as it was stays where it is.
local function paid_take(order, floor)
    local key = ORDER_PREFIX .. order
    local own = redis.call('HMGET', key, 'user', 'total', 'lines', 'journal')
    local user, total, lines, journal = own[1], own[2], own[3], own[4]
    local head, tail = string.match(journal or '', '^([^|]*|[1-9]%d*|PAID|0|0|[^|]*|)[^|]*(|.*)$')
    local made = head and id_ms(head)
    if not user or not total or not lines or not made or bucket_number(made) >= floor then
        return
    end
    local is_packed, packed = pcall(order_pack, order, user, total, lines, head .. tail)
    if not is_packed then
        return
    end
    local name = name_pack(order)
    local buckets = tonumber(redis.call('HGET', KEY.order_paid, 'buckets') or 1)
    local added = redis.call('HSET', bucket_key(bucket_at(name, buckets)), name, packed)
    redis.call('DEL', key)
    local count = redis.call('HINCRBY', KEY.order_paid, 'orders', added)
    if count == 1 then
        redis.call('HSET', KEY.order_paid, 'buckets', ms_text(buckets))
    elseif count > buckets * PAID_FILL then
        bucket_split(buckets)
    end
end

-- Nothing is packed as long as somebody may read these orders who does not know how.
local function paid_is_allowed()
    local readers = string.match(redis.call('GET', 'order' .. PART.schema) or '', '^(%d+)|')
    return readers and tonumber(readers) >= PAID_SCHEMA
end

-- Is the walk still to be made? Without a floor it would find nothing.
local function paid_has_to_walk()
    return floor_of('order' .. PART.floor) > 0 and not redis.call('HGET', KEY.order_paid, 'walked')
end

-- Orders whose records were dropped before that was allowed: once, all keys are looked at, a part of
-- them in each call. `cursor` is 'walk', then 'walk..' as it was returned last, which is good for one
-- run of one server; another one starts over. Returns the next, '0' when that was all.
local WALK = 'walk'
local function paid_walk(cursor, limit)
    local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), 1, 6)
    local of, at = string.match(cursor, '^' .. WALK .. '(%w+):(%d+)$')
    local scan = redis.call('SCAN', of == run and at or '0', 'MATCH', ORDER_PREFIX .. '*', 'COUNT', limit)
    local floor = floor_of('order' .. PART.floor)
    for _, key in ipairs(scan[2]) do
        paid_take(string.sub(key, #ORDER_PREFIX + 1), floor)
    end
    if scan[1] == '0' then
        redis.call('HSET', KEY.order_paid, 'walked', '1')
        return scan[1]
    end
    return WALK .. run .. ':' .. scan[1]
end
