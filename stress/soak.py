#!/usr/bin/env python3
"""Checks out fresh orders at a steady rate for as long as you like, and watches what the stores grow by.

    REDIS_MAXMEMORY=1gb KASSA_VAR=/tmp/soak HTTP_PORT=8400 ./kassa up
    KASSA_VAR=/tmp/soak python3 stress/soak.py --url http://127.0.0.1:8400 --rate 1000 --seconds 3600
    KASSA_VAR=/tmp/soak ./kassa audit

It makes all orders beforehand, by batch_init, and so overwrites those that are there. The load is
kassa-load's (./kassa bench builds it): an open loop that checks each answer. Each minute it prints what
was paid and what the stores weigh by their own count, the gauges kassa_store_memory_bytes of the
services: natively those of the system in KASSA_VAR, else those of --metrics. Exit status: 0 only when
every order was paid, and none was refused.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time

from kassa import ROOT, SERVICES
from kassa.connection import Dropped, ask
from kassa.metrics import by_label
from kassa.stack import Stack, port_variable

USERS = ITEMS = 1000
PLENTY = 100_000_000
MIB = 1 << 20
BATCH_S = 600
METRICS_S = 5


def parse_options():
    parser = argparse.ArgumentParser(description="Checks out fresh orders at a steady rate.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--rate", type=int, default=1000, help="checkouts a second")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--load", default=str(ROOT / "build" / "release" / "kassa-load"))
    parser.add_argument("--metrics", action="append", help="a URL of metrics; several may be given")
    return parser.parse_args()


def native_metrics():
    stack = Stack(os.environ.get("KASSA_VAR", ROOT / "var"))
    return [f"http://127.0.0.1:{stack.port(port_variable(service))}/metrics"
            for service in SERVICES if service != "gateway"]


def post(url, path):
    began = time.monotonic()
    answer = ask("POST", url + path, BATCH_S)
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer}")
    print(f"{path}: {time.monotonic() - began:.1f} s", flush=True)


def memory(metrics):
    """Bytes by group. Several services see one store; all say the same of it."""
    groups = {}
    for url in metrics:
        try:
            text = ask("GET", url, METRICS_S).text
            groups.update(by_label(text, "kassa_store_memory_bytes", "group"))
        except Dropped as error:
            print(f"{url}: {error}", file=sys.stderr)
    return groups


def watch(options, is_over, began):
    print("minute  " + "  ".join(f"{group:>12}" for group in sorted(memory(options.metrics))), flush=True)
    while True:
        groups = memory(options.metrics)
        minute = (time.monotonic() - began) / 60
        print(f"{minute:6.1f}  " + "  ".join(f"{groups[group] / MIB:8.1f} MiB" for group in sorted(groups)),
              flush=True)
        if is_over.wait(60):
            return


def main():
    options = parse_options()
    options.metrics = options.metrics or native_metrics()
    orders = options.rate * options.seconds
    post(options.url, f"/payment/batch_init/{USERS}/{PLENTY}")
    post(options.url, f"/stock/batch_init/{ITEMS}/{PLENTY}/1")
    post(options.url, f"/orders/batch_init/{orders}/{ITEMS}/{USERS}/1")
    time.sleep(2)  # the gauges are read each second
    is_over, began = threading.Event(), time.monotonic()
    watcher = threading.Thread(target=watch, args=(options, is_over, began))
    watcher.start()
    done = subprocess.run(
        [options.load, "--url", options.url, "--connections", str(options.connections),
         "--rate", str(options.rate), "--seconds", str(options.seconds), "--count", str(orders),
         "--method", "POST", "--path", "/orders/checkout/{n}",
         "--expect", 'paid=200 {"status":"paid","order_id":"{n}"', "--expect", "refused=429"],
        stdout=subprocess.PIPE, text=True, check=False)
    is_over.set()
    watcher.join()
    said = json.loads(done.stdout)
    print(json.dumps(said, indent=1))
    answers = {kind["name"]: kind["answers"] for kind in said["kinds"]}
    refused = answers.get("refused", 0)
    print(f"{answers.get('paid', 0)} of {orders} paid, {refused} refused")
    return 0 if done.returncode == 0 and refused == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
