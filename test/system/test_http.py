"""HTTP itself, over raw sockets: keep-alive, pipelining, HTTP/1.0, bodies, smuggling."""

import re
import socket
import unittest

from client import HOST, PORT, TIMEOUT_S, Case, parse

HEALTH = {"status": "api up", "ok": True}
CRLF = "\r\n"


class Raw:
    """A socket that is written to as it pleases a test, and read answer by answer."""

    def __init__(self):
        self.socket = socket.create_connection((HOST, PORT), timeout=min(TIMEOUT_S, 60))
        self.file = self.socket.makefile("rb")

    def send(self, *lines, body=""):
        self.socket.sendall((CRLF.join(lines) + CRLF + CRLF + body).encode("latin-1"))

    def answer(self):
        """(status, headers, body), or None at the end of the connection."""
        line = self.file.readline().decode("latin-1")
        if not line:
            return None
        match = re.match(r"^HTTP/1\.[01] (\d{3}) ", line)
        assert match, line
        headers = {}
        while (line := self.file.readline().decode("latin-1").strip()):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if match.group(1) == "100":
            return self.answer()
        text = self.file.read(int(headers["content-length"])).decode("utf-8")
        return int(match.group(1)), headers, text

    def close(self):
        self.file.close()
        self.socket.close()


