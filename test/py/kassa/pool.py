"""HTTP, many requests at once: a pool of keep-alive HTTP/1.1 connections on asyncio.

    jobs --> [free connections] --> send, await the answer --> free again
                   '-- none free: wait

Only what the API promises is understood: answers with a Content-Length. A connection carries one
request at a time, so the number of connections is the number of requests in flight.
"""

import asyncio
import time
import urllib.parse

from kassa.connection import Answer, Dropped

ANSWER_BYTES_MAX = 1 << 20
RETRY_PAUSE_S = 0.1


class Connection:
    def __init__(self, host, port):
        self.host = host
        self.port = port
        self.reader = None
        self.writer = None

    async def open(self):
        try:
            self.reader, self.writer = await asyncio.open_connection(
                self.host, self.port, limit=ANSWER_BYTES_MAX
            )
        except OSError as error:
            raise Dropped("connection refused") from error

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def request(self, method, path, headers):
        """One request, one answer. Raises Dropped; the connection is closed then. One that the
        server has closed meanwhile is not used any more."""
        if self.reader is not None and self.reader.at_eof():
            self.close()
        if self.writer is None:
            await self.open()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method != "GET":
            lines.append("Content-Length: 0")
        try:
            self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
            return await self.read_answer()
        except asyncio.IncompleteReadError as error:
            self.close()
            what = "connection cut in an answer" if error.partial else "connection closed"
            raise Dropped(what) from error
        except ConnectionResetError as error:
            self.close()
            raise Dropped("connection reset") from error
        except (OSError, asyncio.LimitOverrunError, ValueError) as error:
            self.close()
            raise Dropped(f"connection broken ({type(error).__name__})") from error
        except asyncio.CancelledError:
            self.close()
            raise

    async def read_answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        headers = {}
        for line in head[1:]:
            if line:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
        body = await self.reader.readexactly(int(headers.get("content-length", "")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)


def may_wait(until, seconds):
    return until is not None and time.monotonic() + seconds <= until


class Pool:
    """Use as `async with Pool(url, count) as pool`."""

    def __init__(self, url, count):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"not an http:// URL: {url}")
        self.connections = [Connection(parts.hostname, parts.port or 80) for _ in range(count)]
        self.free = asyncio.Queue()

    async def __aenter__(self):
        for connection in self.connections:
            self.free.put_nowait(connection)
        return self

    async def __aexit__(self, *_):
        for connection in self.connections:
            connection.close()

    async def open_all(self):
        """Connects every connection beforehand, so that a measurement does not count it."""
        await asyncio.gather(*(c.open() for c in self.connections if c.writer is None))

    async def request(self, method, path, headers=None, retry_until=None):
        """Waits for a free connection, then for the answer. Answer.seconds counts from sending,
        not from waiting for a connection. With retry_until (time.monotonic()) a request without
        an answer, or with one that says "not known yet" and when to ask again, is sent again until
        then: give it an Idempotency-Key."""
        connection = await self.free.get()
        began = time.monotonic()
        retries = 0
        try:
            while True:
                try:
                    answer = await connection.request(method, path, headers or {})
                    answer.seconds = time.monotonic() - began
                    answer.retries = retries
                    pause_s = answer.pause_s()
                    if pause_s is None or not may_wait(retry_until, pause_s):
                        return answer
                except Dropped:
                    pause_s = RETRY_PAUSE_S
                    if not may_wait(retry_until, pause_s):
                        raise
                retries += 1
                await asyncio.sleep(pause_s)
        finally:
            self.free.put_nowait(connection)
