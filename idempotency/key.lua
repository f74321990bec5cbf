-- Idempotency keys: one field for each key, in the hash of its period and slot:
--   key -> 40 hex digits of the fingerprint's SHA-1, then the command id
-- The SHA-1 instead of the fingerprint: it has one length, whatever the path has.

-- KEYS: this period's hash, the previous period's, the next one's
-- ARGV: key, command id, fingerprint, when this period's hash may go (seconds since 1970)
-- Answers: "new", "known" or "mismatch", and the command id that the key stands for
local function kassa_key_claim(keys, args)
  local key, command_id, expire_at = args[1], args[2], args[4]
  local fingerprint = redis.sha1hex(args[3])
  -- A repetition first, and in all periods: the key may have been claimed just before the border,
  -- or just behind it by a gateway whose clock is ahead.
  local record = redis.call('HGET', keys[1], key) or redis.call('HGET', keys[2], key) or
    redis.call('HGET', keys[3], key)
  if record then
    if string.sub(record, 1, 40) ~= fingerprint then
      return {'mismatch', string.sub(record, 41)}
    end
    return {'known', string.sub(record, 41)}
  end
  redis.call('HSET', keys[1], key, fingerprint .. command_id)
  -- The hash may be new. EXPIREAT with the same time again costs less than to ask first.
  redis.call('EXPIREAT', keys[1], expire_at)
  return {'new', command_id}
end

redis.register_function{function_name = 'kassa_key_claim', callback = kassa_key_claim}
