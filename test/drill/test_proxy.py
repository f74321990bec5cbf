"""The fault proxy passes everything, and during a cut nothing; healed, it delivers what it held."""

import asyncio
import unittest

from proxy import HOST, Pair, Proxy, Route

SOON_S = 0.1  # nothing has come by then
BYTES = 5_000_000


class ProxyTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.ended = asyncio.Event()
        self.writers = []
        self.server = await asyncio.start_server(self.echo, HOST, 0)
        free = await asyncio.start_server(self.echo, HOST, 0)
        self.port = free.sockets[0].getsockname()[1]
        free.close()
        await free.wait_closed()
        server_port = self.server.sockets[0].getsockname()[1]
        self.proxy = Proxy([Route("order", "redis", self.port, server_port)])
        self.listener = await asyncio.get_running_loop().create_server(
            lambda: self.pair().client, HOST, self.port)

    def pair(self):
        return Pair(self.proxy, self.proxy.routes[0])

    async def asyncTearDown(self):
        for writer in self.writers:
            writer.close()
        self.listener.close()
        self.server.close()
        await asyncio.sleep(SOON_S)  # each end is told

    async def echo(self, reader, writer):
        self.writers.append(writer)
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        self.ended.set()
        writer.close()

    async def open(self):
        reader, writer = await asyncio.open_connection(HOST, self.port)
        self.writers.append(writer)
        return reader, writer

    async def assert_silent(self, reader):
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1), SOON_S)

    async def test_everything_passes(self):
        reader, writer = await self.open()
        writer.write(b"x" * BYTES)
        self.assertEqual(await asyncio.wait_for(reader.readexactly(BYTES), 10), b"x" * BYTES)
        writer.close()
        await asyncio.wait_for(self.ended.wait(), 5)

    async def test_a_cut_holds_and_heals(self):
        for name in ("order", "redis"):
            with self.subTest(name=name):
                reader, writer = await self.open()
                writer.write(b"a")
                self.assertEqual(await reader.readexactly(1), b"a")
                self.assertEqual(self.proxy.obey(["cut", name]), "ok 1")
                writer.write(b"b")
                await self.assert_silent(reader)
                self.proxy.obey(["heal", name])
                self.assertEqual(await asyncio.wait_for(reader.readexactly(1), 5), b"b")
        self.assertIn("held_bytes=2", self.proxy.obey(["stats"]))

    async def test_a_new_connection_hangs(self):
        self.proxy.obey(["cut", "redis"])
        reader, writer = await self.open()
        writer.write(b"c")
        await self.assert_silent(reader)
        self.proxy.obey(["heal", "redis"])
        self.assertEqual(await asyncio.wait_for(reader.readexactly(1), 5), b"c")
        self.assertIn("held_connections=1", self.proxy.obey(["stats"]))

    async def test_an_end_is_told_late(self):
        """What was sent before the end arrives before it."""
        reader, writer = await self.open()
        writer.write(b"d")
        await reader.readexactly(1)
        self.proxy.obey(["cut", "order"])
        writer.write(b"late")
        writer.close()
        await asyncio.sleep(SOON_S)
        self.assertFalse(self.ended.is_set())
        self.proxy.obey(["heal", "order"])
        await asyncio.wait_for(self.ended.wait(), 5)

    async def test_a_dead_server_is_told(self):
        self.server.close()
        await self.server.wait_closed()
        reader, _ = await self.open()
        self.assertEqual(await asyncio.wait_for(reader.read(1), 5), b"")

    async def test_unknown_words(self):
        self.assertEqual(self.proxy.obey(["cut", "nobody"]), "unknown")
        self.assertEqual(self.proxy.obey(["cut"]), "unknown")


if __name__ == "__main__":
    unittest.main()
