"""A gateway of a test's own, beside the one under test."""

import os
import socket
import subprocess
import time

from client import TIME_FACTOR
from front import free_port
from kassa import ROOT, metrics
from kassa.connection import Connection

BINARY = ROOT / "build" / os.environ.get("VARIANT", "release") / "kassa-gateway"
WAIT_S = 10 * TIME_FACTOR
STORES = ("SAGA_REDIS", "ORDER_REDIS", "STOCK_REDIS", "PAYMENT_REDIS")


class Gateway:
    """Listens when it is made; until close(). `environment` is added to the caller's."""

    def __init__(self, **environment):
        self.port = free_port()
        self.process = subprocess.Popen(
            [BINARY], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HTTP_HOST": "127.0.0.1", "DRAIN_MS": "0", "LOG_LEVEL": "error",
                 **environment, "HTTP_PORT": str(self.port)})
        until = time.monotonic() + WAIT_S
        while True:
            try:
                self.connect().close()
                break
            except OSError:
                if time.monotonic() > until:
                    self.close()
                    raise
                time.sleep(0.02)
        self.client = Connection(f"http://127.0.0.1:{self.port}", WAIT_S)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))

    def ask(self, method, path, **headers):
        """The answer and its text."""
        answer = self.client.request(method, path, headers)
        return answer, answer.text

    def metric(self, name, **labels):
        return metrics.values(self.ask("GET", "/metrics")[1], name, **labels)[0]

    def wait(self, is_so):
        """Errors: TimeoutError."""
        until = time.monotonic() + WAIT_S
        while not is_so(self):
            if time.monotonic() > until:
                raise TimeoutError("the gateway does not come to that")
            time.sleep(0.02)

    def close(self):
        self.process.terminate()
        self.process.wait(WAIT_S)
        if hasattr(self, "client"):
            self.client.close()
