"""Orders: create, find and addItem."""

import unittest

from client import INT64_MAX, Case, unknown


class Orders(Case):
    def test_new_order_is_empty(self):
        """An order is created with a UUIDv7, unpaid, without lines, total 0."""
        user = self.user()
        order = self.made(f"/orders/create/{user}", "order_id")
        self.assert_order(order, user, False, [], 0)
        self.assertNotEqual(order, self.made(f"/orders/create/{user}", "order_id"))

    def test_user_is_not_checked(self):
        """An order can be made for a user that does not exist."""
        user = unknown()
        order = self.made(f"/orders/create/{user}", "order_id")
        self.assert_order(order, user, False, [], 0)

    def test_add_item_answers_total(self):
        """Each addItem answers the total after it, and a find shows the lines."""
        user, cheap, dear = self.user(), self.item(2), self.item(50)
        order = self.order(user)
        answer = self.post(f"/orders/addItem/{order}/{cheap}/3")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 6})
        answer = self.post(f"/orders/addItem/{order}/{dear}/1")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 56})
        self.assert_order(order, user, False, [(cheap, 3), (dear, 1)], 56)

    def test_same_item_twice_adds_up(self):
        """The second addItem of an item raises its line instead of making another."""
        user, item = self.user(), self.item(2)
        order = self.order(user, (item, 3))
        answer = self.post(f"/orders/addItem/{order}/{item}/4")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 14})
        self.assert_order(order, user, False, [(item, 7)], 14)

    def test_stock_is_not_checked(self):
        """More pieces than there are can be added; nothing is taken by that."""
        user, item = self.user(), self.item(2, 1)
        order = self.order(user, (item, 1000))
        self.assert_order(order, user, False, [(item, 1000)], 2000)
        self.assert_stock(item, 1, 2)

    def test_unknown_order(self):
        """find, addItem and checkout of an unknown order: 404."""
        order, item = unknown(), self.item(1, 1)
        self.assert_error(self.get(f"/orders/find/{order}"), 404)
        self.assert_error(self.post(f"/orders/addItem/{order}/{item}/1"), 404)
        self.assert_error(self.post(f"/orders/checkout/{order}"), 404)
        self.assert_error(self.get(f"/orders/find/{order}"), 404)

    def test_unknown_item(self):
        """An unknown item cannot be added, and the order stays as it was."""
        user = self.user()
        order = self.order(user)
        self.assert_error(self.post(f"/orders/addItem/{order}/{unknown()}/1"), 404)
        self.assert_order(order, user, False, [], 0)

    def test_paid_order_is_closed(self):
        """addItem to a paid order: 409, and the order stays as it was."""
        user, item = self.user(10), self.item(1, 10)
        order = self.order(user, (item, 1))
        self.assert_paid(self.checkout(order), order, 1)
        self.assert_error(self.post(f"/orders/addItem/{order}/{item}/1"), 409)
        self.assert_order(order, user, True, [(item, 1)], 1)

    def test_paid_empty_order_is_closed(self):
        """The same for an order that was paid without a line."""
        user, item = self.user(), self.item(1, 10)
        order = self.order(user)
        self.assert_paid(self.checkout(order), order, 0)
        self.assert_error(self.post(f"/orders/addItem/{order}/{item}/1"), 409)

    def test_price_times_quantity_overflows(self):
        """A line whose cost is beyond int64 is refused, and the order stays as it was."""
        user, item = self.user(), self.item(2**62)
        order = self.order(user)
        self.assert_error(self.post(f"/orders/addItem/{order}/{item}/2"), 400)
        self.assert_error(self.post(f"/orders/addItem/{order}/{item}/{2**62}"), 400)
        self.assert_order(order, user, False, [], 0)

    def test_total_overflows(self):
        """A line that takes the total beyond int64 is refused; one below it is not."""
        user, dear, cheap = self.user(), self.item(INT64_MAX - 1), self.item(1)
        order = self.order(user, (dear, 1))
        self.assert_error(self.post(f"/orders/addItem/{order}/{cheap}/2"), 400)
        self.assert_error(self.post(f"/orders/addItem/{order}/{dear}/1"), 400)
        self.assert_order(order, user, False, [(dear, 1)], INT64_MAX - 1)
        answer = self.post(f"/orders/addItem/{order}/{cheap}/1")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": INT64_MAX})

    def test_total_is_exact_above_2_to_53(self):
        """9007199254740993 stays what it is in a total."""
        user, item = self.user(), self.item(3002399751580331)
        order = self.order(user, (item, 3))
        self.assert_order(order, user, False, [(item, 3)], 9007199254740993)

    def test_fifty_lines(self):
        """An order of many different items keeps them all."""
        user = self.user()
        items = [self.item(1) for _ in range(50)]
        order = self.order(user, *((item, 2) for item in items))
        self.assert_order(order, user, False, [(item, 2) for item in items], 100)


if __name__ == "__main__":
    unittest.main()
