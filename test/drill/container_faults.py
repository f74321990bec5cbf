"""How containers are broken and mended, by the engine's own commands, each with the proof that it
really was. Masters and leaders are found when the fault strikes.

    kill, stop, pause, cut      one container: docker kill, stop, pause, network disconnect
    frozen                      the master is killed after its replicas stood still
    wipe                        killed, and back with an empty volume
    successor                   the master is killed, and then the one that was promoted
    doubt                       the same, when a replica has what was answered, but not on its disk
    failover                    a Sentinel is told to promote a replica
    apart                       one node of the broker no longer reaches the others; clients do
    asunder                     no node of the broker reaches another one
    purge                       who consumes is killed, and what is left in the queues is purged
    rolling                     everything but nginx is restarted, one after the other
    scale                       one more gateway, which has to get its part, and away with it again
    renew                       new containers in the place of the services', one after the other
    kill of everything          nginx, too
    reboot of everything        the same, when replicas were away; the masters come back last
    late-..                     a replica that stands still most of the time, for so long at once

and those of edges.py.
"""

import asyncio
import os
import pathlib
import random
import re
import signal
import threading
import time

from breakable import WHOLE_S, run
from edges import EDGES, PROMPT_S
from faults import AnyFault
from kassa import SERVICES, Broken, process

STOP_S = 45
SUCCESSOR_S = 2
AWAY_S = 20  # more than REDIS_DEGRADE_MS: the others have gone on for a while
GROUPS = ("order", "stock", "payment", "saga")
FROZEN_S = 1.5
RENEW_S = 420  # eight containers, one after the other, on a machine that has more to do
GATEWAYS = 2  # in docker-compose.yml
REQUEUED_S = 0.5  # until the broker has back what dead consumers had not acknowledged
PURGE = ('lists:sum([case catch rabbit_amqqueue:purge(Q) of {ok, N} -> N; _ -> 0 end '
         '|| Q <- rabbit_amqqueue:list(<<"/">>)]).\n')


def docker(*words):
    return run("docker", *words)


class Parts:
    """Which container is meant, and what is done to it. Of a stack that has look, of, nodes and
    leader, and its containers as they were at the last look."""

    def find(self, service, number=None):
        """The one of that number, or the first there is: a container that was made in another's
        place has a number of its own."""
        found = [c for c in self.containers
                 if c.service == service and number in (None, c.number)]
        if not found:
            raise Broken(f"there is no container {service} {number or ''}".rstrip())
        return min(found, key=lambda c: c.number)

    def part(self, component):
        self.look()
        found = self.choose(component)
        if not found.state["Running"] or found.state["Paused"] or not found.address:
            raise Broken(f"{found.name} is to be broken, but is not up")
        return found

    def choose(self, component):
        """Which one a component of the table is just now."""
        if component == "rabbitmq":
            return self.leader()
        if component == "sentinel":
            return self.find("sentinel-1")
        if component.startswith("redis-"):
            return self.nodes(component.removeprefix("redis-"))[0]
        if component.startswith("replica-"):
            return self.nodes(component.removeprefix("replica-"))[1][0]
        return self.find(component)

    def parts(self, component):
        self.look()
        return self.of(component)

    def store(self, group):
        return self.part(f"redis-{group}")

    def now(self, container):
        """The same one as it is now."""
        self.look()
        return self.find(container.service, container.number)

    def tell(self, container, what, number):
        """One that has ended took with it what it was told."""
        pid = self.now(container).pid
        if pid:
            pathlib.Path(f"/proc/{pid}/root/dev/shm/{what}").write_text(f"{number}\n")
        elif number:
            raise Broken(f"{container.name} cannot be told anything, it is not up")

    def end_part(self, container):
        docker("kill", "-s", "KILL", container.id)

    def start_part(self, container):
        docker("start", container.id)


