"""HTTP as most tests need it: one request after the other."""

import http.client
import json
import socket
import urllib.parse

TIMEOUT_S = 300  # longer than any answer may take


class Dropped(ConnectionError):
    """No answer came: refused, reset, closed, or closed in the middle of an answer."""


class Answer:
    """headers has lower-case names; body is bytes."""

    __slots__ = ("status", "headers", "body", "seconds", "retries")

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        self.seconds = 0.0
        self.retries = 0

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        """Errors: ValueError when the body is none."""
        return json.loads(self.body)

    def pause_s(self):
        """Of an answer that what became of the request is not known yet: when to ask again."""
        return int(self.headers.get("retry-after", "1")) if self.status == 503 else None

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Connection:
    """One keep-alive connection, opened by the first request. Not for two threads at once."""

    __slots__ = ("http",)

    def __init__(self, url, timeout_s=TIMEOUT_S):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"not an http:// URL: {url}")
        self.http = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout_s)

    def request(self, method, path, headers=None, body=None):
        """Errors: Dropped; the next request opens another connection."""
        try:
            if self.http.sock is None:
                self.http.connect()
                self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.http.request(method, path, body=body, headers=headers or {})
            answer = self.http.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Dropped(f"{method} {path}: {error!r}") from error
        except BaseException:
            self.close()
            raise

    @property
    def sock(self):
        """None when it is not open."""
        return self.http.sock

    def close(self):
        self.http.close()


def ask(method, url, timeout_s=TIMEOUT_S):
    """One request on a connection of its own. Errors: Dropped."""
    parts = urllib.parse.urlsplit(url)
    connection = Connection(url, timeout_s)
    try:
        return connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""))
    finally:
        connection.close()
