"""429: what it looks like, and what never is one. A gateway of its own with room for one request,
whose broker is not there: so the first one waits, and the others are too many."""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import time
import unittest

from client import TIME_FACTOR
from front import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
GATEWAY = ROOT / "build" / os.environ.get("VARIANT", "release") / "kassa-gateway"
WAIT_S = 10 * TIME_FACTOR
BUSY = {"error": "too many requests, try again"}


@unittest.skipUnless(GATEWAY.exists(), f"{GATEWAY} is not built")
class Overload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nobody = f"127.0.0.1:{free_port()}"
        cls.port = free_port()
        environment = {name: nobody for name in (
            "RABBITMQ_NODES", "SAGA_REDIS", "ORDER_REDIS", "STOCK_REDIS", "PAYMENT_REDIS")}
        cls.gateway = subprocess.Popen(
            [GATEWAY], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **environment, "HTTP_HOST": "127.0.0.1", "PENDING_MAX": "1",
                 "HTTP_PORT": str(cls.port), "DRAIN_MS": "0", "LOG_LEVEL": "error"})
        cls.addClassCleanup(cls.end)
        until = time.monotonic() + WAIT_S
        while True:
            try:
                cls.first = socket.create_connection(("127.0.0.1", cls.port))
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        cls.addClassCleanup(cls.first.close)
        cls.first.sendall(b"POST /orders/checkout/1 HTTP/1.1\r\nHost: k\r\n\r\n")
        cls.client = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=WAIT_S)
        cls.addClassCleanup(cls.client.close)
        while cls.metric("kassa_pending_requests") != 1 and time.monotonic() < until:
            time.sleep(0.02)

    @classmethod
    def end(cls):
        cls.gateway.terminate()
        cls.gateway.wait(WAIT_S)

    @classmethod
    def ask(cls, method, path, **headers):
        cls.client.request(method, path, headers=headers)
        answer = cls.client.getresponse()
        return answer, answer.read().decode()

    @classmethod
    def metric(cls, name):
        text = cls.ask("GET", "/metrics")[1]
        return next(float(line.split()[1]) for line in text.splitlines()
                    if line.startswith(name + " "))

    def test_too_many(self):
        """The same answer to everything that a service would have to do; the connection stays."""
        self.ask("GET", "/health")
        connection = self.client.sock
        shed = self.metric("kassa_requests_shed_total")
        for method, path, headers in (("POST", "/orders/checkout/1", {}),
                                      ("POST", "/payment/create_user", {}),
                                      ("POST", "/payment/pay/u/5", {"Idempotency-Key": "k" * 8}),
                                      ("GET", "/stock/find/i", {})):
            answer, text = self.ask(method, path, **headers)
            self.assertEqual((answer.status, json.loads(text)), (429, BUSY), path)
            self.assertEqual(answer.getheader("Content-Type"), "application/json")
            self.assertRegex(answer.getheader("Retry-After"), "^[1-9][0-9]*$")
            self.assertIs(self.client.sock, connection)
        self.assertEqual(self.metric("kassa_requests_shed_total"), shed + 4)
        self.assertEqual(self.metric("kassa_pending_requests"), 1)
        self.assertEqual(self.metric("kassa_admission_limit"), 1)

    def test_never_too_many(self):
        """What the gateway knows by itself it says as ever."""
        for method, path, status in (("GET", "/health", 200), ("GET", "/metrics", 200),
                                     ("GET", "/ready", 503), ("GET", "/nothing", 404),
                                     ("GET", "/payment/pay/u/5", 405),
                                     ("POST", "/payment/pay/u/0", 400)):
            self.assertEqual(self.ask(method, path)[0].status, status, path)


if __name__ == "__main__":
    unittest.main()
