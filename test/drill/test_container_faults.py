"""A fault of containers that did not happen is noticed."""

import asyncio
import copy
import os
import pathlib
import signal
import subprocess
import sys
import time
import types
import unittest
from unittest import mock

import container_faults
import rows
from kassa import Broken


def made(service, number=1):
    return types.SimpleNamespace(
        service=service, number=number, name=f"{service}-{number}", id=f"id-{service}-{number}",
        image="image",
        started_at="1", pid=1, networks=["net"], address="10.0.0.1", fixed="",
        state={"Running": True, "Paused": False, "ExitCode": 0})


class Engine(container_faults.Parts):
    """Does to its containers what docker would do; or nothing at all."""

    def __init__(self, is_deaf=False):
        self.containers = [made(name) for name in (
            "order", "sentinel-1", "redis-order-1", "redis-order-2", "redis-order-3")]
        self.said = []
        self.is_deaf = is_deaf

    # the stack's side

    def look(self):
        return self.containers

    def of(self, service):
        return [c for c in self.containers if c.service.startswith(service)]

    def nodes(self, _):
        return self.find("redis-order-1"), [self.find("redis-order-2"), self.find("redis-order-3")]

    def master_address(self, _):
        """The first that runs."""
        return next(c.address for c in self.of("redis-order-") if c.state["Running"])

    def erlang(self, _):
        return "{ok, 0}"

    # what more than one command of the engine's does

    compose = ["compose"]
    home = "home"

    @staticmethod
    def checkouts_at(_):
        return 1

    @staticmethod
    def wait_until(is_so, what, _):
        if not is_so():
            raise Broken(what)

    def run(self, *words, **_):
        """compose up --scale order=N, and renew.sh."""
        if self.is_deaf:
            return ""
        if words[0] == "sh":
            self.containers = [made(c.service, c.number + 1) for c in self.containers]
        else:
            count = int(words[words.index("--scale") + 1].partition("=")[2])
            others = [c for c in self.containers if c.service != "order"]
            some = self.of("order")[:count]
            while len(some) < count:
                some.append(made("order", some[-1].number + 1))
            self.containers = others + some
        return ""

    # the engine's side

    def docker(self, *words):
        self.said.append(words)
        if self.is_deaf:
            return "0"
        self.containers = [copy.copy(c) for c in self.containers]  # what was looked at stays so
        for c in [c for c in self.containers if c.id in words]:
            if words[0] in ("kill", "stop"):
                c.state = {**c.state, "Running": False, "ExitCode": 137 if words[0] == "kill" else 0}
            elif words[0] == "start":
                c.state, c.started_at = {**c.state, "Running": True}, "2"
            elif words[0] in ("pause", "unpause"):
                c.state = {**c.state, "Paused": words[0] == "pause"}
            elif words[:2] == ("network", "disconnect"):
                c.address = ""
            elif words[:2] == ("network", "connect"):
                c.address = "10.0.0.2"
        return "0"


