"""The table: on the terminal while the rows run, and in docs/drills.md."""

import pathlib
import sys

from result import counted, sentence, worst

DOCS = pathlib.Path("docs/drills.md")
MARKS = {False: "drills", True: "compose drills"}  # is_compose -> what begins and ends the table
FINDINGS_MAX = 12
HEADS = ("component", "fault", "return", "checkouts", "outage", "longest wait", "settled", "lost",
         "doubled", "lies", "errors", "audit")
WIDTHS = (13, 11, 7, 9, 8, 12, 7, 5, 7, 5, 6, 5)


def cells(result):
    return (result.component, result.kind, f"{result.delay_s:g} s", str(result.checkouts),
            f"{result.gap_s:.1f} s", f"{result.wait_s:.1f} s", f"{result.settle_s:.1f} s",
            str(result.lost), str(result.doubled), str(result.lies), str(result.errors),
            str(result.audit or "ok"))


def aligned(texts):
    return "  ".join(
        text.ljust(width) if n < 2 else text.rjust(width)
        for n, (text, width) in enumerate(zip(texts, WIDTHS))
    )


def progress(text):
    """One line that changes, at a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def print_head(title=None):
    progress("")
    if title:
        print(f"\n{title}")
    print(aligned(HEADS), flush=True)


def print_result(result):
    progress("")
    print(aligned(cells(result)) + ("" if result.is_clean else "  FAIL"), flush=True)


def print_phases(seconds):
    print("    " + ", ".join(f"{name} {spent:.2f} s" for name, spent in seconds.items()), flush=True)


def print_findings(bad):
    """bad: (name of the row, path of its history, verdict)"""
    for name, path, verdict in bad:
        print(f"\n{name} ({path}):")
        for kind, rule, text in verdict.found[:FINDINGS_MAX]:
            print(f"  {rule} {kind}: {text}")
        if len(verdict.found) > FINDINGS_MAX:
            print(f"  and {len(verdict.found) - FINDINGS_MAX} more")
        for error, count in verdict.errors.most_common():
            print(f"  {count} x {error}")


def print_worst(runs, results):
    print_head(f"the worst of {counted(runs, 'run')}:")
    for result in worst(results):
        print_result(result)


def write_docs(runs, results, is_compose=False, path=DOCS):
    begin, end = (f"<!-- {which} {MARKS[is_compose]} -->" for which in ("begin", "end"))
    head, _, rest = path.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    if not tail:
        raise ValueError(f"{path} has no place for the table: {begin} .. {end}")
    lines = [f"### The last full run: {counted(runs, 'run')}", "", f"{sentence(runs, results)}.", "",
             f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
    lines += [f"| {' | '.join(cells(result))} |" for result in worst(results)]
    path.write_text("\n".join([head + begin, *lines, end]) + tail)
