"""What is computed from the counters, and how it is told."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import account
import bench
import figures
from kassa import SERVICES
from measured import SERVERS


def shot(at, scale):
    """Counters that have grown by `scale` thousand checkouts."""
    return {
        "cpu_s": {name: 1 + 0.01 * scale for name in SERVICES + SERVERS},
        "memory_mib": {name: 10 * at for name in SERVICES + SERVERS},
        "metrics": {name: {"kassa_store_calls_total": 7 + 2000 * scale,
                           "kassa_store_flushes_total": 3 + 100 * scale,
                           "kassa_broker_published_commands_total": 1000 * scale,
                           "kassa_broker_published_envelopes_total": 50 * scale}
                    for name in SERVICES},
        "redis": {"calls": 5000 * scale, "fsyncs": 30 * scale, "memory": 1},
        "rabbitmq": {"fsyncs": 40 * scale},
    }


def said(rate=1000.0, **changes):
    latency = {"p50": 1.234, "p90": 2, "p99": 3, "p999": 4, "max": 123.4}
    return {"rate": rate, "latency_ms": latency, "wrong": 0, "errors": {"reset": 0},
            "machine": {"ours": 0.9, "others": 0.08, "stolen": 0.02, "idle": 0},
            "series": [1, 2, 3], **changes}


def busy(**changes):
    """A run in which three of four are turned away."""
    latency = {"p50": 50, "p99": 90}
    return said(offered=3000, seconds=10, cpu_seconds=4, whole_seconds=10, gateway_mib=[10, 12],
                kinds=[{"name": "paid", "measured": 10_000, "latency_ms": latency},
                       {"name": "busy", "measured": 30_000, "latency_ms": {"p50": 1, "p99": 2}}],
                **changes)


def report():
    rows = account.bill(shot(1, 0), shot(2, 3), 3000, 0.03)
    floor = {"request_us": 20.0, "requests_per_s": 50000.0, "call_us": {8: 30.0, 64: 10.0},
             "calls_per_s": {8: 20000.0, 64: 80000.0}, "row_us": {8: 20.0, 64: 7.0},
             "rows_per_s": {8: 30000.0, 64: 120000.0}, "message_us": {1: 50.0, 60: 168.0},
             "messages_per_s": {1: 30000.0, 60: 9000.0}}
    floor["checkout"] = account.floor_of_a_checkout(floor, rows, 2)
    floor["checkout_rows"] = account.floor_of_a_checkout(floor, rows, 2, "row")
    return {
        "about": {"at": "2026-11-21T18:00:00", "cores": 2, "cpu": "a processor", "kernel": "6",
                  "quick": False, "orders": 100_000, "connections": 256, "seconds": 60, "runs": 3},
        "batch_init": {"count": 100_000, "seconds": {"items": 0.5, "users": 0.6, "orders": 0.9}},
        "peak": said(6500.4), "alone": said(300),
        "fixed": said(), "bill": rows, "floor": floor,
        "shares": {25: said(), 80: said(wrong=2)}, "refused": said(), "hot": said(),
        "repeats": said(), "mix": said(), "findings": [], "sold_out": said(),
        "overload": busy(), "recovery": busy(),
        "heavy": {"heavy": busy(), "others": busy(wrong=1), "share": 0.97},
        "idle_ms": {"gateway": 0.25, "order": 1, "stock": 2, "payment": 3},
        "growth": [{"stored": n, "rate": rate, "p99": 50, "seconds": 1, "store_mib": 20,
                    "machine": said()["machine"]}
                   for n, rate in ((10_000, 6200), (1_000_000, 5700), (10_000, 5800))],
    }


class Account(unittest.TestCase):
    def test_bill(self):
        rows = account.bill(shot(1, 0), shot(2, 3), 3000, 0.03)
        self.assertAlmostEqual(rows["order"]["cpu_us"], 10)
        self.assertAlmostEqual(rows["load"]["cpu_us"], 10)
        self.assertAlmostEqual(rows["sum"]["cpu_us"], 80)
        self.assertAlmostEqual(rows["order"]["calls"], 2)
        self.assertAlmostEqual(rows["sum"]["calls"], 8)
        self.assertAlmostEqual(rows["redis"]["calls"], 5)  # of functions: rows share them
        self.assertAlmostEqual(rows["sum"]["messages"], 0.2)
        self.assertAlmostEqual(rows["sum"]["fsyncs"], 0.07)
        self.assertEqual(rows["order"]["memory_mib"], 20)

    def test_machine(self):
        shares = account.machine({"busy": 10, "stolen": 0, "all": 20, "ours": 1},
                                 {"busy": 13, "stolen": 0.3, "all": 26, "ours": 3}, 0.4)
        for kind, share in (("ours", 0.4), ("others", 0.1), ("stolen", 0.05), ("idle", 0.45)):
            self.assertAlmostEqual(shares[kind], share)

    def test_between(self):
        points = {8: 30.0, 64: 10.0}
        self.assertEqual([account.between(points, at) for at in (1, 8, 36, 64, 999)],
                         [30, 30, 20, 10, 10])

    def test_floor(self):
        rows = account.bill(shot(1, 0), shot(2, 3), 3000, 0.03)
        floor = {"request_us": 20.0, "call_us": {8: 30.0, 64: 10.0},
                 "calls_per_s": {8: 20000.0, 64: 80000.0}, "row_us": {64: 7.0},
                 "rows_per_s": {64: 120000.0}, "message_us": {1: 50.0, 60: 168.0}}
        got = account.floor_of_a_checkout(floor, rows, 2)
        # 8 calls of services in 0.4 pipelines: 20 at once; 4 commands in 0.2 messages: 20 in one.
        self.assertAlmostEqual(got["calls_at_once"], 20)
        self.assertAlmostEqual(got["commands_in_a_message"], 20)
        call_us, message_us = 30 - 20 * 12 / 56, 50 + 118 * 19 / 59
        self.assertAlmostEqual(got["cpu_us"], 20 + 8 * call_us + 0.2 * message_us)
        self.assertAlmostEqual(got["ceilings"]["cpu"], 2e6 / got["cpu_us"])
        self.assertAlmostEqual(got["ceilings"]["store"], (20000 + 60000 * 12 / 56) / 8)
        rows = account.floor_of_a_checkout(floor, rows, 2, "row")
        self.assertAlmostEqual(rows["ceilings"]["store"], 120000 / 8)
        self.assertEqual(got["ceiling"], min(got["ceilings"].values()))

    def test_median(self):
        self.assertEqual(account.median_by([5, 1, 3], key=lambda n: n), 3)
        self.assertEqual(account.median_by([5, 1], key=lambda n: n), 1)
        self.assertEqual(account.median_by([9], key=lambda n: n), 9)


class Table(unittest.TestCase):
    def test_text(self):
        text = figures.text(report())
        self.assertIn(
            "fresh orders, closed loop       6 500     1.2  2.0  3.0    4.0  123      0     10%\n",
            text)
        self.assertRegex(text, r"3 times the peak +3 000 +1 000 +50.0 +90.0 +3 000 +1.0 +2.0 +0\n")
        self.assertIn("overload: 15% of the peak are paid, with 40% of a processor for the load "
                      "generator; their p99 is 30.0 times that at 80 % of the peak; gateway 10 -> "
                      "12 MiB; beside one heavy user the others get 0.97 of their part\n", text)
        self.assertRegex(text, r"gateway .* 20 +0.25\n")
        self.assertRegex(text, r"open loop, 80 % of the peak .* 2 +10%\n")
        self.assertRegex(text, r"many / few +0\.95\n")
        self.assertIn("median of 3 runs", text)
        self.assertIn("20 commands in a message; the processors' time: ours 90%, others 8%, "
                      "stolen 2%, idle 0%\n",
                      text)
        self.assertTrue(text.endswith("every answer right, audits clean\n"))

    def test_findings_are_told(self):
        text = figures.text({**report(), "findings": ["money is gone"]})
        self.assertTrue(text.endswith("1 FINDINGS\nmoney is gone\n"))

    def test_put(self):
        with tempfile.TemporaryDirectory() as directory:
            document = pathlib.Path(directory) / "README.md"
            document.write_text(f"head\n{figures.BEGIN}\nold\n{figures.END}\ntail\n")
            for _ in range(2):
                figures.put(document, "new")
            self.assertEqual(document.read_text(),
                             f"head\n{figures.BEGIN}\nnew\n{figures.END}\ntail\n")
            document.write_text("no marks\n")
            with self.assertRaises(SystemExit):
                figures.put(document, "new")
            self.assertEqual(document.read_text(), "no marks\n")

    def test_the_documents_have_their_marks(self):
        root = pathlib.Path(__file__).resolve().parent.parent
        for document in (figures.README, figures.PERFORMANCE):
            text = (root / document).read_text()
            self.assertEqual((text.count(figures.BEGIN), text.count(figures.END)), (1, 1), document)


class Options(unittest.TestCase):
    def test_defaults(self):
        o = bench.parse_options([])
        self.assertEqual((o.seconds, o.orders, o.connections, o.runs), (60, 100_000, 256, 1))
        quick = bench.parse_options(["--quick"])
        self.assertEqual((quick.seconds, quick.orders), (4, 10_000))
        self.assertEqual(bench.parse_options(["--quick", "--seconds", "9"]).seconds, 9)

    def test_wrong_ones(self):
        for words in (["--seconds", "0"], ["--runs", "x"], ["--connections", "-1"], ["--fast"]):
            with self.assertRaises(SystemExit) as caught, \
                    contextlib.redirect_stderr(io.StringIO()):
                bench.parse_options(words)
            self.assertEqual(caught.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
