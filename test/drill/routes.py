"""What a request means to the checker: one line for each route of the gateway.

    CREATES what, from    the answer names it, as <what>_id; `from` is what it is made with
    READS what, field     the answer has the field of it
    GAINS what, amount    what is in it grows
    LOSES what, amount    it shrinks
    ADDS_LINE             an order gets a line more
    CHECKS_OUT            an order is paid, or refused
    NOTHING               it changes nothing, and no rule holds what it reads
    UNJUDGED              it changes what no rule accounts for: no drill may send it

test_drill_routes.py holds it to the table of the README, which has all routes (test/docs.sh).
"""

import collections
import re

CREATES, READS, GAINS, LOSES = "creates", "reads", "gains", "loses"
ADDS_LINE, CHECKS_OUT, NOTHING, UNJUDGED = "adds line", "checks out", "nothing", "unjudged"

Route = collections.namedtuple("Route", "method pattern means what field", defaults=(None, None))
ROUTES = (
    Route("POST", "/payment/create_user", CREATES, "user"),
    Route("GET", "/payment/find_user/{user}", READS, "user", "credit"),
    Route("POST", "/payment/add_funds/{user}/{amount}", GAINS, "user", "amount"),
    Route("POST", "/payment/pay/{user}/{amount}", LOSES, "user", "amount"),
    Route("POST", "/payment/batch_init/{n}/{credit}", UNJUDGED),
    Route("POST", "/stock/item/create/{price}", CREATES, "item", "price"),
    Route("GET", "/stock/find/{item}", READS, "item", "stock"),
    Route("POST", "/stock/add/{item}/{quantity}", GAINS, "item", "quantity"),
    Route("POST", "/stock/subtract/{item}/{quantity}", LOSES, "item", "quantity"),
    Route("POST", "/stock/batch_init/{n}/{stock}/{price}", UNJUDGED),
    Route("POST", "/orders/create/{user}", CREATES, "order", "user"),
    Route("GET", "/orders/find/{order}", READS, "order", "paid"),
    Route("POST", "/orders/addItem/{order}/{item}/{quantity}", ADDS_LINE, "order", "quantity"),
    Route("POST", "/orders/checkout/{order}", CHECKS_OUT, "order"),
    Route("POST", "/orders/batch_init/{n}/{n_items}/{n_users}/{price}", UNJUDGED),
    Route("GET", "/sagas/{saga}", NOTHING),
    Route("POST", "/sagas/{saga}/cancel", UNJUDGED),
    Route("GET", "/sagas", NOTHING),
    Route("GET", "/health", NOTHING),
    Route("GET", "/ready", NOTHING),
    Route("GET", "/metrics", NOTHING),
)


def matcher(pattern):
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern) + r"(?:\?.*)?")


MATCHERS = [(route, matcher(route.pattern)) for route in ROUTES]


def find(method, path):
    """(route, parameter -> text). Errors: LookupError when there is no such route."""
    for route, pattern in MATCHERS:
        found = pattern.fullmatch(path) if route.method == method else None
        if found:
            return route, found.groupdict()
    raise LookupError(f"{method} {path} has no line in test/drill/routes.py: what does it mean?")


def is_checkout(request):
    return find(request["method"], request["path"])[0].means == CHECKS_OUT
