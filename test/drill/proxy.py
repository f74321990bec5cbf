"""The fault proxy: a TCP forwarder for each pair of a client and a server, which can be cut.

    order --> :30001 [order, redis] --> redis          control: a line in, a line out
    stock --> :30002 [stock, redis] --> redis            cut NAME   heal NAME   stats

A cut is a black hole, like a network that lost its way: connections stay open, no byte passes, no
end of a connection is told; new connections are taken and hear nothing. What was sent meanwhile is
held, and delivered when the cut heals (as TCP would send it again), the end of a connection last.
So a healed cut also delivers old commands late, to whoever is still there to hear them.

    python3 test/drill/proxy.py CONTROL_PORT CLIENT:SERVER:LISTEN_PORT:SERVER_PORT..
"""

import asyncio
import collections
import sys

HOST = "127.0.0.1"
HIGH_WATER_BYTES = 1 << 20


class Route:
    """One client's way to one server. Cut by the name of either."""

    def __init__(self, client, server, listen_port, server_port):
        self.client = client
        self.server = server
        self.listen_port = listen_port
        self.server_port = server_port
        self.is_cut = False
        self.pairs = set()

    def cut(self):
        self.is_cut = True

    def heal(self, stats):
        self.is_cut = False
        for pair in list(self.pairs):
            pair.heal(stats)


class Side(asyncio.Protocol):
    """One end of a forwarded connection; `held` is what came from it during a cut."""

    def __init__(self, pair):
        self.pair = pair
        self.transport = None
        self.peer = None
        self.held = []
        self.has_ended = False

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self.pair.on_open(self)

    def data_received(self, data):
        self.pair.proxy.stats["bytes"] += len(data)
        if self.pair.route.is_cut or self.peer is None or self.held:
            if self.pair.route.is_cut:
                self.pair.proxy.stats["held_bytes"] += len(data)
            self.held.append(data)
        else:
            self.peer.transport.write(data)

    def connection_lost(self, _):
        self.has_ended = True
        if self.pair.route.is_cut:
            self.pair.proxy.stats["held_ends"] += 1
        else:
            self.pair.end()

    # Back-pressure: who cannot write stops the other's reading.
    def pause_writing(self):
        if self.peer is not None and not self.peer.has_ended:
            self.peer.transport.pause_reading()

    def resume_writing(self):
        if self.peer is not None and not self.peer.has_ended:
            self.peer.transport.resume_reading()


class Pair:
    """A client's connection and ours to the server."""

    def __init__(self, proxy, route):
        self.proxy = proxy
        self.route = route
        self.client = Side(self)
        self.server = None
        self.is_dialling = False
        self.has_ended = False
        route.pairs.add(self)

    def on_open(self, side):
        self.proxy.stats["connections"] += side is self.client
        if side is self.client:
            if self.route.is_cut:
                self.proxy.stats["held_connections"] += 1
            else:
                self.dial()
        elif self.has_ended:
            side.transport.close()
        else:
            self.client.peer, side.peer = side, self.client
            if not self.route.is_cut:
                self.flush()

    def dial(self):
        self.is_dialling = True
        asyncio.ensure_future(self.dial_now())

    async def dial_now(self):
        loop = asyncio.get_running_loop()
        try:
            _, self.server = await loop.create_connection(
                lambda: Side(self), HOST, self.route.server_port
            )
        except OSError:
            if self.route.is_cut:
                self.is_dialling = False
            else:
                self.end()

    def flush(self):
        for side in (self.client, self.server):
            if side is not None and side.peer is not None and side.held:
                side.peer.transport.write(b"".join(side.held))
                side.held.clear()

    def heal(self, stats):
        stats["freed_bytes"] += sum(len(data) for data in self.client.held)
        if self.client.peer is None:
            if self.client.has_ended:
                self.end()
            elif not self.is_dialling:
                self.dial()
            return
        self.flush()
        if self.client.has_ended or self.server.has_ended:
            self.end()

    def end(self):
        """Closes what is open, after what is still to be written."""
        if self.has_ended:
            return
        self.has_ended = True
        self.route.pairs.discard(self)
        for side in (self.client, self.client.peer):
            if side is not None and side.transport is not None and not side.has_ended:
                side.transport.close()


class Proxy:
    def __init__(self, routes):
        self.routes = routes
        self.stats = collections.Counter()

    async def serve(self, control_port):
        loop = asyncio.get_running_loop()
        for route in self.routes:
            await loop.create_server(
                lambda route=route: Pair(self, route).client, HOST, route.listen_port
            )
        server = await asyncio.start_server(self.control, HOST, control_port)
        await server.serve_forever()

    async def control(self, reader, writer):
        while line := await reader.readline():
            writer.write((self.obey(line.decode().split()) + "\n").encode())
            await writer.drain()
        writer.close()

    def obey(self, words):
        """cut NAME, heal NAME: of a client (from all servers) or a server (from all clients)."""
        if words == ["stats"]:
            return " ".join(f"{name}={count}" for name, count in sorted(self.stats.items()))
        if len(words) == 2 and words[0] in ("cut", "heal"):
            routes = [r for r in self.routes if words[1] in (r.client, r.server)]
            for route in routes:
                route.cut() if words[0] == "cut" else route.heal(self.stats)
            return f"ok {len(routes)}" if routes else "unknown"
        return "unknown"


def parse_route(text):
    client, server, listen_port, server_port = text.split(":")
    return Route(client, server, int(listen_port), int(server_port))


def main():
    proxy = Proxy([parse_route(text) for text in sys.argv[2:]])
    asyncio.run(proxy.serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
