"""A bench with one inconsistency fails: each kind of it becomes a finding."""

import contextlib
import io
import time
import unittest
import unittest.mock

import bench
import phases

GOOD = {"rate": 100.0, "answers": 50, "next": 50, "wrong": 0, "samples": [], "interrupted": False,
        "errors": {"reset": 0, "unsent": 0}, "cpu_seconds": 0.1, "series": [],
        "latency_ms": {"p50": 1, "p90": 1, "p99": 1, "p999": 1, "max": 1},
        "seconds": 1.0,
        "kinds": [{"name": name, "answers": answers, "measured": measured,
                   "latency_ms": {"p50": 1, "p99": 1}} for name, answers, measured in (
                       ("paid", 25, 25), ("out of stock", 25, 25), ("busy", 9, 0))]}


def kinds(**counts):
    """GOOD with other counts."""
    return {**GOOD, "kinds": [
        {**kind, "answers": counts.get(kind["name"], 0), "measured": counts.get(kind["name"], 0)}
        for kind in GOOD["kinds"]]}


class Fake:
    """A stack whose tools say what they are told to, and whose item 0 loses `sold` pieces."""

    url = "http://127.0.0.1:1"

    def __init__(self, status=0, said=None, sold=0, parked=0, stock=1000, awake_ms=0):
        self.status, self.said, self.sold, self.parked = status, said or GOOD, sold, parked
        self.stock, self.awake_ms, self.run = stock, awake_ms, 0

    def tool(self, name, *_, **__):
        self.stock -= self.sold
        return self.status, dict(self.said) if name == "load" else {"found": []}

    def ask(self, _, path):
        if path.startswith("/stock/find"):
            return {"stock": self.stock}
        return {"sagas": []} if path.startswith("/sagas") else {"msg": "successful"}

    @staticmethod
    def cpu_s(_):
        return 1

    def run_ms(self, _):
        self.run += self.awake_ms
        return self.run

    @staticmethod
    def memory_mib(_):
        return 10

    @staticmethod
    def machine_s():
        return {"busy": 1, "stolen": 0, "all": time.monotonic()}

    @staticmethod
    def redis(*_):
        return "OK"

    @staticmethod
    def redis_is_rewriting():
        return False

    def counters(self, _):
        return {"kassa_commands_parked_total": self.parked}


class Findings(unittest.TestCase):
    def findings(self, phase, **fake):
        made = phases.Bench(Fake(**fake), bench.parse_options(["--quick"]))
        made.o.idle_seconds = 0.01
        made.report["peak"] = GOOD
        made.paid = 10
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            getattr(made, phase)(*(["now"] if phase == "audit" else []))
        return made.report["findings"]

    def test_clean(self):
        for phase, fake in (("mix", {}), ("refused", {}), ("hot", {"sold": 100}), ("repeats", {}),
                            ("audit", {})):
            self.assertEqual(self.findings(phase, **fake), [], phase)

    def test_a_wrong_answer(self):
        said = {**GOOD, "wrong": 1, "samples": [{"path": "/", "status": 200, "body": "odd"}]}
        self.assertRegex(self.findings("mix", status=1, said=said)[0], "1 wrong .*odd")

    def test_a_lost_connection(self):
        said = {**GOOD, "errors": {"reset": 3, "unsent": 0}}
        self.assertRegex(self.findings("mix", status=1, said=said)[0], "'reset': 3")

    def test_nothing_measured(self):
        self.assertRegex(self.findings("mix", status=1)[0], "nothing was measured")

    def test_refused_too_often(self):
        said = {**GOOD, "kinds": [{"name": "paid", "answers": 20}]}
        self.assertRegex(self.findings("refused", said=said)[0], "60.0%")

    def test_sold_one_piece_too_many(self):
        self.assertRegex(self.findings("hot", sold=101)[0], "101 pieces are gone")

    def test_an_overload_that_is_over(self):
        self.assertEqual(self.findings("overload"), [])

    def test_an_overload_that_stays(self):
        self.assertRegex(self.findings("overload", said=kinds(paid=50, busy=7))[0], "7 .* are 429")

    def test_a_user_for_himself(self):
        """Both crowds fare the same here, but for the order in which they are asked."""
        self.assertEqual(self.findings("heavy", said=kinds(paid=25, busy=75)), [])
        crowds = {"/0": kinds(paid=40, busy=60), "/1": kinds(paid=10, busy=90)}

        class Unfair(Fake):
            def tool(self, name, *options, **_):
                return 0, dict(crowds["/0" if options[options.index("--from") + 1] == 0 else "/1"])
        with unittest.mock.patch(f"{__name__}.Fake", Unfair):
            self.assertRegex(self.findings("heavy")[0], "10.0% .* 40.0%")

    def test_sold_out(self):
        good = kinds(**{"paid": 1000, "out of stock": 9000})
        self.assertEqual(self.findings("sold_out", said=good, stock=0), [])
        self.assertRegex(self.findings("sold_out", said=good, stock=2)[0], "2 pieces are left")
        few = kinds(**{"paid": 999, "out of stock": 9001})
        self.assertRegex(self.findings("sold_out", said=few, stock=0)[0], "999 are paid")

    def test_somebody_is_awake(self):
        self.assertEqual(self.findings("idle"), [])
        self.assertEqual(len(self.findings("idle", awake_ms=1)), 4)

    def test_a_repeat_that_takes(self):
        self.assertRegex(self.findings("repeats", sold=1)[0], "took 1 pieces")

    def test_the_audit_finds_something(self):
        self.assertRegex(self.findings("audit", status=1)[0], "status 1")

    def test_something_was_parked(self):
        self.assertEqual(len(self.findings("audit", parked=2)), 4)


if __name__ == "__main__":
    unittest.main()
