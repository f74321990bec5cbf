#!/usr/bin/env python3
"""Loads the stores for a load test: 100 000 items, users and orders, through batch_init.

    python3 stress/populate.py [--url http://127.0.0.1:8000] [--orders 1000000] [--json]

It overwrites the entities "0".."n-1" of each kind. Each order is of a random user and has two
random items of quantity 1. Prints the seconds of each batch; the exit status is 0 only when each
was answered as it should be and a sample reads back.
"""

import argparse
import json
import os
import random
import sys
import time

from kassa.connection import Connection, Dropped

SAMPLE = 20


class Failed(Exception):
    pass


class Client:
    def __init__(self, url):
        self.connection = Connection(url)

    def request(self, method, path):
        """The body of a 200."""
        try:
            answer = self.connection.request(method, path)
        except Dropped as error:
            raise Failed(str(error)) from error
        if answer.status != 200:
            raise Failed(f"{method} {path}: {answer}")
        return answer.json()


def batch(client, kind, path):
    """Seconds of one batch_init."""
    began = time.monotonic()
    body = client.request("POST", path)
    if body != {"msg": f"Batch init for {kind} successful"}:
        raise Failed(f"{path}: wrong body {body!r}")
    return time.monotonic() - began


def check_sample(client, o):
    for _ in range(SAMPLE):
        item = client.request("GET", f"/stock/find/{random.randrange(o.items)}")
        user = client.request("GET", f"/payment/find_user/{random.randrange(o.users)}")
        order = client.request("GET", f"/orders/find/{random.randrange(o.orders)}")
        if item != {"stock": o.stock, "price": o.price} or user.get("credit") != o.credit:
            raise Failed(f"a sample reads back wrong: {item!r} {user!r}")
        if order.get("paid") is not False or order.get("total_cost") != 2 * o.price:
            raise Failed(f"a sample reads back wrong: {order!r}")


def parse_options():
    parser = argparse.ArgumentParser(description="Loads the stores for a load test.")
    url = os.environ.get("KASSA_URL", "http://127.0.0.1:8000")
    parser.add_argument("--url", default=url, help="default: $KASSA_URL or port 8000 here")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--stock", type=int, default=1_000_000, help="pieces of each item")
    parser.add_argument("--credit", type=int, default=1_000_000, help="of each user")
    parser.add_argument("--price", type=int, default=1, help="of each item")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    o = parse_options()
    seconds = {}
    try:
        client = Client(o.url)
        seconds["stock"] = batch(
            client, "stock", f"/stock/batch_init/{o.items}/{o.stock}/{o.price}"
        )
        seconds["users"] = batch(client, "users", f"/payment/batch_init/{o.users}/{o.credit}")
        seconds["orders"] = batch(
            client, "orders", f"/orders/batch_init/{o.orders}/{o.items}/{o.users}/{o.price}"
        )
        check_sample(client, o)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    if o.json:
        print(json.dumps({name: round(s, 3) for name, s in seconds.items()}))
    else:
        for name, count in (("stock", o.items), ("users", o.users), ("orders", o.orders)):
            print(f"{name:8} {count:9} in {seconds[name]:6.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
