"""The pool, as the drills use it."""

import asyncio
import time
import unittest

from kassa.connection import Dropped
from kassa.pool import Pool

PAUSE_S = 0.05  # between two requests
NOT_YET = b"HTTP/1.1 503 x\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Case(unittest.TestCase):
    def requests(self, count, serve, patience_s=None):
        """How many of `count` requests over one connection get an answer, and by how many
        connections; serve(reader, writer) serves one."""
        opened = []

        async def on_open(reader, writer):
            opened.append(writer)
            await serve(reader, writer)
            writer.close()

        until = patience_s and time.monotonic() + patience_s

        async def all_of_them():
            server = await asyncio.start_server(on_open, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            answered = 0
            async with Pool(f"http://127.0.0.1:{port}", 1) as pool:
                for _ in range(count):
                    try:
                        answered += (await pool.request("GET", "/", None, until)).status == 200
                    except Dropped:
                        pass
                    await asyncio.sleep(PAUSE_S)
            server.close()
            return answered

        return asyncio.run(all_of_them()), len(opened)

    def test_an_idle_connection_that_was_closed_is_not_used(self):
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)

        self.assertEqual(self.requests(3, serve), (3, 3))

    def test_one_that_is_closed_without_an_answer_is_an_error(self):
        async def serve(reader, _):
            await reader.readuntil(b"\r\n\r\n")

        self.assertEqual(self.requests(2, serve), (0, 2))

    def test_one_that_stays_open_is_used_again(self):
        async def serve(reader, writer):
            for _ in range(3):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(ANSWER)

        self.assertEqual(self.requests(3, serve), (3, 1))

    def test_not_known_yet_is_asked_again_by_the_patient(self):
        async def serve(reader, writer):
            for answer in (NOT_YET, ANSWER):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)

        self.assertEqual(self.requests(1, serve, 5), (1, 1))
        self.assertEqual(self.requests(1, serve), (0, 1))


if __name__ == "__main__":
    unittest.main()
