"""The audit beside a system at work: whatever moment it looks at, everything is accounted for.

Needs KASSA_VAR, by which ./kassa audit finds the stores.
"""

import json
import os
import pathlib
import subprocess
import threading
import unittest

from client import Case, Client

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
AUDIT_SECONDS = 120


def audit():
    """Exit status and report."""
    run = subprocess.run(
        ["./kassa", "audit", "--json"], cwd=ROOT, capture_output=True, timeout=AUDIT_SECONDS
    )
    return run.returncode, json.loads(run.stdout) if run.stdout else run.stderr


class Load(threading.Thread):
    """Checkouts, payments and stock, on a connection of its own, until it is stopped."""

    def __init__(self, users, items):
        super().__init__()
        self.users = users
        self.items = items
        self.is_over = threading.Event()
        self.checkouts = 0
        self.error = None

    def run(self):
        client = Client()
        try:
            while not self.is_over.is_set():
                self.round(client)
        except Exception as error:  # told by the test
            self.error = error
        finally:
            client.close()

    def round(self, client):
        user = self.users[self.checkouts % len(self.users)]
        order = client.post(f"/orders/create/{user}").body["order_id"]
        for n in range(2):
            item = self.items[(self.checkouts + n) % len(self.items)]
            client.post(f"/orders/addItem/{order}/{item}/1")
        client.post(f"/orders/checkout/{order}")
        client.post(f"/orders/checkout/{order}")
        client.post(f"/payment/add_funds/{user}/3")
        client.post(f"/payment/pay/{user}/1")
        client.post(f"/stock/subtract/{self.items[0]}/1")
        self.checkouts += 1


@unittest.skipUnless("KASSA_VAR" in os.environ, "KASSA_VAR is not set")
class Audit(Case):
    def assert_clean(self):
        status, report = audit()
        self.assertEqual(status, 0, report)
        self.assertEqual((report["violations"], report["undecided"]), (0, 0), report)
        return report

    def test_at_rest(self):
        """What was just paid and refused is in the report, and nothing is wrong."""
        user, item = self.user(10), self.item(3, 2)
        before = self.assert_clean()
        self.assertEqual(self.checkout(self.order(user, (item, 2))).status, 200)
        self.assertEqual(self.checkout(self.order(user, (item, 1))).status, 400)
        after = self.assert_clean()
        for state in ("paid", "failed"):
            self.assertEqual(after["sagas"][state] - before["sagas"][state], 1)

    def test_under_load(self):
        """Few users and items, many checkouts: hot accounts, refusals and refunds all the time."""
        users = [self.user(50) for _ in range(5)]
        items = [self.item(2, 60) for _ in range(4)]
        load = [Load(users, items) for _ in range(16)]
        for thread in load:
            thread.start()
        reports = []
        try:
            for _ in range(6):
                reports.append(self.assert_clean())
        finally:
            for thread in load:
                thread.is_over.set()
            for thread in load:
                thread.join()
        self.assertEqual([thread.error for thread in load if thread.error], [])
        self.assertGreater(sum(report["looks"] for report in reports), 0)
        self.assertGreater(reports[-1]["sagas"]["all"], reports[0]["sagas"]["all"])
        self.assertEqual(self.assert_clean()["sagas"]["open"], 0)


if __name__ == "__main__":
    unittest.main()
