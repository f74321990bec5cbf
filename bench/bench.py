#!/usr/bin/env python3
"""Measures a private stack of Kassa, started by ./kassa bench: rates, latencies, what a checkout
costs, and the same bare, on this machine, now.

    measured  the private system and its counters   account  what a checkout costs
    phases    what is measured                      figures  what a person reads    plots  PNG

Status and body of each answer are checked, and the audit goes over the stores at the end. Exit
status: 0 clean; 1 something was inconsistent; 2 nothing could be measured.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import sys

import figures
import plots
from kassa import Broken
from measured import from_environment
from phases import Bench

ARTIFACTS = pathlib.Path("artifacts/bench")


def whole_number(low, high):
    def read(text):
        if not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {low} to {high}")
        return int(text)
    return read


def parse_options(arguments=None):
    parser = argparse.ArgumentParser(
        prog="./kassa bench", description="Measures a private stack: rates, latencies, and what a "
        "checkout costs. Table, JSON and plots: artifacts/bench/.")
    parser.add_argument("--quick", action="store_true",
                        help="10 000 orders and short phases: two minutes")
    parser.add_argument("--seconds", type=whole_number(2, 3000), metavar="N",
                        help="of the peak, 60; the other phases take a third of it or less")
    parser.add_argument("--runs", type=whole_number(1, 99), default=1, metavar="N",
                        help="of the peak and of 1 000/s, of which the median counts; 1")
    parser.add_argument("--connections", type=whole_number(1, 4000), default=256, metavar="N",
                        help="clients at once, 256")
    parser.add_argument("--orders", type=whole_number(1000, 10_000_000), metavar="N",
                        help="items, users and orders, 100000; more orders where needed")
    parser.add_argument("--write-docs", action="store_true",
                        help="put the table into README.md and docs/performance.md")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    o = parser.parse_args(arguments)
    o.seconds = o.seconds or (4 if o.quick else 60)
    o.orders = o.orders or (10_000 if o.quick else 100_000)
    o.warm = 1 if o.quick else 3
    o.short = max(2, o.seconds // 4)   # most phases
    o.middle = max(2, o.seconds // 3)  # the latencies at the fixed rate
    o.idle_seconds = 2 if o.quick else 5
    o.crowd = max(o.connections, 2048)  # connections in an overload: many wait, more are turned away
    o.floor_seconds = 1 if o.quick else 5
    o.growth = (3_000, 30_000) if o.quick else (10_000, 1_000_000)
    o.rounds = 3 if o.quick else 5
    o.cores = len(os.sched_getaffinity(0))
    return o


def on_signal(number, _):
    raise SystemExit(128 + number)


def about(o):
    cpu = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {"at": datetime.datetime.now().isoformat(timespec="seconds"), "cores": o.cores,
            "cpu": cpu, "kernel": platform.release(), "quick": o.quick, "orders": o.orders,
            "connections": o.connections, "seconds": o.seconds, "runs": o.runs}


def main():
    o = parse_options()
    if o.check:
        return 0
    signal.signal(signal.SIGTERM, on_signal)
    bench = Bench(from_environment(), o)
    bench.report["about"] = about(o)
    try:
        bench.run()
    except (Broken, KeyError) as error:
        bench.clear()
        print(f"the bench measures nothing: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        bench.clear()
        print("interrupted", file=sys.stderr)
        return 130
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    text = figures.text(bench.report)
    (ARTIFACTS / "bench.json").write_text(json.dumps(bench.report, indent=1) + "\n")
    (ARTIFACTS / "bench.txt").write_text(text)
    drawn = plots.draw(bench.report, ARTIFACTS)
    if o.write_docs:
        figures.write_docs(bench.report)
    print(f"\n{text}\n{ARTIFACTS}/: bench.txt, bench.json{drawn}")
    return 1 if bench.report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
