"""A store whose memory is nearly full: nothing new is begun, and who asks is told so at once; what is
read, and what has begun, goes on. One that is full: nothing is parked, and nothing is lost.

Limits the memory of the private stores, and gives it back. Needs KASSA_VAR; without it everything
here is skipped.
"""

import contextlib
import os
import re
import signal
import time
import unittest
import uuid

from client import TIME_FACTOR, Case
from servers import VAR, counter, envelope, redis, tool
from test_cancel import paused
from test_crash import running_pid

SOON_S = 3 * TIME_FACTOR
SERVICES = ("order", "stock", "payment")
STORES = {"REDIS_PORT": "payment|stock|orders", "SAGA_REDIS_PORT": "keys"}
BEGINS = ("/payment/create_user", "/payment/add_funds/{}/1", "/payment/pay/{}/1",
          "/payment/batch_init/1/1", "/stock/item/create/1", "/stock/add/{}/1",
          "/stock/subtract/{}/1", "/orders/create/{}", "/orders/addItem/{}/{}/1",
          "/orders/checkout/{}")


def number(name, port, *question):
    return int(re.search(rf"\b{name}\W+(\d+)", redis(*question, port=port))[1])


@contextlib.contextmanager
def limited(port, part):
    """What is used now is that part of all there is."""
    limit = number("maxmemory", port, "CONFIG", "GET", "maxmemory")
    used = number("used_memory", port, "INFO", "memory")
    redis("CONFIG", "SET", "maxmemory", str(int(used / part)), port=port)
    try:
        yield
    finally:
        redis("CONFIG", "SET", "maxmemory", str(limit), port=port)


def go_on(service):
    """Before the end of paused()."""
    os.kill(running_pid(service), signal.SIGCONT)


def parked():
    return [counter(service, "kassa_commands_parked_total") for service in SERVICES]


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Memory(Case):
    def wait(self, is_so, what, seconds=SOON_S):
        until = time.monotonic() + seconds
        while not is_so():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.05)

    def wait_short(self):
        """Without beginning anything: what has begun when there is no room waits for it."""
        self.wait(lambda: "nearly full" in self.get("/ready").text, "is not short")

    def wait_well(self):
        self.wait(lambda: self.get("/ready").status == 200, "is not ready again")
        self.item()

    def assert_short(self, answer, status, whose):
        self.assert_error(answer, status)
        self.assertRegex(answer.body["error"],
                         f"^the store of ({whose}) is nearly full, try again later$")
        self.assertEqual(answer.headers["retry-after"], "1")

    def test_nearly_full(self):
        before = parked()
        user, item = self.user(credit=9), self.item(price=2, stock=5)
        order, other = self.order(user, (item, 1)), self.order(user, (item, 2))
        for port, whose in STORES.items():
            with limited(port, 0.95):
                self.wait_short()
                for path in BEGINS:
                    self.assert_short(self.post(path.format(user, item)), 429, whose)
                self.assert_short(self.get("/ready"), 503, whose)
                self.assert_credit(user, 9)
                self.assert_stock(item, 5, 2)
                self.assert_order(other, user, False, [(item, 2)], 4)
                self.assertEqual(self.get("/sagas?limit=1").status, 200)
                self.assertEqual(self.get("/health").status, 200)
                self.assert_error(self.post("/sagas/nothing/cancel"), 404)
            self.wait_well()
        self.assert_paid(self.checkout(order), order, 2)
        self.assertEqual(parked(), before)

    def test_what_has_begun_ends(self):
        """Nearly full, there is room for it."""
        user, item = self.user(credit=9), self.item(price=2, stock=5)
        order = self.order(user, (item, 1))
        with paused("payment"):
            saga = self.checkout(order, {"Prefer": "respond-async"}).body["saga_id"]
            with limited("REDIS_PORT", 0.95):
                self.wait_short()
                go_on("payment")
                self.assertEqual(self.poll_saga(saga, SOON_S)["state"], "PAID")
        self.wait_well()

    def test_what_nobody_can_write(self):
        """Full: what has begun ends all the same; what a gateway asks for again is dropped and not
        parked; the log does not fill."""
        before, dropped = parked(), counter("payment", "kassa_commands_dropped_total")
        user, item = self.user(credit=9), self.item(price=2, stock=5)
        orders = [self.order(user, (item, 1)) for _ in range(2)]
        with paused("payment"):
            sagas = [self.checkout(order, {"Prefer": "respond-async"}).body["saga_id"]
                     for order in orders]
            with limited("REDIS_PORT", 1.2):
                self.wait_short()
                go_on("payment")
                for _ in range(30):
                    self.fund_by_hand(user)
                self.wait(lambda: counter("payment", "kassa_commands_dropped_total")
                          >= dropped + 30, "what gateways ask for is not dropped")
                for saga in sagas:
                    self.assertEqual(self.poll_saga(saga, SOON_S + 5)["state"], "PAID")
                time.sleep(12)  # more than 21 attempts take
                self.assertEqual(self.get("/stock/find/" + item).status, 200)
        self.wait_well()
        self.assert_credit(user, 5)
        self.assert_stock(item, 3, 2)
        self.assertEqual(parked(), before)

    def fund_by_hand(self, user):
        ms = f"{time.time_ns() // 1000000:012x}"
        name = f"{ms[:8]}-{ms[8:]}-7{str(uuid.uuid4())[15:]}"
        body = envelope("payment.fund", id=name, gateway="nobody", user=user, amount=1)
        self.assertEqual(tool("amqp-publish", "--routing-key", "kassa.payment", "--body", body)[0],
                         0)


if __name__ == "__main__":
    unittest.main()
