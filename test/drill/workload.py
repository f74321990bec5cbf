"""The consistency workload of the drills: a crowd with little money around scarce things.

Some clients check out (one or two lines; at once, once more, two at the same time), others bring
money and pieces, so that both run out and come back for the whole row; all through nginx, half of
the writes under an Idempotency-Key of their own, some of those repeated. A client sends nothing
twice because it got no answer: an error that it sees is an error in the table. Where nginx itself is
broken that cannot be: there each write has a key, and what got no answer is sent again with it.
"""

import asyncio
import itertools
import json
import random
import time
import uuid

from kassa.connection import Dropped
from kassa.pool import Pool

CLIENTS = 24
AGAIN = 40  # earlier requests, where a fault has them asked for again
THINK_S = 0.03  # mean pause of a client between two actions
TIMEOUT_S = 300  # what the usual clients have
USERS, RICH = 40, 8
SCARCE, PLENTY = 6, 2
CREDIT, PIECES, MANY = 20, 30, 10**6


class Unusable(Exception):
    """The system did not even serve what a row begins with."""


class Workload:
    def __init__(self, url, history, is_patient=False):
        self.is_patient = is_patient
        self.pool = Pool(url, CLIENTS * 2 + 8)  # never waits for a connection of ours
        self.history = history
        self.numbers = itertools.count()
        self.users, self.items, self.orders = [], [], []
        self.rich = []
        self.is_over = False
        self.tasks = []

    async def request(self, method, path, key=None):
        """One request, noted. Returns (status, body)."""
        if self.is_patient and method == "POST":
            key = key or str(uuid.uuid4())
        until = time.monotonic() + TIMEOUT_S if self.is_patient else None
        number, at = next(self.numbers), self.history.now()
        headers = {"Idempotency-Key": key} if key else {}
        status, body, error = 0, None, None
        self.history.in_flight[number] = (at, path)
        try:
            answer = await asyncio.wait_for(self.pool.request(method, path, headers, until),
                                            TIMEOUT_S)
            status, body = answer.status, json.loads(answer.body)
        except asyncio.TimeoutError:
            error = "timeout"
        except Dropped as dropped:
            error = str(dropped)
        except ValueError:
            error = "the body is not JSON"
        del self.history.in_flight[number]
        self.history.note_request({
            "at": at, "to": self.history.now(), "method": method, "path": path, "key": key,
            "status": status, "body": body, "error": error,
        })
        return status, body

    async def made(self, path, field):
        status, body = await self.request("POST", path)
        return body[field] if status == 200 else None

    async def prepare(self):
        async def user(credit):
            made = await self.made("/payment/create_user", "user_id")
            await self.request("POST", f"/payment/add_funds/{made}/{credit}")
            return made

        async def item(price, pieces):
            made = await self.made(f"/stock/item/create/{price}", "item_id")
            await self.request("POST", f"/stock/add/{made}/{pieces}")
            return made

        self.users = await asyncio.gather(*(user(CREDIT) for _ in range(USERS)))
        self.rich = await asyncio.gather(*(user(MANY) for _ in range(RICH)))
        self.items = await asyncio.gather(
            *(item(1 + n % 3, PIECES) for n in range(SCARCE)), *(item(1, MANY) for _ in range(PLENTY))
        )
        if None in self.users + self.rich + self.items:
            raise Unusable("a row begins with users and items, and they could not be made")

    # ---- what a client does ----

    def key(self):
        return str(uuid.uuid4()) if random.random() < 0.5 else None

    async def write(self, path):
        """With a key, some are sent once more: one effect, one answer."""
        key = self.key()
        await self.request("POST", path, key)
        if key and random.random() < 0.3:
            await self.request("POST", path, key)

    async def buy(self):
        user = random.choice(self.rich if random.random() < 0.4 else self.users)
        order = await self.made(f"/orders/create/{user}", "order_id")
        if order is None:
            return
        for item in random.sample(self.items, 1 + (random.random() < 0.35)):
            await self.write(f"/orders/addItem/{order}/{item}/{random.randint(1, 3)}")
        self.orders.append(order)
        path = f"/orders/checkout/{order}"
        at_once = 2 if random.random() < 0.15 else 1
        await asyncio.gather(*(self.request("POST", path, self.key()) for _ in range(at_once)))
        if random.random() < 0.2:
            await self.write(path)
        if random.random() < 0.2:
            await self.request("GET", f"/orders/find/{order}")

    async def buy_again(self):
        if self.orders:
            order = random.choice(self.orders[-200:])
            await self.request("POST", f"/orders/checkout/{order}", self.key())

    async def bring_money(self):
        user = random.choice(self.users)
        await self.write(f"/payment/add_funds/{user}/{random.randint(1, 15)}")
        await self.request("GET", f"/payment/find_user/{user}")

    async def bring_pieces(self):
        item = random.choice(self.items[:SCARCE])
        await self.write(f"/stock/add/{item}/{random.randint(1, 8)}")
        await self.request("GET", f"/stock/find/{item}")

    async def take_away(self):
        if random.random() < 0.5:
            await self.write(f"/payment/pay/{random.choice(self.users)}/{random.randint(1, 5)}")
        else:
            await self.write(f"/stock/subtract/{random.choice(self.items)}/{random.randint(1, 3)}")

    async def client(self):
        actions = [self.buy, self.buy_again, self.bring_money, self.bring_pieces, self.take_away]
        while not self.is_over:
            await random.choices(actions, weights=(60, 10, 12, 12, 6))[0]()
            await asyncio.sleep(random.expovariate(1 / THINK_S))

    async def ask_again(self, before):
        """Some of what was answered before that moment, under the same keys: the same answers, and
        nothing is done once more."""
        keyed = [r for r in self.history.records if r["t"] == "request" and r["key"]
                 and r["to"] < before and r["status"] in (200, 400)]
        for r in random.sample(keyed, min(AGAIN, len(keyed))):
            await self.request(r["method"], r["path"], r["key"])

    def start(self):
        self.tasks = [asyncio.ensure_future(self.client()) for _ in range(CLIENTS)]

    async def stop(self):
        """No new action; what is in flight gets its answer."""
        self.is_over = True
        await asyncio.gather(*self.tasks)

    # ---- afterwards ----

    def entities(self):
        """The keys of what it has made, by the group of stores that they are in."""
        return {"order": [f"order:order:{name}" for name in self.orders],
                "stock": [f"stock:item:{name}" for name in self.items],
                "payment": [f"payment:user:{name}" for name in self.users + self.rich]}

    async def read_stores(self):
        async def read(kind, path, name):
            status, body = 0, None
            for _ in range(20):
                try:
                    answer = await self.pool.request("GET", f"{path}/{name}")
                    status, body = answer.status, json.loads(answer.body)
                except (Dropped, ValueError):
                    status = 0
                if status in (200, 404):
                    break
                await asyncio.sleep(0.5)
            self.history.note("final", kind=kind, id=name, status=status, body=body)

        jobs = [("user", "/payment/find_user", u) for u in self.users + self.rich]
        jobs += [("item", "/stock/find", i) for i in self.items]
        jobs += [("order", "/orders/find", o) for o in self.orders]
        await asyncio.gather(*(read(*job) for job in jobs))