class Fault(AnyFault):
    async def strike(self):
        await asyncio.get_running_loop().run_in_executor(None, self.break_it)

    async def mend(self):
        await asyncio.get_running_loop().run_in_executor(None, self.mend_it)

    def now(self, container):
        return self.stack.now(container)

    def target(self):
        found = self.stack.part(self.component)
        self.name = found.name
        return found

    # ---- what is done to one container ----

    def end(self, container, *words, status=None):
        docker(*words, container.id)
        after = self.now(container)
        self.seen[f"{container.name} status"] = after.state["ExitCode"]
        if after.state["Running"] or status not in (None, after.state["ExitCode"]):
            raise Broken(f"{container.name} is to end with {status}: {after.state}")

    def kill(self, container):
        self.end(container, "kill", "-s", "KILL", status=137)

    def start(self, container):
        docker("start", container.id)
        after = self.now(container)
        self.seen[f"{container.name} started"] = [container.started_at, after.started_at]
        if not after.state["Running"] or after.started_at == container.started_at:
            raise Broken(f"{container.name} did not start: {after.state}")

    def pause(self, container):
        docker("pause", container.id)
        if not self.now(container).state["Paused"]:
            raise Broken(f"{container.name} does not stand still")

    def wake(self, container):
        if not self.now(container).state["Paused"]:
            raise Broken(f"{container.name} did not stay paused")
        docker("unpause", container.id)

    def disconnect(self, container):
        docker("network", "disconnect", container.networks[0], container.id)
        if self.now(container).address:
            raise Broken(f"{container.name} still has an address")

    def connect(self, container):
        address = ["--ip", container.fixed] if container.fixed else []
        docker("network", "connect", *address, "--alias", container.service,
               container.networks[0], container.id)
        after = self.now(container)
        self.seen[f"{container.name} address"] = [container.address, after.address]
        if not after.address:
            raise Broken(f"{container.name} has no address again")


class OneFault(Fault):
    @property
    def is_of_the_front(self):
        return self.component == "nginx"

    def break_it(self):
        self.container = self.target()
        if self.kind == "kill":
            self.kill(self.container)
        elif self.kind == "stop":
            self.end(self.container, "stop", "-t", str(STOP_S))
        elif self.kind == "pause":
            self.pause(self.container)
        else:
            self.disconnect(self.container)

    def mend_it(self):
        if self.kind in ("kill", "stop"):
            self.start(self.container)
        elif self.kind == "pause":
            self.wake(self.container)
        else:
            self.connect(self.container)


class FrozenFault(Fault):
    """The replicas miss what the master takes meanwhile, and then there is no master."""

    def break_it(self):
        self.container = self.target()
        group = self.component.removeprefix("redis-")
        replicas = self.stack.nodes(group)[1]
        for replica in replicas:
            self.pause(replica)
        time.sleep(FROZEN_S)
        self.kill(self.container)
        for replica in replicas:
            self.wake(replica)

    def mend_it(self):
        self.start(self.container)


class WipeFault(Fault):
    def break_it(self):
        self.container = self.target()
        self.kill(self.container)
        home = "/var/lib/rabbitmq" if self.component == "rabbitmq" else "/data"
        left = docker("run", "--rm", "--user", "0", "--volumes-from", self.container.id,
                      "--entrypoint", "sh", self.container.image, "-c",
                      f"cd {home} && find . -mindepth 1 -delete && ls -A | wc -l")
        self.seen["files left"] = int(left)
        if int(left) != 0:
            raise Broken(f"the volume of {self.name} was not emptied")

    def mend_it(self):
        self.start(self.container)


class SuccessorFault(Fault):
    """The last one has to have everything, and to be promotable."""

    def promoted(self, group):
        """Who was promoted in the place of the master, now that it is dead."""
        self.stack.wait_until(
            lambda: self.stack.master_address(group) not in ("", self.container.address),
            f"with another master of {group}", WHOLE_S)
        self.stack.look()
        return self.stack.nodes(group)[0]

    def break_it(self):
        self.container = self.target()
        group = self.component.removeprefix("redis-")
        self.kill(self.container)
        self.second = self.promoted(group)
        time.sleep(random.uniform(0, SUCCESSOR_S))
        self.kill(self.second)
        self.seen["killed"] = [self.container.name, self.second.name]

    def mend_it(self):
        self.start(self.second)
        self.start(self.container)


