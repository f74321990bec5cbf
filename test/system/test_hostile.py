"""Hostile HTTP, at the gateway and through nginx: it ends in a refusal or in the end of the
connection within a limit; nobody else waits for it; nothing happens that no answer tells of.
"""

import concurrent.futures
import random
import re
import socket
import threading
import time
import unittest

import client
from client import TIME_FACTOR, Case, Client
from front import NGINX, Front
from heads import FUND, HIDDEN, HOST, ODD, REFUSED, UNKNOWN, USER

RECEIVE_S = 10  # HTTP_RECEIVE_SECONDS, and client_header_timeout of nginx
SLACK_S = 5 * TIME_FACTOR
DONE = re.compile(rb'\{"done":true,"credit":(\d+)\}')
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def connect(port):
    raw = socket.create_connection((client.HOST, port), timeout=RECEIVE_S + SLACK_S)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw


def talk(port, data, quiet_s):
    """Sends, and reads until the end, or until it has been quiet for so long."""
    heard, is_over = b"", True
    with connect(port) as raw:
        try:
            raw.sendall(data)
        except OSError:
            pass  # it has hung up, which is fine; there may be an answer
        raw.settimeout(quiet_s)
        try:
            while piece := raw.recv(65536):
                heard += piece
        except TimeoutError:
            is_over = False
        except OSError:
            pass
    return heard, is_over


