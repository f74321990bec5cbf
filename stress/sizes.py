#!/usr/bin/env python3
"""Measures what things weigh in the stores: fills a private system through its own API, and looks at
the memory of its two Redis before and after.

    KASSA_VAR=/tmp/sizes HTTP_PORT=8300 ./kassa up
    KASSA_VAR=/tmp/sizes KASSA_URL=http://127.0.0.1:8300 python3 stress/sizes.py [--count 5000]
    KASSA_VAR=/tmp/sizes HTTP_PORT=8300 ./kassa down --wipe

It leaves its users, items and orders there, so the system is to be one that is thrown away.
--write-docs puts the figures, and what follows from them, into docs/operations.md.
"""

import argparse
import concurrent.futures
import os
import secrets
import signal
import threading
import time

from kassa import ROOT
from kassa.connection import Connection
from kassa.stack import Stack
from kassa.store import info

DOCS = ROOT / "docs" / "operations.md"
MARKS = ("<!-- begin sizes -->\n", "<!-- end sizes -->\n")
URL = os.environ.get("KASSA_URL", "http://127.0.0.1:8000")
VAR = os.environ.get("KASSA_VAR")
STACK = Stack(VAR or ROOT / "var")
CLIENTS = 8
SETTLE_S = 1.5
SERVICES = ("order", "payment", "stock")
GIB = 1 << 30
HOUR_S, DAY_S = 3600, 86400
FILL = 0.9  # from then on nothing is begun
BASE = 24 << 20  # of a store: code, buffers, what is not counted here

BUCKETS = """
local sum, cursor = 0, '0'
repeat
    local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
        sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
    end
until cursor == '0'
return sum
"""


class Clients:
    """Requests at once, each thread on a connection of its own."""

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)
        self.own = threading.local()

    def post(self, path, headers=None):
        if not hasattr(self.own, "connection"):
            self.own.connection = Connection(URL)
        answer = self.own.connection.request("POST", path, headers)
        return answer.status, answer.text

    def many(self, requests, status):
        """(path, headers) each; all have to be answered with that status."""
        for got, body in self.pool.map(lambda request: self.post(*request), requests):
            if got != status:
                raise SystemExit(f"answered {got}: {body}")


def used(port):
    """Bytes of the server that hold data."""
    fields = info(STACK.redis("INFO", "memory", port=port))
    beside = sum(int(fields[name]) for name in ("mem_clients_normal", "mem_not_counted_for_evict"))
    return int(fields["used_memory"]) - beside


class Weights:
    """What there is now: of each service's records, of the rest of their Redis, and of the keys."""

    def __init__(self):
        time.sleep(SETTLE_S)
        self.records = {service: self.buckets(f"{service}:once:*") for service in SERVICES}
        self.kept = sum(self.buckets(f"{service}:kept:*") for service in SERVICES)
        self.rest = used("REDIS_PORT") - sum(self.records.values()) - self.kept
        self.keys = used("SAGA_REDIS_PORT")

    @staticmethod
    def buckets(pattern):
        return int(STACK.redis("EVAL", BUCKETS, "0", pattern))


def measure(act, count):
    """Bytes that one of `count` adds: stays, records (each service), kept for a key, key."""
    before = Weights()
    act()
    after = Weights()
    records = {s: (after.records[s] - before.records[s]) / count for s in SERVICES}
    return {"stays": (after.rest - before.rest) / count, "records": records,
            "kept": (after.kept - before.kept) / count, "key": (after.keys - before.keys) / count}


def stopped(service):
    """A service that stands still meanwhile."""
    pid = STACK.must_run(service)

    class Stopped:
        def __enter__(self):
            os.kill(pid, signal.SIGSTOP)

        def __exit__(self, *_):
            os.kill(pid, signal.SIGCONT)

    return Stopped()


