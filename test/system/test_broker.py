"""What comes over the broker may be rubbish, and the broker may lose its queues.

Needs KASSA_VAR, by which the stack's own broker is found; without it everything here is skipped.
"""

import json
import os
import pathlib
import signal
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor

from client import TIME_FACTOR, Case
from kassa.services import QUEUES
from servers import VAR, envelope, metrics, take_parked, tool

WAIT_S = 10 * TIME_FACTOR


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Poison(Case):
    """A message that cannot be understood is parked, and blocks nothing."""

    def check_parked(self, body):
        for queue in QUEUES:
            with self.subTest(queue=queue):
                status, _ = tool("amqp-publish", "--routing-key", queue, "--body", body)
                self.assertEqual(status, 0)
                self.assertTrue(take_parked(queue, body.encode().__eq__, WAIT_S), body)
        user = self.user(credit=5)
        self.assertEqual(self.get(f"/payment/find_user/{user}").body["credit"], 5)

    def test_not_json(self):
        self.check_parked(f"rubbish {uuid.uuid4()}")

    def test_no_type(self):
        self.check_parked(json.dumps({"v": 2, "tables": [{"n": str(uuid.uuid4())}]}))

    def test_missing_field(self):
        self.check_parked(envelope("payment.charge", id=str(uuid.uuid4())))

    def test_wrong_kind_of_field(self):
        self.check_parked(
            envelope("payment.fund", id=str(uuid.uuid4()), gateway="g", user="u", amount="5")
        )

    def test_id_without_a_time(self):
        """Its record could never be found again: it is parked, not run."""
        name = f"made-up-{uuid.uuid4()}"
        body = envelope("payment.find", id=name, gateway="g", user="u")
        status, _ = tool("amqp-publish", "--routing-key", "kassa.payment", "--body", body)
        self.assertEqual(status, 0)
        is_parked = take_parked("kassa.payment", lambda found: name in found.decode(), WAIT_S)
        self.assertTrue(is_parked, "it is not parked")


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class OtherVersion(Case):
    """What another version may know is not parked, but given back to its queue for ten minutes."""

    BODIES = (
        {"v": 3, "tables": []},
        {"v": 2, "tables": [{"type": "payment.steal", "fields": ["id"], "rows": [["x"]]}]},
        {"v": 2, "tables": [{"type": "pong", "fields": ["id", "mood"], "rows": [["x", "y"]]}]},
    )

    def publish(self, queue, body, returns=None):
        header = () if returns is None else ("--header", f"x-kassa-returns: {returns}")
        status, _ = tool("amqp-publish", "--routing-key", queue, *header, "--body", body)
        self.assertEqual(status, 0)

    def given_back(self, service):
        line = next(line for line in metrics(service).splitlines()
                    if line.startswith("kassa_messages_given_back_total"))
        return int(line.split()[-1])

    def test_given_back_and_never_parked(self):
        before = self.given_back("payment")
        for body in self.BODIES:
            self.publish("kassa.payment", json.dumps(body))
        until = time.monotonic() + 3 * WAIT_S
        while self.given_back("payment") < before + 2 * len(self.BODIES):
            self.assertLess(time.monotonic(), until, "they are not given back")
            time.sleep(0.2)
        status, _ = tool("amqp-get", "--queue", "kassa.payment.parked")
        self.assertNotEqual(status, 0, "something is parked")
        user = self.user(credit=5)
        self.assertEqual(self.get(f"/payment/find_user/{user}").body["credit"], 5)

    def test_parked_in_the_end(self):
        for queue in QUEUES:
            with self.subTest(queue=queue):
                body = json.dumps({"v": 3, "tables": [], "n": str(uuid.uuid4())})
                self.publish(queue, body, returns=199)
                self.assertFalse(take_parked(queue, body.encode().__eq__, 1))
                self.assertTrue(take_parked(queue, body.encode().__eq__, WAIT_S), body)

    def test_a_header_that_is_none(self):
        body = json.dumps({"v": 3, "tables": [], "n": str(uuid.uuid4())})
        self.publish("kassa.stock", body, returns="-7 times")
        self.assertFalse(take_parked("kassa.stock", body.encode().__eq__, 1))

    def tearDown(self):
        """They would go round for ten minutes, and be parked under the eyes of another test."""
        for queue in ("kassa.payment", "kassa.stock"):
            tool("amqp-delete-queue", "--queue", queue)
        self.user()
        self.item()  # the queues are there again


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class NoConfirm(Case):
    """A broker that keeps a connection and confirms nothing: the publisher goes elsewhere."""

    def test_a_publisher_does_not_wait_for_ever(self):
        user = self.user(credit=5)
        log = pathlib.Path(VAR) / "log" / "gateway.log"
        seen = len(log.read_bytes())
        pid = int((pathlib.Path(VAR) / "run" / "rabbitmq.pid").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(self.post, f"/payment/add_funds/{user}/7")
                until = time.monotonic() + WAIT_S
                while b'reason="no confirm in time"' not in log.read_bytes()[seen:]:
                    self.assertLess(time.monotonic(), until, "the connection is not given up")
                    time.sleep(0.05)
                os.kill(pid, signal.SIGCONT)
                self.assertEqual(answer.result(timeout=WAIT_S).body, {"done": True, "credit": 12})
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.get(f"/payment/find_user/{user}").body["credit"], 12)


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class LostQueue(Case):
    """A queue that is deleted behind our back costs time, nothing else."""

    def test_each_queue(self):
        for queue in QUEUES:
            with self.subTest(queue=queue):
                user = self.user(credit=10)
                item = self.item(price=3, stock=1)
                order = self.order(user, (item, 1))
                status, _ = tool("amqp-delete-queue", "--queue", queue)
                self.assertEqual(status, 0)
                answer = self.post(f"/orders/checkout/{order}")
                self.assertEqual((answer.status, answer.body["status"]), (200, "paid"))
                self.assertEqual(self.get(f"/payment/find_user/{user}").body["credit"], 7)
                self.assertEqual(self.get(f"/stock/find/{item}").body["stock"], 0)


if __name__ == "__main__":
    unittest.main()
