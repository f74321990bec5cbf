"""Faults that kill nobody: a part is slow, wrong about the time, full, or asked for too much. The
same for processes and containers; how a part is told, asked, killed and started is the stack's.

    slow-..     each fdatasync of a store takes longer
    clock..     a clock jumps; at the end, what depends on times that were written is asked for
    full        a store's memory is full, and stays so
    disk-full   a store's disk is full: the store ends
    reads       lists that are expensive to make, by clients that hang up
    idle        connections that say nothing
    replay      a replay takes longer than the broker waits for an acknowledgement
"""

import asyncio
import re
import socket
import threading
import time

from faults import AnyFault
from kassa import Broken

FAILOVER_S = 10  # a store may be so slow that it is replaced, and that takes what it takes
PROMPT_S = 5  # nobody waits longer for what nothing is in the way of
SLOW_MS = {"slow-300ms": 300, "slow-700ms": 700, "slow-1200ms": 1200}
CLOCK_S = {"clock+1h": 3600, "clock+9d": 9 * 86400, "clock-9d": -9 * 86400}
PURGE_S = 2  # for the broker to have back what dead consumers had
CONNECT_S = 5  # the kernel tries again after 1 s and after 3
CLOCK_OFF_S = 5  # of what a clock may be from what it was told
PURGE = ('case rabbit_amqqueue:lookup({{resource, <<"/">>, queue, <<"{}">>}}) of {{ok, Q}} -> '
         "element(2, rabbit_amqqueue:purge(Q)) end.\n")


class EdgeFault(AnyFault):
    """Of which the parts are found when it strikes; break_it and mend_it may take their time."""

    async def strike(self):
        await asyncio.get_running_loop().run_in_executor(None, self.break_it)

    async def mend(self):
        await asyncio.get_running_loop().run_in_executor(None, self.mend_it)

    async def clean(self):
        await asyncio.get_running_loop().run_in_executor(None, self.clean_up)

    def clean_up(self):
        pass

    def wait_for_the_store(self, delay_s):
        """Who waits for a store that is started when the fault is over has waited long enough."""
        self.wait_max_s = delay_s + PROMPT_S + self.stack.RETURN_S

    def find(self):
        self.part = self.stack.part(self.component)
        self.name = str(self.part)


class SlowFault(EdgeFault):
    """Of a disk. The proof is a write of ours that took as long, or that the store was replaced."""

    @property
    def wait_max_s(self):
        bound_s = self.stack.SYNCS * SLOW_MS[self.kind] / 1000
        return PROMPT_S + max(bound_s, FAILOVER_S if "deposed" in self.seen else 0)

    def break_it(self):
        self.find()
        self.stack.tell(self.part, "disk", SLOW_MS[self.kind])
        time.sleep(0.1)
        began = time.monotonic()
        try:
            self.stack.ask(self.part, "SET", "drill:slow", "1")
            self.seen["write_s"] = round(time.monotonic() - began, 2)
            self.stack.ask(self.part, "DEL", "drill:slow")
        except Broken as error:
            if not re.search("NOREPLICAS|READONLY", str(error)):
                raise
            self.seen["deposed"] = True  # another one has taken its place already
            return
        if self.seen["write_s"] * 1000 < SLOW_MS[self.kind]:
            raise Broken(f"a write to {self.name} took {self.seen['write_s']} s")

    def mend_it(self):
        self.stack.tell(self.part, "disk", 0)
        if str(self.stack.part(self.component)) != self.name:
            self.seen["deposed"] = True