class Case(unittest.TestCase):
    def fault(self, component, kind, is_deaf=False):
        self.engine = Engine(is_deaf)
        patch = mock.patch.object(container_faults, "docker", self.engine.docker)
        patch.start()
        self.addCleanup(patch.stop)
        patch = mock.patch.object(container_faults, "run", self.engine.run)
        patch.start()
        self.addCleanup(patch.stop)
        return container_faults.make_fault(self.engine, component, kind)

    def test_each_kind_strikes_and_is_mended(self):
        for kind in rows.KINDS:
            with self.subTest(kind):
                fault = self.fault("order", kind)
                asyncio.run(fault.strike())
                hurt = self.engine.find("order")
                self.assertTrue(not hurt.state["Running"] or hurt.state["Paused"]
                                or not hurt.address)
                asyncio.run(fault.mend())
                hurt = self.engine.find("order")
                self.assertTrue(hurt.state["Running"] and not hurt.state["Paused"] and hurt.address)

    def test_what_does_not_happen_is_noticed(self):
        for kind in rows.KINDS:
            with self.subTest(kind), self.assertRaises(Broken):
                asyncio.run(self.fault("order", kind, is_deaf=True).strike())

    def test_what_is_down_cannot_be_broken(self):
        fault = self.fault("order", "kill")
        self.engine.find("order").state["Running"] = False
        with self.assertRaisesRegex(Broken, "is not up"):
            asyncio.run(fault.strike())

    def test_a_pause_that_ends_too_early(self):
        fault = self.fault("order", "pause")
        asyncio.run(fault.strike())
        self.engine.docker("unpause", "id-order-1")
        with self.assertRaisesRegex(Broken, "did not stay paused"):
            asyncio.run(fault.mend())

    def test_a_start_that_is_none(self):
        fault = self.fault("order", "kill")
        asyncio.run(fault.strike())
        self.engine.is_deaf = True
        with self.assertRaisesRegex(Broken, "did not start"):
            asyncio.run(fault.mend())

    def test_masters_and_replicas_are_found(self):
        for component, name in (("redis-order", "redis-order-1"), ("replica-order", "redis-order-2"),
                                ("sentinel", "sentinel-1")):
            fault = self.fault(component, "kill")
            asyncio.run(fault.strike())
            self.assertEqual(fault.name, f"{name}-1")

    def test_frozen(self):
        """The replicas stand still before the master dies, and wake at once after it."""
        fault = self.fault("redis-order", "frozen")
        with mock.patch.object(container_faults, "FROZEN_S", 0):
            asyncio.run(fault.strike())
        self.assertEqual([words[0] for words in self.engine.said],
                         ["pause", "pause", "kill", "unpause", "unpause"])

    def test_the_successor(self):
        """The master dies, then who is promoted in its place; the last one lives."""
        fault = self.fault("redis-order", "successor")
        masters = iter([self.engine.find("redis-order-1"), self.engine.find("redis-order-2")])
        self.engine.nodes = lambda _: (next(masters), [])
        for number, node in enumerate(self.engine.of("redis-order-")):
            node.address = f"10.0.0.{number}"
        with mock.patch.object(container_faults, "SUCCESSOR_S", 0):
            asyncio.run(fault.strike())
        self.assertEqual([words[-1] for words in self.engine.said],
                         ["id-redis-order-1-1", "id-redis-order-2-1"])
        asyncio.run(fault.mend())
        self.assertTrue(all(c.state["Running"] for c in self.engine.containers))

    def test_one_more_and_one_less(self):
        fault = self.fault("order", "scale")
        asyncio.run(fault.strike())
        self.assertEqual(fault.name, "order-3")
        self.assertEqual(len(self.engine.of("order")), 3)
        asyncio.run(fault.mend())
        self.assertEqual(len(self.engine.of("order")), 2)

    def test_what_was_renewed_is_found(self):
        """Another container in its place has the next number."""
        asyncio.run(self.fault("services", "renew").strike())
        self.assertEqual(self.engine.part("order").number, 2)
        asyncio.run(container_faults.make_fault(self.engine, "order", "scale").strike())
        self.assertEqual([c.number for c in self.engine.of("order")], [2, 3, 4])
        self.assertEqual(self.engine.part("order").number, 2)
        with self.assertRaisesRegex(Broken, "there is no container stock"):
            self.engine.part("stock")

    def test_one_more_that_gets_nothing(self):
        fault = self.fault("order", "scale")
        with mock.patch.object(self.engine, "checkouts_at", lambda _: 0), \
                self.assertRaisesRegex(Broken, "a checkout at order-3"):
            asyncio.run(fault.strike())
        with self.assertRaisesRegex(Broken, "there are not 3"):
            asyncio.run(self.fault("order", "scale", is_deaf=True).strike())

    def test_all_are_new_ones(self):
        fault = self.fault("services", "renew")
        asyncio.run(fault.strike())
        self.assertEqual(fault.seen["renewed"], 1)
        with self.assertRaisesRegex(Broken, "1 are the old ones"):
            asyncio.run(self.fault("services", "renew", is_deaf=True).strike())

    def test_who_loses_connections(self):
        for component, kind in (("nginx", "kill"), ("nginx", "cut"), ("everything", "kill"),
                                ("everything", "reboot")):
            self.assertTrue(self.fault(component, kind).is_of_the_front)
        for component, kind in (("gateway", "kill"), ("gateway", "scale"), ("services", "renew"),
                                ("everything", "rolling")):
            self.assertFalse(self.fault(component, kind).is_of_the_front)

    def test_nothing_to_purge_proves_nothing(self):
        with mock.patch.object(container_faults, "REQUEUED_S", 0), \
                self.assertRaisesRegex(Broken, "nothing to purge"):
            asyncio.run(self.fault("rabbitmq", "purge").strike())

    def test_everything(self):
        fault = self.fault("everything", "kill")
        self.assertTrue(fault.is_of_the_front)
        asyncio.run(fault.strike())
        asyncio.run(fault.mend())
        self.assertTrue(all(c.state["Running"] for c in self.engine.containers))

    def test_a_replica_that_is_late(self):
        """A process in the place of the container's server; its parent in that of the init."""
        code = "import subprocess; subprocess.Popen(['sleep', '600']).wait()"
        with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as init:
            self.addCleanup(os.killpg, init.pid, signal.SIGKILL)
            children = pathlib.Path(f"/proc/{init.pid}/task/{init.pid}/children")
            while not children.read_text():
                time.sleep(0.01)
            fault = self.fault("replica-order", "late-300ms")
            self.engine.find("redis-order-2").pid = init.pid
            asyncio.run(fault.strike())
            time.sleep(0.6)
            asyncio.run(fault.mend())
            self.assertGreater(fault.seen["stood still"], 0)
            self.assertFalse(fault.is_still())
            self.doCleanups()

    def test_rows_have_names_of_their_own(self):
        for is_compose in (False, True):
            names = [rows.name(*row) for row in rows.chosen(is_compose, False)]
            self.assertEqual(len(names), len(set(names)))
            for quick in rows.chosen(is_compose, True):
                self.assertIn(quick[0], {row[0] for row in rows.chosen(is_compose, False)})


if __name__ == "__main__":
    unittest.main()