class DoubtFault(SuccessorFault):
    """A replica that was restarted has, for some seconds, nothing on its disk of what it has."""

    def break_it(self):
        self.container = self.target()
        group = self.component.removeprefix("redis-")
        self.second = self.stack.nodes(group)[1][0]
        self.stack.fill(self.container)
        self.kill(self.second)
        self.start(self.second)
        self.stack.wait_until(lambda: self.stack.slow_rewrites(self.second), "with a slow disk",
                              WHOLE_S)
        self.stack.wait_until(lambda: self.stack.is_doubted(self.container, self.second),
                              "with a replica in doubt", WHOLE_S)
        self.kill(self.container)
        promoted = self.promoted(group)
        self.seen["killed"] = [self.container.name, self.second.name]
        self.seen["promoted"] = promoted.name
        self.kill(self.second)
        if promoted.address == self.second.address:
            raise Broken(f"{promoted.name} was promoted, and has nothing on its disk")


class FailoverFault(Fault):
    def break_it(self):
        group = self.component.removeprefix("redis-")
        self.container = self.target()
        with self.stack.redis(self.stack.find("sentinel-1").address, 26379) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", group)
        until = time.monotonic() + WHOLE_S
        while self.stack.master_address(group) in ("", self.container.address):
            if time.monotonic() > until:
                raise Broken(f"{group} was not given another master")
            time.sleep(0.05)
        self.seen["masters"] = [self.container.address, self.stack.master_address(group)]

    def mend_it(self):
        pass


class PartitionFault(Fault):
    """Packets between nodes of the broker go nowhere, in the namespaces of both; those of clients
    arrive."""

    def break_it(self):
        self.container = self.target()
        nodes = self.stack.of("rabbitmq-")
        self.pairs = [(a, b) for a in nodes for b in nodes if a.name < b.name
                      and (self.kind == "asunder" or self.container.name in (a.name, b.name))]
        self.route("add")
        for a, b in self.pairs:
            if self.reaches(a, b):
                raise Broken(f"{a.name} still reaches {b.name}")
        self.seen["apart"] = [f"{a.name} {b.name}" for a, b in self.pairs]

    def mend_it(self):
        self.route("del")

    def route(self, what):
        for a, b in self.pairs:
            for here, there in ((a, b), (b, a)):
                self.inside(here, "ip", "route", what, "blackhole", f"{there.address}/32")

    def inside(self, container, *words):
        return run("nsenter", "-t", str(container.pid), "-n", *words, timeout=30)

    def reaches(self, a, b):
        return "blackhole" not in self.inside(a, "ip", "route", "show", f"{b.address}/32")


class PurgeFault(Fault):
    def break_it(self):
        self.name = "every queue"
        self.stack.look()
        self.consumers = [c for name in ("order", "stock", "payment") for c in self.stack.of(name)]
        for consumer in self.consumers:
            self.kill(consumer)
        time.sleep(REQUEUED_S)
        said = self.stack.erlang(PURGE)
        self.seen["purged"] = int(re.search(r"(\d+)\D*$", said).group(1))
        if self.seen["purged"] == 0:
            raise Broken("there was nothing to purge")

    def mend_it(self):
        for consumer in self.consumers:
            self.start(consumer)


class RollingFault(Fault):
    def break_it(self):
        self.name = "everything but nginx"
        self.stack.look()
        for container in [c for c in self.stack.containers if c.service != "nginx"]:
            before = self.now(container)
            docker("restart", "-t", str(STOP_S), container.id)
            if self.now(container).started_at == before.started_at:
                raise Broken(f"{container.name} was not restarted")
            self.stack.wait_until(self.stack.is_ready, f"whole after {container.name}", WHOLE_S)
        self.seen["restarted"] = len(self.stack.containers) - 1

    def mend_it(self):
        pass


class ScaleFault(Fault):
    """`up --scale`, as an operator would, without a restart of nginx."""

    def scale(self, count):
        run(*self.stack.compose, "up", "-d", "--no-deps", "--no-recreate", "--scale",
            f"{self.component}={count}", self.component, timeout=WHOLE_S)
        self.stack.look()
        if len(self.stack.of(self.component)) != count:
            raise Broken(f"there are not {count} of {self.component}")

    def break_it(self):
        self.stack.look()
        before = {c.id for c in self.stack.of(self.component)}
        self.scale(GATEWAYS + 1)
        added = max((c for c in self.stack.of(self.component) if c.id not in before),
                    key=lambda c: c.number)
        self.name = added.name
        self.stack.wait_until(lambda: self.stack.checkouts_at(added) > 0,
                              f"a checkout at {added.name}", WHOLE_S)
        self.seen["checkouts"] = {c.name: self.stack.checkouts_at(c)
                                  for c in self.stack.of(self.component)}

    def mend_it(self):
        self.scale(GATEWAYS)


