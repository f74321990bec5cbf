"""What is going on while something dies. Each scenario prepares, acts, and can check itself later.

    paid, credit, stock   three checkouts at once that end in this way
    cancelled             an operator cancels: while the charge hangs, while the take hangs, and
                          where the take was lost and stock has a tombstone
    asked                 checkouts of a gateway that does not reach the orders' store, and so leaves
                          it to the order service to begin them
    late                  sagas past their deadline, whose refunds get stuck for a while
    shop                  everything that is no checkout
"""

import concurrent.futures
import json
import time

from shop import CANCELLED, CREDIT, LATE, PAID, QUANTITY, TOTAL, Checkout, Customer, Lie

CHECKOUTS = 3
# What a scenario needs of its services: {scenario: {service: its variables}}.
ENVIRONMENTS = {
    "asked": {"gateway": {"ORDER_REDIS": "127.0.0.1:1"}},  # nobody is there
    "late": {"order": {"SAGA_DEADLINE_MS": "700", "SAGA_STUCK_RETRIES": "1"}},
}
LATE_S = 1.6
BATCH = 1200  # more than a chunk
BATCH_CREDIT, BATCH_STOCK, BATCH_PRICE = 7, 5, 2


class Trade:
    """Checkouts of one item."""

    def __init__(self, stack):
        self.stack = stack
        self.checkouts = []

    def goods(self, stock, credit, *expected):
        customer = Customer(self.stack)
        self.before = stock
        self.item = customer.item(stock)
        for _ in range(CHECKOUTS):
            self.checkouts.append(Checkout(customer, self.item, credit, expected))
        customer.close()

    def run_one(self, checkout):
        customer = Customer(self.stack)
        try:
            checkout.run(customer)
        finally:
            customer.close()

    def act(self, disturb=None):
        with concurrent.futures.ThreadPoolExecutor(CHECKOUTS + 1) as pool:
            jobs = [pool.submit(self.run_one, checkout) for checkout in self.checkouts]
            if disturb:
                time.sleep(0.003)
                disturb()
            for job in jobs:
                job.result()

    def check(self, customer):
        for checkout in self.checkouts:
            checkout.check(customer)
        self.check_goods(customer)

    def check_goods(self, customer):
        """Money and pieces: nothing more and nothing less than what was sold."""
        paid = sum(checkout.is_paid() for checkout in self.checkouts)
        left = customer.stock(self.item)
        if left != self.before - paid * QUANTITY:
            raise Lie(f"item {self.item}: {left} of {self.before} left, {paid} orders are paid")
        for checkout in self.checkouts:
            credit = customer.credit(checkout.user)
            if credit != checkout.credit_after():
                raise Lie(f"{checkout} was told {checkout.answer} and has credit {credit}")


class Paid(Trade):
    def prepare(self):
        self.goods(CHECKOUTS * QUANTITY + 1, CREDIT, PAID)


class NoCredit(Trade):
    def prepare(self):
        self.goods(CHECKOUTS * QUANTITY, TOTAL - 1, "insufficient credit")


class NoStock(Trade):
    def prepare(self):
        self.goods(QUANTITY - 1, CREDIT, "out of stock")


class Cancelled(Trade):
    def prepare(self):
        self.goods(CHECKOUTS * QUANTITY, CREDIT, PAID, CANCELLED)
        self.customer = Customer(self.stack)

    def act(self, disturb=None):
        charging, taking, lost = self.checkouts
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            self.cancel_while("payment", "CHARGING", charging, pool, disturb)
            self.cancel_while("stock", "CHARGING", taking, pool, None)
            self.cancel_lost(lost, pool)
        self.customer.close()

    def cancel(self, saga):
        """202: on its way back, or forward; 409: it has ended already."""
        answer = self.customer.post(f"/sagas/{saga}/cancel")
        if answer.status not in (202, 409):
            raise Lie(f"{answer} to the cancel of saga {saga}")

    def cancel_while(self, paused, state, checkout, pool, disturb):
        pid = self.stack.pause(paused)
        try:
            job = pool.submit(self.run_one, checkout)
            saga = self.customer.saga_of(checkout.order, state)["saga_id"]
            if disturb:
                disturb()
            self.cancel(saga)
        finally:
            self.stack.resume(pid)
        job.result()

    def cancel_lost(self, checkout, pool):
        """The cancel of a take that has not come: it leaves a tombstone, and the saga hangs until
        it is given up."""
        pid = self.stack.pause("payment")
        try:
            job = pool.submit(self.run_one, checkout)
            saga = self.customer.saga_of(checkout.order, "CHARGING")["saga_id"]
            row = [f"{saga}:1:take", checkout.order]
            table = {"type": "stock.cancel", "fields": ["id", "order"], "rows": [row]}
            self.stack.publish("kassa.stock", json.dumps({"v": 2, "tables": [table]}))
        finally:
            self.stack.resume(pid)
        self.cancel(saga)
        job.result()


