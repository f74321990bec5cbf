"""The stack of docker-compose.yml, started once for all of these tests (test/run/compose.sh has
chosen its names and ports, and ends it).
"""

import os
import sys
import time

from kassa import ROOT
from kassa.connection import ask

sys.path.insert(0, str(ROOT / "test" / "drill"))

import breakable  # noqa: E402
import containers  # noqa: E402

GROUPS, NODES, run = containers.GROUPS, containers.NODES, breakable.run
UP_S_MAX = 120  # from nothing to ready

started = []


def stack():
    """Ready; the first call waits for that."""
    if not started:
        began = time.monotonic()
        made = containers.Containers()
        made.up()
        made.up_s = time.monotonic() - began
        started.append(made)
    return started[0]


def secret(service, name):
    """What the service itself finds in its volume."""
    return run("docker", "exec", stack().find(service).id, "cat", f"/run/kassa/{name}")


def post(path, port=None):
    answer = ask("POST", f"http://127.0.0.1:{port or os.environ['HTTP_PORT']}{path}", 30)
    assert answer.status == 200, f"{path}: {answer}"
    return answer.json()


def buy(count):
    """So many checkouts of one user, all paid."""
    user = post("/payment/create_user")["user_id"]
    item = post("/stock/item/create/1")["item_id"]
    post(f"/payment/add_funds/{user}/{count}")
    post(f"/stock/add/{item}/{count}")
    for _ in range(count):
        order = post(f"/orders/create/{user}")["order_id"]
        post(f"/orders/addItem/{order}/{item}/1")
        assert post(f"/orders/checkout/{order}")["status"] == "paid"


def say(text):
    """Into the log of the tests; ./kassa test shows these lines."""
    print(f"\nmeasured: {text}", flush=True)
