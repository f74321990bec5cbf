"""batch_init: the entities "0".."n-1", which belong to this file, and how fast they come.

KASSA_TIME_FACTOR stretches the limits of seconds."""

import random
import time
import unittest

from client import INT64_MAX, OUT_OF_STOCK, TIME_FACTOR, Case, new_key
from test_cancel import VAR, paused

USERS = {"msg": "Batch init for users successful"}
STOCK = {"msg": "Batch init for stock successful"}
ORDERS = {"msg": "Batch init for orders successful"}
BAD_NUMBERS = ("-1", "+1", "1e3", "1.5", "abc", "", "%00", str(INT64_MAX + 1), "1" * 100)
LARGE = 100_000


class Batch(Case):
    def init_users(self, n, credit, headers=None):
        return self.assert_ok(self.post(f"/payment/batch_init/{n}/{credit}", headers), USERS)

    def init_stock(self, n, stock, price):
        self.assert_ok(self.post(f"/stock/batch_init/{n}/{stock}/{price}"), STOCK)

    def init_orders(self, n, items, users, price):
        self.assert_ok(self.post(f"/orders/batch_init/{n}/{items}/{users}/{price}"), ORDERS)

    def check_order(self, order, items, users, price):
        """A fresh order of a batch; gives its lines and its user."""
        body = self.get(f"/orders/find/{order}").body
        self.assertEqual(set(body), {"order_id", "paid", "items", "user_id", "total_cost"})
        self.assertEqual((body["order_id"], body["paid"]), (str(order), False))
        self.assertEqual(body["total_cost"], 2 * price)
        self.assertIn(int(body["user_id"]), range(users))
        self.assertEqual(sum(quantity for _, quantity in body["items"]), 2, body)
        for item, _ in body["items"]:
            self.assertIsInstance(item, str)
            self.assertIn(int(item), range(items))
        return body["items"], body["user_id"]

    def test_users(self):
        """Users 0..n-1 have the credit; a second batch overwrites what was there."""
        self.init_users(10, 50)
        for user in range(10):
            self.assert_credit(str(user), 50)
        self.post("/payment/pay/3/20")
        self.assert_credit("3", 30)
        self.init_users(5, 7)
        for user in range(10):
            self.assert_credit(str(user), 7 if user < 5 else 50)

    def test_stock(self):
        """Items 0..n-1 have the stock and the price; a second batch overwrites."""
        self.init_stock(10, 50, 3)
        for item in range(10):
            self.assert_stock(str(item), 50, 3)
        self.post("/stock/subtract/3/20")
        self.init_stock(5, 7, 4)
        for item in range(10):
            self.assert_stock(str(item), *((7, 4) if item < 5 else (50, 3)))

    def test_orders(self):
        """Orders 0..n-1 are each of a random user and two random items, cost 2 x price."""
        self.init_stock(100, 1000, 5)
        self.init_users(100, 1000)
        self.init_orders(60, 100, 100, 5)
        seen = [self.check_order(order, 100, 100, 5) for order in range(60)]
        self.assertGreater(len({user for _, user in seen}), 20, "users are random")
        items = {item for lines, _ in seen for item, _ in lines}
        self.assertGreater(len(items), 30, "items are random")

    def test_overwrites_paid_orders(self):
        """A batch over paid orders makes them new, to be paid anew."""
        self.init_stock(10, 1000, 5)
        self.init_users(10, 1000)
        for _ in range(2):
            self.init_orders(3, 10, 10, 5)
            for order in range(3):
                self.check_order(order, 10, 10, 5)
                self.assert_paid(self.checkout(str(order)), str(order), 10)
        paid = sum(1000 - self.get(f"/payment/find_user/{u}").body["credit"] for u in range(10))
        sold = sum(1000 - self.get(f"/stock/find/{i}").body["stock"] for i in range(10))
        self.assertEqual((paid, sold), (60, 12))

    @unittest.skipUnless(VAR, "KASSA_VAR is not set")
    def test_what_runs_is_left_alone(self):
        """One order whose checkout runs, and no other: 409 says so, under a key each time."""
        self.init_stock(10, 1000, 5)
        self.init_users(10, 1000)
        self.init_orders(2500, 10, 10, 5)
        key = {"Idempotency-Key": new_key()}
        with paused("payment"):
            answer = self.checkout("5", {"Prefer": "respond-async"})
            self.assertEqual(answer.status, 202, answer)
            for _ in range(2):
                self.assert_error(self.post("/orders/batch_init/2500/10/10/7", key), 409)
        self.poll_saga(answer.body["saga_id"])
        for order in (0, 4, 6, 999, 1000, 2499):
            self.check_order(order, 10, 10, 7)
        self.assertEqual(self.get("/orders/find/5").body["total_cost"], 10)

    def test_batch_order_out_of_stock(self):
        """An order of a batch that cannot be filled is refused and given back, like any."""
        self.init_stock(10, 0, 5)
        self.init_users(10, 10)
        self.init_orders(3, 10, 10, 5)
        _, user = self.check_order(0, 10, 10, 5)
        self.assert_refused(self.checkout("0"), OUT_OF_STOCK)
        self.assert_credit(user, 10)

    def test_zero(self):
        """Stock, credit and price of a batch may be 0."""
        self.init_users(2, 0)
        self.assert_credit("1", 0)
        self.init_stock(2, 0, 0)
        self.assert_stock("1", 0, 0)
        self.init_orders(2, 2, 2, 0)
        self.check_order(1, 2, 2, 0)

    def test_zero_entities(self):
        """A batch of none makes none, or is refused: the contract leaves that open."""
        self.init_users(1, 5)
        for path, message in (
            ("/payment/batch_init/0/7", USERS),
            ("/stock/batch_init/0/1/1", STOCK),
            ("/orders/batch_init/0/1/1/1", ORDERS),
        ):
            answer = self.post(path)
            if answer.status == 200:
                self.assert_ok(answer, message)
            else:
                self.assert_error(answer, 400)
        self.assert_credit("0", 5)

    def test_orders_of_nothing(self):
        """Orders cannot be drawn from no items or no users."""
        self.assert_error(self.post("/orders/batch_init/1/0/1/1"), 400)
        self.assert_error(self.post("/orders/batch_init/1/1/0/1"), 400)

    def test_greatest(self):
        """Credit, stock and price up to the greatest int64; a cost beyond it is refused."""
        self.init_users(1, INT64_MAX)
        self.assert_credit("0", INT64_MAX)
        self.init_stock(1, INT64_MAX, INT64_MAX)
        self.assert_stock("0", INT64_MAX, INT64_MAX)
        self.assert_error(self.post(f"/orders/batch_init/1/1/1/{INT64_MAX}"), 400)
        self.init_orders(1, 2, 1, 2**62 - 1)
        self.check_order(0, 2, 1, 2**62 - 1)

    def test_nonsense(self):
        """A number that is none, anywhere in a batch: 400, and nothing is made."""
        self.init_users(1, 5)
        for path in (
            "/payment/batch_init/{}/{}",
            "/stock/batch_init/{}/{}/{}",
            "/orders/batch_init/{}/{}/{}/{}",
        ):
            places = path.count("{}")
            for place in range(places):
                for bad in BAD_NUMBERS:
                    numbers = ["1"] * places
                    numbers[place] = bad
                    with self.subTest(path=path, place=place, bad=bad[:20]):
                        self.assert_error(self.post(path.format(*numbers)), 400)
        self.assert_credit("0", 5)

    def test_key(self):
        """A batch under a key is made once: its repeat does not overwrite what came after."""
        headers = {"Idempotency-Key": new_key()}
        self.init_users(3, 50, headers)
        self.assert_ok(self.post("/payment/add_funds/1/1"), {"done": True, "credit": 51})
        self.init_users(3, 50, headers)
        self.assert_credit("1", 51)

    def test_large(self):
        """100 000 of each in seconds; then a two-line order of them is paid in milliseconds."""
        began = time.monotonic()
        self.init_stock(LARGE, 1_000_000, 1)
        self.init_users(LARGE, 1_000_000)
        self.init_orders(LARGE, LARGE, LARGE, 1)
        seconds = time.monotonic() - began
        self.assertLess(seconds, 3 * 5 * TIME_FACTOR)
        self.assert_stock(str(LARGE - 1), 1_000_000, 1)
        self.assert_credit(str(LARGE - 1), 1_000_000)
        self.assert_error(self.get(f"/stock/find/{LARGE + 900_000_000}"), 404)
        best_ms = float("inf")
        for order in map(str, random.sample(range(LARGE), 20)):
            self.check_order(order, LARGE, LARGE, 1)
            began = time.monotonic()
            answer = self.checkout(order)
            best_ms = min(best_ms, (time.monotonic() - began) * 1000)
            self.assert_paid(answer, order, 2)
        self.assertLess(best_ms, 50 * TIME_FACTOR)


if __name__ == "__main__":
    unittest.main()
