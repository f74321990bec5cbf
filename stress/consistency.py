#!/usr/bin/env python3
"""Consistency check: sells out an item to a crowd and compares answers with the stores.

    python3 stress/consistency.py [--url http://127.0.0.1:8000] [--rounds 3] [--json]

A round makes 1 item with 100 pieces at price 1, 1000 users with credit 1 and 1000 orders of one
piece, each of a random user; then it checks all orders out at once over 100 connections, with a
total timeout of 300 s and no retry, notes each answer, and at last reads the item and all users.

    200                      the answer says: paid
    400, 429                 the answer says: refused
    any other 4xx            refused as well (a client takes it so), and unexpected
    5xx, other status,       unexpected. Counted neither as paid nor as refused, so that money
    no answer, wrong body    or stock that moved for it appears as an inconsistency. Exception: a
                             200 with a wrong body is counted as paid and unexpected

Four numbers, each 0 when all is well. `pieces` is the stock at the start. All orders of one user
are for the same item, so items are independent of each other; each sum is over all items or users.

    stock, log           |sold - sellable|. sold: orders answered paid. sellable: what must have
                         been sold: the smaller of pieces, and the sum over the users of the
                         smaller of credit and number of orders. Too few is as wrong as too many.
                         An order that was answered neither paid nor refused lowers what is
                         demanded, but never raises what is allowed
    stock, database      |(pieces - stock now) - sold|
    payment, log         |total_cost of the answers paid - sold x price|, plus what a user was
                         charged by answers beyond the credit he had
    payment, database    sum over the users of |(credit at the start - credit now) - what the
                         answers say he was charged|

The exit status is 0 only when all four are zero in every round and nothing unexpected came.
Durations and quantiles are those of the checkouts alone, from sending to the whole answer.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import sys
import time
import uuid

from kassa.connection import Dropped
from kassa.pool import Pool

PRICE = 1
CREDIT = 1
REFUSALS = ({"error": "out of stock"}, {"error": "insufficient credit"})
NUMBERS = ("stock_log", "stock_database", "payment_log", "payment_database")


class Failed(Exception):
    """The round could not be carried out: populating or reading the stores went wrong."""


def parse_json(body):
    try:
        return json.loads(body)
    except ValueError:
        return None


async def expect(pool, method, path, key):
    """The value of `key` in a 200 answer; anything else ends the round."""
    try:
        answer = await pool.request(method, path)
    except Dropped as error:
        raise Failed(f"{method} {path}: {error}") from error
    body = parse_json(answer.body)
    if answer.status != 200 or not isinstance(body, dict) or key not in body:
        raise Failed(f"{method} {path}: {answer.status} {answer.body[:100]!r}")
    return body[key]


class Round:
    """What one round made, and what it was answered."""

    def __init__(self, options):
        self.options = options
        self.items = []
        self.users = []
        self.orders = []  # (order, index of the user, index of the item)
        self.sold = collections.Counter()  # item -> orders answered paid
        self.charged = collections.Counter()  # user -> total_cost answered
        self.unsure = 0
        self.answers = collections.Counter()  # kind -> how many
        self.unexpected = collections.Counter()
        self.seconds = []
        self.retries = 0
        self.duration_s = 0.0

    async def populate(self, pool):
        o = self.options

        async def item():
            item = await expect(pool, "POST", f"/stock/item/create/{PRICE}", "item_id")
            await expect(pool, "POST", f"/stock/add/{item}/{o.pieces}", "added")
            return item

        async def user():
            user = await expect(pool, "POST", "/payment/create_user", "user_id")
            await expect(pool, "POST", f"/payment/add_funds/{user}/{CREDIT}", "done")
            return user

        async def order(u):
            i = u % o.items
            order = await expect(pool, "POST", f"/orders/create/{self.users[u]}", "order_id")
            await expect(pool, "POST", f"/orders/addItem/{order}/{self.items[i]}/1", "added")
            return order, u, i

        self.items = await asyncio.gather(*(item() for _ in range(o.items)))
        self.users = await asyncio.gather(*(user() for _ in range(o.users)))
        who = [random.randrange(o.users) for _ in range(o.orders)]
        self.orders = await asyncio.gather(*(order(u) for u in who))

    async def checkout_all(self, pool, on_answer):
        try:
            await pool.open_all()
        except Dropped as error:
            raise Failed(f"opening the connections: {error}") from error
        began = time.monotonic()
        deadline = began + self.options.timeout

        async def checkout(order, u, i):
            headers, retry_until = {}, None
            if self.options.retry:
                headers, retry_until = {"Idempotency-Key": str(uuid.uuid4())}, deadline
            path = f"/orders/checkout/{order}"
            try:
                left = deadline - time.monotonic()
                job = pool.request("POST", path, headers, retry_until)
                self.note(order, u, i, await asyncio.wait_for(job, left))
            except asyncio.TimeoutError:
                self.note_unexpected("timeout", unsure=True)
            except Dropped as error:
                self.note_unexpected(str(error), unsure=True)
            if on_answer is not None:
                on_answer(sum(self.answers.values()))

        await asyncio.gather(*(checkout(*order) for order in self.orders))
        self.duration_s = time.monotonic() - began

    def note_unexpected(self, kind, unsure):
        self.unexpected[kind] += 1
        if unsure:
            self.unsure += 1
            self.answers["no answer"] += 1

    def note(self, order, u, i, answer):
        self.seconds.append(answer.seconds)
        self.retries += answer.retries
        body = parse_json(answer.body)
        kind = f"{answer.status}"
        if answer.status == 200:
            self.sold[i] += 1
            total = body.get("total_cost") if isinstance(body, dict) else None
            self.charged[u] += total if type(total) is int else 0
            if type(total) is not int or body != {
                "status": "paid",
                "order_id": order,
                "total_cost": PRICE,
            }:
                self.note_unexpected("200 with a wrong body", unsure=False)
        elif 400 <= answer.status <= 499:
            if isinstance(body, dict) and isinstance(body.get("error"), str):
                kind += f" {body['error']}"
            if not (answer.status == 429 or (answer.status == 400 and body in REFUSALS)):
                self.note_unexpected(kind, unsure=False)
        else:
            self.unsure += 1
            self.note_unexpected(kind, unsure=False)
        if answer.headers.get("content-type") != "application/json":
            self.note_unexpected("wrong Content-Type", unsure=False)
        self.answers[kind] += 1

    async def settle(self, pool):
        """Waits until no saga is open; only of use when something was killed in between."""
        deadline = time.monotonic() + self.options.settle
        while True:
            if not await expect(pool, "GET", "/sagas?state=open&limit=1", "sagas"):
                return
            if time.monotonic() > deadline:
                self.note_unexpected("saga still open", unsure=False)
                return
            await asyncio.sleep(0.2)

    async def read_stores(self, pool):
        def read(path, ids, key):
            return asyncio.gather(*(expect(pool, "GET", f"{path}/{id}", key) for id in ids))

        stock = await read("/stock/find", self.items, "stock")
        return self.compare(stock, await read("/payment/find_user", self.users, "credit"))

    def compare(self, stock, credit):
        """The four numbers of the docstring."""
        orders_of = collections.Counter(u for _, u, _ in self.orders)
        stock_log = stock_database = payment_database = 0
        for i, left in enumerate(stock):
            buyers = (n for u, n in orders_of.items() if u % len(stock) == i)
            sellable = min(self.options.pieces, sum(min(CREDIT // PRICE, n) for n in buyers))
            too_few = max(0, sellable - self.sold[i] - self.unsure)
            stock_log += max(self.sold[i] - sellable, too_few)
            stock_database += abs(self.options.pieces - left - self.sold[i])
        for u, left in enumerate(credit):
            payment_database += abs(CREDIT - left - self.charged[u])
        payment_log = abs(sum(self.charged.values()) - sum(self.sold.values()) * PRICE)
        payment_log += sum(max(0, charged - CREDIT) for charged in self.charged.values())
        return dict(zip(NUMBERS, (stock_log, stock_database, payment_log, payment_database)))

    def result(self, numbers):
        times = sorted(self.seconds) or [0.0]
        return {
            "numbers": numbers,
            "unexpected": dict(self.unexpected),
            "answers": dict(self.answers),
            "sold": sum(self.sold.values()),
            "orders": len(self.orders),
            "buyers": len({u for _, u, _ in self.orders}),
            "retries": self.retries,
            "duration_s": round(self.duration_s, 4),
            "checkouts_per_s": round(len(self.orders) / max(self.duration_s, 1e-9), 1),
            "p50_ms": round(times[len(times) // 2] * 1e3, 2),
            "p99_ms": round(times[min(len(times) - 1, len(times) * 99 // 100)] * 1e3, 2),
            "max_ms": round(times[-1] * 1e3, 2),
            "consistent": not any(numbers.values()) and not self.unexpected,
        }


async def run_round(options, on_answer=None, before_reading=None):
    """One round. on_answer(n) is called after each answer with their number so far;
    before_reading is awaited after the last one (a test brings services back there)."""
    this = Round(options)
    async with Pool(options.url, options.connections) as pool:
        await this.populate(pool)
        await this.checkout_all(pool, on_answer)
    if before_reading is not None:
        await before_reading()
    async with Pool(options.url, options.connections) as pool:
        if options.settle is not None:
            await this.settle(pool)
        return this.result(await this.read_stores(pool))


def print_result(result):
    print(f"  answers: {', '.join(f'{n} x {k}' for k, n in sorted(result['answers'].items()))}")
    print(f"  sold {result['sold']} of {result['orders']} orders of {result['buyers']} buyers")
    print(
        f"  checkouts took {result['duration_s']:.2f} s, {result['checkouts_per_s']:.0f}/s;"
        f" p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms,"
        f" max {result['max_ms']:.1f} ms; {result['retries']} retries"
    )
    for what, name in zip(("stock", "stock", "payment", "payment"), NUMBERS):
        where = "log" if name.endswith("log") else "database"
        print(f"  {what} inconsistencies in the {where}: {result['numbers'][name]}")
    for kind, count in sorted(result["unexpected"].items()):
        print(f"  unexpected: {count} x {kind}")


def parse_options(arguments=None):
    def count(text):
        value = int(text)
        if value < 1:
            raise argparse.ArgumentTypeError("must be at least 1")
        return value

    summary = "Sells out an item to a crowd and compares answers with the stores."
    parser = argparse.ArgumentParser(description=summary)
    url = os.environ.get("KASSA_URL", "http://127.0.0.1:8000")
    parser.add_argument("--url", default=url, help="default: $KASSA_URL or port 8000 here")
    parser.add_argument("--rounds", type=count, default=1)
    parser.add_argument("--items", type=count, default=1)
    parser.add_argument("--pieces", type=count, default=100, help="stock of each item")
    parser.add_argument("--users", type=count, default=1000)
    parser.add_argument("--orders", type=count, default=1000)
    parser.add_argument("--connections", type=count, default=100)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for all checkouts")
    parser.add_argument("--settle", type=float, metavar="SECONDS",
                        help="before reading, wait until no saga is open")
    parser.add_argument("--retry", action="store_true",
                        help="repeat a checkout without an answer, under one Idempotency-Key")
    parser.add_argument("--json", action="store_true", help="print the rounds as JSON")
    return parser.parse_args(arguments)


def main():
    options = parse_options()
    results = []
    for n in range(options.rounds):
        try:
            results.append(asyncio.run(run_round(options)))
        except (Failed, ValueError) as error:
            print(f"round {n + 1} failed: {error}", file=sys.stderr)
            return 2
        if not options.json:
            print(f"round {n + 1} of {options.rounds}:")
            print_result(results[-1])
    consistent = all(result["consistent"] for result in results)
    if options.json:
        print(json.dumps({"consistent": consistent, "rounds": results}, indent=2))
    else:
        print("consistent" if consistent else "NOT consistent")
    return 0 if consistent else 1


if __name__ == "__main__":
    sys.exit(main())
