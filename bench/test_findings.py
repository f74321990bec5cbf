"""A bench with one inconsistency fails: each kind of it becomes a finding."""

import contextlib
import io
import time
import unittest

import bench
import phases

GOOD = {"rate": 100.0, "answers": 50, "next": 50, "wrong": 0, "samples": [], "interrupted": False,
        "errors": {"reset": 0, "unsent": 0}, "cpu_seconds": 0.1, "series": [],
        "latency_ms": {"p50": 1, "p90": 1, "p99": 1, "p999": 1, "max": 1},
        "kinds": [{"name": "paid", "answers": 25}, {"name": "out of stock", "answers": 25}]}


class Fake:
    """A stack whose tools say what they are told to, and whose item 0 loses `sold` pieces."""

    port = 1

    def __init__(self, status=0, said=None, sold=0, parked=0):
        self.status, self.said, self.sold, self.parked = status, said or GOOD, sold, parked
        self.stock = 1000

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

    @staticmethod
    def machine_s():
        return {"busy": 1, "stolen": 0, "all": time.monotonic()}

    def metrics(self, _):
        return {"kassa_commands_parked_total": self.parked}


class Findings(unittest.TestCase):
    def findings(self, phase, **fake):
        made = phases.Bench(Fake(**fake), bench.parse_options(["--quick"]))
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

    def test_a_repeat_that_takes(self):
        self.assertRegex(self.findings("repeats", sold=1)[0], "took 1 pieces")

    def test_the_audit_finds_something(self):
        self.assertRegex(self.findings("audit", status=1)[0], "status 1")

    def test_something_was_parked(self):
        self.assertEqual(len(self.findings("audit", parked=2)), 4)


if __name__ == "__main__":
    unittest.main()