class Http(Case):
    def raw(self):
        raw = Raw()
        self.addCleanup(raw.close)
        return raw

    def assert_json(self, answer, status, body=None):
        self.assertIsNotNone(answer, "the connection was closed without an answer")
        self.assertEqual(answer[0], status, answer)
        self.assertEqual(answer[1].get("content-type"), "application/json", answer)
        value = parse(answer[2])
        if body is not None:
            self.assertEqual(value, body)
        return value

    def assert_alive(self, raw):
        raw.send("GET /health HTTP/1.1", "Host: x")
        self.assert_json(raw.answer(), 200, HEALTH)

    def test_keep_alive(self):
        """One socket serves 200 requests of all kinds in a row."""
        user, raw = self.user(), self.raw()
        for n in range(50):
            raw.send(f"POST /payment/add_funds/{user}/1 HTTP/1.1", "Host: x", "Content-Length: 0")
            self.assert_json(raw.answer(), 200, {"done": True, "credit": n + 1})
            raw.send(f"GET /payment/find_user/{user} HTTP/1.1", "Host: x")
            self.assert_json(raw.answer(), 200, {"user_id": user, "credit": n + 1})
            raw.send("GET /nothing HTTP/1.1", "Host: x")
            self.assert_json(raw.answer(), 404)
            raw.send(f"POST /payment/pay/{user}/x HTTP/1.1", "Host: x", "Content-Length: 0")
            self.assert_json(raw.answer(), 400)

    def test_post_without_length(self):
        """A POST with neither length nor encoding has no body (RFC 9112 section 6.3)."""
        user, raw = self.user(), self.raw()
        for n in (1, 2):
            raw.send(f"POST /payment/add_funds/{user}/1 HTTP/1.1", "Host: x")
            self.assert_json(raw.answer(), 200, {"done": True, "credit": n})

    def test_pipelined(self):
        """Requests sent without waiting are answered in their order."""
        user, raw = self.user(), self.raw()
        request = f"POST /payment/add_funds/{user}/1 HTTP/1.1\r\nHost: x\r\n\r\n"
        raw.socket.sendall((request * 10).encode("ascii"))
        for n in range(10):
            self.assert_json(raw.answer(), 200, {"done": True, "credit": n + 1})
        self.assert_credit(user, 10)
        self.assert_alive(raw)

    def test_http_1_0(self):
        """HTTP/1.0 is answered, and the connection closed behind the answer."""
        raw = self.raw()
        raw.send("GET /health HTTP/1.0")
        self.assert_json(raw.answer(), 200, HEALTH)
        self.assertIsNone(raw.answer())
        user, raw = self.user(), self.raw()
        raw.send(f"POST /payment/add_funds/{user}/5 HTTP/1.0")
        self.assert_json(raw.answer(), 200, {"done": True, "credit": 5})

    def test_http_1_0_keep_alive(self):
        """A parked request of an HTTP/1.0 client is answered all the same."""
        user, item = self.user(3), self.item(3, 1)
        order, raw = self.order(user, (item, 1)), self.raw()
        raw.send(f"POST /orders/checkout/{order} HTTP/1.0", "Connection: keep-alive")
        body = {"status": "paid", "order_id": order, "total_cost": 3}
        self.assert_json(raw.answer(), 200, body)

    def test_connection_close(self):
        """Connection: close is honoured."""
        raw = self.raw()
        raw.send("GET /health HTTP/1.1", "Host: x", "Connection: close")
        self.assert_json(raw.answer(), 200, HEALTH)
        self.assertIsNone(raw.answer())

    def test_body_is_ignored(self):
        """A body is read and dropped, whatever is in it; the next request is served."""
        user, raw = self.user(), self.raw()
        for n, body in enumerate(('{"amount": 99}', "x" * 60_000, "\0\r\n\r\nGET / HTTP/1.1")):
            path = f"POST /payment/add_funds/{user}/1 HTTP/1.1"
            raw.send(path, "Host: x", f"Content-Length: {len(body)}", body=body)
            self.assert_json(raw.answer(), 200, {"done": True, "credit": n + 1})
        self.assert_alive(raw)

    def test_chunked_body_is_ignored(self):
        """The same for a chunked body, but nothing is read behind it."""
        user, raw = self.user(), self.raw()
        path = f"POST /payment/add_funds/{user}/1 HTTP/1.1"
        body = "5\r\nhello\r\n3\r\n{}x\r\n0\r\n\r\n"
        raw.send(path, "Host: x", "Transfer-Encoding: chunked", body=body)
        self.assert_json(raw.answer(), 200, {"done": True, "credit": 1})
        self.assertIsNone(raw.answer())

    def assert_smuggling_refused(self, *headers, body=""):
        """400, nothing done, and what follows is not taken for a request."""
        user, raw = self.user(), self.raw()
        raw.send(f"POST /payment/add_funds/{user}/1 HTTP/1.1", "Host: x", *headers, body=body)
        value = self.assert_json(raw.answer(), 400)
        self.assertEqual(list(value), ["error"])
        self.assert_credit(user, 0)

    def test_two_lengths(self):
        """Two Content-Length headers are refused, equal or not."""
        lengths = ("Content-Length: 5", "Content-Length: 6")
        self.assert_smuggling_refused(*lengths, body="hello!")
        self.assert_smuggling_refused(lengths[0], lengths[0], body="hello")

    def test_length_and_encoding(self):
        """A length together with a transfer encoding is refused, either way round."""
        both = ("Content-Length: 5", "Transfer-Encoding: chunked")
        self.assert_smuggling_refused(*both, body="0\r\n\r\n")
        self.assert_smuggling_refused(*both[::-1], body="0\r\n\r\n")

    def test_slow_request(self):
        """A head that arrives byte by byte is served as if it came whole."""
        raw = self.raw()
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n":
            raw.socket.sendall(bytes([byte]))
        self.assert_json(raw.answer(), 200, HEALTH)

    def test_client_that_leaves(self):
        """A client that goes away in the middle of its checkout does not stop the saga."""
        user, item = self.user(3), self.item(3, 1)
        order, raw = self.order(user, (item, 1)), self.raw()
        raw.send(f"POST /orders/checkout/{order} HTTP/1.1", "Host: x", "Content-Length: 0")
        raw.close()
        self.assert_paid(self.checkout(order), order, 3)
        self.assert_credit(user, 0)
        self.assert_stock(item, 0, 3)

    def test_garbage(self):
        """What is not HTTP is refused or hung up on, and hurts nobody else."""
        raw = self.raw()
        raw.socket.sendall(b"hello\r\n\r\n")
        self.assertNotIn(b" 200 ", raw.file.read(4096).split(b"\r\n")[0])
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\0" * 100, b"GET /health HT"):
            raw = self.raw()  # stays open beside the others: there is no end of a head to refuse
            raw.socket.sendall(garbage)
        self.assert_ok(self.get("/health"), HEALTH)


if __name__ == "__main__":
    unittest.main()
