"""Locust load: checkouts of random orders, reads, and the whole flow of a new customer.

    python3 -m venv build/locust
    build/locust/bin/pip install -r stress/requirements.txt
    python3 stress/populate.py --url http://127.0.0.1:8000
    build/locust/bin/locust -f stress/locustfile.py --headless --host http://127.0.0.1:8000 \
        --users 200 --spawn-rate 50 --run-time 60s

Without --headless it is steered from the page http://127.0.0.1:8089. --processes 2 uses two cores.
--kassa-orders, --kassa-items, --kassa-users tell what was loaded, if not populate.py's defaults.

Quantiles are per route: ids are not part of the names. A checkout that is refused as the contract
says it is a success under a name of its own, since it tells about the data, not about the service.
Success is the right status and the right body and the right Content-Type. Everything else is a
failure under a short message: "status 503", "no answer: ...", "wrong body", "wrong Content-Type",
"overloaded (429)". The exit status is non-zero when there was any.
"""

import json
import random

from locust import FastHttpUser, between, events, task

REFUSALS = ("out of stock", "insufficient credit")
PRICE = 3
CREDIT = 100


@events.init_command_line_parser.add_listener
def on_command_line(parser):
    group = parser.add_argument_group("Kassa")
    for kind in ("orders", "items", "users"):
        what = f"{kind} that populate.py has loaded"
        group.add_argument(f"--kassa-{kind}", type=int, default=100_000, help=what)


def is_count(value):
    return type(value) is int and value >= 0


def is_id(value):
    return isinstance(value, str) and 1 <= len(value) <= 64


def fits(body, shape):
    """Is `body` an object with exactly the keys of `shape`, each value passing its check?"""
    if not isinstance(body, dict) or body.keys() != shape.keys():
        return False
    return all(
        want(body[key]) if callable(want) else (type(body[key]), body[key]) == (type(want), want)
        for key, want in shape.items()
    )


class Customer(FastHttpUser):
    wait_time = between(0, 0.02)
    connection_timeout = 10
    network_timeout = 300
    max_retries = 0  # a dropped connection is a finding, not a reason to try again

    def call(self, method, path, name, shape, refusals=()):
        """Sends, judges and returns the body; None when the answer was wrong or a refusal.
        A shape of None stands for: only a refusal is right."""
        with self.client.request(method, path, name=name, catch_response=True) as answer:
            if answer.status_code == 0:
                answer.failure(f"no answer: {type(answer.error).__name__}")
                return None
            if answer.headers.get("Content-Type") != "application/json":
                answer.failure("wrong Content-Type")
                return None
            try:
                body = json.loads(answer.text)
            except ValueError:
                answer.failure("wrong body: not JSON")
                return None
            if answer.status_code == 400 and body in [{"error": r} for r in refusals]:
                answer.request_meta["name"] = f"{name}: {body['error']}"
                answer.success()
                return None
            if answer.status_code == 429:
                answer.failure("overloaded (429)")
                return None
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return None
            if shape is None:
                answer.failure("paid, and should have been refused")
                return None
            if not fits(body, shape):
                answer.failure("wrong body")
                return None
            answer.success()
            return body

    def get(self, path, name, shape):
        return self.call("GET", path, name, shape)

    def post(self, path, name, shape):
        return self.call("POST", path, name, shape)

    def checkout(self, order, total=is_count, refusals=REFUSALS):
        shape = {"status": "paid", "order_id": order, "total_cost": total}
        name = "/orders/checkout/{order}"
        return self.call("POST", f"/orders/checkout/{order}", name, shape, refusals)

    def pick(self, kind):
        return random.randrange(getattr(self.environment.parsed_options, f"kassa_{kind}"))

    @task(20)
    def checkout_random(self):
        self.checkout(str(self.pick("orders")))

    @task(4)
    def find_order(self):
        order = str(self.pick("orders"))
        shape = {
            "order_id": order,
            "paid": lambda paid: isinstance(paid, bool),
            "items": lambda items: isinstance(items, list),
            "user_id": is_id,
            "total_cost": is_count,
        }
        self.get(f"/orders/find/{order}", "/orders/find/{order}", shape)

    @task(3)
    def find_item(self):
        shape = {"stock": is_count, "price": is_count}
        self.get(f"/stock/find/{self.pick('items')}", "/stock/find/{item}", shape)

    @task(3)
    def find_user(self):
        user = str(self.pick("users"))
        shape = {"user_id": user, "credit": is_count}
        self.get(f"/payment/find_user/{user}", "/payment/find_user/{user}", shape)

    @task(2)
    def buy(self):
        """A new customer, a new item, an order of one piece, and the checkout."""
        made = self.new_order(CREDIT)
        if made is None:
            return
        user, item, order = made
        if self.checkout(order, PRICE, refusals=()) is None:
            return
        # A read after an answered write shows it: a 200 means paid, and what it cost is gone.
        shape = {"user_id": user, "credit": CREDIT - PRICE}
        self.get(f"/payment/find_user/{user}", "/payment/find_user/{user} after", shape)
        shape = {"stock": 0, "price": PRICE}
        self.get(f"/stock/find/{item}", "/stock/find/{item} after", shape)

    @task(1)
    def buy_poor(self):
        """The same without enough credit: it must be refused, and nothing may be gone."""
        made = self.new_order(PRICE - 1)
        if made is None:
            return
        user, item, order = made
        name = "/orders/checkout/{order}"
        self.call("POST", f"/orders/checkout/{order}", name, None, ("insufficient credit",))
        shape = {"user_id": user, "credit": PRICE - 1}
        self.get(f"/payment/find_user/{user}", "/payment/find_user/{user} after", shape)
        shape = {"stock": 1, "price": PRICE}
        self.get(f"/stock/find/{item}", "/stock/find/{item} after", shape)

    def new_order(self, credit):
        """(user, item, order), or None when any of the answers was wrong."""
        user = self.post("/payment/create_user", "/payment/create_user", {"user_id": is_id})
        name = "/stock/item/create/{price}"
        item = self.post(f"/stock/item/create/{PRICE}", name, {"item_id": is_id})
        if not user or not item:
            return None
        user, item = user["user_id"], item["item_id"]
        funded = self.post(
            f"/payment/add_funds/{user}/{credit}",
            "/payment/add_funds/{user}/{amount}",
            {"done": True, "credit": credit},
        )
        stocked = self.post(
            f"/stock/add/{item}/1", "/stock/add/{item}/{amount}", {"added": True, "stock": 1}
        )
        name = "/orders/create/{user}"
        order = self.post(f"/orders/create/{user}", name, {"order_id": is_id})
        if not funded or not stocked or not order:
            return None
        order = order["order_id"]
        shape = {"added": True, "order_id": order, "total_cost": PRICE}
        name = "/orders/addItem/{order}/{item}/{qty}"
        if not self.post(f"/orders/addItem/{order}/{item}/1", name, shape):
            return None
        return user, item, order
