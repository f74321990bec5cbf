"""Amounts in paths: what is a number, what is too small or too great, on every route with one."""

import unittest

from client import INT64_MAX, Case, unknown

# Never an amount, whatever the route. Percent signs are decoded before the look at it.
NONSENSE = (
    "-1",
    "-0",
    "+5",
    "1e3",
    "1E3",
    "15.5",
    "15.01",
    "15.0.0",
    ".0",
    ".5",
    "1,000",
    "1_000",
    "0x10",
    "abc",
    "12x",
    "x12",
    "NaN",
    "inf",
    "true",
    "%2B5",
    "%205",
    "5%20",
    "5%00",
    "%D9%A5",
    str(INT64_MAX + 1),
    f"{INT64_MAX + 1}.0",
    "18446744073709551617",
    "99999999999999999999999999999999999999",
    "1" * 200,
)


class Amounts(Case):
    def assert_all_bad(self, path, amounts):
        """path has a {} where the amount goes."""
        for amount in amounts:
            with self.subTest(path=path, amount=amount[:40]):
                self.assert_error(self.post(path.format(amount)), 400)

    def test_item_price(self):
        """Prices: 0 and above."""
        self.assert_all_bad("/stock/item/create/{}", NONSENSE)
        for text, price in (("0", 0), ("0.0", 0), ("15.0", 15), ("7.000", 7)):
            self.assert_stock(self.item(text), 0, price)
        self.assert_stock(self.item(INT64_MAX), 0, INT64_MAX)

    def test_add_funds(self):
        """Funds: 1 and above."""
        user = self.user(1)
        self.assert_all_bad(f"/payment/add_funds/{user}/{{}}", ("0", "0.0", *NONSENSE))
        self.assert_credit(user, 1)
        answer = self.post(f"/payment/add_funds/{user}/15.0")
        self.assert_ok(answer, {"done": True, "credit": 16})

    def test_pay(self):
        """Payments: 1 and above."""
        user = self.user(20)
        self.assert_all_bad(f"/payment/pay/{user}/{{}}", ("0", "0.0", *NONSENSE))
        self.assert_credit(user, 20)
        answer = self.post(f"/payment/pay/{user}/15.0")
        self.assert_ok(answer, {"paid": True, "credit": 5})

    def test_add_stock(self):
        """Pieces to add: 1 and above."""
        item = self.item(1, 1)
        self.assert_all_bad(f"/stock/add/{item}/{{}}", ("0", "0.0", *NONSENSE))
        self.assert_stock(item, 1, 1)
        self.assert_ok(self.post(f"/stock/add/{item}/15.0"), {"added": True, "stock": 16})

    def test_subtract_stock(self):
        """Pieces to subtract: 1 and above."""
        item = self.item(1, 20)
        self.assert_all_bad(f"/stock/subtract/{item}/{{}}", ("0", "0.0", *NONSENSE))
        self.assert_stock(item, 20, 1)
        answer = self.post(f"/stock/subtract/{item}/15.0")
        self.assert_ok(answer, {"subtracted": True, "stock": 5})

    def test_quantity(self):
        """Quantities of a line: 1 and above."""
        user, item = self.user(), self.item(2)
        order = self.order(user)
        self.assert_all_bad(f"/orders/addItem/{order}/{item}/{{}}", ("0", "0.0", *NONSENSE))
        self.assert_order(order, user, False, [], 0)
        answer = self.post(f"/orders/addItem/{order}/{item}/15.0")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 30})
        self.assert_order(order, user, False, [(item, 15)], 30)

    def test_great_quantity(self):
        """2^53 - 1 pieces can be ordered, though there will never be so many."""
        user, item = self.user(), self.item(1)
        order = self.order(user, (item, 2**53 - 1))
        self.assert_order(order, user, False, [(item, 2**53 - 1)], 2**53 - 1)

    def test_empty_amount(self):
        """Nothing where the amount should be: 400."""
        user, item = self.user(), self.item()
        for path in (
            "/stock/item/create/",
            f"/payment/add_funds/{user}/",
            f"/payment/pay/{user}/",
            f"/stock/add/{item}/",
            f"/stock/subtract/{item}/",
            f"/orders/addItem/{self.order(user)}/{item}/",
        ):
            with self.subTest(path=path):
                self.assert_error(self.post(path), 400)

    def test_encoded_digits(self):
        """Percent-encoded digits are digits."""
        user = self.user()
        answer = self.post(f"/payment/add_funds/{user}/%31%35")
        self.assert_ok(answer, {"done": True, "credit": 15})
        answer = self.post(f"/payment/add_funds/{user}/15%2E0")
        self.assert_ok(answer, {"done": True, "credit": 30})

    def test_bad_amount_of_unknown(self):
        """A bad amount is told before the entity is looked for."""
        self.assert_error(self.post(f"/payment/pay/{unknown()}/0"), 400)
        self.assert_error(self.post(f"/stock/subtract/{unknown()}/abc"), 400)


if __name__ == "__main__":
    unittest.main()
