"""What is measured, phase after phase. Each puts its figures into the report, and what is not as it
must be into the findings."""

import concurrent.futures
import os
import sys
import time

import account
from kassa import SERVICES, Broken
from measured import SERVERS

PRICE, PLENTY = 1, 100_000_000  # of an item; pieces of each item, credits of each user
COST = 2 * PRICE                # of an order: orders/batch_init gives it two pieces
PAID = 'paid=200 {"status":"paid","order_id":"{n}","total_cost":%d}' % COST
NO_CREDIT = 'insufficient credit=400 {"error":"insufficient credit"}'
NO_STOCK = 'out of stock=400 {"error":"out of stock"}'
BUSY = 'busy=429 {"error":"too many requests, try again"}'
CHECKOUT = "/orders/checkout/{n}"
# A quarter of the users has nothing, and so much of the items that a third of the orders with two
# of them cannot be had: of 4 orders, 1 has no credit, 1 no stock, 2 are paid.
POOR_USERS = 1 / 4
EMPTY_ITEMS = 1 - (2 / 3) ** 0.5
RATE_FIXED = 1000
SHARES = (25, 50, 80)  # % of the peak
IDLE_MS_MAX = 10   # of CPU time a second, of a service that nobody asks for anything
OVERLOAD = 3       # times the peak
HEAVY = 2          # times the peak, half of it of one user
FAIR_SHARE = 0.8   # of what would be everybody else's part
FOR_SALE = 1000    # orders that a scarce item is enough for
PHASES = 20
SETTLE_S = 30
REST_S = 60
STOLEN_MAX = 0.05  # of the processors' time, by the host of a virtual machine
AGAIN_MAX = 3      # times that a measurement with more of it is made again
AGAIN_PAUSE_S = 5


