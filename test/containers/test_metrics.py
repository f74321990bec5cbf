"""The profile `metrics`: Prometheus reaches everything, and each picture of the dashboard shows
something."""

import json
import os
import time
import unittest
import urllib.parse

import kassa.connection
from kassa import ROOT
from project import NODES, GROUPS, buy, stack

DASHBOARD = ROOT / "deploy/compose/grafana.json"
SOON_S = 60  # some scrapes, and Prometheus' own start
# Alarms, and how many series each looks at.
ALARMS = {"StoreMemory": len(GROUPS), "StoreRolledBack": len(GROUPS), "Parked": 4,
          "ReplayDoesNotEnd": 1, "SagaStuck": 1}
TARGETS = {"gateway": 2, "order": 2, "stock": 2, "payment": 2, "rabbitmq": NODES,
           "redis": NODES * len(GROUPS)}


def ask(path, **query):
    url = f"http://127.0.0.1:{os.environ['PROMETHEUS_PORT']}/api/v1/{path}?"
    return kassa.connection.ask("GET", url + urllib.parse.urlencode(query), 10).json()["data"]


def expressions():
    """(title of the picture, expression)"""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def numbers(expression):
    found = [float(series["value"][1]) for series in ask("query", query=expression)["result"]]
    return [number for number in found if number == number]  # 0 / 0 is no number


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack()

    def soon(self, has_come, what):
        until = time.monotonic() + SOON_S
        while not has_come():
            self.assertLess(time.monotonic(), until, what())
            time.sleep(0.5)

    def test_each_process_is_scraped(self):
        def up():
            targets = [t["labels"]["job"] for t in ask("targets")["activeTargets"]
                       if t["health"] == "up"]
            return {job: targets.count(job) for job in TARGETS}

        self.soon(lambda: up() == TARGETS, lambda: f"{up()}, should be {TARGETS}")

    def test_the_alarms_are_loaded(self):
        """And what they look at is there: an expression without a series never tells."""
        def rules():
            return [rule for group in ask("rules")["groups"] for rule in group["rules"]]

        self.assertEqual([rule["name"] for rule in rules()], list(ALARMS))
        self.soon(lambda: all(rule["health"] == "ok" for rule in rules()), rules)
        for rule in rules():
            self.assertEqual(rule["state"], "inactive")
            series = rule["query"].rpartition(">")[0]
            self.soon(lambda: len(numbers(series)) >= ALARMS[rule["name"]], lambda: series)

    def test_each_node_of_a_store_is_looked_into(self):
        """The exporter is up even when the node that it is to ask refuses it."""
        def up():
            return numbers("redis_up")

        self.soon(lambda: up() == [1.0] * NODES * len(GROUPS), lambda: f"redis_up: {up()}")

    def test_each_picture_shows_something(self):
        """While there is something to see: rates need two scrapes with traffic between."""
        empty = dict(expressions())

        def is_complete():
            buy(5)
            for title, expression in expressions():
                if numbers(expression):
                    empty.pop(title, None)
            return not empty

        self.soon(is_complete, lambda: f"nothing to see: {empty}")

    def test_the_pictures_are_of_what_they_say(self):
        self.soon(lambda: numbers("sum(kassa_sagas_ended_total)") > [0],
                  lambda: "no saga has ended")
        self.assertEqual(numbers("min(kassa_store_up)"), [1])
        self.assertEqual(numbers("min(kassa_broker_up)"), [1])
        self.assertEqual(numbers("max(kassa_store_degraded)"), [0])
        lags = numbers(dict(expressions())["Replication lag"])
        self.assertEqual(len(lags), 2 * len(GROUPS))
        queues = {s["metric"]["queue"] for s in ask("query", query="rabbitmq_queue_messages")["result"]}
        self.assertLessEqual({"kassa.order", "kassa.saga", "kassa.stock", "kassa.payment"}, queues)


if __name__ == "__main__":
    unittest.main()
