-- clock.lua: what every function library begins with: two clocks of the store.
-- Source: protocol.md, "The floor".

-- Milliseconds since 1970 by the store's clock: the one clock for everything that is compared with
-- times in this store. The callers' clocks may differ, and jump. So may this one: the slow clock
-- bounds the harm.
local function store_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local SLOW_CLOCK_MS = 10000 -- how far it has to go to be worth a write

-- What is dropped because it is old, is old by this one: <name>:clock, in ms since 1970, which is
-- never ahead of the store's clock and of `most_ms`, and goes at most twice as fast as time really
-- passes: however a clock jumps, it drops nothing. Moves it on, and returns it.
--   seen     what the caller has read of it last; '': nothing
--   rise_ms  what has passed since he read that first, by a clock that does not jump
local function slow_clock(name, most_ms, seen, rise_ms)
    local clock = redis.call('GET', name .. PART.clock)
    local to = math.min(store_ms(), most_ms)
    if clock and clock ~= seen then
        return tonumber(clock) -- somebody else has moved it
    elseif clock then
        to = math.min(to, clock + 2 * rise_ms)
        if to - clock < SLOW_CLOCK_MS then
            return tonumber(clock)
        end
    end
    redis.call('SET', name .. PART.clock, string.format('%.0f', to))
    return to
end
