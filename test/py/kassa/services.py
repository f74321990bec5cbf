"""The list `services` at the root of the repository."""

import pathlib
from typing import NamedTuple


class Service(NamedTuple):
    name: str
    store: str       # its group
    net: int         # of the group's nodes: orders the groups
    calls: tuple     # groups of others
    queues: tuple    # "kassa.order"
    http: int        # 0: none
    metrics: int
    replicas: int


def parse(text):
    def several(column, prefix=""):
        return () if column == "-" else tuple(prefix + one for one in column.split(","))

    def number(column):
        return 0 if column == "-" else int(column)

    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, store, net, calls, queues, http, metrics, replicas, _, _ = line.split()
            found.append(Service(name, store, int(net), several(calls), several(queues, "kassa."),
                                 number(http), int(metrics), int(replicas)))
    return found


ALL = parse((pathlib.Path(__file__).resolve().parents[3] / "services").read_text())
SERVICES = tuple(s.name for s in ALL)
CONSUMERS = tuple(s.name for s in ALL if not s.http)  # all but the gateway
GROUPS = tuple(s.store for s in sorted(ALL, key=lambda s: s.net))
STORES = tuple(s.store for s in ALL if not s.http)  # those of the consumers
QUEUES = tuple(queue for s in ALL for queue in s.queues)
FRONT = next(s for s in ALL if s.http)
