"""The client of the contract tests: one keep-alive connection, and checks that always hold.

Each answer is checked for what docs promise of every answer: its Content-Type, a body that is one
strict JSON value, and for errors one short sentence without ids. Tests then check the rest.

The service under test is at KASSA_URL (http://127.0.0.1:8000). KASSA_TIME_FACTOR stretches the
time limits, for slow machines and sanitised builds.
"""

import concurrent.futures
import json
import os
import re
import time
import unittest
import urllib.parse
import uuid

from kassa.connection import TIMEOUT_S, Connection

URL = os.environ.get("KASSA_URL", "http://127.0.0.1:8000")
TIME_FACTOR = float(os.environ.get("KASSA_TIME_FACTOR", "1"))
HOST = urllib.parse.urlsplit(URL).hostname
PORT = urllib.parse.urlsplit(URL).port or 80
INT64_MAX = 2**63 - 1
ERROR_TEXT_MAX = 120
OUT_OF_STOCK = {"error": "out of stock"}
RESPOND_ASYNC = {"Prefer": "respond-async"}
INSUFFICIENT_CREDIT = {"error": "insufficient credit"}
UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


def parse(text):
    """One strict JSON value: no duplicate keys, no NaN."""

    def pairs(items):
        if len(dict(items)) != len(items):
            raise ValueError(f"duplicate keys: {items!r}")
        return dict(items)

    def constant(name):
        raise ValueError(f"not JSON: {name}")

    return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)


def canonical(value):
    """Text that differs where Python's == is lenient: True and 1, 1 and 1.0."""
    return json.dumps(value, sort_keys=True)


class Answer:
    """status, headers (lower case names), text, and body when it is JSON."""

    def __init__(self, status, headers, text, path):
        self.status = status
        self.headers = headers
        self.text = text
        self.path = path
        kind = headers.get("content-type")
        if path == "/metrics" and status == 200:
            assert kind and kind.startswith("text/plain; version=0.0.4"), f"{path}: {kind}"
            self.body = None
            return
        assert kind == "application/json", f"{path}: {status}, Content-Type {kind!r}, {text!r}"
        self.body = parse(text)

    def __repr__(self):
        return f"{self.status} {self.text[:300]!r} for {self.path[:100]}"


class Client:
    """One connection; requests on it are sequential. A dropped connection is an error (Dropped)."""

    def __init__(self, url=URL, timeout_s=TIMEOUT_S):
        self.connection = Connection(url, timeout_s)

    def request(self, method, path, headers=None, body=None):
        answer = self.connection.request(method, path, headers, body)
        return Answer(answer.status, answer.headers, answer.text, path)

    def get(self, path, headers=None):
        return self.request("GET", path, headers)

    def post(self, path, headers=None, body=None):
        return self.request("POST", path, headers, body)

    def close(self):
        self.connection.close()


def at_once(jobs, connections):
    """Runs job(client) for each job on so many connections, in parallel; results in order."""
    clients = [Client() for _ in range(connections)]
    free = list(clients)

    def run(job):
        client = free.pop()
        try:
            return job(client)
        finally:
            free.append(client)

    try:
        with concurrent.futures.ThreadPoolExecutor(connections) as pool:
            return list(pool.map(run, jobs))
    finally:
        for client in clients:
            client.close()


class Case(unittest.TestCase):
    """Base of the tests: a client, things to buy, and assertions about answers."""

    maxDiff = 2000

    def setUp(self):
        self.client = Client()
        self.addCleanup(self.client.close)

    def get(self, path, headers=None):
        return self.client.get(path, headers)

    def post(self, path, headers=None, body=None):
        return self.client.post(path, headers, body)

    def assert_ok(self, answer, body):
        """200 with exactly this body; types count, the order of keys does not."""
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(canonical(answer.body), canonical(body), answer)
        return answer

    def assert_error(self, answer, *statuses, exactly=None):
        """An error: {"error": one short sentence, without any id}."""
        self.assertIn(answer.status, statuses, answer)
        self.assertIsInstance(answer.body, dict, answer)
        self.assertEqual(list(answer.body), ["error"], answer)
        sentence = answer.body["error"]
        self.assertIsInstance(sentence, str, answer)
        self.assertTrue(3 <= len(sentence) <= ERROR_TEXT_MAX, answer)
        self.assertNotRegex(sentence, r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-", answer)
        if exactly is not None:
            self.assertEqual(answer.body, exactly, answer)
        if answer.status == 429:
            self.assertRegex(answer.headers.get("retry-after", ""), r"^\d+$", answer)
        return answer

    def assert_refused(self, answer, body):
        return self.assert_error(answer, 400, exactly=body)

    def assert_paid(self, answer, order, total):
        return self.assert_ok(answer, {"status": "paid", "order_id": order, "total_cost": total})

    def made(self, path, key):
        """POST that creates something: exactly {key: id}, the id a UUIDv7."""
        answer = self.post(path)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(list(answer.body), [key], answer)
        self.assertRegex(answer.body[key], UUID7)
        return answer.body[key]

    def user(self, credit=0):
        user = self.made("/payment/create_user", "user_id")
        if credit:
            answer = self.post(f"/payment/add_funds/{user}/{credit}")
            self.assert_ok(answer, {"done": True, "credit": credit})
        return user

    def item(self, price=1, stock=0):
        item = self.made(f"/stock/item/create/{price}", "item_id")
        if stock:
            answer = self.post(f"/stock/add/{item}/{stock}")
            self.assert_ok(answer, {"added": True, "stock": stock})
        return item

    def order(self, user, *lines):
        """lines: (item, quantity) each."""
        order = self.made(f"/orders/create/{user}", "order_id")
        for item, quantity in lines:
            answer = self.post(f"/orders/addItem/{order}/{item}/{quantity}")
            self.assertEqual(answer.status, 200, answer)
        return order

    def checkout(self, order, headers=None):
        return self.post(f"/orders/checkout/{order}", headers)

    def assert_credit(self, user, credit):
        answer = self.get(f"/payment/find_user/{user}")
        self.assert_ok(answer, {"user_id": user, "credit": credit})

    def assert_stock(self, item, stock, price):
        self.assert_ok(self.get(f"/stock/find/{item}"), {"stock": stock, "price": price})

    def assert_order(self, order, user, paid, lines, total):
        """lines: (item, quantity) each, in any order."""
        answer = self.get(f"/orders/find/{order}")
        body = dict(answer.body)
        items = body.pop("items", None)
        self.assertIsInstance(items, list, answer)
        self.assertEqual(canonical(sorted(items)), canonical(sorted(map(list, lines))), answer)
        answer.body = body
        expected = {"order_id": order, "paid": paid, "user_id": user, "total_cost": total}
        self.assert_ok(answer, expected)

    def poll_saga(self, saga, seconds=30):
        """The saga's story once it has ended."""
        until = time.monotonic() + seconds * TIME_FACTOR
        while True:
            answer = self.get(f"/sagas/{saga}")
            self.assertEqual(answer.status, 200, answer)
            if answer.body["state"] in ("PAID", "FAILED"):
                return answer.body
            self.assertLess(time.monotonic(), until, f"has not ended: {answer}")
            time.sleep(0.01)


def new_key():
    return str(uuid.uuid4())


def unknown():
    """An id that names nothing."""
    return f"unknown-{uuid.uuid4().hex}"
