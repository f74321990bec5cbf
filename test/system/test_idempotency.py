"""Idempotency-Key on every kind of POST: one effect, one answer, refusals included."""

import time
import unittest

from client import INSUFFICIENT_CREDIT, OUT_OF_STOCK, UUID7, Case, at_once, new_key
from kassa.services import STORES
from servers import VAR, redis

BAD_KEYS = ("short12", "x" * 65, "with space", "dotted.key", "slash/key", "quo\"ted-key",
            '"unclosed-key', 'unopened-key"', '""', '"short12"', "semi;colon", "comma,comma", "")


class Idempotency(Case):
    def repeat(self, path, key=None, header=None):
        """POSTs twice under one key; the answers must be the same. Gives the first."""
        key = key or new_key()
        headers = {"Idempotency-Key": header or key}
        first, second = self.post(path, headers), self.post(path, headers)
        for answer in (first, second):
            echo = answer.headers.get("idempotency-key", "")
            self.assertEqual(echo.strip('"'), key, answer.headers)
        self.assertEqual((second.status, second.text), (first.status, first.text))
        self.assertEqual(second.headers.get("saga-id"), first.headers.get("saga-id"))
        return first

    def test_create_user(self):
        """The repeat of a create answers the id of the first."""
        user = self.repeat("/payment/create_user").body["user_id"]
        self.assertRegex(user, UUID7)
        self.assert_credit(user, 0)

    def test_create_item(self):
        """The same for items."""
        item = self.repeat("/stock/item/create/7").body["item_id"]
        self.assertRegex(item, UUID7)
        self.assert_stock(item, 0, 7)

    def test_create_order(self):
        """The same for orders."""
        user = self.user()
        order = self.repeat(f"/orders/create/{user}").body["order_id"]
        self.assertRegex(order, UUID7)
        self.assert_order(order, user, False, [], 0)

    def test_add_funds(self):
        """Funds are added once; the repeat answers the credit of then, not of now."""
        user, key = self.user(), new_key()
        answer = self.repeat(f"/payment/add_funds/{user}/10", key)
        self.assert_ok(answer, {"done": True, "credit": 10})
        self.post(f"/payment/add_funds/{user}/1")
        answer = self.repeat(f"/payment/add_funds/{user}/10", key)
        self.assert_ok(answer, {"done": True, "credit": 10})
        self.assert_credit(user, 11)

    def test_pay(self):
        """A payment is taken once, even when the credit would do for two."""
        user = self.user(10)
        answer = self.repeat(f"/payment/pay/{user}/4")
        self.assert_ok(answer, {"paid": True, "credit": 6})
        self.assert_credit(user, 6)

    def test_pay_the_last_credit(self):
        """The repeat of a payment that took all is not refused for the lack of more."""
        user = self.user(10)
        answer = self.repeat(f"/payment/pay/{user}/10")
        self.assert_ok(answer, {"paid": True, "credit": 0})

    def test_refused_pay(self):
        """A refusal is remembered too: more funds do not change the answer of that key."""
        user, key = self.user(1), new_key()
        path = f"/payment/pay/{user}/2"
        self.assert_refused(self.repeat(path, key), INSUFFICIENT_CREDIT)
        self.post(f"/payment/add_funds/{user}/10")
        self.assert_refused(self.repeat(path, key), INSUFFICIENT_CREDIT)
        self.assert_credit(user, 11)

    def test_add_stock(self):
        """Pieces are added once."""
        item = self.item()
        answer = self.repeat(f"/stock/add/{item}/10")
        self.assert_ok(answer, {"added": True, "stock": 10})
        self.assert_stock(item, 10, 1)

    def test_subtract_stock(self):
        """Pieces are taken once; a refusal is remembered."""
        item, key = self.item(1, 10), new_key()
        answer = self.repeat(f"/stock/subtract/{item}/10")
        self.assert_ok(answer, {"subtracted": True, "stock": 0})
        self.assert_refused(self.repeat(f"/stock/subtract/{item}/1", key), OUT_OF_STOCK)
        self.post(f"/stock/add/{item}/5")
        self.assert_refused(self.repeat(f"/stock/subtract/{item}/1", key), OUT_OF_STOCK)
        self.assert_stock(item, 5, 1)

    def test_add_item(self):
        """A line is added once."""
        user, item = self.user(), self.item(3)
        order = self.order(user)
        answer = self.repeat(f"/orders/addItem/{order}/{item}/2")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 6})
        self.assert_order(order, user, False, [(item, 2)], 6)

    def test_checkout(self):
        """A checkout charges once, with the key as without."""
        user, item = self.user(10), self.item(3, 10)
        order = self.order(user, (item, 1))
        self.assert_paid(self.repeat(f"/orders/checkout/{order}"), order, 3)
        self.assert_credit(user, 7)
        self.assert_stock(item, 9, 3)

    def test_refused_checkout(self):
        """A refused checkout is remembered under its key; without it a new attempt begins."""
        user, item = self.user(1), self.item(3, 10)
        order, key = self.order(user, (item, 1)), new_key()
        path = f"/orders/checkout/{order}"
        self.assert_refused(self.repeat(path, key), INSUFFICIENT_CREDIT)
        self.post(f"/payment/add_funds/{user}/9")
        self.assert_refused(self.repeat(path, key), INSUFFICIENT_CREDIT)
        self.assert_credit(user, 10)
        self.assert_paid(self.checkout(order), order, 3)
        self.assert_refused(self.repeat(path, key), INSUFFICIENT_CREDIT)
        self.assert_credit(user, 7)

    def test_out_of_stock_checkout(self):
        """The same for a checkout that was compensated."""
        user, item = self.user(10), self.item(3, 0)
        order, key = self.order(user, (item, 1)), new_key()
        path = f"/orders/checkout/{order}"
        self.assert_refused(self.repeat(path, key), OUT_OF_STOCK)
        self.post(f"/stock/add/{item}/1")
        self.assert_refused(self.repeat(path, key), OUT_OF_STOCK)
        self.assert_credit(user, 10)

    def test_quoted_key(self):
        """A key in double quotes is the same key as the bare one."""
        user, key = self.user(), new_key()
        path = f"/payment/add_funds/{user}/10"
        self.repeat(path, key, f'"{key}"')
        self.assert_ok(self.repeat(path, key), {"done": True, "credit": 10})
        self.assert_credit(user, 10)

    def test_shortest_and_longest_key(self):
        """8 and 64 characters are a key; all of [A-Za-z0-9_-] may be in it."""
        user = self.user()
        path = f"/payment/add_funds/{user}/1"
        self.repeat(path, new_key().replace("-", "_")[:8])
        self.repeat(path, ("aZ_-" + new_key() + new_key())[:64])
        self.assert_credit(user, 2)

    def test_bad_keys(self):
        """Anything else is a 400 with a sentence, and has no effect."""
        user = self.user()
        for key in BAD_KEYS:
            with self.subTest(key=key):
                headers = {"Idempotency-Key": key}
                self.assert_error(self.post(f"/payment/add_funds/{user}/1", headers), 400)
                self.assert_error(self.post("/payment/create_user", headers), 400)
        self.assert_credit(user, 0)

    def test_other_path_is_422(self):
        """A key belongs to its path: with another one it is a 422 and has no effect."""
        user, other, key = self.user(), self.user(5), new_key()
        headers = {"Idempotency-Key": key}
        self.post(f"/payment/add_funds/{user}/10", headers)
        item = self.item(1, 5)
        order = self.order(other, (item, 1))
        for path in (
            f"/payment/add_funds/{user}/11",
            f"/payment/add_funds/{other}/10",
            f"/payment/pay/{user}/10",
            "/payment/create_user",
            f"/stock/add/{item}/10",
            f"/orders/create/{user}",
            f"/orders/checkout/{order}",
        ):
            with self.subTest(path=path):
                self.assert_error(self.post(path, headers), 422)
        self.assert_credit(user, 10)
        self.assert_credit(other, 5)
        self.assert_stock(item, 5, 1)
        self.assert_order(order, other, False, [(item, 1)], 1)

    def test_keys_are_apart(self):
        """Two keys are two effects; so is no key."""
        user = self.user()
        path = f"/payment/add_funds/{user}/10"
        for headers in ({"Idempotency-Key": new_key()}, {"Idempotency-Key": new_key()}, {}, {}):
            self.assertEqual(self.post(path, headers).status, 200)
        self.assert_credit(user, 40)

    def test_get_does_not_mind(self):
        """A GET reads what is there now, whatever key it brings."""
        user, headers = self.user(1), {"Idempotency-Key": new_key()}
        path = f"/payment/find_user/{user}"
        self.assert_ok(self.get(path, headers), {"user_id": user, "credit": 1})
        self.post(f"/payment/add_funds/{user}/1")
        self.assert_ok(self.get(path, headers), {"user_id": user, "credit": 2})

    def concurrently(self, path, count=30):
        """The one answer that `count` requests under one key get at the same time."""
        headers = {"Idempotency-Key": new_key()}
        answers = at_once([lambda client: client.post(path, headers)] * count, count)
        self.assertEqual(len({(a.status, a.text) for a in answers}), 1, answers[:3])
        return answers[0]

    def test_concurrent_add_funds(self):
        """30 at once under one key: one effect, the same answer for all."""
        user = self.user()
        answer = self.concurrently(f"/payment/add_funds/{user}/10")
        self.assert_ok(answer, {"done": True, "credit": 10})
        self.assert_credit(user, 10)

    def test_concurrent_pay(self):
        """The same for a payment of all there is."""
        user = self.user(10)
        answer = self.concurrently(f"/payment/pay/{user}/10")
        self.assert_ok(answer, {"paid": True, "credit": 0})

    def test_concurrent_create(self):
        """The same for a create: one id."""
        user = self.concurrently("/payment/create_user").body["user_id"]
        self.assert_credit(user, 0)

    def test_concurrent_add_item(self):
        """The same for a line, which goes through two services."""
        user, item = self.user(), self.item(3)
        order = self.order(user)
        answer = self.concurrently(f"/orders/addItem/{order}/{item}/2")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 6})
        self.assert_order(order, user, False, [(item, 2)], 6)

    def test_concurrent_checkout(self):
        """The same for checkouts, paid and refused."""
        user, item = self.user(10), self.item(3, 2)
        for stock in (1, 0):
            order = self.order(user, (item, 2))
            answer = self.concurrently(f"/orders/checkout/{order}")
            if stock:
                self.assert_paid(answer, order, 6)
            else:
                self.assert_refused(answer, INSUFFICIENT_CREDIT)
        self.assert_credit(user, 4)
        self.assert_stock(item, 0, 3)


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Kept(Case):
    """Records are dropped an hour after their time, but what a key stands for is answered as before
    for as long as the key is good. The floors of the stores are raised by hand: no test waits so long.
    """

    def drop_records(self):
        """All that there are by now."""
        floor = time.time_ns() // 1000000 // 4096 + 2
        while time.time_ns() // 1000000 // 4096 < floor:
            time.sleep(0.2)
        for service in STORES:
            redis("SET", f"{service}:floor", str(floor))
        end = time.monotonic() + 60
        while any(int(redis("ZCOUNT", f"{service}:buckets", "-inf", f"({floor}"))
                  for service in STORES):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)

    def test_repeat_of_each(self):
        user, item = self.user(10), self.item(3, 1)
        poor, order, later = self.user(1), self.order(user, (item, 1)), self.order(user, (item, 1))
        refused, batch = self.order(poor, (item, 1)), "/payment/batch_init/3/7"
        paths = (f"/payment/add_funds/{user}/5", f"/payment/pay/{user}/2", f"/stock/add/{item}/4",
                 f"/orders/checkout/{order}", f"/orders/checkout/{refused}", batch,
                 "/payment/create_user")
        keyed = [(path, {"Idempotency-Key": new_key()}) for path in paths]
        first = [self.post(path, headers) for path, headers in keyed]
        self.post(f"/payment/add_funds/{poor}/9")
        self.assert_paid(self.checkout(refused), refused, 3)  # another attempt
        self.post("/payment/pay/1/3")
        self.drop_records()
        for (path, headers), answer in zip(keyed, first):
            with self.subTest(path=path):
                again = self.post(path, headers)
                self.assertEqual((again.status, again.text), (answer.status, answer.text))
                self.assertEqual(again.headers.get("saga-id"), answer.headers.get("saga-id"))
        self.assert_credit(user, 10)
        self.assert_credit(poor, 7)
        self.assert_credit("1", 4)
        self.assert_stock(item, 3, 3)
        self.assert_paid(self.checkout(later), later, 3)


if __name__ == "__main__":
    unittest.main()