class ClockFault(EdgeFault):
    """When it is right again there are sagas whose commands are lost, so that the times in their
    journals decide when they go on; and the stores of payment come back, so that what is remembered
    of the charges decides whether they are made again."""

    is_asked_again = True

    @property
    def may_turn_away(self):
        """Until a gateway has heard what time a store has now, its ids are of another time."""
        return self.component.startswith("redis")

    def plan(self, delay_s):
        self.wait_for_the_store(delay_s)

    def age(self):
        """The stores refuse what is older than their records, as after hours of running."""
        for service in ("order", "stock", "payment"):
            store = self.stack.store(service)
            for key, life_s in ((f"{service}:floor", 3600), (f"{service}:kept:floor", 25 * 3600)):
                floor = int((time.time() - life_s) * 1000) // 4096
                known = self.stack.ask(store, "GET", key).strip()
                if not known.isdigit() or int(known) < floor:
                    self.stack.ask(store, "SET", key, str(floor))

    def break_it(self):
        self.find()
        self.age()
        self.stack.tell(self.part, "clock", CLOCK_S[self.kind])
        time.sleep(0.2)
        self.seen["off_s"] = round(self.stack.clock_of(self.part) - time.time())
        if abs(self.seen["off_s"] - CLOCK_S[self.kind]) > CLOCK_OFF_S:
            raise Broken(f"the clock of {self.name} is off by {self.seen['off_s']} s")

    def mend_it(self):
        consumers, store = self.stack.parts("payment"), self.stack.store("payment")
        for consumer in consumers:
            self.stack.end_part(consumer)
        self.seen["purged"] = self.purge("kassa.payment")
        self.stack.tell(self.part, "clock", 0)
        self.stack.end_part(store)
        for part in [store, *consumers]:
            self.stack.start_part(part)

    def purge(self, queue):
        """How many there were. It takes a moment until the broker has back what dead consumers had;
        when nothing comes at all, that is what the clock has done, and the row will tell."""
        until = time.monotonic() + PURGE_S
        while time.monotonic() < until:
            time.sleep(0.5)
            said = self.stack.erlang(PURGE.format(queue))
            if (purged := int(re.search(r"(\d+)\D*$", said).group(1))) > 0:
                return purged
        return 0


class FullFault(EdgeFault):
    """A little more than what is used is all there is, and we take that; and what is set free, too,
    for as long as it lasts."""

    may_turn_away = True
    ROOM_BYTES = 8 << 20
    FILLER = ("for n = 1, ARGV[2] do redis.call('SET', 'drill:filler:' .. ARGV[1] .. ':' .. n, "
              "string.rep('x', ARGV[3])) end")
    PIECES = ((200, 10000), (10, 1000), (1, 20))  # (keys in a call, bytes of each)

    def plan(self, delay_s):
        self.wait_max_s = delay_s + PROMPT_S

    def break_it(self):
        self.find()
        self.calls = 0
        self.limit = self.number("maxmemory", "CONFIG", "GET", "maxmemory")
        used = self.number("used_memory", "INFO", "memory")
        self.stack.ask(self.part, "CONFIG", "SET", "maxmemory", str(used + self.ROOM_BYTES))
        self.fill(self.PIECES)
        self.seen["filler_calls"] = self.calls
        self.is_over = threading.Event()
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.keeper.start()

    def number(self, name, *question):
        return int(re.search(rf"\b{name}\W+(\d+)", self.stack.ask(self.part, *question))[1])

    def fill(self, pieces):
        for keys, size in pieces:
            while not self.is_full(keys, size):
                self.calls += 1

    def is_full(self, keys, size):
        try:
            self.stack.ask(self.part, "EVAL", self.FILLER, "0", str(self.calls), str(keys),
                           str(size))
        except Broken as error:
            if "OOM" in str(error):
                return True
            raise
        return False

    def keep(self):
        while not self.is_over.wait(0.3):
            self.fill(self.PIECES[1:])

    def mend_it(self):
        self.is_over.set()
        self.keeper.join()
        self.stack.ask(self.part, "EVAL", "for _, key in ipairs(redis.call('KEYS', 'drill:filler:*"
                       "')) do redis.call('UNLINK', key) end", "0")
        self.stack.ask(self.part, "CONFIG", "SET", "maxmemory", str(self.limit))

    def judge(self, records):
        """Refused promptly is what new work has to be."""
        refused = [r for r in records if r["t"] == "request" and r["status"] == 429]
        self.seen["refused"] = len(refused)
        late = [r for r in refused if r["to"] - r["at"] > PROMPT_S]
        if late:
            self.found.append(f"{len(late)} of {len(refused)} refusals took over {PROMPT_S} s")
        if not refused:
            self.found.append("memory was full, and nobody was told so")


