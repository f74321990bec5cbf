#!/usr/bin/env python3
"""The failure drills, started by ./kassa drill: break each part under load, mend it, and hold each
answer to the stores.

    stack     the private system        workload  the crowd of clients
    faults    how it is broken          checker   what must be true afterwards
    row       one row of the table      table     what is printed and written

A row whose fault did not happen, or on a system that did not work before, proves nothing: that
ends the drill with status 2. Status 1: a row found something. 0: all rows are clean.
"""

import argparse
import asyncio
import pathlib
import signal
import sys
import traceback

import faults
import table
from row import Row
from stack import Broken, Stack

ARTIFACTS = pathlib.Path("artifacts/drill")
SOON_S, LATE_S = 0.3, 12
LONG = [("redis", "cut", 60), ("rabbitmq", "cut", 60), ("redis", "stop", 120),
        ("rabbitmq", "stop", 120)]
QUICK = [(component, "kill", SOON_S) for component in faults.COMPONENTS] + [
    ("redis", "pause", 3), ("rabbitmq", "cut", 3)]


def full():
    return [(component, kind, delay_s) for delay_s in (SOON_S, LATE_S)
            for component in faults.COMPONENTS for kind in faults.KINDS] + LONG


def parse_options(arguments=None):
    parser = argparse.ArgumentParser(prog="./kassa drill", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="each part killed once, a pause, a cut")
    parser.add_argument("--only", default="", metavar="WORD,..",
                        help="rows whose name has one of these in it, e.g. redis-kill")
    parser.add_argument("--write-docs", action="store_true",
                        help="put the table into docs/drills.md")
    return parser.parse_args(arguments)


def choose_rows(options):
    rows = QUICK if options.quick else full()
    words = [word for word in options.only.split(",") if word]
    return [row for row in rows
            if not words or any(word in f"{row[0]}-{row[1]}-{row[2]:g}s" for word in words)]


async def run_rows(stack, chosen):
    rows = []
    table.print_head()
    for number, (component, kind, delay_s) in enumerate(chosen, 1):
        row = Row(stack, component, kind, delay_s)

        def say(what, number=number, row=row):
            table.progress(f"row {number} of {len(chosen)}, {row.name}: {what}")

        try:
            await row.run(say)
        finally:
            row.history.write(ARTIFACTS / f"{row.name}.jsonl")
        rows.append(row)
        table.print_row(row)
    return rows


def on_signal(number, _):
    raise SystemExit(128 + number)


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    stack = Stack()
    chosen = choose_rows(options)
    try:
        if not chosen:
            raise Broken(f"no row has {options.only!r} in its name")
        table.progress("starting the stack")
        stack.up()
        rows = asyncio.run(run_rows(stack, chosen))
    except Broken as error:
        table.progress("")
        print(f"the drill proves nothing: {error}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return 2
    finally:
        stack.down()
    bad = [row for row in rows if not row.verdict.is_clean]
    table.print_findings(bad)
    if options.write_docs:
        table.write_docs(rows)
    print(f"{len(rows) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
