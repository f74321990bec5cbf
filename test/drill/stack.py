"""The drill's own stack: starts each process from the command that deploy/native/drill.sh wrote
down, and knows how each one is and how it died. They are our children and die with us."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

VAR = pathlib.Path(os.environ.get("KASSA_VAR", "var"))
START_ORDER = ("epmd", "rabbitmq", "redis", "proxy", "order", "stock", "payment",
               "gateway-1", "gateway-2", "nginx")
GATEWAYS = ("gateway-1", "gateway-2")
READY_S = 60
AUDIT_S = 120
AUDIT_CLEAN, AUDIT_VIOLATIONS = 0, 1  # its exit statuses; any other: it could not decide
# Asks the queues themselves: the figures that the broker publishes, which rabbitmqctl prints, are
# up to 5 s old. -1: the queue has no leader that answers.
MESSAGES = (
    "[{binary_to_list(element(4, amqqueue:get_name(Q))), "
    "case catch ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1) of "
    "{ok, {_, N}, _} -> N; _ -> -1 end} "
    '|| Q <- rabbit_amqqueue:list(<<"/">>)].\n'
)
PR_SET_PDEATHSIG = 1


class Broken(Exception):
    """The stack, or the drill itself, is not as it must be: no row can be trusted then."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Stack:
    def __init__(self, var=VAR):
        self.var = var
        text = (var / "run" / "drill").read_text()
        self.settings = dict(line.split("=", 1) for line in text.splitlines())
        self.processes = {}  # name -> Popen, of those that were started last
        self.control = None
        self.known = set()  # what the audit found in earlier rows

    def port(self, name):
        return int(self.settings[name])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.settings['HTTP_PORT']}"

    # ---- processes ----

    def argv(self, name):
        return (self.var / "run" / f"{name}.argv").read_bytes().decode().split("\0")[:-1]

    def start(self, name):
        if self.is_up(name):
            raise Broken(f"{name} is to be started, but is up")
        argv = self.argv(name)
        with open(self.var / "log" / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                argv, cwd=self.var, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent,
            )

    def is_up(self, name):
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def pid(self, name):
        return self.processes[name].pid

    def state(self, name):
        """The kernel's letter: T is stopped, Z a zombie, '' gone."""
        try:
            text = pathlib.Path(f"/proc/{self.pid(name)}/stat").read_text()
        except OSError:
            return ""
        return text.rpartition(")")[2].split()[0]

    def signal(self, name, number):
        self.processes[name].send_signal(number)

    def wait_end(self, name, seconds):
        """Its exit status; -9 is "killed by signal 9"."""
        try:
            return self.processes[name].wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Broken(f"{name} does not end") from error

    # ---- all of it ----

    def up(self):
        for name in START_ORDER:
            self.start(name)
            if name == "epmd":
                self.wait_until(lambda: is_listening(self.port("EPMD_PORT")), "epmd listens")
            if name == "proxy":
                self.wait_until(lambda: is_listening(self.port("PORT_CONTROL")), "proxy listens")
                self.control = socket.create_connection(
                    ("127.0.0.1", self.port("PORT_CONTROL")), timeout=5
                ).makefile("rw")
                self.wait_until(lambda: is_listening(self.port("RABBITMQ_PORT")), "rabbitmq")
        self.wait_until(self.is_ready, "ready")

    def down(self):
        """Each with its own children, such as the workers of nginx."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def wipe(self):
        """Empty stores for the next run."""
        for server in ("redis", "rabbitmq"):
            for path in (self.var / "data" / server).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.known.clear()

    def dead(self):
        return [name for name in START_ORDER if not self.is_up(name)]

    def is_ready(self):
        """Both gateways say that everything answers, and nginx passes it on."""
        ports = [self.port(f"PORT_{name}") for name in GATEWAYS] + [self.port("HTTP_PORT")]
        return not self.dead() and all(self.get(port, "/ready")[0] == 200 for port in ports)

    def wait_until(self, is_so, what, seconds=READY_S):
        limit = time.monotonic() + seconds
        while not is_so():
            died = [name for name in self.processes if not self.is_up(name)]
            if died or time.monotonic() > limit:
                raise Broken(f"not in {seconds} s: {what}; died: {died}")
            time.sleep(0.05)

    @staticmethod
    def get(port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=6) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    # ---- the proxy, the broker, and the audit ----

    def proxy(self, *words):
        self.control.write(" ".join(words) + "\n")
        self.control.flush()
        answer = self.control.readline().strip()
        if not answer or answer == "unknown":
            raise Broken(f"the fault proxy does not understand: {words}")
        return answer

    def proxy_stats(self):
        return {n: int(c) for n, c in (p.split("=") for p in self.proxy("stats").split())}

    def queues(self):
        """queue -> messages ready and unacknowledged together; -1: it does not say."""
        home = self.var / "run" / "erlang"
        done = subprocess.run(
            ["erl_call", "-c", (home / ".erlang.cookie").read_text().strip(),
             "-n", f"{self.settings['NODE']}@localhost", "-e"],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "ERL_EPMD_ADDRESS": "127.0.0.1",
                 "ERL_EPMD_PORT": self.settings["EPMD_PORT"]},
            input=MESSAGES, capture_output=True, text=True, timeout=60, check=False,
        )
        found = re.findall(r'{"([^"]+)", *(-?\d+)', done.stdout)
        if done.returncode != 0 or not found:
            raise Broken(f"the queues could not be counted: {done.stdout[:300]} {done.stderr[:300]}")
        return {name: int(count) for name, count in found}

    def audit(self):
        """kassa-audit on the stores. Returns its report, and those of its findings that no earlier
        row had: the stores keep what a bad row has done to them."""
        try:
            done = subprocess.run(self.argv("audit"), cwd=self.var, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=AUDIT_S, check=False,
                                  preexec_fn=die_with_parent)
            report = json.loads(done.stdout)
            found = {json.dumps(finding): finding for finding in report["found"]}
            violations = report["violations"]
        except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
            raise Broken(f"the audit has not said what it found: {error}") from error
        if done.returncode != (AUDIT_VIOLATIONS if violations else AUDIT_CLEAN):
            raise Broken(f"the audit ended with {done.returncode}, violations: {violations}, "
                         f"undecided: {report['undecided']}")
        new = [finding for text, finding in found.items() if text not in self.known]
        self.known.update(found)
        return report, new
