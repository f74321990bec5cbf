"""How a part is broken and mended, each with the proof that it really was."""

import asyncio
import signal

from edges import EDGES
from faults import AnyFault
from kassa import Broken

STOP_S = 60  # a stop may drain, or write data


def process_of(component):
    return "gateway-1" if component == "gateway" else component


class Fault(AnyFault):
    def __init__(self, stack, component, kind):
        super().__init__(stack, component, kind)
        self.name = process_of(component)
        self.pid = None
        self.before = None

    async def strike(self):
        stack, name = self.stack, self.name
        if not stack.is_up(name):
            raise Broken(f"{name} is to be broken, but it is not up")
        self.pid = stack.pid(name)
        self.before = stack.proxy_stats()
        if self.kind == "kill":
            stack.signal(name, signal.SIGKILL)
            await self.expect_end(-signal.SIGKILL)
        elif self.kind == "stop":
            stack.signal(name, signal.SIGTERM)
            await self.expect_end(0)
        elif self.kind == "pause":
            stack.signal(name, signal.SIGSTOP)
            await asyncio.sleep(0.02)
            self.seen["state"] = stack.state(name)
            if self.seen["state"] != "T":
                raise Broken(f"{name} does not stand still, its state is {self.seen['state']!r}")
        else:
            self.seen["routes"] = stack.proxy("cut", name)

    async def expect_end(self, status):
        loop = asyncio.get_running_loop()
        ended = await loop.run_in_executor(None, self.stack.wait_end, self.name, STOP_S)
        self.seen["status"] = ended
        # The servers have exit statuses of their own; our services end with 0.
        if ended != status and not (self.kind == "stop" and self.name in ("redis", "rabbitmq")):
            raise Broken(f"{self.name} ended with {ended} and not with {status}")

    async def mend(self):
        stack, name = self.stack, self.name
        if self.kind in ("kill", "stop"):
            stack.start(name)
            self.seen["pid"] = [self.pid, stack.pid(name)]
        elif self.kind == "pause":
            if stack.state(name) != "T":
                raise Broken(f"{name} did not stay paused")
            stack.signal(name, signal.SIGCONT)
        else:
            after = stack.proxy_stats()
            for what in ("held_bytes", "held_connections"):
                self.seen[what] = after.get(what, 0) - self.before.get(what, 0)
            stack.proxy("heal", name)
            if not any(self.seen[what] for what in ("held_bytes", "held_connections")):
                raise Broken(f"{name} was cut off, and nobody tried to get through")


def make_fault(stack, component, kind):
    return EDGES.get(kind, Fault)(stack, component, kind)
