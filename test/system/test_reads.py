"""What only reads must not stop anybody, not even when nobody waits for it any more."""

import socket
import time
import unittest

from client import HOST, PORT, TIME_FACTOR, Case, at_once

SAGAS = 1200  # more than a list looks at
LISTS = 60
ANSWER_S = 5 * TIME_FACTOR


class Reads(Case):
    def fill(self):
        """Sagas that have ended: of orders without lines, which cost nothing."""
        user = self.user(0)

        def buy(client):
            order = client.post(f"/orders/create/{user}").body["order_id"]
            return client.post(f"/orders/checkout/{order}").status

        self.assertEqual(set(at_once([buy] * SAGAS, 16)), {200})

    def leave(self, path):
        """Asks, and hangs up before there is an answer."""
        s = socket.create_connection((HOST, PORT))
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: k\r\n\r\n".encode())
        return s

    def test_lists_that_nobody_waits_for(self):
        """Sixty lists that find nothing among all recent sagas, from clients that hang up: the shop
        goes on, and is asked for none of them for long."""
        self.fill()
        connections = [self.leave("/sagas?state=STUCK") for _ in range(LISTS)]
        time.sleep(0.3)
        for connection in connections:
            connection.close()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            begin = time.monotonic()
            order = self.order(self.user(10), (self.item(1, 10), 2))
            self.assert_paid(self.checkout(order), order, 2)
            self.assertLess(time.monotonic() - begin, ANSWER_S)
            self.assertEqual(self.get("/ready").status, 200)
        text = self.get("/metrics").text
        self.assertIn("kassa_pending_requests 0\n", text)

    def test_many_lists(self):
        """Those who do wait get their lists."""
        def ask(client):
            return client.get("/sagas?state=STUCK&limit=100")

        begin = time.monotonic()
        for answer in at_once([ask] * LISTS, LISTS):
            self.assertEqual(answer.status, 200, answer)
        self.assertLess(time.monotonic() - begin, ANSWER_S)


if __name__ == "__main__":
    unittest.main()
