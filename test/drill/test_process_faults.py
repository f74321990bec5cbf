"""A drill that would prove nothing says so: the fault did not happen, or nothing worked before."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest
from unittest import mock

from breakable import Breakable
from kassa import Broken
from process_faults import Fault
from processes import GATEWAYS, Processes
from row import Row


class Fake(Processes):
    """Two processes that only sleep, `order` and `stock`; stock does not listen to SIGTERM. The
    proxy is one that says that it obeyed and has dropped nothing."""

    def __init__(self, directory):
        var = pathlib.Path(directory)
        for name in ("run", "log"):
            (var / name).mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]  # nobody listens there
        (var / "run" / "drill").write_text(f"HTTP_PORT={port}\n")
        (var / "run" / "order.argv").write_text("sleep\x00600\x00")
        (var / "run" / "stock.argv").write_text("python3\x00-c\x00import signal\n"
                                                "signal.pause()\x00")
        super().__init__(var)
        self.dropped = 0

    def proxy(self, *words):
        return f"held_bytes={self.dropped}" if words == ("stats",) else "ok 2"


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.stack = Fake(directory.name)
        self.addCleanup(self.stack.down)

    def strike(self, component, kind):
        fault = Fault(self.stack, component, kind)
        asyncio.run(fault.strike())
        return fault


class VersionsTest(Case):
    """Both versions of all processes sleep, and end with 0 when they are asked to; work is made up."""

    NAMES = ("order", "payment", "stock", "gateway-1", "gateway-2")
    SLEEPER = ("python3\x00-c\x00import os, signal, time\n"
               "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
               "time.sleep(600)\x00")

    def setUp(self):
        super().setUp()
        for name in self.NAMES:
            for plan in (name, f"{name}-previous", f"{name}-beside"):
                (self.stack.var / "run" / f"{plan}.argv").write_text(f"{self.SLEEPER}{plan}\x00")
            self.stack.start(name)
        self.fault = self.stack.fault("services", "versions")
        self.lazy = None  # does nothing
        self.fault.work = lambda name, kind: self.work(name)
        self.stack.wait_until(lambda: all(self.work(name) for name in self.NAMES), "all sleep", 10)

    def work(self, name):
        """Something, from when it hears a signal."""
        status = pathlib.Path(f"/proc/{self.stack.pid(name)}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s+(\w+)$", status, re.M)[1], 16)
        return int(name != self.lazy and caught >> (signal.SIGTERM - 1) & 1)

    def plans(self):
        """What runs, by the plan that it was started from."""
        return {name: pathlib.Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")[-2]
                for name, process in self.stack.processes.items() if process.poll() is None}

    def run_quickly(self, step):
        with mock.patch("versions.MIXED_S", 0), mock.patch("versions.SHARE_S", 5):
            asyncio.run(step())

    def test_there_and_back(self):
        before = self.plans()
        self.run_quickly(self.fault.strike)
        self.assertEqual(self.plans(), {
            "order-previous": "order-previous", "payment-previous": "payment-previous",
            "stock-previous": "stock-previous", "gateway-1": "gateway-1-previous",
            "gateway-2": "gateway-2-previous"})
        self.assertEqual(self.stack.died(), [])
        self.run_quickly(self.fault.mend)
        self.assertEqual(self.plans(), before)
        self.assertEqual(self.stack.died(), [])
        self.assertEqual(len(self.fault.seen), 14)

    def test_one_that_takes_no_part(self):
        self.lazy = "stock-previous"
        with mock.patch("versions.SHARE_S", 0.5), self.assertRaisesRegex(Broken, "took no part"):
            asyncio.run(self.fault.strike())

    def test_a_bad_end(self):
        self.stack.signal("stock", signal.SIGKILL)
        with self.assertRaisesRegex(Broken, "stock ended with -9"):
            self.run_quickly(self.fault.strike)

    def test_without_the_history_of_the_working_copy(self):
        self.assertTrue(self.stack.can_break("services", "versions"))
        (self.stack.var / "run" / "order-previous.argv").unlink()
        self.assertFalse(self.stack.can_break("services", "versions"))
        self.assertTrue(self.stack.can_break("order", "kill"))


class FaultTest(Case):
    def test_what_is_not_up_cannot_be_broken(self):
        with self.assertRaisesRegex(Broken, "not up"):
            self.strike("order", "kill")

    def test_killed_and_started(self):
        self.stack.start("order")
        fault = self.strike("order", "kill")
        self.assertEqual(fault.seen["status"], -9)
        asyncio.run(fault.mend())
        before, after = fault.seen["pid"]
        self.assertNotEqual(before, after)
        self.assertTrue(self.stack.is_up("order"))

    def test_a_stop_with_a_bad_end(self):
        """sleep does not end with 0 when it is asked to."""
        self.stack.start("order")
        with self.assertRaisesRegex(Broken, "ended with -15"):
            self.strike("order", "stop")

    def test_paused_and_woken(self):
        self.stack.start("order")
        fault = self.strike("order", "pause")
        self.assertEqual(self.stack.state("order"), "T")
        asyncio.run(fault.mend())
        self.assertNotEqual(fault.seen, {})

    def test_a_pause_that_does_not_happen(self):
        self.stack.start("order")
        self.stack.signal = lambda name, number: None
        with self.assertRaisesRegex(Broken, "does not stand still"):
            self.strike("order", "pause")

    def test_a_pause_that_ends_too_early(self):
        self.stack.start("order")
        fault = self.strike("order", "pause")
        os.kill(self.stack.pid("order"), signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stack.processes["order"].wait(0.05)
        with self.assertRaisesRegex(Broken, "did not stay paused"):
            asyncio.run(fault.mend())

    def test_a_cut_that_nobody_noticed(self):
        self.stack.start("order")
        fault = self.strike("order", "cut")
        with self.assertRaisesRegex(Broken, "nobody tried to get through"):
            asyncio.run(fault.mend())

    def test_a_cut_that_held_something(self):
        self.stack.start("order")
        fault = self.strike("order", "cut")
        self.stack.dropped = 100
        asyncio.run(fault.mend())
        self.assertEqual(fault.seen["held_bytes"], 100)


class AuditTest(Case):
    """A script in place of kassa-audit."""

    FINDING = {"check": "C2", "saga": "", "order": "", "entity": "user u", "what": "credit",
               "found": -1, "wanted": 0}

    def says(self, found, status, undecided=0):
        text = json.dumps({"violations": len(found), "undecided": undecided, "found": found})
        self.script(f"print({text!r}); raise SystemExit({status})")

    def script(self, text):
        (self.stack.var / "run" / "audit.argv").write_text(f"python3\0-c\0{text}\0")

    def test_clean(self):
        self.says([], 0)
        self.assertEqual(self.stack.audit()[1], [])

    def test_a_violation_belongs_to_one_row(self):
        other = dict(self.FINDING, entity="user v")
        self.says([self.FINDING], 1)
        self.assertEqual(self.stack.audit()[1], [self.FINDING])
        self.says([self.FINDING, other], 1)
        self.assertEqual(self.stack.audit()[1], [other])

    def test_nothing_decided(self):
        self.says([], 2, undecided=1)
        with self.assertRaisesRegex(Broken, "ended with 2"):
            self.stack.audit()

    def test_an_end_that_contradicts_the_report(self):
        self.says([self.FINDING], 0)
        with self.assertRaisesRegex(Broken, "ended with 0, violations: 1"):
            self.stack.audit()

    def test_nothing_said(self):
        for text in ("raise SystemExit(2)", "print('{}')"):
            self.script(text)
            with self.assertRaisesRegex(Broken, "has not said"):
                self.stack.audit()


class QueuesTest(Case):
    """A script in place of erl_call."""

    def setUp(self):
        super().setUp()
        self.stack.settings.update(NODE="kassa", EPMD_PORT="1")
        (self.stack.var / "run" / "erlang").mkdir()
        (self.stack.var / "run" / "erlang" / ".erlang.cookie").write_text("SECRET")
        path = f"{self.stack.var}:{os.environ['PATH']}"
        patch = mock.patch.dict(os.environ, PATH=path)
        patch.start()
        self.addCleanup(patch.stop)

    def says(self, text, status=0):
        tool = self.stack.var / "erl_call"
        tool.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
        tool.chmod(0o755)

    def left(self):
        with mock.patch.object(Breakable, "get", lambda *_: (200, "kassa_pending_requests 0\n")):
            self.stack.settings.update({f"PORT_{name}": "1" for name in GATEWAYS})
            return Row(self.stack, "order", "kill", 0.3).look()

    def test_counted(self):
        self.says('{ok, [{"kassa.order", 0}, {"kassa.stock.parked", 2}]}')
        self.assertEqual(self.stack.queues(), {"kassa.order": 0, "kassa.stock.parked": 2})
        self.assertEqual(self.left(), (0, 0, 2))

    def test_one_that_does_not_say_is_not_empty(self):
        self.says('{ok, [{"kassa.order", 1}, {"kassa.stock", -1}]}')
        self.assertEqual(self.left(), (0, 0, -1))

    def test_settled_has_to_stay_so(self):
        row = Row(self.stack, "order", "kill", 0.3)
        with mock.patch.object(row, "look", side_effect=[(0, 0, 1), (0, 0, 0), (0, 0, 3)]):
            asyncio.run(row.settle())
            asyncio.run(row.look_again(0))
        self.assertEqual([r["queued"] for r in row.history.records], [0, 3])
        self.assertTrue(row.has_settled)

    def test_none_is_not_zero(self):
        for text, status in (("{ok, []}", 0), ("{error, -1}", 0), ("{ok, [{a, 0}]}", 1)):
            self.says(text, status)
            with self.assertRaisesRegex(Broken, "could not be counted|in vain"):
                self.stack.queues()


class RowTest(Case):
    def test_a_dead_system(self):
        """Nobody listens: the row ends loudly, it is not an empty table of zeros."""
        row = Row(self.stack, "order", "kill", 0.3)
        with self.assertRaisesRegex(Broken, "cannot begin"):
            asyncio.run(row.run(lambda what: None))

    def test_an_audit_that_could_not_decide(self):
        """On a system at rest that proves nothing; otherwise it is a part of what C7 found."""
        (self.stack.var / "run" / "audit.argv").write_text("false\0")
        row = Row(self.stack, "order", "kill", 0.3)
        row.audit()
        self.assertEqual(row.history.records, [])
        row.has_settled = True
        with self.assertRaisesRegex(Broken, "has not said"):
            row.audit()

    def test_a_process_that_died_before(self):
        self.stack.start("order")
        self.stack.processes["order"].kill()
        self.stack.processes["order"].wait()
        with self.assertRaisesRegex(Broken, "died"):
            self.stack.wait_until(lambda: False, "nothing", 5)


if __name__ == "__main__":
    unittest.main()
