#!/usr/bin/env python3
"""The failure drills, started by ./kassa drill: break each part under load, mend it, and hold each
answer to the stores.

    breakable  what a row needs of a system        workload  the crowd of clients
    processes  private processes, and their faults  checker   what must be true afterwards
    containers the compose stack, and its faults    row       one row of the table
    rows       which rows there are                 result    what it came to; the worst of runs
    routes     what a request reads and writes      table     what is printed and written

A row whose fault did not happen, or on a system that did not work before, proves nothing: that
ends the drill with status 2. Status 1: a row found something. 0: all rows of all runs are clean.
"""

import argparse
import asyncio
import pathlib
import signal
import sys
import traceback

import rows
import table
from kassa import Broken
from result import sentence
from row import Row

ARTIFACTS = pathlib.Path("artifacts/drill")
RUNS_MAX = 100  # the logs of all of them are kept until the end: 5 MB a run


def parse_options(arguments=None):
    parser = argparse.ArgumentParser(prog="./kassa drill", description=__doc__.split("\n")[0])
    parser.add_argument("--compose", action="store_true",
                        help="the containers of docker-compose.yml, as a project of its own")
    parser.add_argument("--quick", action="store_true", help="each part killed once, a pause, a cut")
    parser.add_argument("--only", default="", metavar="WORD,..",
                        help="rows whose name has one of these in it, e.g. redis-kill")
    parser.add_argument("--runs", type=int, default=1, metavar="N",
                        help="all of it N times, each time from empty stores")
    parser.add_argument("--verbose", action="store_true", help="where the seconds of each row went")
    parser.add_argument("--write-docs", action="store_true",
                        help="put the table into docs/drills.md; of the whole matrix only")
    options = parser.parse_args(arguments)
    if not 1 <= options.runs <= RUNS_MAX:
        parser.error(f"--runs is {options.runs}; allowed is 1 to {RUNS_MAX}")
    if options.write_docs and (options.quick or options.only):
        parser.error("--write-docs is for the whole matrix, so without --quick and --only")
    return options


def choose_rows(options, stack):
    words = [word for word in options.only.split(",") if word]
    return [row for row in rows.chosen(options.compose, options.quick)
            if (not words or any(word in rows.name(*row) for word in words))
            and stack.can_break(*row[:2])]


def make_stack(options):
    """Each kind has its own needs, so only that of the kind is loaded."""
    if options.compose:
        from containers import Containers
        return Containers()
    from processes import Processes
    return Processes()


class Drill:
    """All runs, and what they have come to so far."""

    def __init__(self, stack, options):
        self.stack = stack
        self.options = options
        self.chosen = choose_rows(options, stack)
        self.results = []
        self.bad = []  # (name of the row, path of its history, verdict)

    def run(self):
        if not self.chosen:
            raise Broken(f"no row has {self.options.only!r} in its name")
        for number in range(1, self.options.runs + 1):
            table.progress("starting the stack")
            if number > 1:
                self.start_anew()
            else:
                self.stack.up()
            several = self.options.runs > 1
            table.print_head(f"run {number} of {self.options.runs}" if several else None)
            asyncio.run(self.run_rows(number))
            if self.options.write_docs:  # also when a later run is interrupted
                table.write_docs(number, self.results, self.options.compose)

    async def run_rows(self, run):
        for number, (component, kind, delay_s) in enumerate(self.chosen, 1):
            row = Row(self.stack, component, kind, delay_s, number == len(self.chosen))

            def say(what, number=number, row=row):
                table.progress(f"row {number} of {len(self.chosen)}, {row.name}: {what}")

            try:
                await row.run(say)
            finally:
                path = self.keep(run, row)
            self.results.append(row.result())
            table.print_result(self.results[-1])
            if self.options.verbose:
                table.print_phases(row.phases.seconds)
            if not row.verdict.is_clean:
                self.bad.append((row.name, path, row.verdict))
                if number < len(self.chosen):
                    say("starting anew")
                    await asyncio.get_running_loop().run_in_executor(None, self.start_anew)

    def start_anew(self):
        """What a bad row has left would be held against those after it."""
        self.stack.down()
        self.stack.wipe()
        self.stack.up()

    def keep(self, run, row):
        """Writes the history. That of a bad row is not overwritten by the runs that follow."""
        is_clean = row.verdict is not None and row.verdict.is_clean
        number = "" if is_clean or self.options.runs == 1 else f"-run-{run}"
        path = ARTIFACTS / f"{row.name}{number}.jsonl"
        row.history.write(path)
        return path

    def report(self, runs):
        table.print_findings(self.bad)
        if runs > 1:
            table.print_worst(runs, self.results)
        print(f"\n{sentence(runs, self.results)}")


def on_signal(number, _):
    raise SystemExit(128 + number)


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    stack = make_stack(options)
    drill = Drill(stack, options)
    try:
        drill.run()
    except Broken as error:
        table.progress("")
        table.print_findings(drill.bad)
        print(f"the drill proves nothing: {error}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return 2
    finally:
        stack.down()
    drill.report(options.runs)
    print(f"{len(drill.results) - len(drill.bad)} passed, {len(drill.bad)} failed")
    return 1 if drill.bad else 0


if __name__ == "__main__":
    sys.exit(main())
