"""Commands whose records may have been dropped: the store refuses them, and who asked is told so,
whatever his clock says.

Moves the floor of payment's records, and puts it back. Needs KASSA_VAR; without it everything here is
skipped.
"""

import contextlib
import time
import unittest

from client import Case, new_key
from servers import VAR, counter, redis

BUCKET_MS = 4096
AHEAD_S = 7200  # more than tight memory takes off the life of records
FLOORS = ("payment:floor", "payment:kept:floor")
DROP = """local dropped = 0
for _, key in ipairs(redis.call('KEYS', 'payment:*')) do
    if string.find(key, '^payment:once:') or string.find(key, '^payment:kept:%x+$') then
        local all = redis.call('HGETALL', key)
        for i = 1, #all, 2 do
            if all[i + 1] == ARGV[1] then
                dropped = dropped + redis.call('HDEL', key, all[i])
            end
        end
    end
end
return dropped"""


CLAIMS = """local claims = 0
for _, key in ipairs(redis.call('KEYS', 'kassa:keys:*:*')) do
    claims = claims + redis.call('HEXISTS', key, ARGV[1])
end
return claims"""
# The sweep finds what lies below by its index: so that is away for as long as the floor is wrong.
MOVE = """for _, key in ipairs({'payment:buckets', 'payment:kept:buckets'}) do
    if redis.call('EXISTS', ARGV[1] .. key) == 1 then
        redis.call('RENAME', ARGV[1] .. key, ARGV[2] .. key)
    end
end
redis.call('SET', 'payment:floor', ARGV[3])
redis.call('SET', 'payment:kept:floor', ARGV[4])"""


@contextlib.contextmanager
def floor_at(seconds):
    """As far from now as that; nothing that lies below it is dropped."""
    before = [redis("GET", key).decode().strip() or "0" for key in FLOORS]
    floor = str(int((time.time() + seconds) * 1000) // BUCKET_MS)
    redis("EVAL", MOVE, "0", "", "test:", floor, floor)
    try:
        yield
    finally:
        redis("EVAL", MOVE, "0", "test:", "", *before)


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Expired(Case):
    def too_old(self):
        return counter("payment", "kassa_commands_too_old_total")

    def is_claimed(self, key):
        return redis("EVAL", CLAIMS, "0", key["Idempotency-Key"], port="SAGA_REDIS_PORT").strip() != b"0"

    def test_a_record_that_was_dropped(self):
        """Nobody knows any more what the key stood for, so it acts no second time."""
        user, key = self.user(), {"Idempotency-Key": new_key()}
        path, before = f"/payment/add_funds/{user}/7654321", self.too_old()
        self.assert_ok(self.post(path, key), {"done": True, "credit": 7654321})
        self.assertEqual(redis("EVAL", DROP, "0", "user|7654321").strip(), b"2")
        with floor_at(BUCKET_MS / 1000):
            answer = self.post(path, key)
            self.assert_error(answer, 422)
            self.assertEqual(answer.body["error"], "the Idempotency-Key has expired")
            self.assertTrue(self.is_claimed(key))
        self.assert_credit(user, 7654321)
        self.assertEqual(self.too_old(), before + 1)

    def test_a_record_that_is_there(self):
        """It answers, wherever the floor is."""
        user, key = self.user(), {"Idempotency-Key": new_key()}
        path = f"/payment/add_funds/{user}/5"
        first = self.post(path, key)
        with floor_at(AHEAD_S):
            again = self.post(path, key)
        self.assertEqual((again.status, again.text), (first.status, first.text))
        self.assert_credit(user, 5)

    def test_an_id_that_was_never_used(self):
        """A clock was ahead, and is right again: nothing was begun, and the key is good for later."""
        user, key = self.user(), {"Idempotency-Key": new_key()}
        path = f"/payment/add_funds/{user}/5"
        with floor_at(AHEAD_S):
            for headers in (key, {}):
                answer = self.post(path, headers)
                self.assert_error(answer, 429)
                self.assertEqual(answer.body["error"], "clocks differ, nothing was begun")
        self.assertFalse(self.is_claimed(key))
        self.assert_credit(user, 0)
        self.assert_ok(self.post(path, key), {"done": True, "credit": 5})
        self.assert_ok(self.post(path, key), {"done": True, "credit": 5})
        self.assert_credit(user, 5)


if __name__ == "__main__":
    unittest.main()
