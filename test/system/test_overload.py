"""429: what it looks like, and what never is one. A gateway of its own with room for one request,
whose broker is not there: so the first one waits, and the others are too many."""

import json
import unittest

from front import free_port
from gateway import BINARY, STORES, Gateway

BUSY = {"error": "too many requests, try again"}


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Overload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nobody = f"127.0.0.1:{free_port()}"
        servers = {name: nobody for name in ("RABBITMQ_NODES", *STORES)}
        cls.gateway = Gateway(PENDING_MAX="1", **servers)
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
            self.assertEqual(answer.getheader("Content-Type"), "application/json")
            self.assertRegex(answer.getheader("Retry-After"), "^[1-9][0-9]*$")
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


if __name__ == "__main__":
    unittest.main()
