"""A drill that would prove nothing says so: the fault did not happen, or nothing worked before."""

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import unittest

from faults import Fault
from row import Row
from stack import Broken, Stack


class Fake(Stack):
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


class RowTest(Case):
    def test_a_dead_system(self):
        """Nobody listens: the row ends loudly, it is not an empty table of zeros."""
        row = Row(self.stack, "order", "kill", 0.3)
        with self.assertRaisesRegex(Broken, "cannot begin"):
            asyncio.run(row.run(lambda what: None))

    def test_a_process_that_died_before(self):
        self.stack.start("order")
        self.stack.processes["order"].kill()
        self.stack.processes["order"].wait()
        with self.assertRaisesRegex(Broken, "died"):
            self.stack.wait_until(lambda: False, "nothing", 5)


if __name__ == "__main__":
    unittest.main()
