"""What a row came to: one line of the table, and the worst line of several runs."""

import dataclasses

MEASURED = ("gap_s", "wait_s", "settle_s")  # of several runs the longest counts
FOUND = ("lost", "doubled", "lies", "errors", "audit")  # of several runs the sum


@dataclasses.dataclass(frozen=True)
class Result:
    component: str
    kind: str
    delay_s: float
    checkouts: int
    gap_s: float  # the longest time between two paid checkouts
    wait_s: float  # the longest that a client waited for an answer
    settle_s: float
    lost: int
    doubled: int
    lies: int
    errors: int
    audit: int  # violations that kassa-audit found and had not found before

    @property
    def row(self):
        return self.component, self.kind, self.delay_s

    @property
    def is_clean(self):
        return not any(getattr(self, name) for name in FOUND)


def worst(results):
    """One for each row, in the order of their first runs: the longest times, the sums of the rest."""
    rows = {}
    for result in results:
        rows.setdefault(result.row, []).append(result)
    return [
        dataclasses.replace(
            same[0],
            **{name: max(getattr(r, name) for r in same) for name in MEASURED},
            **{name: sum(getattr(r, name) for r in same) for name in ("checkouts", *FOUND)},
        )
        for same in rows.values()
    ]


def counted(count, what):
    return f"{count} {what}" + ("" if count == 1 else "s")


def sentence(runs, results):
    """What all rows of all runs came to."""
    begin = f"{counted(runs, 'run')}, {counted(len(results), 'row')}, "
    if all(result.is_clean for result in results):
        return begin + "all zero"
    sums = ((name, sum(getattr(r, name) for r in results)) for name in FOUND)
    return begin + "NOT clean: " + ", ".join(f"{name} {count}" for name, count in sums if count)
