"""Kills each service in the middle of a run on a scarce item, and brings it back.

    consistency.run_round --answers--> on_answer: at 20 % kill -9 --> KASSA_RESTART, in a thread
                                                                         '--> back before reading

Needs KASSA_VAR, the directory with run/<service>.pid, and KASSA_RESTART, the command that starts
what is not running; without KASSA_VAR everything here is skipped. Only a process
that is the one of its pid file is ever killed.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from client import TIME_FACTOR, URL, Case
from kassa import ROOT, Broken
from kassa.process import has_ended
from servers import STACK, VAR

sys.path.insert(0, str(ROOT / "stress"))

import consistency  # noqa: E402

RESTART = os.environ.get("KASSA_RESTART", "./kassa up")
RESTART_S = 20 * TIME_FACTOR
RESTARTS = 3
END_S = 5
SETTLE_S = 60 * TIME_FACTOR
ORDERS = 1000


def running_pid(service):
    """Errors: Broken when it does not run."""
    return STACK.must_run(service)


class Killer:
    """Kills once, when `at` answers have come, and restarts in a thread of its own."""

    def __init__(self, service, at):
        self.service = service
        self.at = at
        self.killed_at = None
        self.thread = None
        self.error = None

    def on_answer(self, answers):
        if self.killed_at is None and answers >= self.at:
            self.killed_at = answers
            try:
                pid = running_pid(self.service)
                os.kill(pid, signal.SIGKILL)
            except (Broken, OSError) as error:
                self.error = error
                return
            self.thread = threading.Thread(target=self.restart, args=(pid,))
            self.thread.start()

    def restart(self, pid):
        until = time.monotonic() + END_S
        while not has_ended(pid) and time.monotonic() < until:
            time.sleep(0.01)
        for attempt in range(RESTARTS):
            self.error = self.run_restart()
            if self.error is None or "took longer" not in self.error:
                return
            print(f"{self.service}: restart {attempt + 1}: {self.error}", file=sys.stderr)

    @staticmethod
    def run_restart():
        """None, or what was wrong with it. Its output goes to a file: a pipe would be waited for
        until whatever inherited it has closed it."""
        with tempfile.TemporaryFile("w+") as output:
            try:
                subprocess.run(
                    RESTART,
                    shell=True,
                    check=True,
                    timeout=RESTART_S,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            except subprocess.CalledProcessError as error:
                output.seek(0)
                return f"{RESTART} failed with {error.returncode}: {output.read()[-2000:]}"
            except subprocess.TimeoutExpired:
                output.seek(0)
                return f"{RESTART} took longer than {RESTART_S} s: {output.read()[-2000:]}"
        return None

    async def wait(self):
        if self.thread is not None:
            await asyncio.to_thread(self.thread.join)


@unittest.skipUnless(VAR, "KASSA_VAR is not set: there is nothing to kill")
class Crash(Case):
    def run_and_kill(self, service, at, retry=False, pieces=100):
        options = argparse.Namespace(
            url=URL,
            items=1,
            pieces=pieces,
            users=ORDERS,
            orders=ORDERS,
            connections=100,
            timeout=300,
            settle=SETTLE_S,
            retry=retry,
        )
        killer = Killer(service, at)
        result = asyncio.run(consistency.run_round(options, killer.on_answer, killer.wait))
        self.assertIsNone(killer.error)
        self.assertIsNotNone(killer.killed_at, "the run ended before anything was killed")
        self.assertEqual(result["unexpected"], {}, result)
        self.assertEqual(set(result["numbers"].values()), {0}, result)
        self.assertTrue(result["consistent"], result)
        self.assertEqual(sum(result["answers"].values()), ORDERS, result)
        return result

    def check_after(self):
        """Whatever was killed: a checkout works, and no saga is open."""
        self.client.close()  # its connection may have died with the gateway
        order = self.order(self.user(3), (self.item(3, 1), 1))
        self.assert_paid(self.checkout(order), order, 3)
        self.assertEqual(self.get("/sagas?state=open&limit=1").body, {"sagas": []})
        self.assertEqual(self.get("/ready").status, 200)

    def kill(self, service, retry=False):
        """Early, while the item sells; and late, with plenty of stock, so that all is charged."""
        for at, pieces in ((20, 100), (ORDERS // 2, 100), (ORDERS // 5, ORDERS)):
            with self.subTest(service=service, at=at, pieces=pieces):
                self.run_and_kill(service, at, retry, pieces)
                self.check_after()

    def test_kill_order(self):
        """The orchestrator dies: its journal says what is left to do; clients only wait."""
        self.kill("order")

    def test_kill_stock(self):
        """Stock dies around the pivot: taken once or not at all."""
        self.kill("stock")

    def test_kill_payment(self):
        """Payment dies around a charge or a refund: each happens once."""
        self.kill("payment")

    def test_kill_gateway(self):
        """The gateway dies with requests in flight: repeats under their keys get the truth."""
        self.kill("gateway", retry=True)


if __name__ == "__main__":
    unittest.main()
