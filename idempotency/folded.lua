-- folded.lua: the sums of the sagas whose records the sweep has dropped. By them the audit
-- still sees that as much was charged and taken as was paid: no longer
-- saga by saga, but nothing that was done twice gets lost in the books.
--
-- <service>:folded  exact     number of the first bucket from which on the sums are complete; what is
--                             older may have been dropped by a version that kept none
--                   merged    number of the first period that has a field of its own
--                   p<n>      the sums of period n, of 64 buckets
--                   c<n>      those of 256 periods, when they are long over
-- Sums: sagas|their ids|credits|pieces|sagas of which these are not known. All modulo 10^15, which
-- no sum of amounts can leave, and a double holds exactly. The ids (the last 12 hex digits, as a
-- number) are in it so that two errors do not make one truth.
-- Source: protocol.md, "What was dropped is summed up".

local PERIOD_BUCKETS, PERIODS_MAX, PERIODS_MERGED, PERIODS_AT_ONCE = 64, 2048, 256, 64
local SUM_MODULUS = 1e15

-- The command's saga, if it is one's.
local function saga_of(id)
    return string.match(id, '^(%x+%-%x+%-%x+%-%x+%-%x+):%d+:')
end

local function amount_number(amount)
    return tonumber(string.sub(amount, -15))
end

-- `sign` 1: it has happened, -1: it was undone. Without credits and pieces: nobody knows them.
local function folded_enter(sums, saga, sign, credits, pieces)
    local period = math.floor(bucket_number(id_ms(saga)) / PERIOD_BUCKETS)
    local sum = sums[period] or {0, 0, 0, 0, 0}
    local adds = credits and {1, tonumber(string.sub(saga, 25, 36), 16), credits, pieces, 0} or
        {0, 0, 0, 0, 1}
    sums[period] = sum
    for i, add in ipairs(adds) do
        sum[i] = (sum[i] + sign * add) % SUM_MODULUS
    end
end

local function folded_write(key, field, sum)
    local i, texts = 0, {}
    for was in string.gmatch(redis.call('HGET', key, field) or '0|0|0|0|0', '%d+') do
        i = i + 1
        texts[i] = string.format('%.0f', (sum[i] + was) % SUM_MODULUS)
    end
    redis.call('HSET', key, field, table.concat(texts, '|'))
end

-- Some of those that are long over: how many fields there are does not grow with time.
local function folded_merge(key, merged, to)
    for period = merged, to - 1 do
        local field, sum = string.format('p%.0f', period), {}
        for number in string.gmatch(redis.call('HGET', key, field) or '', '%d+') do
            sum[#sum + 1] = tonumber(number)
        end
        if #sum > 0 then
            folded_write(key, string.format('c%.0f', math.floor(period / PERIODS_MERGED)), sum)
            redis.call('HDEL', key, field)
        end
    end
    redis.call('HSET', key, 'merged', string.format('%.0f', to))
end

local function folded_add(service, sums)
    local key = service .. PART.folded
    for period, sum in pairs(sums) do
        local last = period - PERIODS_MAX
        local merged = tonumber(redis.call('HGET', key, 'merged') or last)
        if period < merged then
            folded_write(key, string.format('c%.0f', math.floor(period / PERIODS_MERGED)), sum)
        else
            folded_write(key, string.format('p%.0f', period), sum)
            folded_merge(key, merged, math.max(merged, math.min(last, merged + PERIODS_AT_ONCE)))
        end
    end
end

-- A store of an earlier version has dropped records without a trace: it begins to be exact with what
-- is newer than all that is there.
local function folded_begin(service)
    local key = service .. PART.folded
    if not redis.call('HGET', key, 'exact') then
        local newest = redis.call('ZREVRANGE', service .. PART.buckets, 0, 0)[1]
        local floor = floor_of(service .. PART.floor)
        redis.call('HSET', key, 'exact', string.format('%.0f',
            newest and math.max(tonumber(newest, 16) + 1, floor) or floor))
    end
end

-- sweep(), by the sums. fold(record, id, bucket, sums) keeps the books of the service.
local function sweep_summed(service, argv, fold)
    local sums = {}
    folded_begin(service)
    local is_well, answer = pcall(sweep, service, argv, function(record, id, bucket)
        fold(record, id, bucket, sums)
    end)
    folded_add(service, sums) -- what is dropped is dropped, whatever comes behind it
    if not is_well then
        error(answer)
    end
    return answer
end