class Hostile(Case):
    """At the gateway itself."""

    def port(self):
        return client.PORT

    def assert_told(self, user, heard):
        """The credit is what the answers say: nothing was done without one."""
        credits = [int(n) for n in DONE.findall(heard)]
        self.assert_credit(user, max(credits, default=0))
        steps = [b - a for a, b in zip([0] + sorted(credits), sorted(credits))]
        self.assertTrue(all(step in (1, 1000) for step in steps), heard[-500:])

    def check(self, rows, statuses, quiet_s, rule):
        users = {name: self.user() for name in rows}
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            heard_of = {
                name: pool.submit(
                    talk, self.port(), data.replace(USER, users[name].encode()), quiet_s
                )
                for name, data in rows.items()
            }
        for name in rows:
            with self.subTest(name=name):
                user, (heard, is_over) = users[name], heard_of[name].result()
                self.assert_told(user, heard)
                found = {int(s) for s in STATUS.findall(heard)}
                self.assertTrue(found <= statuses, f"{found}: {heard[:500]!r}")
                rule(user, heard, is_over)

    def test_refused(self):
        """What two servers could understand differently is refused, and ends the connection."""

        def rule(user, heard, is_over):
            self.assertTrue(is_over, heard[-500:])
            self.assertNotIn(b" 200 ", heard)
            self.assert_credit(user, 0)

        self.check(REFUSED, {400, 405, 413, 414, 431, 501, 505}, SLACK_S, rule)

    def test_unknown(self):
        """What has no meaning here gets a 4xx, or nothing yet."""
        statuses = {400, 404, 405, 408, 414, 501, 505}

        def rule(user, heard, is_over):
            self.assert_credit(user, 0)

        self.check(UNKNOWN, statuses, 0.3, rule)

    def test_odd(self):
        """What is odd but clear is carried out once."""

        def rule(user, heard, is_over):
            self.assert_credit(user, 1)

        self.check(ODD, {200}, 0.3 * TIME_FACTOR, rule)

    def test_random(self):
        """Random bytes, and requests with random bytes in them."""
        dice = random.Random(2026)
        user = self.user()
        request = FUND.replace(USER, b"nobody") + HOST + b"\r\n"
        for n in range(200):
            data = bytearray(request if n % 2 else dice.randbytes(dice.randrange(1, 400)))
            for _ in range(dice.randrange(1, 6)):
                at = dice.randrange(len(data))
                data[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
                data = data or bytearray(b"\0")
            heard, _ = talk(self.port(), bytes(data) + b"\r\n\r\n", 0.01)
            self.assertEqual(DONE.findall(heard), [], data)
        self.assert_credit(user, 0)

    # ---- those who take their time ----

    def ends_after(self, raw, seconds):
        """Whether the other side ends it in time, an answer before it or not."""
        raw.settimeout(seconds)
        try:
            while raw.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def drip(self, raw, data, until):
        """One byte each 50 ms, for as long as it is taken."""
        for byte in data:
            if time.monotonic() > until:
                return
            try:
                raw.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(0.05)

    def slow(self, user):
        """(first bytes, what then comes in drops) of requests that never end."""
        fund = FUND.replace(USER, user.encode()) + HOST
        yield b"", fund * 100
        yield fund, b"X: " + b"a" * 10000
        yield b"GET /health HTTP/1.1\r\n\r", b""
        yield b"\x16\x03\x01\x00\xc8\x01\x00\x00", b""
        yield fund + b"Content-Length: 60000\r\n\r\n", b"b" * 60000
        yield fund + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nc\r\n" * 10000
        yield fund + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", b"d" * 60000

    def test_slow(self):
        """Whoever sends a request in drops is hung up on in time, and holds up nobody."""
        user = self.user()
        ports = [(client.PORT, 100)]
        if NGINX:
            front = Front(client.HOST, client.PORT)
            self.addCleanup(front.close)
            ports.append((front.port, 4))  # bodies end there: a slow one costs a connection
        end = time.monotonic() + RECEIVE_S + SLACK_S
        ended = {}

        def one(n, port, first, drops):
            with connect(port) as raw:
                raw.sendall(first)
                self.drip(raw, drops, end)
                ended[n] = self.ends_after(raw, max(0.1, end - time.monotonic()))

        rows = [(port, *row) for port, count in ports for row in list(self.slow(user))[:count]]
        threads = [
            threading.Thread(target=one, args=(n, *row)) for n, row in enumerate(rows)
        ]
        for thread in threads:
            thread.start()
        worst = 0
        while any(thread.is_alive() for thread in threads):
            begin = time.monotonic()
            self.assertEqual(self.get("/health").status, 200)
            self.assert_credit(user, 0)
            worst = max(worst, time.monotonic() - begin)
            time.sleep(0.05)
        self.assertEqual(ended, {n: True for n in range(len(rows))})
        self.assertLess(worst, 1 * TIME_FACTOR)
        self.assert_credit(user, 0)

    def test_many_idle(self):
        """500 connections that say nothing, or half a line, are in nobody's way, and stay usable."""
        quiet = [connect(self.port()) for _ in range(500)]
        try:
            for raw in quiet[::2]:
                raw.sendall(b"GET /hea")
            begin = time.monotonic()
            user = self.user(7)
            self.assert_credit(user, 7)
            self.assertLess(time.monotonic() - begin, 2 * TIME_FACTOR)
            for raw in quiet[::2]:
                raw.sendall(b"lth HTTP/1.1\r\nHost: x\r\n\r\n")
            for raw in quiet[1::2]:
                raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            for raw in quiet:
                self.assertIn(b" 200 ", raw.recv(65536))
        finally:
            for raw in quiet:
                raw.close()

    def test_body_that_never_stops(self):
        """A chunked body is taken up to a limit, then hung up on."""
        user = self.user()
        with connect(self.port()) as raw:
            raw.sendall(FUND.replace(USER, user.encode()) + HOST)
            raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
            sent, is_over = 0, False
            try:
                while sent < 64 << 20 and not is_over:
                    raw.sendall(b"8000\r\n" + b"x" * 32768 + b"\r\n")
                    sent += 32768
            except OSError:
                is_over = True
        self.assertTrue(is_over, f"{sent} bytes were taken")
        self.assert_credit(user, 0)


@unittest.skipUnless(NGINX, "nginx is not installed")
class HostileThroughNginx(Hostile):
    """The same through nginx, which understands some of it, and what it passes on is clear."""

    @classmethod
    def setUpClass(cls):
        cls.front = Front(client.HOST, client.PORT)
        cls.addClassCleanup(cls.front.close)

    test_slow = None  # in Hostile, both at once

    def port(self):
        return self.front.port

    def test_refused(self):
        """Refused, or understood by nginx and the gateway alike: each effect has its answer."""

        def rule(user, heard, is_over):
            pass  # assert_told has been

        statuses = {200, 400, 404, 405, 408, 413, 414, 431, 501, 505}
        self.check(REFUSED, statuses, 0.3 * TIME_FACTOR, rule)

    def test_odd(self):
        """Carried out once, and nginx goes on reading behind it."""

        def rule(user, heard, is_over):
            self.assertIn(b'{"done":true,"credit":1}', heard)

        self.check(ODD, {200}, 0.3 * TIME_FACTOR, rule)

    def test_body_that_never_stops(self):
        """A body above the limit is answered, and whoever goes on sending is hung up on."""
        user = self.user()
        with connect(self.port()) as raw:
            raw.sendall(FUND.replace(USER, user.encode()) + HOST)
            raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
            raw.sendall(b"8000\r\n" + b"x" * 32768 + b"\r\n" + b"8001\r\n" + b"y" * 32769)
            self.assertIn(b" 413 ", raw.recv(65536))
            self.drip(raw, b"z" * 10000, time.monotonic() + RECEIVE_S)
            self.assertTrue(self.ends_after(raw, SLACK_S))
        self.assert_credit(user, 0)

    def test_what_the_gateway_cannot_see(self):
        """Ends of lines that look the same in the gateway's library: nginx does not send them on."""
        for end in (b":\n", b"X: a\0\n\r\n", b"X: a\n\0\r\n"):
            with self.subTest(end=end):
                user = self.user()
                data = (FUND + HOST + end + HIDDEN).replace(USER, user.encode())
                heard, _ = talk(self.port(), data, 0.3 * TIME_FACTOR)
                self.assertLessEqual(len(STATUS.findall(heard)), 1, heard)
                self.assertNotIn(b'"credit":100', heard)
                self.assertIn(self.get(f"/payment/find_user/{user}").body["credit"], (0, 1))

    def test_requests_of_others(self):
        """Nothing that one client sends is put before the request of another one on the
        connections between nginx and the gateway."""
        user = self.user()
        for data in list(REFUSED.values()) + list(ODD.values()):
            talk(self.port(), data.replace(USER, b"nobody").replace(HIDDEN, b"GET /x"), 0.02)
            other = Client(f"http://127.0.0.1:{self.port()}")
            self.assertEqual(other.get(f"/payment/find_user/{user}").body["user_id"], user)
            other.close()


if __name__ == "__main__":
    unittest.main()
