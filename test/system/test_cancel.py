"""An operator gives sagas up: POST /sagas/{id}/cancel. Whatever the answer says is true.

Pauses a service (SIGSTOP), so that a saga hangs in a known state, and lets it go on afterwards.
Needs KASSA_VAR; without it only what needs no pause is run.
"""

import contextlib
import os
import re
import signal
import threading
import time
import unittest

from client import Case, Client
from servers import metrics
from test_crash import VAR, running_pid

CANCELLED = {"error": "the checkout was cancelled"}


@contextlib.contextmanager
def paused(service):
    pid = running_pid(service)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Cancel(Case):
    def cancel(self, saga):
        return self.post(f"/sagas/{saga}/cancel")

    def begin(self, order):
        """Begins a checkout without waiting for its end; its saga's id."""
        answer = self.checkout(order, {"Prefer": "respond-async"})
        self.assertEqual(answer.status, 202, answer)
        return answer.body["saga_id"]

    def test_unknown(self):
        self.assert_error(self.cancel("01a1fe9d-4688-7531-b404-cf17357129bd"), 404)
        self.assert_error(self.cancel("nothing"), 404)
        self.assert_error(self.cancel("no.id"), 400)

    def test_ended(self):
        """What is paid stays paid, what has failed stays failed."""
        item, user = self.item(price=2, stock=1), self.user(credit=5)
        order = self.order(user, (item, 1))
        paid = self.checkout(order)
        self.assert_paid(paid, order, 2)
        self.assert_error(self.cancel(paid.headers["saga-id"]), 409)
        failed = self.checkout(self.order(user, (item, 1)))
        self.assert_error(failed, 400)
        self.assert_error(self.cancel(failed.headers["saga-id"]), 409)
        self.assert_credit(user, 3)
        self.assert_stock(item, 0, 2)

    @unittest.skipUnless(VAR, "KASSA_VAR is not set")
    def test_charging(self):
        """Cancelled while the charge hangs: whether it is made or not, nothing is left of it."""
        item, user = self.item(price=2, stock=1), self.user(credit=5)
        order = self.order(user, (item, 1))
        with paused("payment"):
            saga = self.begin(order)
            answer = self.cancel(saga)
            self.assertEqual(answer.status, 202, answer)
            self.assertEqual(answer.body["saga_id"], saga)
            self.assertIn(answer.body["state"], ("CANCELLING", "REFUNDING"))
            again = self.cancel(saga)
            self.assertEqual((again.status, again.body["saga_id"]), (202, saga), again)
        story = self.poll_saga(saga)
        self.assertEqual((story["state"], story["reason"]), ("FAILED", CANCELLED["error"]))
        self.assert_credit(user, 5)
        self.assert_stock(item, 1, 2)

    @unittest.skipUnless(VAR, "KASSA_VAR is not set")
    def test_waiter_is_told(self):
        """Who waits for the checkout reads that it was cancelled, after the refund."""
        item, user = self.item(price=2, stock=1), self.user(credit=5)
        order = self.order(user, (item, 1))
        answers = []

        def wait():
            client = Client()
            answers.append(client.post(f"/orders/checkout/{order}"))
            client.close()

        with paused("payment"):
            saga = self.begin(order)
            waiter = threading.Thread(target=wait)
            waiter.start()
            self.assertEqual(self.cancel(saga).status, 202)
        waiter.join()
        self.poll_saga(saga)
        if answers[0].status == 200:  # it came after the end, and was a new attempt
            self.assert_credit(user, 3)
        else:
            self.assert_error(answers[0], 400, exactly=CANCELLED)
            self.assert_credit(user, 5)

    @unittest.skipUnless(VAR, "KASSA_VAR is not set")
    def test_taking(self):
        """Cancelled while the take hangs: the take was sent first, so it wins, and the answer is
        paid; had it been lost, the cancel would win. Either way money and stock agree."""
        item, user = self.item(price=2, stock=1), self.user(credit=5)
        order = self.order(user, (item, 1))
        with paused("stock"):
            saga = self.begin(order)
            self.wait_for_credit(user, 3)
            answer = self.cancel(saga)
            self.assertEqual(answer.status, 202, answer)
            self.assertEqual(answer.body["state"], "CANCELLING")
        story = self.poll_saga(saga)
        paid = story["state"] == "PAID"
        self.assert_credit(user, 3 if paid else 5)
        self.assert_stock(item, 0 if paid else 1, 2)
        self.assert_order(order, user, paid, [(item, 1)], 2)

    @unittest.skipUnless(VAR, "KASSA_VAR is not set")
    def test_its_age_is_told(self):
        """How long the oldest saga waits is what an operator looks at."""
        item, user = self.item(price=2, stock=1), self.user(credit=5)
        with paused("payment"):
            saga = self.begin(self.order(user, (item, 1)))
            until = time.monotonic() + 20
            while self.oldest_s() < 2:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.1)
        self.assertEqual(self.poll_saga(saga)["state"], "PAID")

    def oldest_s(self):
        return int(re.search(r"^kassa_saga_oldest_seconds (\d+)$", metrics("order"), re.M).group(1))

    def wait_for_credit(self, user, credit):
        for _ in range(1000):
            if self.get(f"/payment/find_user/{user}").body["credit"] == credit:
                return
        self.fail(f"the user does not have {credit}")


if __name__ == "__main__":
    unittest.main()
