"""Holds every answer of a history to the final stores. docs/drills.md tells more of the rules.

    C1  credit + charges = funded, stock + taken = added, for each user and item
    C2  nothing below zero
    C3  an order is paid exactly when it was charged and taken: the sums of C1 count paid orders
    C4  200 <=> paid; refused <=> not paid and staying so; one answer for each key and paid order
    C5  one effect for each request, however often it was sent: the sums of C1 count each key once
    C6  "out of stock" and "insufficient credit" only when it was so at some moment of the request
    C7  afterwards nothing is open, nobody waits, no message is left
    C8  a read after an answered write shows it
    C9  the master and the replicas of a store have the same

Violations are of these kinds: `lost` (in the stores there is less than was answered), `doubled`
(more of it), `lie` (an answer that is not true); `audit` is what kassa-audit says. Answers that nobody can use are errors, counted
apart: 5xx, no answer, a body that is none of ours, one later than the row's fault allows.
"""

import collections
import sys

import history
import routes
from ledger import NEVER, Ledger

OUT_OF_STOCK = "out of stock"
NO_CREDIT = "insufficient credit"


class Verdict:
    def __init__(self):
        self.found = []  # (kind, rule, sentence)
        self.errors = collections.Counter()

    def add(self, kind, rule, sentence):
        self.found.append((kind, rule, sentence))

    def count(self, kind):
        return sum(found[0] == kind for found in self.found)

    @property
    def is_clean(self):
        return not self.found and not self.errors


class Order:
    def __init__(self):
        self.user = None
        self.lines = collections.Counter()  # answered addItems
        self.unsure = False  # one without an answer
        self.checkouts = []
        self.final = None


def is_error(r):
    return r["status"] == 0 or r["status"] >= 500 or not isinstance(r["body"], dict)


def is_remembered(r):
    """Under its key. 429: nothing was begun, and the next one with the key is the first."""
    return not is_error(r) and r["status"] != 429


def refusal(r):
    return r["body"].get("error") if isinstance(r["body"], dict) else None


