"""Several runs: none is left out, and nothing that one of them found gets lost in the sums."""

import contextlib
import io
import pathlib
import tempfile
import unittest
from unittest import mock

import checker
import drill
import history
import result
import table

ROW = ("redis", "kill", 0.3)


def made(row=ROW, checkouts=100, gap_s=1.0, wait_s=1.0, settle_s=1.0, lost=0, doubled=0, lies=0,
         errors=0, audit=0):
    return result.Result(*row, checkouts, gap_s, wait_s, settle_s, lost, doubled, lies, errors,
                         audit)


class WorstTest(unittest.TestCase):
    def test_longest_times_and_sums(self):
        other = ("order", "stop", 12)
        runs = [made(gap_s=3, lost=1), made(other), made(wait_s=4, lost=2, audit=1), made(other)]
        self.assertEqual(result.worst(runs), [
            made(checkouts=200, gap_s=3, wait_s=4, lost=3, audit=1), made(other, checkouts=200)])

    def test_sentence(self):
        self.assertEqual(result.sentence(1, [made()]), "1 run, 1 row, all zero")
        self.assertEqual(result.sentence(2, [made()] * 4), "2 runs, 4 rows, all zero")
        for name in result.FOUND:
            self.assertEqual(result.sentence(2, [made(), made(**{name: 3})]),
                             f"2 runs, 2 rows, NOT clean: {name} 3")

    def test_docs(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "page.md"
            path.write_text("before\n<!-- begin drills -->\nold\n<!-- end drills -->\nafter\n"
                            "<!-- begin compose drills -->\n<!-- end compose drills -->\n")
            table.write_docs(2, [made(), made(gap_s=2)], path=path)
            text = path.read_text()
        self.assertIn("## The last full run: 2 runs\n\n2 runs, 2 rows, all zero.\n", text)
        self.assertIn("| redis | kill | 0.3 s | 200 | 2.0 s | 1.0 s | 1.0 s | 0 | 0 | 0 | 0 | ok |",
                      text)
        self.assertTrue(text.startswith("before\n") and "\nafter\n" in text)
        self.assertNotIn("old", text)
        self.assertTrue(text.endswith("<!-- begin compose drills -->\n<!-- end compose drills -->\n"))


class FakeStack:
    def __init__(self):
        self.calls = []

    def can_break(self, *_):
        return True

    def up(self):
        self.calls.append("up")

    def down(self):
        self.calls.append("down")

    def wipe(self):
        self.calls.append("wipe")


class FakeRow:
    """The first of all rows is bad."""

    made = 0

    def __init__(self, _, component, kind, delay_s, is_last):
        FakeRow.made += 1
        row = self.row = component, kind, delay_s
        self.name = "-".join(map(str, row))
        self.history = history.History()
        self.verdict = None

    async def run(self, _):
        self.verdict = checker.Verdict()
        if FakeRow.made == 1:
            self.verdict.add("lost", "C1", "made up")

    def result(self):
        return made(self.row, lost=self.verdict.count("lost"))


class RunsTest(unittest.TestCase):
    def drill(self, *arguments):
        """(exit status, what it printed, files of histories, what was done to the stack)"""
        FakeRow.made = 0
        stack, printed = FakeStack(), io.StringIO()
        with tempfile.TemporaryDirectory() as directory, \
                mock.patch.multiple(drill, Row=FakeRow, make_stack=lambda options: stack,
                                    ARTIFACTS=pathlib.Path(directory)), \
                mock.patch("sys.argv", ["drill", *arguments]), \
                mock.patch("signal.signal"), contextlib.redirect_stdout(printed):
            status = drill.main()
            files = sorted(path.name for path in pathlib.Path(directory).iterdir())
        return status, printed.getvalue(), files, stack.calls

    def test_a_bad_run_goes_on_and_is_not_forgotten(self):
        status, printed, files, calls = self.drill("--only", "redis-kill-0.3s", "--runs", "3")
        self.assertEqual(status, 1)
        self.assertIn("3 runs, 3 rows, NOT clean: lost 1", printed)
        self.assertTrue(printed.endswith("2 passed, 1 failed\n"))
        self.assertEqual(files, ["redis-kill-0.3-run-1.jsonl", "redis-kill-0.3.jsonl"])
        self.assertEqual(calls, ["up", "down", "wipe", "up", "down", "wipe", "up", "down"])

    def test_what_a_bad_row_left_is_not_held_against_the_next_one(self):
        status, printed, _, calls = self.drill("--only", "redis-kill")
        self.assertEqual(status, 1)
        self.assertTrue(printed.endswith("1 passed, 1 failed\n"))
        self.assertEqual(calls, ["up", "down", "wipe", "up", "down"])

    def test_no_row(self):
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(self.drill("--only", "nothing")[0], 2)

    def test_options(self):
        for arguments in (["--runs", "0"], ["--runs", "101"], ["--write-docs", "--quick"],
                          ["--write-docs", "--only", "redis"]):
            with self.subTest(arguments), contextlib.redirect_stderr(io.StringIO()), \
                    self.assertRaises(SystemExit):
                drill.parse_options(arguments)


if __name__ == "__main__":
    unittest.main()
