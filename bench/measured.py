"""What the bench asks of its private stack: HTTP, the store's and the broker's own counters, and
what the kernel knows of each process."""

import json
import os
import pathlib
import re
import subprocess

from kassa import ROOT, Broken, metrics, process
from kassa.connection import Dropped, ask
from kassa.stack import Stack
from kassa.store import info

SERVERS = ("redis", "saga_redis", "rabbitmq")
TICKS = os.sysconf("SC_CLK_TCK")
METRICS = ("kassa_store_calls_total", "kassa_store_flushes_total",
           "kassa_broker_published_commands_total", "kassa_broker_published_envelopes_total",
           "kassa_commands_parked_total")


class Measured(Stack):
    """`environment`: of the services and tools, as ./kassa bench has made it."""

    def __init__(self, var, environment):
        super().__init__(var)
        self.environment = environment
        self.tools = ROOT / "build" / environment.get("VARIANT", "release")

    def start_services(self):
        done = self.front_door("up")
        if done.returncode != 0:
            raise Broken(f"the services do not start: {done.stdout.strip()}")

    # ---- what the kernel knows ----

    def cpu_s(self, name):
        """User and system time of a process, all of its threads."""
        fields = process.stat(self.must_run(name))
        return (int(fields[11]) + int(fields[12])) / TICKS

    def run_ms(self, name):
        """The same, of the threads there are, to the microsecond: for those who do next to
        nothing."""
        threads = pathlib.Path(f"/proc/{self.must_run(name)}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6

    @staticmethod
    def machine_s():
        """Seconds of all processors together, since the start: busy, stolen, all. What a virtual
        machine was ready to run, but was not let, is stolen."""
        fields = [int(n) / TICKS for n in pathlib.Path("/proc/stat").read_text().split()[1:9]]
        return {"busy": sum(fields) - fields[3] - fields[4] - fields[7], "stolen": fields[7],
                "all": sum(fields)}

    def memory_mib(self, name):
        text = pathlib.Path(f"/proc/{self.must_run(name)}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.M).group(1)) / 1024

    # ---- HTTP ----

    def ask(self, method, path):
        """The body of a 200."""
        try:
            answer = ask(method, self.url + path)
        except Dropped as error:
            raise Broken(str(error)) from error
        if answer.status != 200:
            raise Broken(f"{method} {path}: {answer}")
        return answer.json()

    def counters(self, name):
        """Of the service's metrics those that are of interest here, over all labels."""
        try:
            sums = metrics.totals(self.metrics(name))
        except Dropped as error:
            raise Broken(str(error)) from error
        return {metric: sums.get(metric, 0) for metric in METRICS}

    # ---- the servers' own counters ----

    def redis_counters(self):
        """Function calls, and fsyncs: with appendfsync always there is one after each write to the
        append-only file, and those are the writes of its main thread that went to no client. (Not
        of the process: the kernel adds those of children that have ended, and they rewrite it.)"""
        said = info(self.redis("INFO", "everything"))
        calls = re.match(r"calls=(\d+)", said.get("cmdstat_fcall", "calls=0")).group(1)
        pid = self.must_run("redis")
        kernel = pathlib.Path(f"/proc/{pid}/task/{pid}/io").read_text()
        writes = int(re.search(r"^syscw: (\d+)", kernel, re.M).group(1))
        return {"calls": int(calls), "fsyncs": writes - int(said["total_writes_processed"]),
                "memory": int(said["used_memory"])}

    def redis_is_rewriting(self):
        return info(self.redis("INFO", "persistence"))["aof_rewrite_in_progress"] != "0"

    def rabbitmq_fsyncs(self):
        """Batches of the quorum queues' write-ahead log, each of which ends with an fsync."""
        said = self.erlang("maps:get(batches, maps:get(ra_log_wal, ra_counters:overview())).\n")
        found = re.fullmatch(r"\{ok, (\d+)\}", said.strip())
        if not found:
            raise Broken(f"the broker does not say how often it has synced: {said.strip()[:300]}")
        return int(found[1])

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
    return Measured(environment["KASSA_VAR"], environment)
