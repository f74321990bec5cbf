"""The stack under test: a private system of its own, built with crash points.

    KASSA_CRASH=@<var>/crash ./kassa up --> redis, rabbitmq, gateway, order, stock, payment
    start(service): one that has died, again, with the same environment and pid file
    arm(service, point, n) --> <var>/crash/<service>, read by the process at each hit
    services are our children, orphans too (PR_SET_CHILD_SUBREAPER) --> waitpid says what they died of
"""

import ctypes
import os
import pathlib
import re
import signal
import subprocess
import time

from kassa import ROOT, SERVICES, Broken, broker, process
from kassa.stack import Stack

UP_S = 90
STOP_S = 20
PR_SET_CHILD_SUBREAPER = 36
# Shorter than usual, so that what has to be sent again is not waited for long.
QUICK = {"REASK_MS": "100", "SAGA_RESEND_MS": "250", "SAGA_RESEND_MAX_MS": "1000"}


class Armed(Stack):
    """Owns: the processes below `var`, until down()."""

    def __init__(self, var):
        super().__init__(var)
        self.serial = 0
        self.environments = {}  # of the services, as ./kassa up made them
        for name in ("crash", "log"):
            (self.var / name).mkdir(parents=True, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")

    def binary(self, service):
        return ROOT / "build" / "crash" / f"kassa-{service}"

    def points(self, service):
        done = subprocess.run(
            [self.binary(service), "--crash-points"], check=True, capture_output=True, text=True
        )
        return done.stdout.split()

    # ---- life ----

    def kassa(self, *words):
        return self.front_door(*words, timeout_s=UP_S * 2, **QUICK, VARIANT="crash",
                               KASSA_CRASH=f"@{self.var}/crash")

    def up(self):
        """Everything, with services that are ours, whoever may have started them before."""
        for service in SERVICES:
            self.disarm(service)
            self.end(service)
        done = self.kassa("up")
        if done.returncode != 0:
            raise Broken(f"./kassa up failed:\n{done.stdout[-3000:]}")
        for service in SERVICES:
            text = pathlib.Path(f"/proc/{self.pid(service)}/environ").read_text()
            pairs = (pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
            self.environments[service] = dict(pairs)

    def start(self, service, extra=None):
        """As ./kassa up starts one that is down, only that nothing is waited for."""
        with open(self.var / "log" / f"{service}.log", "ab") as log:
            child = subprocess.Popen(
                [self.binary(service)],
                cwd=self.var,
                env=dict(self.environments[service], **(extra or {})),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        child.returncode = 0  # its end is not for Popen to wait for, but for reap()
        line = f"{child.pid} {process.started(child.pid)} {int(time.time())}\n"
        (self.var / "run" / f"{service}.pid").write_text(line)

    def end(self, service, number=signal.SIGTERM):
        pid = self.pid(service)
        if pid:
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, number)
            until = time.monotonic() + STOP_S
            while self.pid(service) and time.monotonic() < until:
                self.reap(pid)
                time.sleep(0.01)

    def down(self):
        return self.kassa("down")

    def reap(self, pid):
        """The signal that ended it, 0 for an exit, or None: it lives, or is not ours to know.
        One that is about to be gone is waited for."""
        for _ in range(100):
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                return None
            if done != 0:
                return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            time.sleep(0.005)
        return None

    # ---- arming ----

    def arm(self, service, point, hit):
        """From now on: dies at the hit-th hit of the point."""
        self.serial += 1
        self.write(service, f"{point}:{hit} {self.serial}\n")

    def trace(self, service):
        self.write(service, "trace\n")

    def disarm(self, service):
        self.write(service, "")

    def write(self, service, text):
        path = self.var / "crash" / service
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    def log_size(self, service):
        try:
            return (self.var / "log" / f"{service}.log").stat().st_size
        except OSError:
            return 0

    def log_since(self, service, size):
        path = self.var / "log" / f"{service}.log"
        with open(path, "rb") as log:
            log.seek(size if size <= path.stat().st_size else 0)  # it was begun anew
            return log.read().decode("utf-8", "replace")

    def hits(self, service, size):
        """How often each point was passed since then, of a service that was traced."""
        found = {}
        for name in re.findall(r"event=crash_point_passed name=(\S+)", self.log_since(service, size)):
            found[name] = found.get(name, 0) + 1
        return found

    # ---- what can be done to it from outside ----

    def pause(self, service):
        """SIGSTOP, if it lives. Returns its pid, for resume."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            pid = self.pid(service)
            if pid:
                os.kill(pid, signal.SIGSTOP)
                return pid
            time.sleep(0.01)
        return None

    def resume(self, pid):
        if pid:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def cut_store(self):
        """Every connection to the stores is closed by the servers."""
        for port in ("REDIS_PORT", "SAGA_REDIS_PORT"):
            for kind in ("normal", "pubsub"):
                self.redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes", port=port)

    def change_store(self):
        """As if the store came back as another server: who it was announced as is gone."""
        self.redis("DEL", "payment:run", "stock:run")
        self.cut_store()

    def cut_broker(self):
        """Every connection to the broker is closed by it."""
        self.erlang('rabbit_networking:close_all_connections("cut").\n')

    def messages(self):
        """What lies in the broker's queues, unacknowledged and parked ones included; -1: one of
        them does not say."""
        counts = self.queues().values()
        return -1 if -1 in counts else sum(counts)

    def publish(self, queue, body):
        """Puts a message into a queue, past all services."""
        status, _ = broker.tool(self.broker_url, "amqp-publish", "--routing-key", queue, "--body",
                                body)
        if status != 0:
            raise Broken(f"amqp-publish ended with {status}")
