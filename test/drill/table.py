"""The table: on the terminal while the rows run, and in docs/drills.md."""

import pathlib
import sys

DOCS = pathlib.Path("docs/drills.md")
BEGIN, END = "<!-- begin drills -->", "<!-- end drills -->"
FINDINGS_MAX = 12
HEADS = ("component", "fault", "return", "checkouts", "outage", "longest wait", "settled", "lost",
         "doubled", "lies", "errors")
WIDTHS = (9, 5, 7, 9, 8, 12, 7, 5, 7, 5, 6)


def cells(row):
    verdict = row.verdict
    return (row.component, row.kind, f"{row.delay_s:g} s", str(row.checkouts),
            f"{row.gap_s:.1f} s", f"{row.wait_s:.1f} s", f"{row.settle_s:.1f} s",
            str(verdict.count("lost")), str(verdict.count("doubled")), str(verdict.count("lie")),
            str(sum(verdict.errors.values())))


def aligned(texts):
    return "  ".join(
        text.ljust(width) if n < 2 else text.rjust(width)
        for n, (text, width) in enumerate(zip(texts, WIDTHS))
    )


def progress(text):
    """One line that changes, at a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def print_head():
    progress("")
    print(aligned(HEADS), flush=True)


def print_row(row):
    progress("")
    print(aligned(cells(row)) + ("" if row.verdict.is_clean else "  FAIL"), flush=True)


def print_findings(bad):
    for row in bad:
        print(f"\n{row.name} (artifacts/drill/{row.name}.jsonl):")
        for kind, rule, sentence in row.verdict.found[:FINDINGS_MAX]:
            print(f"  {rule} {kind}: {sentence}")
        if len(row.verdict.found) > FINDINGS_MAX:
            print(f"  and {len(row.verdict.found) - FINDINGS_MAX} more")
        for error, count in row.verdict.errors.most_common():
            print(f"  {count} x {error}")


def write_docs(rows):
    head, _, rest = DOCS.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    DOCS.write_text("\n".join([head + BEGIN, *lines, END]) + tail)
