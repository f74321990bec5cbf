"""A store that a newer version has written to is not used, and everybody hears why. And whoever
needs functions that are not there loads them.

Needs KASSA_VAR, by which the stack's own store is found; without it everything here is skipped.
"""

import time
import unittest

from client import TIME_FACTOR, Case
from servers import VAR, redis

WAIT_S = 10 * TIME_FACTOR


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Schema(Case):
    def ready_until(self, is_wanted):
        end = time.monotonic() + WAIT_S
        while not is_wanted(answer := self.get("/ready")):
            self.assertLess(time.monotonic(), end, answer.body)
            time.sleep(0.1)
        return answer

    def mark(self, service, mark):
        redis("SET", f"{service}:schema", mark)
        redis("CLIENT", "KILL", "TYPE", "normal")  # it is read at each connection

    def test_a_newer_one_is_named(self):
        user = self.user(credit=5)
        for service in ("order", "stock", "payment"):
            with self.subTest(service=service):
                self.mark(service, "3|3")
                try:
                    said = self.ready_until(lambda answer: answer.status == 503
                                            and "SCHEMA" in answer.body["error"])
                    self.assertIn(f"{service}:schema is 3|3", said.body["error"])
                finally:
                    self.mark(service, "1|1")
                self.ready_until(lambda answer: answer.status == 200)
        self.assertEqual(self.get(f"/payment/find_user/{user}").body["credit"], 5)


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Functions(Case):
    def test_gone_and_loaded_again(self):
        """The gateway begins checkouts itself: it does not wait for an order service to load them."""
        for _ in range(3):
            user, item = self.user(credit=10), self.item(price=3, stock=1)
            order = self.order(user, (item, 1))
            redis("FUNCTION", "FLUSH")
            answer = self.post(f"/orders/checkout/{order}")
            self.assertEqual((answer.status, answer.body["status"]), (200, "paid"))
            self.assertEqual(self.get(f"/payment/find_user/{user}").body["credit"], 7)
        listed = redis("FUNCTION", "LIST")
        for library in ("order", "stock", "payment"):
            self.assertRegex(listed, rf"kassa_{library}_[0-9a-f]{{8}}\n")


if __name__ == "__main__":
    unittest.main()