class RenewFault(Fault):
    """deploy/compose/renew.sh, as for a new version."""

    def services(self):
        self.stack.look()
        return {c.id for name in SERVICES
                for c in self.stack.of(name)}

    def break_it(self):
        before = self.services()
        run("sh", f"{self.stack.home}/deploy/compose/renew.sh", timeout=RENEW_S)
        after = self.services()
        self.seen["renewed"] = len(after)
        if before & after or len(before) != len(after):
            raise Broken(f"of {len(before)} containers {len(before & after)} are the old ones, "
                         f"{len(after)} there are")

    def mend_it(self):
        pass


class EverythingFault(Fault):
    is_of_the_front = True

    def break_it(self):
        self.name = "everything"
        self.before = self.stack.look()
        docker("kill", "-s", "KILL", *(c.id for c in self.before if c.state["Running"]))
        running = [c.name for c in self.stack.look() if c.state["Running"]]
        if running:
            raise Broken(f"still running: {running}")

    def mend_it(self):
        docker("start", *(c.id for c in self.before))


class LateFault(Fault):
    """What it acknowledges is as late as over a bad line, though it is online and in step."""

    LATE_MS = {"late-300ms": 300, "late-600ms": 600}
    AWAKE_S = 0.05

    @property
    def wait_max_s(self):
        return PROMPT_S + 5 * self.LATE_MS[self.kind] / 1000

    def break_it(self):
        self.container = self.target()
        children = f"/proc/{self.container.pid}/task/{self.container.pid}/children"
        # A container's first process is an init, which has just the server.
        self.pid = int(pathlib.Path(children).read_text().split()[0])
        self.seen["stood still"] = 0
        self.is_over = threading.Event()
        self.brake = threading.Thread(target=self.stop_and_go, daemon=True)
        self.brake.start()

    def stop_and_go(self):
        while not self.is_over.wait(self.AWAKE_S):
            os.kill(self.pid, signal.SIGSTOP)
            self.is_over.wait(self.LATE_MS[self.kind] / 1000)
            self.seen["stood still"] += self.is_still()
            os.kill(self.pid, signal.SIGCONT)

    def is_still(self):
        return process.state(self.pid) == "T"

    def mend_it(self):
        self.is_over.set()
        self.brake.join()
        if not self.seen["stood still"]:
            raise Broken(f"{self.name} was never seen to stand still")


class RebootFault(EverythingFault):
    """One replica of each group is away for so long that the others go on; then the machine goes,
    and when it is back it is the masters that are missing. Those that were away must not be taken."""

    def break_it(self):
        self.stack.look()
        groups = {group: self.stack.nodes(group) for group in GROUPS}
        for _, replicas in groups.values():
            self.kill(replicas[0])
        time.sleep(AWAY_S)
        self.masters = [master for master, _ in groups.values()]
        self.stale = {group: replicas[0].address for group, (_, replicas) in groups.items()}
        super().break_it()

    def mend_it(self):
        late = {master.id for master in self.masters}
        docker("start", *(c.id for c in self.before if c.id not in late))
        for group, stale in self.stale.items():
            self.stack.wait_until(lambda group=group: self.has_another_master(group),
                                  f"with a master of {group}", WHOLE_S)
            if self.stack.master_address(group) == stale:
                raise Broken(f"{group}: {stale} was away, and is master now")
        docker("start", *late)

    def has_another_master(self, group):
        self.stack.look()  # what was ended had no address, and has one again
        return self.stack.master_address(group) not in ("", *(m.address for m in self.masters))


SPECIAL = {**dict.fromkeys(LateFault.LATE_MS, LateFault),
           "successor": SuccessorFault, "doubt": DoubtFault, "reboot": RebootFault,
           "frozen": FrozenFault, "wipe": WipeFault, "failover": FailoverFault,
           "apart": PartitionFault, "asunder": PartitionFault, "purge": PurgeFault,
           "rolling": RollingFault, "scale": ScaleFault, "renew": RenewFault}


def make_fault(stack, component, kind):
    if component == "everything" and kind == "kill":
        return EverythingFault(stack, component, kind)
    return {**SPECIAL, **EDGES}.get(kind, OneFault)(stack, component, kind)
