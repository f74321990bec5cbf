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
import socket
import subprocess
import time

from kassa.services import SERVICES

ROOT = pathlib.Path(__file__).resolve().parents[2]
UP_S = 90
STOP_S = 20
PR_SET_CHILD_SUBREAPER = 36
# Shorter than usual, so that what has to be sent again is not waited for long.
QUICK = {"REASK_MS": "100", "SAGA_RESEND_MS": "250", "SAGA_RESEND_MAX_MS": "1000"}


class Stack:
    """Owns: the processes below `var`, until down()."""

    def __init__(self, var):
        self.var = pathlib.Path(var).resolve()
        self.serial = 0
        self.environments = {}  # of the services, as ./kassa up made them
        for name in ("crash", "log"):
            (self.var / name).mkdir(parents=True, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")

    def settings(self, name):
        """NAME=value lines of run/<name>."""
        lines = (self.var / "run" / name).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def binary(self, service):
        return ROOT / "build" / "crash" / f"kassa-{service}"

    def points(self, service):
        done = subprocess.run(
            [self.binary(service), "--crash-points"], check=True, capture_output=True, text=True
        )
        return done.stdout.split()

    # ---- life ----

    def front_door(self, *arguments):
        environment = dict(os.environ, **QUICK)
        environment.update(
            KASSA_VAR=str(self.var),
            VARIANT="crash",
            KASSA_BUILD="no",
            KASSA_CRASH=f"@{self.var}/crash",
        )
        return subprocess.run(
            ["./kassa", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=UP_S * 2,
        )

    def up(self):
        """Everything, with services that are ours, whoever may have started them before."""
        for service in SERVICES:
            self.disarm(service)
            self.end(service)
        done = self.front_door("up")
        if done.returncode != 0:
            raise RuntimeError(f"./kassa up failed:\n{done.stdout[-3000:]}")
        ports = self.settings("ports")
        self.host, self.port = ports["HTTP_HOST"], int(ports["HTTP_PORT"])
        for service in SERVICES:
            text = pathlib.Path(f"/proc/{self.pid(service)}/environ").read_text()
            pairs = (pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
            self.environments[service] = dict(pairs)

    def start(self, service, extra=None):
        """As ./kassa up starts one that is down, only that nothing is waited for."""
        with open(self.var / "log" / f"{service}.log", "ab") as log:
            process = subprocess.Popen(
                [self.binary(service)],
                cwd=self.var,
                env=dict(self.environments[service], **(extra or {})),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process.returncode = 0  # its end is not for Popen to wait for, but for reap()
        ticks = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        line = f"{process.pid} {ticks} {int(time.time())}\n"
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
        return self.front_door("down")

    def pid(self, service):
        """Its pid, or None when it does not run."""
        try:
            pid = int((self.var / "run" / f"{service}.pid").read_text().split()[0])
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError, IndexError):
            return None
        return pid if state not in "ZX" and service in command else None

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

    def redis(self, *words, port="REDIS_PORT"):
        """One command to the store, or to the one of the saga group; the raw answer."""
        port = int(self.settings("ports")[port])
        password = self.settings("secrets")["REDIS_PASSWORD"]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            for command in (("AUTH", password), words):
                text = b"*%d\r\n" % len(command)
                for word in command:
                    text += b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode())
                connection.sendall(text)
                answer = connection.recv(65536)
        return answer.decode("utf-8", "replace")

    def cut_store(self):
        """Every connection to the stores is closed by the servers."""
        for port in ("REDIS_PORT", "SAGA_REDIS_PORT"):
            for kind in ("normal", "pubsub"):
                self.redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes", port=port)

    def change_store(self):
        """As if the store came back as another server: who it was announced as is gone."""
        self.redis("DEL", "payment:run", "stock:run")
        self.cut_store()

    def erlang(self, *arguments, text=""):
        ports = self.settings("ports")
        home = self.var / "run" / "erlang"
        cookie = (home / ".erlang.cookie").read_text().strip()
        environment = dict(
            os.environ,
            HOME=str(home),
            ERL_EPMD_PORT=ports["EPMD_PORT"],
            ERL_EPMD_ADDRESS="127.0.0.1",
        )
        done = subprocess.run(
            ["erl_call", "-c", cookie, "-n", ports["NODE"] + "@localhost", *arguments],
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout

    def cut_broker(self):
        """Every connection to the broker is closed by it."""
        self.erlang("-a", 'rabbit_networking close_all_connections ["cut"]')

    def messages(self):
        """What lies in the broker's queues, unacknowledged and parked ones included. Asked of the
        queues themselves: the figures that the broker publishes are up to 5 s old."""
        answer = self.erlang(
            "-e",
            text="lists:sum([case ra:leader_query(amqqueue:get_pid(Q), "
            "fun rabbit_fifo:query_messages_total/1) of {ok, {_, M}, _} -> M end "
            '|| Q <- rabbit_amqqueue:list(<<"/">>)]).\n',
        )
        found = re.fullmatch(r"\{ok, (\d+)\}", answer.strip())
        return int(found[1]) if found else answer

    def publish(self, queue, body):
        """Puts a message into a queue, past all services."""
        password = self.settings("secrets")["RABBITMQ_PASSWORD"]
        port = self.settings("ports")["RABBITMQ_PORT"]
        url = f"amqp://kassa:{password}@127.0.0.1:{port}"
        subprocess.run(
            ["amqp-publish", "--url", url, "--routing-key", queue, "--body", body],
            check=True,
            capture_output=True,
            timeout=30,
        )