class Bench:
    def __init__(self, stack, options):
        self.stack, self.o = stack, options
        self.report = {"findings": [], "again": 0}
        self.fresh = self.stored = 0  # orders fresh.. of 0..stored-1 nobody has checked out
        self.paid = 0                 # orders 0..paid-1 are paid
        self.phase = 0
        self.began = time.monotonic()

    # ---- telling ----

    def say(self, text):
        self.clear()
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    @staticmethod
    def clear():
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def begin(self, what):
        """A line that changes, at a terminal; kassa-load goes on with it, second by second."""
        self.phase += 1
        self.title = f"phase {self.phase} of {PHASES}, {what}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{self.title}", end="", file=sys.stderr, flush=True)

    def find(self, sentence):
        self.report["findings"].append(sentence)
        self.say(f"FINDING: {sentence}")

    # ---- loading ----

    def load(self, what, *options, connections=None, progress=True):
        """One run of kassa-load. Anything wrong in it is a finding."""
        arguments = ["--url", self.stack.url, "--connections", connections or self.o.connections]
        if progress and sys.stderr.isatty():
            arguments += ["--progress", self.title]
        before = account.usage(self.stack)
        status, said = self.stack.tool("load", *arguments, *options, quiet=False)
        said["machine"] = account.machine(before, account.usage(self.stack), said["cpu_seconds"])
        if said["interrupted"]:
            raise KeyboardInterrupt
        bad = {name: count for name, count in said["errors"].items() if count}
        if said["wrong"] or bad:
            sample = said["samples"][0] if said["samples"] else bad
            self.find(f"{what}: {said['wrong']} wrong answers, errors {bad}, e.g. {sample}")
        elif status != 0:
            self.find(f"{what}: nothing was measured")
        return said

    def checkouts(self, what, *options, expect=(PAID,), connections=None, from_=None, count=None,
                  progress=True):
        """Fresh orders, one after the other."""
        count = self.stored - self.fresh if count is None else count
        wanted = [word for text in expect for word in ("--expect", text)]
        said = self.load(what, "--method", "POST", "--path", CHECKOUT, "--from",
                         self.fresh if from_ is None else from_, "--count", count, *wanted,
                         *options, connections=connections, progress=progress)
        self.fresh = said["next"]
        return said

    def batch(self, path):
        began = time.monotonic()
        body = self.stack.ask("POST", path)
        if not str(body.get("msg", "")).endswith("successful"):
            raise Broken(f"{path}: {body}")
        return time.monotonic() - began

    def batch_items(self, count, pieces=PLENTY):
        return self.batch(f"/stock/batch_init/{count}/{pieces}/{PRICE}")

    def batch_users(self, count, credit=PLENTY):
        return self.batch(f"/payment/batch_init/{count}/{credit}")

    def batch_orders(self, count, items=None):
        n = self.o.orders
        seconds = self.batch(f"/orders/batch_init/{count}/{items or n}/{n}/{PRICE}")
        self.fresh, self.stored, self.paid = 0, count, 0
        self.rest()
        return seconds

    def need(self, rate, seconds):
        """Fresh orders for so long, with something to spare."""
        count = int(rate * seconds * 1.3) + 2 * self.o.connections
        if self.stored - self.fresh < count:
            self.batch_orders(max(count, self.o.orders))
        else:
            self.rest()

    def empty(self):
        """Runs that begin alike can be compared: from empty stores on, but for items and users."""
        self.stack.redis("FLUSHALL")
        self.stored = self.fresh = 0
        self.batch_items(self.o.orders)
        self.batch_users(self.o.orders)

    def rest(self):
        """A phase begins when store and disk have dealt with what was before: loading, or a peak,
        makes the store write its file anew, which takes seconds, a processor and the disk."""
        until = time.monotonic() + REST_S
        while self.stack.redis_is_rewriting() and time.monotonic() < until:
            time.sleep(0.2)
        os.sync()

    def undisturbed(self, measure):
        """While the host gives the processors to somebody else it is the host that is measured: so
        that is done again."""
        for left in range(AGAIN_MAX, -1, -1):
            said = measure()
            stolen = said["machine"]["stolen"]
            if stolen <= STOLEN_MAX or left == 0:
                return said
            self.report["again"] += 1
            self.say(f"the host took {stolen:.0%} of the processors: once more")
            time.sleep(AGAIN_PAUSE_S)

    @staticmethod
    def kinds(said):
        """Answers by kind: name -> the kind, with its rate."""
        return {kind["name"]: {**kind, "rate": kind["measured"] / max(said["seconds"], 1e-9)}
                for kind in said["kinds"]}

    # ---- phases ----

    def idle(self):
        """What a process spends on doing nothing, once it has started."""
        self.begin("idle")
        time.sleep(1)
        before = {name: self.stack.run_ms(name) for name in SERVICES}
        time.sleep(self.o.idle_seconds)
        idle = {name: (self.stack.run_ms(name) - before[name]) / self.o.idle_seconds
                for name in SERVICES}
        for name, ms in idle.items():
            if ms > IDLE_MS_MAX:
                self.find(f"idle: {name} takes {ms:.1f} ms of CPU time a second")
        self.report["idle_ms"] = idle
        self.say("idle: " + ", ".join(f"{name} {ms:.2f}" for name, ms in idle.items())
                 + " ms of CPU time a second")

    def floor_servers(self):
        """Before the services start: they would take the floor's messages."""
        seconds = self.o.floor_seconds
        floor = {key: {} for key in ("call_us", "calls_per_s", "row_us", "rows_per_s",
                                     "message_us", "messages_per_s")}
        self.begin("floor: bare function calls and messages")
        for kind, what, name in (("store", "call", "function calls"),
                                 ("rows", "row", "rows of function calls")):
            for depth in (8, 64, 256):
                before = self.stack.cpu_s("redis")
                _, said = self.stack.tool("floor", kind, "--seconds", seconds, "--depth", depth)
                cpu_s = self.stack.cpu_s("redis") - before + said["cpu_seconds"]
                floor[f"{what}_us"][depth] = cpu_s * 1e6 / said["done"]
                floor[f"{what}s_per_s"][depth] = said["rate"]
                self.say(f"floor: {said['rate']:,.0f} {name}/s, {depth} at once")
        for commands in (1, 60):
            before = self.stack.cpu_s("rabbitmq")
            _, said = self.stack.tool("floor", "broker", "--seconds", seconds, "--commands",
                                      commands)
            cpu_s = self.stack.cpu_s("rabbitmq") - before + said["cpu_seconds"]
            floor["message_us"][commands] = cpu_s * 1e6 / said["done"]
            floor["messages_per_s"][commands] = said["rate"]
            self.say(f"floor: {said['rate']:,.0f} messages/s of {commands} commands")
        left = self.stack.redis("DBSIZE")
        if left != "0":
            raise Broken(f"the floor has left {left} keys in the store")
        self.report["floor"] = floor

    def floor_http(self):
        self.begin("floor: bare HTTP")
        before = self.stack.cpu_s("gateway")
        said = self.load("bare HTTP", "--path", "/health", "--expect", '200 "ok":true',
                         "--seconds", self.o.floor_seconds, connections=64)
        cpu_s = self.stack.cpu_s("gateway") - before + said["cpu_seconds"]
        self.report["floor"]["request_us"] = cpu_s * 1e6 / said["answers"]
        self.report["floor"]["requests_per_s"] = said["rate"]
        self.say(f"floor: {said['rate']:,.0f} HTTP requests/s")

    def batches(self):
        n = self.o.orders
        self.begin(f"batch_init of {n:,} items, users and orders")
        seconds = {"items": self.batch_items(n), "users": self.batch_users(n),
                   "orders": self.batch_orders(n)}
        self.report["batch_init"] = {"count": n, "seconds": seconds}
        self.say("batch_init: " + ", ".join(f"{n:,} {k} {s:.2f} s" for k, s in seconds.items()))

    def peak(self):
        seconds, warm = self.o.seconds, self.o.warm
        self.begin("peak")
        probe = self.checkouts("probe", "--seconds", 2)
        runs = []

        def measure():
            self.empty()
            self.need(max([probe["rate"] * 1.2] + [said["rate"] for said in runs]), seconds + warm)
            before = account.snapshot(self.stack, is_first=True)
            said = self.checkouts("peak", "--seconds", seconds, "--warm", warm)
            after = account.snapshot(self.stack, is_first=False)
            said["bill"] = account.bill(before, after, max(said["answers"], 1),
                                        said["cpu_seconds"])
            return said

        for n in range(self.o.runs):
            runs.append(self.undisturbed(measure))
            self.tell(f"peak, {self.o.connections} clients", runs[-1])
            self.audit(f"after the peak, run {n + 1}")
        said = account.median_by(runs, key=lambda run: run["rate"])
        rows = said.pop("bill")
        self.report["peak"] = said
        self.report["peak_rates"] = [run["rate"] for run in runs]
        self.report["bill"] = rows
        for kind, key in (("call", "checkout"), ("row", "checkout_rows")):
            self.report["floor"][key] = account.floor_of_a_checkout(
                self.report["floor"], rows, self.o.cores, kind)

    def tell(self, what, said):
        latency = said["latency_ms"]
        self.say(f"{what}: {said['rate']:,.0f}/s, p50 {latency['p50']:.1f} p99 "
                 f"{latency['p99']:.1f} max {latency['max']:.1f} ms")

    def alone(self):
        self.begin("one client alone")
        self.empty()
        self.need(500, 3)
        said = self.checkouts("alone", "--seconds", self.o.short, connections=1)
        self.report["alone"] = said
        self.tell("one client alone", said)

    def open_loop(self, rate, seconds):
        def measure():
            self.need(rate, seconds + 1)
            return self.checkouts(f"{rate:,.0f}/s", "--rate", f"{rate:.1f}", "--seconds", seconds,
                                  "--warm", 1)

        return {**self.undisturbed(measure), "offered": rate}

    def fixed(self):
        self.begin(f"open loop at {RATE_FIXED}/s")
        runs = [self.open_loop(RATE_FIXED, self.o.middle) for _ in range(self.o.runs)]
        # The larger key is better: the latency's negative.
        said = account.median_by(runs, key=lambda run: -run["latency_ms"]["p99"])
        self.report["fixed"] = said
        self.tell(f"open loop at {RATE_FIXED}/s", said)

    def shares(self):
        self.report["shares"] = {}
        for share in SHARES:
            self.begin(f"open loop at {share} % of the peak")
            said = self.open_loop(self.report["peak"]["rate"] * share / 100, self.o.short)
            self.report["shares"][share] = said
            self.tell(f"open loop at {share} % of the peak", said)

    def overload(self):
        """Three times what is possible, and then at once half of it."""
        rate, seconds = self.report["peak"]["rate"], self.o.short
        warm = min(2, seconds)
        self.begin(f"overload, {OVERLOAD} times the peak")
        # The store's file is written anew now, that it is not due in the middle of the recovery.
        self.stack.redis("BGREWRITEAOF")
        self.batch_orders(int(rate * (OVERLOAD * (seconds + warm) + 0.6 * (seconds + 1))) + 1000)
        before_mib = self.stack.memory_mib("gateway")
        said = self.open_loop_busy("overload", OVERLOAD * rate, seconds, warm)
        said["gateway_mib"] = [before_mib, self.stack.memory_mib("gateway")]
        self.tell_busy("overload", said)
        self.begin("recovery from it")
        after = self.open_loop_busy("recovery", 0.5 * rate, seconds, 1)
        busy = self.kinds(after)["busy"]["measured"]
        if busy:
            self.find(f"recovery: {busy} of the answers are 429, more than a second after an "
                      "overload")
        self.report["overload"], self.report["recovery"] = said, after
        self.tell_busy("recovery", after)

    def open_loop_busy(self, what, rate, seconds, warm, from_=None, progress=True):
        said = self.checkouts(what, "--rate", f"{rate:.1f}", "--seconds", seconds, "--warm", warm,
                              expect=(PAID, BUSY), connections=self.o.crowd, from_=from_,
                              progress=progress)
        return {**said, "offered": rate}

    def tell_busy(self, what, said):
        paid, busy = self.kinds(said)["paid"], self.kinds(said)["busy"]
        self.say(f"{what}: {said['offered']:,.0f}/s due, {paid['rate']:,.0f}/s paid, p99 "
                 f"{paid['latency_ms']['p99']:.1f} ms; {busy['rate']:,.0f}/s told 429, p99 "
                 f"{busy['latency_ms']['p99']:.1f} ms")

    def heavy(self):
        """Two crowds, of the same size: the orders of one are all one user's."""
        self.begin("one heavy user")
        rate, seconds, warm = HEAVY * self.report["peak"]["rate"] / 2, self.o.short, 1
        half = int(rate * (seconds + warm)) + 1000
        self.batch_orders(2 * half)
        self.batch(f"/orders/batch_init/{half}/{self.o.orders}/1/{PRICE}")  # the first ones anew
        with concurrent.futures.ThreadPoolExecutor(2) as crowds:
            heavy, others = (
                crowd.result() for crowd in [
                    crowds.submit(self.open_loop_busy, what, rate, seconds, warm, from_=from_,
                                  progress=False)
                    for what, from_ in (("one heavy user", 0), ("the others", half))])
        self.fresh = self.stored  # what is left of the two halves is no use to anybody
        part = self.part(others) / max(self.part(heavy) + self.part(others), 1e-9)
        if part < FAIR_SHARE / 2:
            self.find(f"one heavy user: of the others' checkouts {self.part(others):.1%} were let "
                      f"in, of the heavy one's {self.part(heavy):.1%}")
        self.report["heavy"] = {"heavy": heavy, "others": others, "share": 2 * part}
        self.tell_busy("one heavy user", heavy)
        self.tell_busy("the others", others)

    def part(self, said):
        """Of its checkouts, how many were let in."""
        paid, busy = (self.kinds(said)[name]["measured"] for name in ("paid", "busy"))
        return paid / max(paid + busy, 1)

    def refused(self):
        self.begin("half refused")
        n, rate = self.o.orders, self.report["peak"]["rate"]
        poor, empty = int(n * POOR_USERS), int(n * EMPTY_ITEMS)
        self.batch_orders(max(n, int(rate * 1.3 * (self.o.short + 1))))
        self.batch_users(poor, 0)
        self.batch_items(empty, 0)
        said = self.checkouts("half refused", "--seconds", self.o.short, "--warm", 1,
                              expect=(PAID, NO_CREDIT, NO_STOCK))
        self.batch_users(poor)
        self.batch_items(empty)
        kinds = {kind["name"]: kind["answers"] for kind in said["kinds"]}
        self.report["refused"] = said
        refused = 1 - kinds["paid"] / max(said["answers"], 1)
        if abs(refused - 0.5) > 0.05:
            self.find(f"half refused: {refused:.1%} were refused, by what was loaded it is 50 %")
        self.tell(f"{refused:.0%} refused", said)

    def hot(self):
        """All orders are of item 0, and what they took has to be gone from it."""
        self.begin("one hot item")
        self.batch_orders(int(self.report["peak"]["rate"] * 1.3 * (self.o.short + 1)), items=1)
        before = self.stack.ask("GET", "/stock/find/0")["stock"]
        said = self.checkouts("one hot item", "--seconds", self.o.short, "--warm", 1)
        sold = before - self.stack.ask("GET", "/stock/find/0")["stock"]
        if sold != 2 * said["answers"]:
            self.find(f"one hot item: {said['answers']} orders of 2 pieces are paid, and {sold} "
                      "pieces are gone")
        self.report["hot"] = said
        self.paid = self.fresh
        self.tell("one hot item", said)

    def repeats(self):
        """Paid orders, again: nothing more may be gone."""
        self.begin("repeats of paid orders")
        before = self.stack.ask("GET", "/stock/find/0")["stock"]
        said = self.load("repeats", "--method", "POST", "--path", CHECKOUT, "--random",
                         f"0..{self.paid - 1}", "--expect", PAID, "--seconds", self.o.short,
                         "--warm", 1)
        gone = before - self.stack.ask("GET", "/stock/find/0")["stock"]
        if gone:
            self.find(f"repeats of paid orders took {gone} pieces")
        self.report["repeats"] = said
        self.tell("repeats of paid orders", said)

    def sold_out(self):
        """Many want what there is little of."""
        self.begin("sold out")
        buyers = self.o.orders
        self.batch_orders(buyers, items=1)
        self.batch_items(1, 2 * FOR_SALE)
        said = self.checkouts("sold out", "--seconds", 600, count=buyers, expect=(PAID, NO_STOCK))
        left = self.stack.ask("GET", "/stock/find/0")["stock"]
        paid, refused = (self.kinds(said)[name]["answers"] for name in ("paid", "out of stock"))
        if (paid, refused, left) != (FOR_SALE, buyers - FOR_SALE, 0):
            self.find(f"sold out: {FOR_SALE} of {buyers} orders could be had, {paid} are paid, "
                      f"{refused} refused, and {left} pieces are left")
        self.batch_items(1)
        self.report["sold_out"] = said
        losers = self.kinds(said)["out of stock"]
        self.say(f"sold out: {paid} of {buyers:,} buyers paid, the others were refused, "
                 f"{losers['rate']:,.0f}/s, p99 {losers['latency_ms']['p99']:.1f} ms")

    def mix(self):
        self.begin("create, add, find")
        said = self.load("create, add, find", "--mix", "shop", "--seconds", self.o.short,
                         "--warm", 1)
        self.report["mix"] = said
        self.tell("create, add, find", said)

    def settled(self):
        limit = time.monotonic() + SETTLE_S
        while self.stack.ask("GET", "/sagas?state=open")["sagas"]:
            if time.monotonic() > limit:
                self.find(f"sagas are open {SETTLE_S} s after the last answer")
                return
            time.sleep(0.1)

    def parked(self):
        """Nothing was sent that could not be carried out."""
        for name in SERVICES:
            parked = self.stack.counters(name)["kassa_commands_parked_total"]
            if parked:
                self.find(f"{name} has parked {parked:.0f} commands")

    def audit(self, when):
        self.settled()
        self.parked()
        status, said = self.stack.tool("audit", "--json")
        self.report.setdefault("audits", {})[when] = said
        if status != 0:
            self.find(f"the audit {when} has status {status}: {str(said)[:600]}")
        else:
            self.say(f"audit {when}: clean")

    def memory(self):
        self.report["memory_mib"] = {
            name: self.stack.memory_mib(name) for name in SERVICES + SERVERS}

    def growth(self):
        """The same short runs with few orders stored, with many, and with few again: from an empty
        store on each time, and few twice, since the machine may have changed meanwhile."""
        self.begin("growth")
        few, many = self.o.growth
        rows = []

        def measure():
            self.batch_orders(few)  # the first ones anew; the others stay
            return self.checkouts("growth", "--seconds", 60, count=few)

        for stored in (few, many, few):
            self.empty()
            seconds = self.batch_orders(stored)
            runs = []
            for _ in range(self.o.rounds):
                runs.append(self.undisturbed(measure))
            said = account.median_by(runs, key=lambda run: run["rate"])
            rows.append({"stored": stored, "rate": said["rate"], "seconds": seconds,
                         "p99": said["latency_ms"]["p99"], "machine": said["machine"],
                         "rates": [run["rate"] for run in runs],
                         "store_mib": self.stack.redis_counters()["memory"] / 2**20})
            self.say(f"growth: {stored:,} orders stored: {said['rate']:,.0f}/s")
            self.audit(f"after growth, part {len(rows)}")
        self.report["growth"] = rows

    def run(self):
        self.floor_servers()
        self.stack.start_services()
        self.idle()
        self.floor_http()
        self.batches()
        for phase in (self.peak, self.alone, self.fixed, self.shares, self.overload, self.heavy,
                      self.refused, self.hot, self.repeats, self.sold_out, self.mix):
            phase()
        self.memory()
        self.begin("audit")
        self.audit("after the phases")
        self.growth()
        self.clear()