class Checker:
    def __init__(self, records):
        self.verdict = Verdict()
        self.requests = sorted((r for r in records if r["t"] == "request"), key=lambda r: r["at"])
        self.finals = [r for r in records if r["t"] == "final"]
        self.settled = [r for r in records if r["t"] == "settled"]
        self.audits = [r for r in records if r["t"] == "audit"]
        self.copies = [r for r in records if r["t"] == "copies"]
        self.allowed = [r for r in records if r["t"] == "allowed"]
        self.users = collections.defaultdict(Ledger)
        self.items = collections.defaultdict(Ledger)
        self.ledgers = {"user": self.users, "item": self.items}
        self.prices = {}
        self.orders = collections.defaultdict(Order)
        self.by_key = collections.defaultdict(list)

    def check(self):
        self.read_errors()
        self.read_keys()
        self.read_writes()
        self.read_finals()
        self.book_orders()
        self.check_orders()
        self.check_refusals()
        self.check_reads()
        self.check_balances()
        self.check_settled()
        self.check_audit()
        self.check_copies()
        self.check_allowed()
        return self.verdict

    # ---- what was said ----

    def read_errors(self):
        for r in self.requests:
            if is_error(r):
                self.verdict.errors[r["error"] or str(r["status"])] += 1

    def read_keys(self):
        """C4: one key, one answer."""
        for r in self.requests:
            if r["key"]:
                self.by_key[r["key"]].append(r)
        for key, same in self.by_key.items():
            answers = {(r["status"], str(r["body"])) for r in same if is_remembered(r)}
            if len(answers) > 1:
                self.verdict.add("lie", "C4", f"the key {key} got {sorted(answers)}")

    def effects(self):
        """Each request that may have had an effect, once for each key: (request, answered)."""
        for r in self.requests:
            if r["method"] != "POST":
                continue
            same = self.by_key[r["key"]] if r["key"] else [r]
            if same[0] is not r:
                continue
            said = [s for s in same if is_remembered(s)]
            yield (said[0] if said else r), r["at"], min((s["to"] for s in said), default=NEVER)

    def read_writes(self):
        for r, sent, answered in self.effects():
            route, of = routes.find(r["method"], r["path"])
            if route.means == routes.UNJUDGED:
                raise LookupError(f"{r['method']} {r['path']}: no rule accounts for what it changes")
            sure = not is_error(r)
            if sure and r["status"] != 200:
                continue  # refused: no effect
            if route.means in (routes.GAINS, routes.LOSES):
                ledger = self.ledgers[route.what][of[route.what]]
                change = ledger.gain if route.means == routes.GAINS else ledger.lose
                change(int(of[route.field]), sent, answered, sure)
            elif route.means == routes.CREATES and sure:
                self.read_created(route.what, r["body"][f"{route.what}_id"], of)
            elif route.means == routes.ADDS_LINE:
                order = self.orders[of["order"]]
                order.unsure |= not sure
                if sure:
                    order.lines[of["item"]] += int(of["quantity"])
        for r in self.requests:
            route, of = routes.find(r["method"], r["path"])
            if route.means == routes.CHECKS_OUT:
                self.orders[of["order"]].checkouts.append(r)

    def read_created(self, what, name, of):
        if what == "item":
            self.prices[name] = int(of["price"])
        elif what == "order":
            self.orders[name].user = of["user"]

    def read_finals(self):
        self.balances = []
        for r in self.finals:
            if r["status"] != 200:
                self.verdict.add("lost", "C1", f"{r['kind']} {r['id']}: {r['status']} at the end")
            elif r["kind"] == "order":
                self.orders[r["id"]].final = r["body"]
            else:
                field = "credit" if r["kind"] == "user" else "stock"
                self.balances.append((r["kind"], r["id"], r["body"][field]))

    # ---- what has to follow ----

    def began(self, r):
        """The key's first request: a later one may be answered what that was answered."""
        return self.by_key[r["key"]][0]["at"] if r["key"] else r["at"]

    def decided_from(self, order, r):
        """A checkout that finds one of the same order under way joins it, and is told what became
        of that: which may have been decided before this one began."""
        began = self.began(r)
        while earlier := [o["at"] for o in order.checkouts
                          if o["at"] < began and (is_error(o) or o["to"] > began)]:
            began = min(earlier)
        return began

    def cost(self, order):
        return sum(self.prices.get(item, 0) * quantity for item, quantity in order.lines.items())

    def book_orders(self):
        """Each paid order, charged and taken once; each refused one lent its cost meanwhile."""
        for order in self.orders.values():
            if order.final is None or not order.checkouts:
                continue
            if order.unsure:
                order.lines = collections.Counter(dict(order.final["items"]))
            cost, sent = self.cost(order), min(r["at"] for r in order.checkouts)
            if order.final["paid"]:
                answered = min((r["to"] for r in order.checkouts if r["status"] == 200),
                               default=NEVER)
                self.users[order.user].lose(cost, sent, answered)
                for item, quantity in order.lines.items():
                    self.items[item].lose(quantity, sent, answered)
            else:
                for r in order.checkouts:
                    # Without credit there was no charge, so there was nothing to give back.
                    if is_error(r) or refusal(r) != NO_CREDIT:
                        answered = NEVER if is_error(r) else r["to"]
                        self.users[order.user].lend(cost, self.began(r), answered)

    def check_orders(self):
        for name, order in self.orders.items():
            if order.final is None:
                if any(r["status"] == 200 for r in order.checkouts):
                    self.verdict.add("lost", "C4", f"order {name} was paid and is not there")
                continue
            if collections.Counter(dict(order.final["items"])) != order.lines:
                self.verdict.add("lie", "C8", f"order {name} has not the lines that were answered")
            if order.final["total_cost"] != self.cost(order) and order.checkouts:
                self.verdict.add("lie", "C8", f"order {name} costs {order.final['total_cost']}")
            self.check_answers(name, order)

    def check_answers(self, name, order):
        """C4, for one order."""
        paid = [r for r in order.checkouts if r["status"] == 200]
        body = {"status": "paid", "order_id": name, "total_cost": self.cost(order)}
        for r in paid:
            if r["body"] != body:
                self.verdict.add("lie", "C4", f"order {name} was answered {r['body']}")
        if paid and not order.final["paid"]:
            self.verdict.add("lost", "C4", f"order {name} was answered 200 and is not paid")
        first_paid = min((r["to"] for r in paid), default=NEVER)
        for r in order.checkouts:
            if is_error(r) or r["status"] == 200:
                continue
            is_turned_away = r["status"] == 429  # which says nothing of what others began
            began = self.began(r)
            if began > first_paid and not is_turned_away:
                self.verdict.add("lie", "C4", f"order {name}: 200, then {r['status']}")
            others = [o for o in order.checkouts if o is not r
                      and (o["to"] > began or is_turned_away)
                      and (o["status"] == 200 or is_error(o))]
            if order.final["paid"] and not others:
                self.verdict.add("lie", "C4", f"order {name} was refused and is paid")

    def check_refusals(self):
        """C6, and that a refusal is one of those that there are."""
        for name, order in self.orders.items():
            if order.final is None:
                continue
            for r in order.checkouts:
                if is_error(r) or r["status"] == 200:
                    continue
                self.check_refusal(name, order, r, self.decided_from(order, r))

    def check_refusal(self, name, order, r, began):
        why = (r["status"], refusal(r))
        if why == (400, OUT_OF_STOCK):
            if all(self.items[item].at_least(began, r["to"]) >= quantity
                   for item, quantity in order.lines.items()):
                self.verdict.add("lie", "C6", f"order {name}: {OUT_OF_STOCK}, and there was enough")
        elif why == (400, NO_CREDIT):
            if self.users[order.user].at_least(began, r["to"]) >= self.cost(order):
                self.verdict.add("lie", "C6", f"order {name}: {NO_CREDIT}, and there was enough")
        elif r["status"] != 429 or not any(a["may_turn_away"] for a in self.allowed):
            self.verdict.errors[f"{r['status']} {refusal(r)}"] += 1

    def check_reads(self):
        """C8: what is read lies within the bounds."""
        for r in self.requests:
            route, of = routes.find(r["method"], r["path"])
            if route.means != routes.READS or r["status"] != 200:
                continue
            name, value = of[route.what], r["body"][route.field]
            if route.what == "order":
                self.check_read_order(r, name, value)
                continue
            ledger = self.ledgers[route.what][name]
            self.check_bounds("C8", f"{route.what} {name} read at {r['at']}", value,
                              ledger.at_least(r["at"], r["to"]), ledger.at_most(r["at"], r["to"]),
                              ("lie", "lie"))

    def check_read_order(self, r, name, is_paid):
        order = self.orders[name]
        sure = [c for c in order.checkouts if c["status"] == 200 and c["to"] < r["at"]]
        if sure and not is_paid:
            self.verdict.add("lie", "C8", f"order {name} was paid, and reads unpaid")
        if is_paid and order.final and not order.final["paid"]:
            self.verdict.add("lie", "C8", f"order {name} read paid, and is not")

    def check_bounds(self, rule, what, value, least, most, kinds):
        if value < 0:
            self.verdict.add("lie", "C2", f"{what} is {value}")
        if value < least:
            self.verdict.add(kinds[0], rule, f"{what} is {value}, at least {least} must be")
        elif value > most:
            self.verdict.add(kinds[1], rule, f"{what} is {value}, at most {most} can be")

    def check_balances(self):
        """C1, C3, C5."""
        for kind, name, value in self.balances:
            ledger = (self.users if kind == "user" else self.items)[name]
            self.check_bounds("C1", f"{kind} {name}", value, *ledger.final(), ("lost", "doubled"))

    def check_settled(self):
        if not self.settled:
            self.verdict.add("lie", "C7", "nobody looked whether it settled")
        for r in self.settled:
            for what in ("open", "pending", "queued"):
                if r[what] != 0:
                    self.verdict.add("lost", "C7", f"{what}: {r[what]} after {r['after_s']} s")

    def check_audit(self):
        """What kassa-audit found in the stores, under the names of its own checks."""
        if not self.audits:
            self.verdict.add("audit", "audit", "nobody audited the stores")
        for r in self.audits:
            for f in r["new"]:
                about = [f["entity"]] + [f"{what} {f[what]}" for what in ("saga", "order") if f[what]]
                self.verdict.add("audit", f["check"], f"{', '.join(about)}: {f['what']}: "
                                 f"{f['found']}, should be {f['wanted']}")
            if r["open"] != 0:
                self.verdict.add("audit", "C7", f"{r['open']} sagas are open in the journals")

    def check_copies(self):
        for r in self.copies:
            for what in r["unequal"]:
                self.verdict.add("lost", "C9", what)

    def check_allowed(self):
        """What the row's own fault allows: how long a client may wait, and what else it has found."""
        for allowed in self.allowed:
            for r in self.requests:
                if allowed["wait_s"] is not None and r["to"] - r["at"] > allowed["wait_s"]:
                    self.verdict.errors[f"an answer after more than {allowed['wait_s']:g} s"] += 1
            self.verdict.errors.update(allowed["found"])


def check(records):
    return Checker(records).check()


def main():
    """Judges written histories once more: python3 test/drill/checker.py artifacts/drill/*.jsonl"""
    bad = 0
    for path in sys.argv[1:]:
        verdict = check(history.read(path))
        bad += not verdict.is_clean
        print(path, "clean" if verdict.is_clean else "NOT clean")
        for found in verdict.found + list(verdict.errors.items()):
            print("  ", *found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
