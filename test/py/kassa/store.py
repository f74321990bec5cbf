"""Redis in its own protocol: one call at a time."""

import socket

from kassa import Broken

TIMEOUT_S = 60


class Store:
    """One connection, until close(). Also `with Store(..) as store`."""

    def __init__(self, port, password="", host="127.0.0.1"):
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.stream = self.socket.makefile("rb")
        if password:
            self.call("AUTH", password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def call(self, *words):
        """A text, a number, None, or a list of such. Errors: Broken, with what the server says;
        OSError."""
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        parts = [b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(w), w) for w in words]
        self.socket.sendall(b"".join(parts))
        return self.read()

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise Broken("the store has closed the connection")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "surrogateescape")
        if kind == b"-":
            raise Broken(f"the store says: {rest}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self.read_text(int(rest))
        if kind == b"*":
            return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        return rest

    def read_text(self, count):
        if count < 0:
            return None
        data = self.stream.read(count + 2)
        if len(data) != count + 2:
            raise Broken("the store has closed the connection")
        return data[:-2].decode("utf-8", "surrogateescape")


def flat(reply):
    """The reply as redis-cli writes it: one element a line, None as an empty one."""
    if isinstance(reply, list):
        return "\n".join(map(flat, reply))
    return "" if reply is None else str(reply)


def info(text):
    """What INFO says as name -> text."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