def measure_open(clients, orders):
    """Of a saga that waits for payment; and all end before this does."""
    with stopped("payment"):
        found = measure(lambda: clients.many(
            [(f"/orders/checkout/{order}", {"Prefer": "respond-async"}) for order in orders], 202), len(orders))
    clients.many([(f"/orders/checkout/{order}", None) for order in orders], 200)
    return found


def measure_all(count):
    clients = Clients()
    few = max(count // 5, 200)

    def batch(path):
        return lambda: clients.many([(path, None)], 200)

    def posts(paths, status=200, keyed=False):
        def act():
            clients.many([(p, {"Idempotency-Key": secrets.token_hex(16)} if keyed else None)
                          for p in paths], status)
        return act

    rows = [
        ("a user", measure(batch(f"/payment/batch_init/{count}/1000"), count)),
        ("an item", measure(batch(f"/stock/batch_init/{count}/{count}/1"), count)),
        ("an order", measure(batch(f"/orders/batch_init/{count + few}/{count}/{count}/1"), count + few)),
        ("checking it out, paid", measure(
            posts([f"/orders/checkout/{n}" for n in range(count)]), count)),
        ("a saga that is open", measure_open(clients, range(count, count + few))),
        ("any other write", measure(posts([f"/payment/add_funds/{n}/1" for n in range(count)]), count)),
        ("the same under a client's key", measure(
            posts([f"/payment/add_funds/{n}/1" for n in range(count)], keyed=True), count)),
    ]
    clients.many([("/payment/batch_init/1/0", None)], 200)  # user 0 is poor now
    clients.many([(f"/orders/batch_init/{few}/{count}/1/1", None)], 200)
    rows.append(("a checkout that is refused", measure(
        posts([f"/orders/checkout/{n}" for n in range(few)], 400), few)))
    rows.append(("and refused again", measure(
        posts([f"/orders/checkout/{n}" for n in range(few)], 400), few)))
    return rows


def shown(number):
    return "" if round(number) < 2 else f"{round(number)}"


def table_of(rows):
    lines = ["| one more | stays | records: order | payment | stock | kept for its key | the key |",
             "|---|---|---|---|---|---|---|"]
    for name, of in rows:
        cells = [of["stays"], *(of["records"][s] for s in SERVICES), of["kept"], of["key"]]
        lines.append(f"| {name} | " + " | ".join(map(shown, cells)) + " |")
    return "\n".join(lines) + "\n"


def days(gib, rate, order, records):
    room = FILL * gib * GIB - BASE - rate * HOUR_S * records
    return room / (rate * order * DAY_S)


def lasts_of(rows):
    """For how long orders fit into one Redis that holds all three services: each is paid, and takes
    three writes before that."""
    of = dict(rows)
    order = of["an order"]["stays"] + of["checking it out, paid"]["stays"]
    records = sum(of["checking it out, paid"]["records"].values()) + 3 * of["any other write"]["records"]["payment"]
    rates = (1, 10, 100, 300)
    lines = ["| `maxmemory` of one Redis for all | orders that fit | "
             + " | ".join(f"at {rate}/s" for rate in rates) + " |", "|---" * (len(rates) + 2) + "|"]
    for gib in (1, 4, 12, 24):
        fit = (FILL * gib * GIB - BASE) / order / 1e6
        cells = []
        for rate in rates:
            left = days(gib, rate, order, records)
            cells.append("the records alone are too much" if left <= 0 else
                         f"{left * 24:.1f} h" if left < 2 else f"{left:.0f} days")
        lines.append(f"| {gib} GiB | {fit:.1f} million | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_docs(text):
    page = DOCS.read_text()
    begin, end = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1])
    DOCS.write_text(page[:begin] + text + page[end:])


def main():
    parser = argparse.ArgumentParser(description="Measures what things weigh in the stores.")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    if VAR is None:
        raise SystemExit("KASSA_VAR is not set: whose stores?")
    rows = measure_all(options.count)
    text = table_of(rows) + "\n" + lasts_of(rows)
    print(text, end="")
    if options.write_docs:
        write_docs(text)


if __name__ == "__main__":
    main()
