"""The stack of docker-compose.yml, started once for all of these tests (deploy/compose/project.sh has
chosen its names and ports, and ends it).
"""

import json
import os
import pathlib
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "drill"), str(HERE.parents[2] / "stress")]

from containers import NODES, Containers  # noqa: E402,F401  (test/drill)
from kassa.services import ALL, GROUPS, QUEUES, SERVICES  # noqa: E402,F401
from stack import run  # noqa: E402

UP_S_MAX = 120  # from nothing to ready

started = []


def stack():
    """Ready; the first call waits for that."""
    if not started:
        began = time.monotonic()
        made = Containers()
        made.up()
        made.up_s = time.monotonic() - began
        started.append(made)
    return started[0]


def secret(service, name):
    """What the service itself finds in its volume."""
    return run("docker", "exec", stack().find(service).id, "cat", f"/run/kassa/{name}")


def post(path, port=None):
    url = f"http://127.0.0.1:{port or os.environ['HTTP_PORT']}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as answer:
        return json.load(answer)


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