class Late(Trade):
    def prepare(self):
        self.goods(CHECKOUTS * QUANTITY, CREDIT, PAID, LATE)

    def act(self, disturb=None):
        with concurrent.futures.ThreadPoolExecutor(CHECKOUTS) as pool:
            pid = self.stack.pause("payment")
            try:
                jobs = [pool.submit(self.run_one, checkout) for checkout in self.checkouts]
                time.sleep(LATE_S)
            finally:
                self.stack.resume(pid)
            for job in jobs:
                job.result()


class Shop(Trade):
    """Everything but checkouts: each request has its effect once, whoever dies."""

    latest = None  # the batches of an earlier one are no more

    def prepare(self):
        Shop.latest = self
        self.batch = int(time.monotonic() * 1000) % 100000 + 10  # credit of this batch's users

    def act(self, disturb=None):
        """One after the other: each command is alone in its envelope, which is named by its first."""
        self.people()
        self.things()
        self.batches()

    def people(self):
        customer = Customer(self.stack)
        self.user = customer.user(20)
        customer.ok("POST", f"/payment/add_funds/{self.user}/5", credit=25)
        customer.ok("POST", f"/payment/pay/{self.user}/3", paid=True, credit=22)
        customer.refused(f"/payment/pay/{self.user}/1000", 400, "insufficient credit")
        customer.refused("/payment/add_funds/nobody/1", 404, "unknown user")
        customer.refused("/sagas/nothing/cancel", 404, "unknown saga")
        if customer.get("/sagas/nothing").status != 404:
            raise Lie("there is a saga named nothing")
        while customer.get("/ready").status != 200:
            time.sleep(0.02)
        customer.close()

    def things(self):
        customer = Customer(self.stack)
        self.thing = customer.item(9)
        customer.ok("POST", f"/stock/subtract/{self.thing}/4", subtracted=True, stock=5)
        customer.refused(f"/stock/subtract/{self.thing}/6", 400, "out of stock")
        self.order = customer.ok("POST", "/orders/create/somebody")["order_id"]
        for n in (1, 2):
            path = f"/orders/addItem/{self.order}/{self.thing}/{QUANTITY}"
            customer.ok("POST", path, total_cost=n * TOTAL)
        customer.refused(f"/orders/addItem/{self.order}/nothing/1", 404, "unknown item")
        customer.ok("GET", f"/orders/find/{self.order}", total_cost=2 * TOTAL)
        customer.ok("GET", f"/stock/find/{self.thing}", stock=5)
        customer.get("/sagas?limit=2")
        customer.close()

    def batches(self):
        customer = Customer(self.stack)
        for path in (
            f"/payment/batch_init/{BATCH}/{self.batch}",
            f"/stock/batch_init/{BATCH}/{BATCH_STOCK}/{BATCH_PRICE}",
            f"/orders/batch_init/{BATCH}/{BATCH}/{BATCH}/{BATCH_PRICE}",
        ):
            customer.ok("POST", path)
        customer.close()

    def check(self, customer):
        self.check_goods(customer)
        order = customer.ok("GET", f"/orders/find/{self.order}")
        if (order["items"], order["total_cost"]) != ([[self.thing, 2 * QUANTITY]], 2 * TOTAL):
            raise Lie(f"order {self.order} is {order}")
        for n in () if Shop.latest is not self else (0, BATCH // 2, BATCH - 1):
            customer.ok("GET", f"/payment/find_user/{n}", credit=self.batch)
            customer.ok("GET", f"/stock/find/{n}", stock=BATCH_STOCK, price=BATCH_PRICE)
            customer.ok("GET", f"/orders/find/{n}", paid=False, total_cost=2 * BATCH_PRICE)

    def check_goods(self, customer):
        found = (customer.credit(self.user), customer.stock(self.thing))
        if found != (22, 5):
            raise Lie(f"credit and stock after shopping are {found}, not (22, 5)")


SCENARIOS = {
    "paid": Paid,
    "credit": NoCredit,
    "stock": NoStock,
    "cancelled": Cancelled,
    "shop": Shop,
    "asked": Paid,
    "late": Late,
}
