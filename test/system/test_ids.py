"""Ids in paths: ^[A-Za-z0-9_-]{1,64}$ after decoding, on every route with one."""

import unittest

from client import Case, unknown

BAD = (
    "a" * 65,
    "a" * 1000,
    ".",
    "..",
    "a.b",
    "%2E%2E",
    "a%2Fb",
    "%2f",
    "a%5Cb",
    "a%00",
    "%00",
    "a%0d%0aSet-Cookie:%20x=1",
    "%0D%0A",
    "a%20b",
    "%20",
    "a+b",
    "a%25b",
    "%C3%A4",
    "%E2%82%AC",
    "%FF",
    "a%7Fb",
    "a:b",
    "a*1,b",
    "a%22b",
    "{a}",
    "a~b",
    "a@b",
    "%",
    "%4",
    "%4x",
    "a%zz",
    "%u0041",
)

NIL = "00000000-0000-7000-8000-000000000000"

# Every route with an id; {} is the id under test, the others are replaced beforehand.
ROUTES = (
    ("GET", "/payment/find_user/{}"),
    ("POST", "/payment/add_funds/{}/1"),
    ("POST", "/payment/pay/{}/1"),
    ("GET", "/stock/find/{}"),
    ("POST", "/stock/add/{}/1"),
    ("POST", "/stock/subtract/{}/1"),
    ("POST", "/orders/create/{}"),
    ("GET", "/orders/find/{}"),
    ("POST", "/orders/addItem/{}/ITEM/1"),
    ("POST", "/orders/addItem/ORDER/{}/1"),
    ("POST", "/orders/checkout/{}"),
    ("GET", "/sagas/{}"),
)


class Ids(Case):
    def routes(self):
        item = self.item()
        order = self.order(self.user())
        for method, path in ROUTES:
            yield method, path.replace("ITEM", item).replace("ORDER", order)

    def test_bad_ids(self):
        """Everything that is not an id after decoding is a 400 with a sentence."""
        for method, path in self.routes():
            for bad in BAD:
                with self.subTest(route=path, id=bad[:40]):
                    answer = self.client.request(method, path.replace("{}", bad))
                    self.assert_error(answer, 400)
                    self.assertNotIn("set-cookie", answer.headers)

    def test_empty_id(self):
        """Nothing where the id should be: 400."""
        for method, path in self.routes():
            if path == "/sagas/{}":
                continue  # nothing behind it: not a saga, and not the list either
            with self.subTest(route=path):
                self.assert_error(self.client.request(method, path.replace("{}", "")), 400)

    def test_unknown_ids(self):
        """A good id that names nothing is a 404 everywhere but where users are not checked."""
        for method, path in self.routes():
            if path == "/orders/create/{}":
                continue
            for good in (unknown(), "x" * 64, "_", "-", "A-b_9", NIL):
                with self.subTest(route=path, id=good):
                    answer = self.client.request(method, path.replace("{}", good))
                    self.assert_error(answer, 404)

    def test_longest_id(self):
        """64 characters are an id: such a user can have orders, and be found in them."""
        user = ("aZ09_-" * 11)[:64]
        order = self.made(f"/orders/create/{user}", "order_id")
        self.assert_order(order, user, False, [], 0)

    def test_encoded_ids(self):
        """An id that is percent-encoded is the id it decodes to, on every route."""
        user, item = self.user(100), self.item(2, 10)
        order = self.order(user)
        u, i, o = ("".join(f"%{ord(c):02x}" for c in id) for id in (user, item, order))
        answer = self.get(f"/payment/find_user/{u}")
        self.assert_ok(answer, {"user_id": user, "credit": 100})
        answer = self.post(f"/payment/add_funds/{u.upper()}/1")
        self.assert_ok(answer, {"done": True, "credit": 101})
        self.assert_ok(self.post(f"/payment/pay/{u}/1"), {"paid": True, "credit": 100})
        self.assert_ok(self.get(f"/stock/find/{i}"), {"stock": 10, "price": 2})
        self.assert_ok(self.post(f"/stock/add/{i}/1"), {"added": True, "stock": 11})
        self.assert_ok(self.post(f"/stock/subtract/{i}/1"), {"subtracted": True, "stock": 10})
        answer = self.post(f"/orders/addItem/{o}/{i}/3")
        self.assert_ok(answer, {"added": True, "order_id": order, "total_cost": 6})
        self.assertEqual(self.get(f"/orders/find/{o}").body["items"], [[item, 3]])
        self.assert_paid(self.checkout(o), order, 6)
        made = self.made(f"/orders/create/{u}", "order_id")
        self.assert_order(made, user, False, [], 0)

    def test_decoded_once(self):
        """What decodes to a percent sign is not decoded again."""
        user = self.user()
        twice = "%25" + f"{ord(user[0]):02x}" + user[1:]
        self.assert_error(self.get(f"/payment/find_user/{twice}"), 400)

    def test_kinds_are_apart(self):
        """The id of one kind names nothing of another kind."""
        user, item = self.user(), self.item()
        order = self.order(user)
        self.assert_error(self.get(f"/stock/find/{user}"), 404)
        self.assert_error(self.get(f"/orders/find/{item}"), 404)
        self.assert_error(self.get(f"/payment/find_user/{order}"), 404)
        self.assert_error(self.get(f"/sagas/{order}"), 404)


if __name__ == "__main__":
    unittest.main()
