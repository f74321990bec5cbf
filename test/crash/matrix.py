#!/usr/bin/env python3
"""Dies at every crash point, in every scenario, and checks that nobody was lied to.

    for each (scenario, points): prepare -> arm -> act --service dies--> ./kassa up -> settle -> check

    test/crash/matrix.py --quick             each point once, in a scenario that passes it
    test/crash/matrix.py                     each point, each scenario, first, second, another hit
    test/crash/matrix.py --only charge       just the points whose name has this in it

Needs build/crash (make VARIANT=crash). The stack is in KASSA_VAR, or in a directory of its own.
A point counts as died at only when the process was ended by SIGKILL and had logged the point.
Prints a line for each death; the last line is `N passed, N failed`.
"""

import argparse
import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import plan
from armed import Armed
from kassa import ROOT, SERVICES, Broken, metrics
from kassa.connection import Dropped
from scenarios import ENVIRONMENTS, SCENARIOS
from shop import Customer, Lie

ACTS_MAX = 4  # until a hit has come
GRACE_S = 0.4  # for a point that is passed after the last answer
IDLE_GRACE_S = 5
ACT_S = 90
SETTLE_S = 20
SLOW_S = 2
BATCH = 100  # experiments between two looks at everything


class Matrix:
    def __init__(self, stack, options):
        self.stack = stack
        self.options = options
        self.passed = 0
        self.failures = []
        self.not_reached = 0
        self.deaths = 0
        self.trades = []  # since the last look at everything
        self.way = {}  # of the services: variables that a scenario wants

    # ---- one experiment ----

    def watch(self, job, shots, logs, grace_s=0.0):
        """Brings back what dies, until the job is done and, for a while, a shot is missing."""
        until = time.monotonic() + ACT_S
        while True:
            self.revive(shots, logs)
            if job.done():
                if all(shot.fired for shot in shots) or grace_s <= 0:
                    return
                grace_s -= 0.005
            if time.monotonic() > until:
                raise Lie(f"no end after {ACT_S} s")
            time.sleep(0.005)

    def revive(self, shots, logs):
        """Takes note of what has died, and how; anything but a shot is a fault of its own."""
        dead = [s for s in SERVICES if self.pids.get(s) and self.stack.pid(s) is None]
        for service in dead:
            status = self.stack.reap(self.pids[service])
            text = self.stack.log_since(service, logs[service])
            shot = next((s for s in shots if s.service == service and not s.fired), None)
            line = f"event=crash_point name={shot.point} hit={shot.hit} " if shot else None
            if shot is None or status != signal.SIGKILL or line not in text:
                raise Lie(f"{service} ended by {status}, unasked: {text[-1500:]}")
            shot.fired = True
            self.deaths += 1
            self.stack.start(service, self.extra(service))
            self.pids[service] = self.stack.pid(service)

    def experiment(self, scenario, shots):
        """Returns the trades that were made."""
        disturb = plan.disturbance(shots[0].point)
        cut = {
            "store": self.stack.cut_store,
            "run": self.stack.change_store,
            "broker": self.stack.cut_broker,
        }.get(disturb)
        is_idle = any(shot.point.startswith(plan.IDLE) for shot in shots)
        self.pids = {s: self.stack.pid(s) for s in SERVICES}
        logs = {s: self.stack.log_size(s) for s in SERVICES}
        trades = []

        def act():
            trade = SCENARIOS[scenario](self.stack)
            trade.prepare()
            if not trades:
                for shot in shots:
                    self.stack.arm(shot.service, shot.point, shot.hit)
            trades.append(trade)
            trade.act(cut)

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            try:
                while len(trades) < ACTS_MAX and not all(shot.fired for shot in shots):
                    job = pool.submit(act)
                    self.watch(job, shots, logs, IDLE_GRACE_S if is_idle else GRACE_S)
                    job.result()
            finally:
                for service in SERVICES:
                    self.stack.disarm(service)
                    self.stack.resume(self.stack.pid(service))
            self.revive(shots, logs)
        return trades

    # ---- checks ----

    def open_ends(self, customer):
        """What is not at rest yet, or None."""
        sagas = customer.get("/sagas?state=open&limit=5").body["sagas"]
        if sagas:
            return f"open sagas: {sagas}"
        if customer.get("/ready").status != 200:
            return "/ready says no"
        for service in SERVICES:
            if (left := self.left_in(service)) is not None:
                return left
        try:
            messages = self.stack.messages()
        except Broken as error:
            return str(error)
        return f"{messages} messages in the broker" if messages else None

    def left_in(self, service):
        try:
            text = self.stack.metrics(service)
        except Dropped as error:
            return f"{service}: {error}"
        of_gateway = ("kassa_pending_requests",) if service == "gateway" else ()
        for metric in (*of_gateway, "kassa_broker_unconfirmed_commands"):
            if metrics.values(text, metric) != [0]:
                return f"{service}: {metric} is not 0"
        return None

    def settle(self, customer):
        """Returns what was waited for longer than SLOW_S, or an empty text."""
        start = time.monotonic()
        last = ""
        while True:
            left = self.open_ends(customer)
            seconds = time.monotonic() - start
            if left is None:
                return f" (at rest after {seconds:.1f} s: {last})" if seconds > SLOW_S else ""
            last = left
            if seconds > SETTLE_S:
                raise Lie(f"not at rest after {SETTLE_S} s: {left}")
            time.sleep(0.02)

    def run(self, scenario, shots):
        start = time.monotonic()
        customer = Customer(self.stack)
        verdict, failed = "ok", False
        self.turn(scenario)
        try:
            trades = self.experiment(scenario, shots)
            verdict += self.settle(customer)
            for trade in trades:
                trade.check(customer)
            self.settle(customer)
            self.trades.extend(trades)
        except (Lie, Broken, OSError) as error:
            verdict, failed = f"FAILED: {error}", True
        customer.close()
        for shot in shots:
            word = verdict
            if not failed and not shot.fired:
                word = "not reached"
                self.not_reached += 1
            elif not failed:
                self.passed += 1
            self.say(shot, scenario, word, time.monotonic() - start)
        if failed:
            self.failures.append((scenario, [str(shot) for shot in shots], verdict))
            self.restart()
        return not failed and all(shot.fired for shot in shots)

    def say(self, shot, scenario, word, seconds):
        print(
            f"{shot.service:8} {shot.point:44} {scenario:9} {shot.hit:3} "
            f"{'fired' if shot.fired else '-':5} {seconds:5.1f} s  {word}",
            flush=True,
        )

    def restart(self):
        """After a failure: the next experiment is not to suffer for it."""
        for service in SERVICES:
            self.stack.end(service, signal.SIGKILL)
        self.way = {}
        self.stack.up()

    def turn(self, scenario):
        """The services in the way that the scenario wants them."""
        before, self.way = self.way, ENVIRONMENTS.get(scenario, {})
        for service in SERVICES:
            if before.get(service) != self.way.get(service):
                self.stack.end(service)
                self.stack.start(service, self.extra(service))

    def extra(self, service):
        return self.way.get(service)

    def look(self):
        """At everything since the last look: nothing has changed since it was at rest."""
        customer = Customer(self.stack)
        start = time.monotonic()
        label = f"{len(self.trades)} trades looked at again, audited"
        try:
            for trade in self.trades:
                trade.check_goods(customer)
            self.audit(ROOT / "build" / "crash" / "kassa-audit")
            self.passed += 1
            print(f"{label}: ok ({time.monotonic() - start:.1f} s)", flush=True)
        except (Lie, OSError) as error:
            self.failures.append(("look", [], str(error)))
            print(f"{label}: FAILED: {error}", flush=True)
        self.trades.clear()
        customer.close()

    def audit(self, program):
        node = f"127.0.0.1:{self.stack.port('REDIS_PORT')}"
        groups = ("ORDER_REDIS", "STOCK_REDIS", "PAYMENT_REDIS", "SAGA_REDIS")
        environment = dict(os.environ, **{name: node for name in groups})
        environment["REDIS_PASSWORD"] = self.stack.secret("REDIS_PASSWORD")
        done = subprocess.run(
            [program], env=environment, capture_output=True, text=True, timeout=300
        )
        if done.returncode != 0:
            raise Lie(f"kassa-audit: {done.stdout[-2000:]}{done.stderr[-1000:]}")

    # ---- the whole ----

    def trace(self):
        """{scenario: {(service, point): hits}} of one undisturbed act each."""
        passed = {}
        for scenario, kind in SCENARIOS.items():
            try:
                self.trace_one(scenario, kind, passed)
            except (Lie, Broken, OSError) as error:
                self.failures.append((scenario, ["nothing died"], str(error)))
                print(f"{scenario}, undisturbed: FAILED: {error}", flush=True)
                self.restart()
        return passed

    def trace_one(self, scenario, kind, passed):
        self.turn(scenario)
        trade = kind(self.stack)
        trade.prepare()
        logs = {s: self.stack.log_size(s) for s in SERVICES}
        for service in SERVICES:
            self.stack.trace(service)
        trade.act()
        time.sleep(1.2)  # what comes by itself comes once a second
        found = passed.setdefault(scenario, {})
        for service in SERVICES:
            self.stack.disarm(service)
            for point, hits in self.stack.hits(service, logs[service]).items():
                found[service, point] = hits
        customer = Customer(self.stack)
        self.settle(customer)
        trade.check(customer)
        customer.close()

    def go(self):
        points = [(s, p) for s in SERVICES for p in self.stack.points(s)]
        passed = self.trace()
        for service, point, why in plan.holes(points, passed):
            self.failures.append(("plan", [f"{service} {point}"], why))
            print(f"{service:8} {point:44} {why}", flush=True)
        dice = plan.dice(self.options.seed)
        todo = (plan.quick if self.options.quick else plan.full)(points, passed, dice)
        if self.options.only:
            todo = [t for t in todo if any(self.options.only in f"{shot}" for shot in t[1])]
        print(f"{len(points)} points, {len(todo)} experiments, seed {self.options.seed}", flush=True)
        missing = {}
        for n, (scenario, shots) in enumerate(todo, 1):
            self.run(scenario, shots)
            for shot in shots:
                fired = missing.get((shot.service, shot.point), False)
                missing[shot.service, shot.point] = fired or shot.fired
            if n % BATCH == 0:
                self.look()
        self.turn(None)
        self.look()
        for (service, point), fired in missing.items():
            if not fired:
                self.failures.append(("matrix", [f"{service} {point}"], "never died there"))
                print(f"{service:8} {point:44} never died there", flush=True)

    def tell(self, seconds):
        for scenario, shots, why in self.failures:
            print(f"FAILED {scenario} {', '.join(shots)}\n    {why}")
        print(f"{self.deaths} deaths, {self.not_reached} not reached, {seconds:.0f} s")
        print(f"{self.passed} passed, {len(self.failures)} failed", flush=True)
        return 1 if self.failures else 0


def options():
    parser = argparse.ArgumentParser(description="Dies at every crash point.")
    parser.add_argument("--quick", action="store_true", help="each point once")
    parser.add_argument("--only", default="", help="points whose line has this text")
    parser.add_argument("--seed", type=int, default=1, help="of the random hits")
    parser.add_argument("--keep", action="store_true", help="leave the stack running")
    return parser.parse_args()


def main():
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    var = os.environ.get("KASSA_VAR")
    own = None if var else tempfile.mkdtemp(prefix="kassa-crash.")
    stack = Armed(var or own)
    start = time.monotonic()
    matrix = Matrix(stack, chosen)
    try:
        stack.up()
        matrix.go()
    finally:
        if not chosen.keep:
            stack.down()
        if own and not matrix.failures:
            shutil.rmtree(own, ignore_errors=True)
    return matrix.tell(time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(main())
