"""The fault "versions": the previous release takes the place of this one, process by process, and this
one then takes its place again. On the way both versions work side by side: on the same queues and
stores, and as gateways behind the same nginx.

    order, payment, stock:  new --> new + old --> old --> new + old --> new
    gateway-1, gateway-2:   one after the other, each in the place of its other version

The services come before the gateways, as in deploy/compose/renew.sh. Beside a gateway of the previous
release, and until there is none, this one's run with FRONT_IDS=0 (docs/operations.md).
"""

import asyncio
import signal
import time

from faults import AnyFault
from kassa import Broken, metrics

SERVICES = ("order", "payment", "stock")
GATEWAYS = ("gateway-1", "gateway-2")
STOP_S = 60
SHARE_S = 20  # in this time each of two on a queue has had some of it
LOOK_S = 0.05
MIXED_S = 1.5  # between two steps: load on every mixture
# Of a gateway: what nginx has given it, for until then nginx may still take it for dead.
WORK = {"service": ("kassa_commands_total", {}),
        "gateway": ("kassa_http_requests_total", {"route": "checkout"})}


class Versions(AnyFault):
    """Broken when a version did not take part. Gateways drain, and nginx asks the other one."""

    async def strike(self):
        for name in GATEWAYS:
            await self.replace(name, "-beside")
            await asyncio.sleep(MIXED_S)
        for name in SERVICES:
            await self.join(f"{name}-previous")
        await self.replace(GATEWAYS[0], "-previous")
        await asyncio.sleep(MIXED_S)
        for name in SERVICES:
            await self.leave(name)
        await self.replace(GATEWAYS[1], "-previous")
        await asyncio.sleep(MIXED_S)

    async def mend(self):
        for name in SERVICES:
            await self.join(name)
        await self.replace(GATEWAYS[0], "-beside")
        await asyncio.sleep(MIXED_S)
        for name in SERVICES:
            await self.leave(f"{name}-previous")
        await self.replace(GATEWAYS[1], "-beside")
        for name in GATEWAYS:
            await asyncio.sleep(MIXED_S)
            await self.replace(name, "")

    async def join(self, name):
        """One more on the same queue, until it has done something."""
        self.stack.start(name)
        await self.has_worked(name, "service")

    async def leave(self, name):
        self.stack.signal(name, signal.SIGTERM)
        status = await asyncio.get_running_loop().run_in_executor(
            None, self.stack.wait_end, name, STOP_S)
        if status != 0:
            raise Broken(f"{name} ended with {status}")
        self.stack.forget(name)

    async def replace(self, name, version):
        await self.leave(name)
        self.stack.start(name, name + version)
        await self.has_worked(name, "gateway")

    async def has_worked(self, name, kind):
        until = time.monotonic() + SHARE_S
        while (count := self.work(name, kind)) == 0:
            if not self.stack.is_up(name) or time.monotonic() > until:
                raise Broken(f"{name} of the other version took no part")
            await asyncio.sleep(LOOK_S)
        self.seen[f"{len(self.seen)} {name}"] = count

    def work(self, name, kind):
        status, body = self.stack.get(f"{self.stack.address(name)}/metrics")
        counter, labels = WORK[kind]
        return metrics.total(body, counter, **labels) if status == 200 else 0