class DiskFullFault(EdgeFault):
    """A store that cannot write its file down ends by itself."""

    def plan(self, delay_s):
        self.wait_for_the_store(delay_s)

    def break_it(self):
        self.find()
        self.stack.tell(self.part, "disk", -1)
        self.seen["status"] = self.stack.wait_end(self.part, PROMPT_S)

    def mend_it(self):
        self.stack.tell(self.part, "disk", 0)
        self.stack.start_part(self.part)


def connect(url):
    host, port = url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=CONNECT_S)


class ReadsFault(EdgeFault):
    """Each looks at a thousand sagas: so many there have to be."""

    READS, PATIENCE_S = 60, 0.3
    paid_before = 1100
    wait_max_s = 2 * PROMPT_S

    def break_it(self):
        url = self.stack.gateways()[0]
        self.name, asked = url, [connect(url) for _ in range(self.READS)]
        for raw in asked:
            raw.sendall(b"GET /sagas?state=STUCK&limit=100 HTTP/1.1\r\nHost: k\r\n\r\n")
        time.sleep(self.PATIENCE_S)
        for raw in asked:
            raw.close()
        self.seen["asked"] = len(asked)

    def mend_it(self):
        pass


class IdleFault(EdgeFault):
    """At a gateway itself, and at nginx."""

    CONNECTIONS, HEALTH_S, LOOK_S = 5000, 1, 1
    wait_max_s = PROMPT_S

    def break_it(self):
        urls = [self.stack.gateways()[0], self.stack.front()]
        self.name = urls[0]
        self.idle = []
        for url in urls:
            self.seen[url] = self.open(url)
        self.is_over = threading.Event()
        self.doctor = threading.Thread(target=self.look_after, args=(urls,), daemon=True)
        self.doctor.start()

    def open(self, url):
        before = len(self.idle)
        try:
            for _ in range(self.CONNECTIONS):
                self.idle.append(connect(url))
        except OSError as error:
            self.found.append(f"{url}: {len(self.idle) - before} connections, then: {error}")
        return len(self.idle) - before

    def look_after(self, urls):
        while not self.is_over.wait(self.LOOK_S):
            for url in urls:
                began = time.monotonic()
                status = self.stack.get(f"{url}/health")[0]
                took_s = time.monotonic() - began
                if status != 200 or took_s > self.HEALTH_S:
                    self.found.append(f"{url}/health: {status} after {took_s:.1f} s")

    def mend_it(self):
        self.is_over.set()
        self.doctor.join()
        for raw in self.idle:
            raw.close()


class ReplayFault(EdgeFault):
    """The broker's patience is scaled down from half an hour, and there is more to be told again than
    fits into it. Who consumes learns of it when he connects."""

    PATIENCE_MS, TICK_MS = 1000, 250
    USUAL_MS, USUAL_TICK_MS = 1800000, 60000
    paid_before = 5000

    def plan(self, delay_s):
        self.wait_for_the_store(delay_s)

    def break_it(self):
        self.find()
        self.be_patient(self.PATIENCE_MS, self.TICK_MS)
        self.store = self.stack.store("payment")
        self.stack.end_part(self.store)

    def be_patient(self, patience_ms, tick_ms):
        self.stack.erlang(f"application:set_env(rabbit, consumer_timeout, {patience_ms}), "
                          f"application:set_env(rabbit, channel_tick_interval, {tick_ms}).\n")
        for part in self.stack.parts(self.component):
            self.stack.end_part(part)
            self.stack.start_part(part)
        self.seen["patience_ms"] = self.stack.erlang(
            "application:get_env(rabbit, consumer_timeout).\n").strip()
        if str(patience_ms) not in self.seen["patience_ms"]:
            raise Broken(f"the broker's patience is {self.seen['patience_ms']}")
        self.stack.wait_until(self.stack.is_ready, "ready with another patience")

    def mend_it(self):
        self.stack.start_part(self.store)

    def clean_up(self):
        self.be_patient(self.USUAL_MS, self.USUAL_TICK_MS)


EDGES = {**dict.fromkeys(SLOW_MS, SlowFault), **dict.fromkeys(CLOCK_S, ClockFault),
         "full": FullFault, "disk-full": DiskFullFault, "reads": ReadsFault, "idle": IdleFault,
         "replay": ReplayFault}
