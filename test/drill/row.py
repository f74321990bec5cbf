"""One row of the table: workload, fault, return, settling, reading, auditing, checking."""

import asyncio
import time

import checker
import routes
import rows
from breakable import WHOLE_S
from history import History
from kassa import Broken
from result import Result
from workload import Unusable, Workload

WARM_S = 1.5  # load before the fault, at least: something must have been paid
WARM_S_MAX = 30
PAID_LEAST = 25  # checkouts a second, where a fault needs so and so many of them
AFTER_S = 1.5  # load after the first success that began after the return
RESUME_S = 60
SETTLE_S = 60
LOOK_S = 0.1  # between two looks whether it has settled
ACKS_S = 0.1  # acknowledgements are gathered for 25 ms
ACKS_LOOKS = 20  # on a busy machine they take longer


class Phases:
    """Where a row's seconds go: each phase lasts until the next one begins."""

    def __init__(self, say):
        self.say = say
        self.seconds = {}
        self.name = None

    def begin(self, name):
        self.end()
        self.name, self.began = name, time.monotonic()
        self.say(name)

    def end(self):
        if self.name is not None:
            self.seconds[self.name] = round(time.monotonic() - self.began, 2)
        self.name = None


class Row:
    def __init__(self, stack, component, kind, delay_s, is_last=False):
        self.stack = stack
        self.component = component
        self.kind = kind
        self.delay_s = delay_s
        self.is_last = is_last  # of a run: what all rows have left is compared
        self.history = History()
        self.struck_at = self.healed_at = None
        self.in_flight = 0
        self.fault = None
        self.phases = None
        self.has_settled = False
        self.verdict = None
        self.checkouts = 0
        self.gap_s = self.wait_s = self.settle_s = 0.0

    @property
    def name(self):
        return rows.name(self.component, self.kind, self.delay_s)

    async def run(self, say):
        phases = self.phases = Phases(say)
        fault = self.fault = self.stack.fault(self.component, self.kind)
        fault.plan(self.delay_s)
        workload = Workload(self.stack.url, self.history, fault.is_of_the_front)
        async with workload.pool:
            phases.begin("prepare")
            try:
                await asyncio.wait_for(workload.prepare(), 60)
            except (Unusable, KeyError, asyncio.TimeoutError) as error:
                raise Broken(f"the row cannot begin: {error or 'no answers'}") from error
            phases.begin("warm")
            workload.start()
            await self.warm()
            phases.begin("fault")
            await self.break_and_mend(fault, say)
            phases.begin("resume")
            await self.wait_resumed()
            phases.begin("load")
            if fault.is_asked_again:
                await workload.ask_again(self.struck_at)
            await asyncio.sleep(AFTER_S)
            self.load_ended_at = self.history.now()
            phases.begin("drain")
            await workload.stop()
            phases.begin("settle")
            settling_from = time.monotonic()
            await self.settle()
            await fault.clean()
            phases.begin("read")
            await workload.read_stores()
        phases.begin("audit")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.audit)
        self.history.note("copies", unequal=await loop.run_in_executor(
            None, self.stack.unequal, None if self.is_last else workload.entities()))
        await self.look_again(settling_from)
        phases.begin("judge")
        self.judge()
        phases.end()
        self.history.note("phases", **phases.seconds)

    async def warm(self):
        wanted = self.fault.paid_before
        limit = time.monotonic() + WARM_S_MAX + wanted / PAID_LEAST
        await asyncio.sleep(WARM_S)
        while self.history.paid < wanted:
            if time.monotonic() > limit:
                raise Broken(f"before the fault {self.history.paid} checkouts were paid, and not "
                             f"{wanted}: nothing is proved")
            await asyncio.sleep(0.1)

    async def break_and_mend(self, fault, say):
        self.in_flight = len(self.history.in_flight)
        self.struck_at = self.history.now()
        self.history.note("fault", at=self.struck_at, what=f"{fault.name}: {self.kind}",
                          in_flight=self.in_flight)
        await fault.strike()
        until = time.monotonic() + self.delay_s
        while (left := until - time.monotonic()) > 0:
            if self.delay_s > 2:
                say(f"{self.kind}, returns in {left:.0f} s")
            await asyncio.sleep(min(left, 1))
        await fault.mend()
        self.healed_at = self.history.now()
        self.history.note("healed", at=self.healed_at, what=fault.name, proof=fault.seen)

    async def wait_resumed(self):
        limit = time.monotonic() + RESUME_S
        while self.history.last_paid_from < self.healed_at:
            if time.monotonic() > limit:
                return  # the clients that wait for ever will be the errors
            await asyncio.sleep(0.05)
        # What is broken next has to be the only thing that is.
        try:
            await asyncio.get_running_loop().run_in_executor(
                None, self.stack.wait_until, self.stack.is_ready, "whole again", WHOLE_S)
        except Broken as error:
            self.fault.found.append(str(error))

    async def settle(self):
        """C7."""
        began = time.monotonic()
        while True:
            left = await self.look_aside()
            self.settle_s = time.monotonic() - began
            if left == (0, 0, 0) or self.settle_s > SETTLE_S:
                break
            await asyncio.sleep(LOOK_S)
        self.has_settled = left == (0, 0, 0)
        self.note_settled(left, self.settle_s)

    async def look_again(self, began):
        """It has to stay so: a message that comes late would be after the reads."""
        if self.has_settled:
            self.note_settled(await self.look_aside(), time.monotonic() - began)

    def note_settled(self, left, after_s):
        opened, pending, queued = left
        self.history.note("settled", open=opened, pending=pending, queued=queued,
                          after_s=round(after_s, 1))

    async def look_aside(self):
        return await asyncio.get_running_loop().run_in_executor(None, self.look)

    def look(self):
        opened, pending = self.stack.open_sagas(), self.stack.pending()
        if opened or pending:
            return opened, pending, -1
        for _ in range(ACKS_LOOKS):
            time.sleep(ACKS_S)  # the question itself was a message, and so was each read before it
            queues = self.stack.queues()
            if not any(queues.values()):
                break
        # -1: of one of them nobody knows
        return opened, pending, -1 if -1 in queues.values() else sum(queues.values())

    def audit(self):
        """The same stores once more, by another program that believes no answer."""
        try:
            report, found = self.stack.audit()
        except Broken:
            if self.has_settled:
                raise
            return  # what moves cannot be audited; the checker tells of both
        self.history.note("audit", violations=report["violations"], new=found,
                          open=report["sagas"]["open"], took_ms=report["took_ms"])

    def judge(self):
        records = self.history.records
        self.fault.judge(records)
        self.history.note("allowed", wait_s=self.fault.wait_max_s, found=self.fault.found,
                          may_turn_away=self.fault.may_turn_away, proof=self.fault.seen)
        self.verdict = checker.check(records)
        checkouts = [r for r in records if r["t"] == "request" and routes.is_checkout(r)]
        self.checkouts = len(checkouts)
        paid = sorted(r["to"] for r in checkouts if r["status"] == 200)
        moments = [self.struck_at] + [t for t in paid if t > self.struck_at] + [self.load_ended_at]
        self.gap_s = max((b - a for a, b in zip(moments, moments[1:])), default=0.0)
        self.wait_s = max((r["to"] - r["at"] for r in records if r["t"] == "request"), default=0.0)
        if self.in_flight == 0 and self.gap_s < 0.1:
            raise Broken("nobody was waiting at the fault, and no success was missed")

    def result(self):
        verdict = self.verdict
        return Result(
            self.component, self.kind, self.delay_s, self.checkouts, self.gap_s, self.wait_s,
            self.settle_s, verdict.count("lost"), verdict.count("doubled"), verdict.count("lie"),
            sum(verdict.errors.values()), verdict.count("audit"),
        )
