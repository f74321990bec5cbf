"""The drill's own stack: starts each process from the command that test/run/drill.sh wrote
down, and knows how each one is and how it died. They are our children and die with us."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess

from breakable import Breakable, is_listening
from kassa import Broken, broker, process
from kassa.stack import read_settings
from kassa.store import Store, flat
from process_faults import make_fault, process_of
from versions import Versions

VAR = pathlib.Path(os.environ.get("KASSA_VAR", "var"))
START_ORDER = ("epmd", "rabbitmq", "redis", "proxy", "order", "stock", "payment",
               "gateway-1", "gateway-2", "nginx")
GATEWAYS = ("gateway-1", "gateway-2")
PR_SET_PDEATHSIG = 1
END_S = 10


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Processes(Breakable):
    RETURN_S = 10
    # All is in one store, and each step waits for the sync that runs and for its own: the key, begin,
    # charge, take, REFUNDING, refund, FAILED, and the notice of it.
    SYNCS = 2 * 8

    def __init__(self, var=VAR):
        super().__init__()
        self.var = var
        self.settings = read_settings(var / "run" / "drill")
        self.processes = {}  # name -> Popen, of those that were started last
        self.control = None

    def port(self, name):
        return int(self.settings[name])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.settings['HTTP_PORT']}"

    # ---- processes ----

    def argv(self, name):
        return (self.var / "run" / f"{name}.argv").read_bytes().decode().split("\0")[:-1]

    def start(self, name, plan=None):
        """As its own plan says, or as another one does."""
        if self.is_up(name):
            raise Broken(f"{name} is to be started, but is up")
        argv = self.argv(plan or name)
        with open(self.var / "log" / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                argv, cwd=self.var, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent,
            )

    def forget(self, name):
        """It has ended, and nobody is to miss it."""
        del self.processes[name]

    def address(self, name):
        """Where it tells what it does."""
        variable = f"{name.upper()}_METRICS_PORT"
        port = self.settings.get(variable) or self.settings[f"PORT_{name}"]
        return f"http://127.0.0.1:{port}"

    def is_up(self, name):
        child = self.processes.get(name)
        return child is not None and child.poll() is None

    def pid(self, name):
        return self.processes[name].pid

    def state(self, name):
        """The kernel's letter: T is stopped, Z a zombie, '' gone."""
        return process.state(self.pid(name))

    def signal(self, name, number):
        self.processes[name].send_signal(number)

    def wait_end(self, name, seconds):
        """Its exit status; -9 is "killed by signal 9"."""
        try:
            return self.processes[name].wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Broken(f"{name} does not end") from error

    def can_break(self, component, kind):
        """The previous release is there when the history of the working copy is."""
        return kind != "versions" or (self.var / "run" / "order-previous.argv").exists()

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
        for child in self.processes.values():
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
        for child in self.processes.values():
            child.wait()
        self.processes.clear()

    def wipe(self):
        """Empty stores for the next run."""
        for server in ("redis", "rabbitmq"):
            for path in (self.var / "data" / server).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.known.clear()

    def died(self):
        return [name for name in self.processes if not self.is_up(name)]

    def is_hopeless(self):
        return bool(self.died())

    def complaint(self):
        return f"died: {self.died()}"

    def gateways(self):
        return [f"http://127.0.0.1:{self.port(f'PORT_{name}')}" for name in GATEWAYS]

    def is_ready(self):
        """Both gateways say that everything answers, and nginx passes it on."""
        is_up = all(self.is_up(name) for name in START_ORDER)
        return is_up and all(self.get(f"{url}/ready")[0] == 200
                             for url in [*self.gateways(), self.url])

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

    def erlang_call(self):
        return broker.erl_call(self.var / "run" / "erlang", self.settings["NODE"],
                               self.settings["EPMD_PORT"])

    def audit_command(self):
        return self.argv("audit")

    def fault(self, component, kind):
        return Versions(self, component, kind) if kind == "versions" else make_fault(self, component, kind)

    # ---- for the faults of edges.py: a part is the name of a process ----

    def part(self, component):
        name = process_of(component)
        if not self.is_up(name):
            raise Broken(f"{name} is to be broken, but it is not up")
        return name

    def parts(self, component):
        return [self.part(component)]

    def store(self, _):
        return self.part("redis")

    def tell(self, name, what, number):
        """Its shim reads that within 50 ms."""
        path = self.var / "run" / "shim" / name / what
        path.with_suffix(".new").write_text(f"{number}\n")
        path.with_suffix(".new").rename(path)

    def ask(self, name, *words):
        """A store. Errors: Broken, with what it says."""
        password = read_settings(self.var / "run" / "secrets")["REDIS_PASSWORD"]
        try:
            with Store(self.port(f"{name.upper()}_PORT"), password) as store:
                return flat(store.call(*words))
        except OSError as error:
            raise Broken(f"{name}: {error}") from error

    def clock_of(self, name):
        if name == "redis":
            return int(self.ask(name, "TIME").split()[0])
        port = self.settings[f"PORT_{name}" if name in GATEWAYS else f"{name.upper()}_METRICS_PORT"]
        return self.date_of(f"http://127.0.0.1:{port}")

    def end_part(self, name):
        self.signal(name, signal.SIGKILL)
        self.wait_end(name, END_S)

    def start_part(self, name):
        self.start(name)
