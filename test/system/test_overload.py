"""429: what it looks like, and what never is one. A gateway of its own with room for one request,
whose broker is not there: so the first one waits, and the others are too many. And crowds: of those
who connect and say nothing, and of those who wait."""

import json
import resource
import socket
import time
import unittest

from client import TIME_FACTOR
from front import NGINX, Front, free_port
from gateway import BINARY, STORES, Gateway
from kassa.connection import Connection

BUSY = {"error": "too many requests, try again"}


CROWD = 4300  # more than there once was room for
WAITING = 4200
HEALTH_S = 1 * TIME_FACTOR


def nowhere():
    """For a gateway none of whose servers is there: whoever asks it for something waits."""
    nobody = f"127.0.0.1:{free_port()}"
    return {name: nobody for name in ("RABBITMQ_NODES", *STORES)}


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Overload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(PENDING_MAX="1", **nowhere())
        cls.addClassCleanup(cls.gateway.close)
        cls.first = cls.gateway.connect()
        cls.addClassCleanup(cls.first.close)
        cls.first.sendall(b"POST /orders/checkout/1 HTTP/1.1\r\nHost: k\r\n\r\n")
        cls.gateway.wait(lambda gateway: gateway.metric("kassa_pending_requests") == 1)

    def test_too_many(self):
        """The same answer to everything that a service would have to do; the connection stays."""
        self.gateway.ask("GET", "/health")
        connection = self.gateway.client.sock
        shed = self.gateway.metric("kassa_requests_shed_total")
        for method, path, headers in (("POST", "/orders/checkout/1", {}),
                                      ("POST", "/payment/create_user", {}),
                                      ("POST", "/payment/pay/u/5", {"Idempotency-Key": "k" * 8}),
                                      ("GET", "/stock/find/i", {})):
            answer, text = self.gateway.ask(method, path, **headers)
            self.assertEqual((answer.status, json.loads(text)), (429, BUSY), path)
            self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertRegex(answer.headers["retry-after"], "^[1-9][0-9]*$")
            self.assertIs(self.gateway.client.sock, connection)
        self.assertEqual(self.gateway.metric("kassa_requests_shed_total"), shed + 4)
        self.assertEqual(self.gateway.metric("kassa_pending_requests"), 1)
        self.assertEqual(self.gateway.metric("kassa_admission_limit"), 1)

    def test_never_too_many(self):
        """What the gateway knows by itself it says as ever."""
        for method, path, status in (("GET", "/health", 200), ("GET", "/metrics", 200),
                                     ("GET", "/ready", 503), ("GET", "/nothing", 404),
                                     ("GET", "/payment/pay/u/5", 405),
                                     ("POST", "/payment/pay/u/0", 400)):
            self.assertEqual(self.gateway.ask(method, path)[0].status, status, path)


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Crowd(unittest.TestCase):
    """Nobody is locked out by others: neither a client nor who looks after the gateway."""

    def setUp(self):
        self.crowd = []
        self.addCleanup(lambda: [raw.close() for raw in self.crowd])

    def open(self, count, data=b""):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < count + 200:
            self.skipTest(f"{hard} descriptors are too few")
        if soft < count + 200:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1000), hard))
        for _ in range(count):
            self.crowd.append(self.gateway.connect())
            self.crowd[-1].sendall(data)

    def start(self, **environment):
        self.gateway = Gateway(**{**nowhere(), **environment})
        self.addCleanup(self.gateway.close)

    def assert_well(self):
        for path in ("/health", "/metrics"):
            self.gateway.client.close()  # by a new connection
            begin = time.monotonic()
            self.assertEqual(self.gateway.ask("GET", path)[0].status, 200, path)
            self.assertLess(time.monotonic() - begin, HEALTH_S, path)

    def test_silent(self):
        """Thousands who say nothing, with more of them than there is room for, too."""
        for room in ({}, {"PENDING_MAX": "1000", "HTTP_CONNECTIONS_MAX": "1256"}):
            with self.subTest(room):
                self.start(**room)
                self.open(CROWD)
                self.assert_well()

    def test_waiting(self):
        """Thousands who wait for an answer; one more waits, too."""
        self.start()
        checkout = b"POST /orders/checkout/1 HTTP/1.1\r\nHost: k\r\n\r\n"
        self.open(WAITING, checkout)
        self.gateway.wait(lambda g: g.metric("kassa_pending_requests") == WAITING)
        self.assert_well()
        self.open(1, checkout)
        self.gateway.wait(lambda g: g.metric("kassa_pending_requests") == WAITING + 1)

    def test_waiting_and_full(self):
        """All that may wait do, and others are silent: one more is told that there are too many."""
        self.start(PENDING_MAX="1000", HTTP_CONNECTIONS_MAX="1256")
        self.open(1000, b"POST /orders/checkout/1 HTTP/1.1\r\nHost: k\r\n\r\n")
        self.gateway.wait(lambda g: g.metric("kassa_pending_requests") == 1000)
        self.open(1000)
        self.assert_well()
        self.gateway.client.close()
        answer, text = self.gateway.ask("POST", "/orders/checkout/1")
        self.assertEqual((answer.status, json.loads(text)), (429, BUSY))
        self.assertEqual(self.gateway.metric("kassa_pending_requests"), 1000)

    @unittest.skipUnless(NGINX, "nginx is not installed")
    def test_one_address(self):
        """nginx serves so many requests of one address at once; one more is told so, in our words,
        and is served when another one is over."""
        self.start()
        front = Front("127.0.0.1", self.gateway.port, clients=3)
        self.addCleanup(front.close)
        for _ in range(3):
            self.crowd.append(socket.create_connection(("127.0.0.1", front.port)))
            self.crowd[-1].sendall(b"POST /orders/checkout/1 HTTP/1.1\r\nHost: k\r\n\r\n")
        self.gateway.wait(lambda g: g.metric("kassa_pending_requests") == 3)
        one = Connection(f"http://127.0.0.1:{front.port}", 10)
        self.addCleanup(one.close)
        answer = one.request("GET", "/health")
        self.assertEqual((answer.status, answer.json()),
                         (429, {"error": "too many requests at once, try again"}))
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["retry-after"], "1")
        self.crowd.pop().close()
        self.gateway.wait(lambda g: one.request("GET", "/health").status == 200)


if __name__ == "__main__":
    unittest.main()
