"""The faults of edges.py: each proves that it was one, or the row ends; and what they find counts."""

import asyncio
import collections
import re
import socket
import time
import unittest
from unittest import mock

import edges
import rows
from kassa import Broken


class System:
    """A stack of one of each. Its store obeys, unless it is deaf."""

    RETURN_S = 1
    SYNCS = 5
    is_deposed = False
    url = "http://127.0.0.1:1"

    def front(self):
        return self.url

    def __init__(self, is_deaf=False):
        self.is_deaf = is_deaf
        self.told = {}
        self.ended, self.said = [], []
        self.limit, self.used = 10 << 30, 1 << 20
        self.left_in_queue = 7
        self.patience = 1800000

    def part(self, component):
        return component

    def parts(self, component):
        return [component]

    def store(self, _):
        return "redis"

    def tell(self, part, what, number):
        if not self.is_deaf:
            self.told[part, what] = number

    def clock_of(self, part):
        return time.time() + self.told.get((part, "clock"), 0)

    def end_part(self, part):
        self.ended.append(part)

    def start_part(self, part):
        self.ended.remove(part)

    def erlang(self, expression):
        if found := re.search(r"consumer_timeout, (\d+)", expression):
            self.patience = self.patience if self.is_deaf else int(found[1])
        if "get_env" in expression:
            return f"{{ok, {{ok, {self.patience}}}}}"
        return f"{{ok, {self.left_in_queue}}}"

    def wait_until(self, is_so, what, seconds=0):
        pass

    def is_ready(self):
        return True

    def ask(self, _, *words):
        if words[0] == "SET" and self.is_deposed:
            raise Broken("redis: NOREPLICAS Not enough good replicas to write.")
        if words[0] == "SET":
            time.sleep(self.told.get(("redis", "disk"), 0) / 1000)
        if words[:2] == ("CONFIG", "GET"):
            return f"maxmemory\n{self.limit}"
        if words[:2] == ("CONFIG", "SET"):
            self.limit = int(words[3])
        if words[0] == "INFO":
            return f"# Memory\r\nused_memory:{self.used}\r\nused_memory_human:1M\r\n"
        if words[0] == "EVAL" and "UNLINK" in words[1]:
            self.used = 1 << 20
        elif words[0] == "EVAL":
            if self.used >= self.limit:
                raise Broken("OOM command not allowed when used memory > 'maxmemory'")
            self.used += int(words[4]) * int(words[5])
        return ""


def strike(stack, component, kind, delay_s=0):
    fault = edges.EDGES[kind](stack, component, kind)
    fault.plan(delay_s)
    asyncio.run(fault.strike())
    return fault


