"""Users: create, find, add funds, pay; exact arithmetic over the whole of int64."""

import unittest

from client import INSUFFICIENT_CREDIT, INT64_MAX, Case, unknown


class Payment(Case):
    def test_new_user_has_no_credit(self):
        """A user is created with a UUIDv7 and credit 0; two users differ."""
        user = self.made("/payment/create_user", "user_id")
        self.assert_credit(user, 0)
        self.assertNotEqual(user, self.made("/payment/create_user", "user_id"))

    def test_add_funds_answers_new_credit(self):
        """Each add_funds answers the credit after it, and a find shows it."""
        user = self.user()
        answer = self.post(f"/payment/add_funds/{user}/10")
        self.assert_ok(answer, {"done": True, "credit": 10})
        answer = self.post(f"/payment/add_funds/{user}/5")
        self.assert_ok(answer, {"done": True, "credit": 15})
        self.assert_credit(user, 15)

    def test_pay_answers_new_credit(self):
        """pay takes, down to zero."""
        user = self.user(10)
        answer = self.post(f"/payment/pay/{user}/4")
        self.assert_ok(answer, {"paid": True, "credit": 6})
        answer = self.post(f"/payment/pay/{user}/6")
        self.assert_ok(answer, {"paid": True, "credit": 0})
        self.assert_credit(user, 0)

    def test_pay_more_than_credit_is_refused(self):
        """One credit too much is refused with the exact body and takes nothing."""
        user = self.user(10)
        self.assert_refused(self.post(f"/payment/pay/{user}/11"), INSUFFICIENT_CREDIT)
        self.assert_refused(self.post(f"/payment/pay/{user}/{INT64_MAX}"), INSUFFICIENT_CREDIT)
        self.assert_credit(user, 10)

    def test_refused_pay_works_after_funding(self):
        """Without an idempotency key a refusal is not remembered."""
        user = self.user(1)
        self.assert_refused(self.post(f"/payment/pay/{user}/2"), INSUFFICIENT_CREDIT)
        self.post(f"/payment/add_funds/{user}/1")
        answer = self.post(f"/payment/pay/{user}/2")
        self.assert_ok(answer, {"paid": True, "credit": 0})

    def test_unknown_user(self):
        """find, add_funds and pay of an unknown user: 404, and the user is not created by it."""
        user = unknown()
        self.assert_error(self.get(f"/payment/find_user/{user}"), 404)
        self.assert_error(self.post(f"/payment/add_funds/{user}/1"), 404)
        self.assert_error(self.post(f"/payment/pay/{user}/1"), 404)
        self.assert_error(self.get(f"/payment/find_user/{user}"), 404)

    def test_exact_above_2_to_53(self):
        """2^53 + 1 and its neighbours stay exact: no floating point on the way."""
        user = self.user()
        for amount, credit in ((9007199254740993, 9007199254740993), (1, 9007199254740994)):
            answer = self.post(f"/payment/add_funds/{user}/{amount}")
            self.assert_ok(answer, {"done": True, "credit": credit})
        answer = self.post(f"/payment/pay/{user}/1")
        self.assert_ok(answer, {"paid": True, "credit": 9007199254740993})
        self.assert_credit(user, 9007199254740993)

    def test_pay_compares_exactly_above_2_to_53(self):
        """9007199254740993 cannot be paid of 9007199254740992, though doubles call them equal."""
        user = self.user(9007199254740992)
        answer = self.post(f"/payment/pay/{user}/9007199254740993")
        self.assert_refused(answer, INSUFFICIENT_CREDIT)
        answer = self.post(f"/payment/pay/{user}/9007199254740991")
        self.assert_ok(answer, {"paid": True, "credit": 1})

    def test_int64_max(self):
        """The greatest credit there is can be held and paid."""
        user = self.user(INT64_MAX)
        self.assert_credit(user, INT64_MAX)
        answer = self.post(f"/payment/pay/{user}/{INT64_MAX}")
        self.assert_ok(answer, {"paid": True, "credit": 0})

    def test_add_over_int64_max_is_refused(self):
        """Funds that would overflow are refused and change nothing."""
        user = self.user(INT64_MAX - 1)
        self.assert_error(self.post(f"/payment/add_funds/{user}/2"), 400)
        self.assert_error(self.post(f"/payment/add_funds/{user}/{INT64_MAX}"), 400)
        self.assert_credit(user, INT64_MAX - 1)
        answer = self.post(f"/payment/add_funds/{user}/1")
        self.assert_ok(answer, {"done": True, "credit": INT64_MAX})


if __name__ == "__main__":
    unittest.main()
