"""A patient customer, and what it buys: requests under keys, repeated until there is an answer.

A gateway that dies takes its connections with it; so every request carries an Idempotency-Key and
is sent again, over a new connection, until it is answered. Anything but an answer of the contract
is a lie, and raises.
"""

import json
import time
import uuid

from kassa.connection import Connection, Dropped

REQUEST_S = 40  # for one request with all its repeats
PRICE = 3
QUANTITY = 2
TOTAL = PRICE * QUANTITY
CREDIT = 10
PAID = None
CANCELLED = "the checkout was cancelled"
LATE = "the checkout took too long and was cancelled"


class Lie(Exception):
    """What must never be."""


class Answer:
    def __init__(self, status, body):
        self.status = status
        self.body = body

    def __eq__(self, other):
        return (self.status, self.body) == (other.status, other.body)

    def __repr__(self):
        return f"{self.status} {json.dumps(self.body)}"


class Customer:
    """One connection. Not for two threads at once."""

    def __init__(self, stack):
        self.connection = Connection(stack.url, REQUEST_S)

    def once(self, method, path, headers):
        answer = self.connection.request(method, path, headers)
        return Answer(answer.status, answer.json() if answer.body else None)

    def request(self, method, path, key=None):
        headers = {"Idempotency-Key": key} if key else {}
        until = time.monotonic() + REQUEST_S
        while True:
            try:
                answer = self.once(method, path, headers)
            except Dropped:
                if time.monotonic() > until:
                    raise Lie(f"no answer to {method} {path} in {REQUEST_S} s") from None
                time.sleep(0.01)
                continue
            if answer.status not in (429, 503) or path == "/ready":
                return answer
            if time.monotonic() > until:
                raise Lie(f"{answer} to {method} {path} for {REQUEST_S} s")
            time.sleep(0.05)

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, key=None):
        return self.request("POST", path, key or str(uuid.uuid4()))

    def close(self):
        self.connection.close()

    # ---- the shop ----

    def ok(self, method, path, **expected):
        answer = self.post(path) if method == "POST" else self.get(path)
        if answer.status != 200 or any(answer.body.get(k) != v for k, v in expected.items()):
            raise Lie(f"{answer} to {method} {path}, not 200 with {expected}")
        return answer.body

    def refused(self, path, status, sentence):
        answer = self.post(path)
        if (answer.status, answer.body) != (status, {"error": sentence}):
            raise Lie(f"{answer} to {path}, not {status} {sentence}")

    def user(self, credit):
        user = self.ok("POST", "/payment/create_user")["user_id"]
        if credit:
            self.ok("POST", f"/payment/add_funds/{user}/{credit}", credit=credit)
        return user

    def item(self, stock):
        item = self.ok("POST", f"/stock/item/create/{PRICE}")["item_id"]
        if stock:
            self.ok("POST", f"/stock/add/{item}/{stock}", stock=stock)
        return item

    def credit(self, user):
        return self.ok("GET", f"/payment/find_user/{user}")["credit"]

    def stock(self, item):
        return self.ok("GET", f"/stock/find/{item}")["stock"]

    def saga_of(self, order, *states):
        """The order's newest saga, once it is in one of the states, or has ended."""
        until = time.monotonic() + REQUEST_S
        while time.monotonic() < until:
            sagas = self.get(f"/sagas?order={order}").body["sagas"]
            if sagas and sagas[0]["state"] in (*states, "PAID", "FAILED"):
                return sagas[0]
            time.sleep(0.01)
        raise Lie(f"the saga of order {order} is in none of {states}: {sagas}")


class Checkout:
    """One order on its way: what was there before, what the client was told."""

    def __init__(self, customer, item, credit, expected):
        self.item = item
        self.before = credit
        self.expected = expected  # PAID, or the sentence of a refusal: what may be said
        self.key = str(uuid.uuid4())
        self.user = customer.user(credit)
        self.order = customer.ok("POST", f"/orders/create/{self.user}")["order_id"]
        path = f"/orders/addItem/{self.order}/{item}/{QUANTITY}"
        customer.ok("POST", path, total_cost=TOTAL)
        self.answer = None

    def path(self):
        return f"/orders/checkout/{self.order}"

    def run(self, customer):
        """Checks out, and looks at the user's credit as soon as the answer is here."""
        self.answer = customer.post(self.path(), self.key)
        self.check_told()
        credit = customer.credit(self.user)
        if credit != self.credit_after():
            raise Lie(f"{self} was told {self.answer} and has credit {credit}")

    def is_paid(self):
        return self.answer.status == 200

    def credit_after(self):
        return self.before - (TOTAL if self.is_paid() else 0)

    def check_told(self):
        """The answer is one that may be given here."""
        paid = {"status": "paid", "order_id": self.order, "total_cost": TOTAL}
        may = [(200, paid) if e is PAID else (400, {"error": e}) for e in self.expected]
        if (self.answer.status, self.answer.body) not in may:
            raise Lie(f"{self} was told {self.answer}; expected: {self.expected}")

    def check(self, customer):
        """Everything at rest: the stores say what the client was told, and still say so to it."""
        order = customer.ok("GET", f"/orders/find/{self.order}")
        saga = customer.ok("GET", f"/sagas?order={self.order}")["sagas"][0]
        found = (order["paid"], saga["state"], customer.credit(self.user))
        told = (self.is_paid(), "PAID" if self.is_paid() else "FAILED", self.credit_after())
        if found != told:
            raise Lie(f"{self}: paid, state, credit are {found}, told was {told}")
        again = customer.post(self.path(), self.key)
        if again != self.answer:
            raise Lie(f"{self} was told {self.answer}, and then {again}")
        if self.is_paid() and customer.post(self.path()) != self.answer:
            raise Lie(f"{self} was told {self.answer}, and something else without its key")

    def __str__(self):
        return f"order {self.order} of user {self.user}"
