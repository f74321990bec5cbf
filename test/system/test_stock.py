"""Items: create, find, add, subtract; never below zero, exact over the whole of int64."""

import unittest

from client import INT64_MAX, OUT_OF_STOCK, Case, at_once, unknown


class Stock(Case):
    def test_new_item_has_no_stock(self):
        """An item is created with a UUIDv7, its price and stock 0; two items differ."""
        item = self.made("/stock/item/create/7", "item_id")
        self.assert_stock(item, 0, 7)
        self.assertNotEqual(item, self.made("/stock/item/create/7", "item_id"))

    def test_add_answers_new_stock(self):
        """Each add answers the stock after it, and a find shows it."""
        item = self.item(3)
        self.assert_ok(self.post(f"/stock/add/{item}/10"), {"added": True, "stock": 10})
        self.assert_ok(self.post(f"/stock/add/{item}/1"), {"added": True, "stock": 11})
        self.assert_stock(item, 11, 3)

    def test_subtract_answers_new_stock(self):
        """subtract takes, down to zero."""
        item = self.item(3, 10)
        answer = self.post(f"/stock/subtract/{item}/4")
        self.assert_ok(answer, {"subtracted": True, "stock": 6})
        answer = self.post(f"/stock/subtract/{item}/6")
        self.assert_ok(answer, {"subtracted": True, "stock": 0})
        self.assert_stock(item, 0, 3)

    def test_subtract_never_below_zero(self):
        """One piece too much is refused and takes nothing."""
        item = self.item(3, 10)
        self.assert_refused(self.post(f"/stock/subtract/{item}/11"), OUT_OF_STOCK)
        self.assert_refused(self.post(f"/stock/subtract/{item}/{INT64_MAX}"), OUT_OF_STOCK)
        self.assert_stock(item, 10, 3)

    def test_unknown_item(self):
        """find, add and subtract of an unknown item: 404, and it is not created by it."""
        item = unknown()
        self.assert_error(self.get(f"/stock/find/{item}"), 404)
        self.assert_error(self.post(f"/stock/add/{item}/1"), 404)
        self.assert_error(self.post(f"/stock/subtract/{item}/1"), 404)
        self.assert_error(self.get(f"/stock/find/{item}"), 404)

    def test_free_item(self):
        """Price 0 is a price."""
        self.assert_stock(self.item(0), 0, 0)

    def test_exact_above_2_to_53(self):
        """2^53 + 1 and its neighbours stay exact, in stock and in price."""
        item = self.item(9007199254740993, 9007199254740993)
        self.assert_stock(item, 9007199254740993, 9007199254740993)
        answer = self.post(f"/stock/add/{item}/1")
        self.assert_ok(answer, {"added": True, "stock": 9007199254740994})
        answer = self.post(f"/stock/subtract/{item}/1")
        self.assert_ok(answer, {"subtracted": True, "stock": 9007199254740993})

    def test_int64_max(self):
        """The greatest stock and price can be held; more is refused and changes nothing."""
        item = self.item(INT64_MAX, INT64_MAX)
        self.assert_stock(item, INT64_MAX, INT64_MAX)
        self.assert_error(self.post(f"/stock/add/{item}/1"), 400)
        self.assert_stock(item, INT64_MAX, INT64_MAX)
        answer = self.post(f"/stock/subtract/{item}/{INT64_MAX}")
        self.assert_ok(answer, {"subtracted": True, "stock": 0})

    def test_concurrent_subtracts_never_oversell(self):
        """100 single subtracts of 40 pieces over 20 connections: 40 succeed, none goes below 0."""
        item = self.item(1, 40)
        jobs = [lambda client: client.post(f"/stock/subtract/{item}/1")] * 100
        answers = at_once(jobs, 20)
        left = sorted(a.body["stock"] for a in answers if a.status == 200)
        self.assertEqual(left, list(range(40)))
        for answer in answers:
            if answer.status != 200:
                self.assert_refused(answer, OUT_OF_STOCK)
        self.assert_stock(item, 0, 1)


if __name__ == "__main__":
    unittest.main()