class EdgesTest(unittest.TestCase):
    def test_each_row_has_one(self):
        kinds = {kind for _, kind, _ in rows.NATIVE + rows.COMPOSE}
        self.assertEqual(set(edges.EDGES) - kinds, set())

    def test_slow_and_what_it_allows(self):
        stack = System()
        fault = strike(stack, "redis", "slow-300ms")
        self.assertEqual(fault.wait_max_s, 5 + 5 * 0.3)
        self.assertGreaterEqual(fault.seen["write_s"], 0.3)
        asyncio.run(fault.mend())
        self.assertEqual(stack.told, {("redis", "disk"): 0})

    def test_so_slow_that_another_one_has_taken_over(self):
        stack = System()
        stack.is_deposed = True
        self.assertEqual(strike(stack, "redis", "slow-300ms").seen, {"deposed": True})

    def test_a_disk_that_stays_fast(self):
        with self.assertRaisesRegex(Broken, "a write to redis took"):
            strike(System(is_deaf=True), "redis", "slow-300ms")

    def test_a_clock_and_what_it_could_have_spoiled(self):
        stack = System()
        fault = strike(stack, "order", "clock-9d", 6)
        self.assertEqual(fault.seen["off_s"], -9 * 86400)
        self.assertEqual(fault.wait_max_s, 6 + 5 + 1)
        asyncio.run(fault.mend())
        self.assertEqual((fault.seen["purged"], stack.ended), (7, []))
        self.assertEqual(stack.told, {("order", "clock"): 0})

    def test_a_clock_that_stays_right(self):
        with self.assertRaisesRegex(Broken, "the clock of order is off by 0 s"):
            strike(System(is_deaf=True), "order", "clock+1h")

    def test_a_clock_that_has_stopped_everything(self):
        stack = System()
        fault = strike(stack, "order", "clock+1h")
        stack.left_in_queue = 0
        with mock.patch.object(edges, "PURGE_S", 0.1):
            asyncio.run(fault.mend())
        self.assertEqual((fault.seen["purged"], stack.ended), (0, []))

    def test_full_stays_full_until_it_is_freed(self):
        stack = System()
        fault = strike(stack, "redis", "full", 12)
        self.assertTrue(fault.may_turn_away)
        self.assertGreaterEqual(stack.used, stack.limit)
        stack.used -= 5000  # somebody frees something
        time.sleep(0.5)
        self.assertGreaterEqual(stack.used, stack.limit)
        asyncio.run(fault.mend())
        self.assertEqual((stack.used, stack.limit), (1 << 20, 10 << 30))

    def test_full_and_nobody_was_told_in_time(self):
        fault = edges.FullFault(System(), "redis", "full")
        fault.judge([])
        self.assertEqual(fault.found, ["memory was full, and nobody was told so"])
        fault.found.clear()
        request = {"t": "request", "at": 1, "to": 2, "status": 429}
        fault.judge([request])
        self.assertEqual(fault.found, [])
        fault.judge([request, {**request, "to": 7}])
        self.assertEqual(fault.found, ["1 of 2 refusals took over 5 s"])

    def test_the_patience_of_the_broker(self):
        stack = System()
        fault = strike(stack, "order", "replay")
        self.assertEqual((stack.patience, stack.ended), (1000, ["redis"]))
        self.assertEqual(fault.wait_max_s, 5 + 1)
        asyncio.run(fault.mend())
        asyncio.run(fault.clean())
        self.assertEqual((stack.patience, stack.ended), (1800000, []))
        with self.assertRaisesRegex(Broken, "the broker's patience is"):
            strike(System(is_deaf=True), "order", "replay")


class CrowdTest(unittest.TestCase):
    """reads and idle, at a server that takes connections and never answers."""

    def setUp(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(self.server.close)
        self.stack = System()
        self.stack.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.stack.gateways = lambda: [self.stack.url]
        self.answers = collections.Counter()

    def get(self, url):
        self.answers[url] += 1
        return 503, ""

    def test_reads_are_asked_and_left(self):
        with mock.patch.object(edges.ReadsFault, "READS", 5):
            fault = strike(self.stack, "order", "reads")
        self.assertEqual(fault.seen["asked"], 5)
        raw, _ = self.server.accept()
        asked = b""
        while piece := raw.recv(1000):
            asked += piece
        raw.close()
        self.assertTrue(asked.startswith(b"GET /sagas?state=STUCK&limit=100 "))

    def test_idle_and_the_doctor_is_not_heard(self):
        self.stack.get = self.get
        with mock.patch.multiple(edges.IdleFault, CONNECTIONS=5, LOOK_S=0.05):
            fault = strike(self.stack, "gateway", "idle")
            time.sleep(0.3)
            asyncio.run(fault.mend())
        self.assertEqual(fault.seen[self.stack.url], 5)
        self.assertEqual(len(fault.idle), 10)
        self.assertRegex(fault.found[0], "/health: 503 after 0.0 s")

    def test_idle_and_nobody_listens(self):
        self.server.close()
        self.stack.get = self.get
        fault = strike(self.stack, "gateway", "idle")
        asyncio.run(fault.mend())
        self.assertRegex(fault.found[0], "0 connections, then: .*refused")


if __name__ == "__main__":
    unittest.main()
