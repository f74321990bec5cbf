"""What a credit or a stock may have been at any moment, from what clients sent and were told.

A change has happened at some moment between its request and its answer; one without an answer, at
any later one, or never. So a balance at a moment has bounds:

    at least   gains surely in           - losses perhaps out
    at most    gains perhaps in          - losses surely out

`surely` counts a change from its answer on, `perhaps` from its request on.
"""

import bisect

NEVER = float("inf")


class Steps:
    """A sum that changes at moments; add() all, then at()."""

    def __init__(self):
        self.changes = []
        self.moments = None

    def add(self, moment, amount):
        if moment != NEVER and amount:
            self.changes.append((moment, amount))
            self.moments = None

    def at(self, moment):
        if self.moments is None:
            self.changes.sort()
            self.moments, self.sums, total = [], [0], 0
            for when, amount in self.changes:
                total += amount
                self.moments.append(when)
                self.sums.append(total)
        return self.sums[bisect.bisect_right(self.moments, moment)]


class Ledger:
    """One balance, of a user or an item."""

    def __init__(self):
        self.surely_in, self.perhaps_in = Steps(), Steps()
        self.surely_out, self.perhaps_out = Steps(), Steps()

    def gain(self, amount, sent, answered, is_sure=True):
        self.perhaps_in.add(sent, amount)
        if is_sure:
            self.surely_in.add(answered, amount)

    def lose(self, amount, sent, answered, is_sure=True):
        self.perhaps_out.add(sent, amount)
        if is_sure:
            self.surely_out.add(answered, amount)

    def lend(self, amount, sent, answered):
        """Out at some moment, and back before the answer: a charge that was refunded."""
        self.perhaps_out.add(sent, amount)
        self.perhaps_out.add(answered, -amount)

    def at_least(self, start, end):
        """Was never below this between start and end."""
        worst = self.perhaps_out.at(start)
        for moment, _ in self.perhaps_out.changes:
            if start < moment <= end:
                worst = max(worst, self.perhaps_out.at(moment))
        return self.surely_in.at(start) - worst

    def at_most(self, start, end):
        return self.perhaps_in.at(end) - self.surely_out.at(start)

    def final(self):
        """(least, most) when all is over."""
        return self.at_least(NEVER, NEVER), self.at_most(NEVER, NEVER)
