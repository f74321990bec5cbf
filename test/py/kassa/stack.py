"""A private system as ./kassa up makes it, in its directory KASSA_VAR (deploy/native/state.sh):

    run/ports, run/secrets    NAME=value                log/<process>.log
    run/<process>.pid         pid, start in ticks, start in seconds
"""

import os
import pathlib
import subprocess

from kassa import ROOT, Broken, broker, metrics, process
from kassa.connection import ask
from kassa.store import Store, flat

METRICS_S = 5


def read_settings(path):
    """NAME=value lines of a file."""
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return dict(pairs)


def port_variable(service):
    """Whose port tells /metrics. The gateway's is also everybody's."""
    return "HTTP_PORT" if service == "gateway" else f"{service.upper()}_METRICS_PORT"


class Stack:
    """What is read is read each time: a system may be started again on other ports."""

    def __init__(self, var):
        self.var = pathlib.Path(var).resolve()

    def settings(self, name):
        return read_settings(self.var / "run" / name)

    def port(self, variable):
        return int(self.settings("ports")[variable])

    def secret(self, name):
        return self.settings("secrets")[name]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port('HTTP_PORT')}"

    def front_door(self, *words, timeout_s=None, **environment):
        """./kassa on this system; `environment` is added to ours. The completed process, its output
        in stdout."""
        return subprocess.run(
            ["./kassa", *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False,
            env={**os.environ, "KASSA_BUILD": "no", **environment, "KASSA_VAR": str(self.var)})

    # ---- processes ----

    def pid(self, name):
        """None when it does not run."""
        try:
            pid, ticks, *_ = (self.var / "run" / f"{name}.pid").read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if process.started(pid) == ticks and not process.has_ended(pid) else None

    def must_run(self, name):
        """Its pid. Errors: Broken when it does not run."""
        pid = self.pid(name)
        if pid is None:
            raise Broken(f"{name} does not run")
        return pid

    # ---- what it tells of itself ----

    def metrics(self, service):
        """As text. Errors: Dropped."""
        url = f"http://127.0.0.1:{self.port(port_variable(service))}/metrics"
        return ask("GET", url, METRICS_S).text

    def counter(self, service, name):
        """Of all labels together."""
        return metrics.total(self.metrics(service), name)

    # ---- its servers ----

    def redis(self, *words, port="REDIS_PORT"):
        """One command, and what redis-cli would print. `port`: of which store; SAGA_REDIS_PORT is
        that of the keys. Errors: Broken."""
        try:
            with Store(self.port(port), self.secret("REDIS_PASSWORD")) as store:
                return flat(store.call(*words))
        except OSError as error:
            raise Broken(f"the store: {error}") from error

    def erlang(self, expression):
        """What the broker says to an expression. Errors: Broken."""
        ports = self.settings("ports")
        return broker.evaluate(*broker.erl_call(self.var / "run" / "erlang", ports["NODE"],
                                                ports["EPMD_PORT"]), expression)

    def queues(self):
        """queue -> messages, see broker.messages(). Errors: Broken."""
        return broker.messages(self.erlang(broker.MESSAGES))

    @property
    def broker_url(self):
        return f"amqp://kassa:{self.secret('RABBITMQ_PASSWORD')}@127.0.0.1:{self.port('RABBITMQ_PORT')}"
