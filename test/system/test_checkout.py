"""Checkout of one order at a time: paid, refused, repeated, given back before the answer."""

import unittest

from client import INSUFFICIENT_CREDIT, INT64_MAX, OUT_OF_STOCK, Case, unknown


class Checkout(Case):
    def test_paid(self):
        """A checkout answers its total, takes credit and stock, and marks the order paid."""
        user, apple, pear = self.user(100), self.item(3, 10), self.item(5, 10)
        order = self.order(user, (apple, 2), (pear, 1))
        answer = self.assert_paid(self.checkout(order), order, 11)
        self.assertTrue(answer.headers.get("saga-id"), answer.headers)
        self.assert_credit(user, 89)
        self.assert_stock(apple, 8, 3)
        self.assert_stock(pear, 9, 5)
        self.assert_order(order, user, True, [(apple, 2), (pear, 1)], 11)

    def test_last_credit_and_last_piece(self):
        """Exactly enough is enough."""
        user, item = self.user(6), self.item(3, 2)
        order = self.order(user, (item, 2))
        self.assert_paid(self.checkout(order), order, 6)
        self.assert_credit(user, 0)
        self.assert_stock(item, 0, 3)

    def test_empty_order(self):
        """An order without lines is paid with total 0 and charges nothing."""
        user = self.user(5)
        order = self.order(user)
        self.assert_paid(self.checkout(order), order, 0)
        self.assert_credit(user, 5)
        self.assert_order(order, user, True, [], 0)

    def test_free_order(self):
        """Items of price 0 are taken from stock and charged 0."""
        user, item = self.user(), self.item(0, 5)
        order = self.order(user, (item, 2))
        self.assert_paid(self.checkout(order), order, 0)
        self.assert_stock(item, 3, 0)

    def test_paid_order_answers_again(self):
        """Repeats of a paid checkout answer the same and change nothing."""
        user, item = self.user(10), self.item(1, 10)
        order = self.order(user, (item, 2))
        first = self.assert_paid(self.checkout(order), order, 2)
        for _ in range(3):
            again = self.assert_paid(self.checkout(order), order, 2)
            self.assertEqual(again.headers.get("saga-id"), first.headers["saga-id"])
        self.assert_credit(user, 8)
        self.assert_stock(item, 8, 1)

    def test_insufficient_credit(self):
        """One credit too few: the exact refusal, nothing taken, the order open."""
        user, item = self.user(5), self.item(3, 10)
        order = self.order(user, (item, 2))
        answer = self.assert_refused(self.checkout(order), INSUFFICIENT_CREDIT)
        self.assertTrue(answer.headers.get("saga-id"), answer.headers)
        self.assert_credit(user, 5)
        self.assert_stock(item, 10, 3)
        self.assert_order(order, user, False, [(item, 2)], 6)

    def test_unknown_user(self):
        """An order of a user that does not exist is refused, and creates no user."""
        user, item = unknown(), self.item(3, 10)
        order = self.order(user, (item, 1))
        self.assert_refused(self.checkout(order), INSUFFICIENT_CREDIT)
        self.assert_stock(item, 10, 3)
        self.assert_error(self.get(f"/payment/find_user/{user}"), 404)

    def test_out_of_stock_gives_back_first(self):
        """The charge is given back before the refusal leaves: a read right after it shows that."""
        user, item = self.user(100), self.item(3, 1)
        order = self.order(user, (item, 2))
        for _ in range(50):
            answer = self.assert_refused(self.checkout(order), OUT_OF_STOCK)
            self.assert_credit(user, 100)
        self.assertTrue(answer.headers.get("saga-id"), answer.headers)
        self.assert_stock(item, 1, 3)
        self.assert_order(order, user, False, [(item, 2)], 6)

    def test_charge_comes_first(self):
        """When both credit and stock are short, it is the credit that is told."""
        user, item = self.user(1), self.item(3, 1)
        order = self.order(user, (item, 2))
        self.assert_refused(self.checkout(order), INSUFFICIENT_CREDIT)

    def test_second_line_short(self):
        """All lines or none: when the second is short, nothing of the first is taken."""
        user, plenty, scarce = self.user(100), self.item(1, 10), self.item(1, 1)
        for lines in (((plenty, 1), (scarce, 2)), ((scarce, 2), (plenty, 1))):
            order = self.order(user, *lines)
            self.assert_refused(self.checkout(order), OUT_OF_STOCK)
            self.assert_stock(plenty, 10, 1)
            self.assert_stock(scarce, 1, 1)
            self.assert_credit(user, 100)

    def test_refused_then_funded(self):
        """A refusal is of one attempt: with more credit the next one is paid."""
        user, item = self.user(1), self.item(3, 1)
        order = self.order(user, (item, 1))
        self.assert_refused(self.checkout(order), INSUFFICIENT_CREDIT)
        self.post(f"/payment/add_funds/{user}/2")
        self.assert_paid(self.checkout(order), order, 3)
        self.assert_credit(user, 0)
        self.assert_stock(item, 0, 3)

    def test_refused_then_restocked(self):
        """The same with more stock."""
        user, item = self.user(10), self.item(3, 1)
        order = self.order(user, (item, 2))
        self.assert_refused(self.checkout(order), OUT_OF_STOCK)
        self.post(f"/stock/add/{item}/1")
        self.assert_paid(self.checkout(order), order, 6)
        self.assert_credit(user, 4)
        self.assert_stock(item, 0, 3)

    def test_refused_then_changed(self):
        """A refused order is open again: items can be added, and the new total is charged."""
        user, item, other = self.user(4), self.item(5, 10), self.item(1, 10)
        order = self.order(user, (item, 1))
        self.assert_refused(self.checkout(order), INSUFFICIENT_CREDIT)
        answer = self.post(f"/orders/addItem/{order}/{other}/2")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 7})
        self.assert_refused(self.checkout(order), INSUFFICIENT_CREDIT)
        self.post(f"/payment/add_funds/{user}/6")
        self.assert_paid(self.checkout(order), order, 7)
        self.assert_credit(user, 3)
        self.assert_stock(item, 9, 5)
        self.assert_stock(other, 8, 1)

    def test_refund_is_exact_above_2_to_53(self):
        """What is given back is what was taken, to the last credit."""
        user, item = self.user(9007199254740993), self.item(9007199254740993, 0)
        order = self.order(user, (item, 1))
        self.assert_refused(self.checkout(order), OUT_OF_STOCK)
        self.assert_credit(user, 9007199254740993)
        self.post(f"/stock/add/{item}/1")
        self.assert_paid(self.checkout(order), order, 9007199254740993)
        self.assert_credit(user, 0)

    def test_all_there_is(self):
        """A total of the greatest int64 can be charged and given back."""
        user, item = self.user(INT64_MAX), self.item(INT64_MAX, 0)
        order = self.order(user, (item, 1))
        self.assert_refused(self.checkout(order), OUT_OF_STOCK)
        self.assert_credit(user, INT64_MAX)
        self.post(f"/stock/add/{item}/1")
        self.assert_paid(self.checkout(order), order, INT64_MAX)
        self.assert_credit(user, 0)

    def test_never_asynchronous_unasked(self):
        """Other preferences than respond-async do not make a checkout asynchronous."""
        user, item = self.user(1), self.item(1, 1)
        order = self.order(user, (item, 1))
        self.assert_paid(self.checkout(order, {"Prefer": "wait=10"}), order, 1)


if __name__ == "__main__":
    unittest.main()
