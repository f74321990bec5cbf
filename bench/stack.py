"""What the bench asks of its private stack: HTTP, the store's and the broker's own counters, and
what the kernel knows of each process."""

import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import urllib.parse

from kassa.services import SERVICES

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVERS = ("redis", "saga_redis", "rabbitmq")
TICKS = os.sysconf("SC_CLK_TCK")
TIMEOUT_S = 300
METRICS = ("kassa_store_calls_total", "kassa_store_flushes_total",
           "kassa_broker_published_commands_total", "kassa_broker_published_envelopes_total",
           "kassa_commands_parked_total")


class Broken(Exception):
    """Nothing can be measured: the stack, or a tool, does not work."""


def metric_sums(text):
    """The Prometheus text as name -> sum over all labels."""
    sums = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            sums[name] = sums.get(name, 0) + float(value)
    return sums


def info_fields(text):
    """The store's INFO as name -> text."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class Stack:
    def __init__(self, var, environment):
        self.var = pathlib.Path(var)
        self.environment = environment
        self.port = int(environment["HTTP_PORT"])
        self.tools = ROOT / "build" / environment.get("VARIANT", "release")
        self.ports = dict(
            line.split("=", 1) for line in (self.var / "run/ports").read_text().splitlines())

    # ---- processes ----

    def start_services(self):
        done = subprocess.run([ROOT / "kassa", "up"], capture_output=True, text=True, check=False,
                              env={**self.environment, "KASSA_BUILD": "no"})
        if done.returncode != 0:
            raise Broken(f"the services do not start: {done.stderr.strip()}")

    def pid(self, name):
        return int((self.var / f"run/{name}.pid").read_text().split()[0])

    def cpu_s(self, name):
        """User and system time of a process, all of its threads."""
        text = pathlib.Path(f"/proc/{self.pid(name)}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def run_ms(self, name):
        """The same, of the threads there are, to the microsecond: for those who do next to
        nothing."""
        threads = pathlib.Path(f"/proc/{self.pid(name)}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6

    @staticmethod
    def machine_s():
        """Seconds of all processors together, since the start: busy, stolen, all. What a virtual
        machine was ready to run, but was not let, is stolen."""
        fields = [int(n) / TICKS for n in pathlib.Path("/proc/stat").read_text().split()[1:9]]
        return {"busy": sum(fields) - fields[3] - fields[4] - fields[7], "stolen": fields[7],
                "all": sum(fields)}

    def memory_mib(self, name):
        text = pathlib.Path(f"/proc/{self.pid(name)}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.M).group(1)) / 1024

    # ---- HTTP ----

    def get(self, path, port=None, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, TIMEOUT_S)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def ask(self, method, path):
        """The body of a 200."""
        status, body = self.get(path, method=method)
        if status != 200:
            raise Broken(f"{method} {path}: {status} {body[:200]}")
        return json.loads(body)

    def metrics(self, name):
        port = self.port if name == "gateway" else int(self.ports[f"{name.upper()}_METRICS_PORT"])
        sums = metric_sums(self.get("/metrics", port)[1])
        return {metric: sums.get(metric, 0) for metric in METRICS}

    # ---- the servers' own counters ----

    def redis(self, *words):
        """One command; its answer as text. Only for those that answer with one text."""
        host, port = self.environment["ORDER_REDIS"].split(":")
        with socket.create_connection((host, int(port)), timeout=60) as link:
            stream = link.makefile("rwb")
            for command in (("AUTH", self.environment["REDIS_PASSWORD"]), words):
                stream.write(b"*%d\r\n" % len(command))
                for word in command:
                    stream.write(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
                stream.flush()
                line = stream.readline()
                if line[:1] == b"-" or not line:
                    raise Broken(f"the store says: {line.decode().strip()}")
                text = stream.read(int(line[1:]) + 2) if line[:1] == b"$" else line[1:]
        return text.decode().strip()

    def redis_counters(self):
        """Function calls, and fsyncs: with appendfsync always there is one after each write to the
        append-only file, and those are the writes of its main thread that went to no client. (Not
        of the process: the kernel adds those of children that have ended, and they rewrite it.)"""
        info = info_fields(self.redis("INFO", "everything"))
        calls = re.match(r"calls=(\d+)", info.get("cmdstat_fcall", "calls=0")).group(1)
        pid = self.pid("redis")
        kernel = pathlib.Path(f"/proc/{pid}/task/{pid}/io").read_text()
        writes = int(re.search(r"^syscw: (\d+)", kernel, re.M).group(1))
        return {"calls": int(calls), "fsyncs": writes - int(info["total_writes_processed"]),
                "memory": int(info["used_memory"])}

    def redis_is_rewriting(self):
        return info_fields(self.redis("INFO", "persistence"))["aof_rewrite_in_progress"] != "0"

    def rabbitmq_fsyncs(self):
        """Batches of the quorum queues' write-ahead log, each of which ends with an fsync."""
        done = subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", "-n", f"{self.ports['NODE']}@localhost",
             "eval", "maps:get(batches, maps:get(ra_log_wal, ra_counters:overview()))."],
            env={"PATH": os.environ["PATH"], "HOME": str(self.var / "run/erlang"),
                 "ERL_EPMD_PORT": self.ports["EPMD_PORT"], "LC_ALL": "C.UTF-8",
                 "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.var / "run/rabbitmq-plugins")},
            capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0 or not done.stdout.strip().isdigit():
            raise Broken(f"rabbitmqctl: {(done.stderr or done.stdout).strip()[:300]}")
        return int(done.stdout)

    # ---- tools ----

    def tool(self, name, *options, quiet=True):
        """Runs a tool that prints one JSON object: (exit status, the object)."""
        command = [self.tools / f"kassa-{name}", *map(str, options)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False,
                              stderr=subprocess.PIPE if quiet else None, env=self.environment)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError as error:
            complaint = (done.stderr or done.stdout or "").strip()[:300]
            raise Broken(f"kassa-{name}: {complaint}") from error


def from_environment():
    environment = dict(os.environ)
    return Stack(environment["KASSA_VAR"], environment)


def url(stack):
    return urllib.parse.urlunsplit(("http", f"127.0.0.1:{stack.port}", "", "", ""))
