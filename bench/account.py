"""The bill of a checkout: what each process spends on one, and what it would cost at the least.

    snapshot before --> load --> snapshot after --> bill(before, after, checkouts)

The floor of a checkout is what its parts cost bare, on this machine, in the same run:

    cpu_us  = request + calls x call(calls at once) + messages x message(commands in one)
    ceiling = min(cores x 1 000 000 / cpu_us, calls a second / calls)

where `request` is a GET /health through the gateway, `call` a payment_charge in a pipeline,
`message` an envelope through a quorum queue, each with the CPU time of everybody who has a part in
it, client included; and how many there are of each, and how many at once, is what the peak showed.
The second limit is there because the store has one thread. Twice: with a function call for each
charge, and with the charges as rows of calls, as the services make them.
"""

import time

from kassa import SERVICES
from measured import SERVERS

KINDS = {"calls": "kassa_store_calls_total", "flushes": "kassa_store_flushes_total",
         "commands": "kassa_broker_published_commands_total",
         "messages": "kassa_broker_published_envelopes_total"}


def snapshot(stack, is_first):
    """The broker is asked outside of the time that the others are: asking it costs it something."""
    fsyncs = stack.rabbitmq_fsyncs() if is_first else None
    shot = {"at": time.monotonic(), "cpu_s": {}, "memory_mib": {}, "metrics": {}}
    for name in SERVICES + SERVERS:
        shot["cpu_s"][name] = stack.cpu_s(name)
        shot["memory_mib"][name] = stack.memory_mib(name)
    for name in SERVICES:
        shot["metrics"][name] = stack.counters(name)
    shot["redis"] = stack.redis_counters()
    shot["rabbitmq"] = {"fsyncs": stack.rabbitmq_fsyncs() if fsyncs is None else fsyncs}
    return shot


def bill(before, after, checkouts, load_cpu_s):
    """process -> what one checkout takes of it; "sum" adds the CPU time up."""
    rows = {}
    for name in SERVICES + SERVERS:
        cpu_s = after["cpu_s"][name] - before["cpu_s"][name]
        rows[name] = {"cpu_us": cpu_s * 1e6 / checkouts, "memory_mib": after["memory_mib"][name]}
    for name in SERVICES:
        for kind, metric in KINDS.items():
            difference = after["metrics"][name][metric] - before["metrics"][name][metric]
            rows[name][kind] = difference / checkouts
    for kind in ("calls", "fsyncs"):
        rows["redis"][kind] = (after["redis"][kind] - before["redis"][kind]) / checkouts
    rows["rabbitmq"]["fsyncs"] = (
        after["rabbitmq"]["fsyncs"] - before["rabbitmq"]["fsyncs"]) / checkouts
    rows["load"] = {"cpu_us": load_cpu_s * 1e6 / checkouts}
    rows["sum"] = {"cpu_us": sum(row["cpu_us"] for row in rows.values())}
    for kind in ("commands", "messages", "flushes"):
        rows["sum"][kind] = sum(rows[name][kind] for name in SERVICES)
    rows["sum"]["calls"] = sum(rows[name]["calls"] for name in SERVICES)
    rows["sum"]["fsyncs"] = rows["redis"]["fsyncs"] + rows["rabbitmq"]["fsyncs"]
    return rows


def usage(stack):
    """Of the machine, and of the stack's processes, since their starts."""
    return {**stack.machine_s(), "ours": sum(stack.cpu_s(name) for name in SERVICES + SERVERS)}


def machine(before, after, load_cpu_s):
    """Whose the processors' time was, as shares. Much of others', or stolen: measure again."""
    grown = {kind: after[kind] - before[kind] for kind in after}
    ours_s = grown["ours"] + load_cpu_s
    shares = {"ours": ours_s, "others": max(grown["busy"] - ours_s, 0), "stolen": grown["stolen"],
              "idle": grown["all"] - grown["busy"] - grown["stolen"]}
    return {kind: seconds / grown["all"] for kind, seconds in shares.items()}


def between(points, at):
    """A straight line between measured points (x -> y); level outside of them."""
    xs = sorted(points)
    if at <= xs[0]:
        return points[xs[0]]
    for low, high in zip(xs, xs[1:]):
        if at <= high:
            return points[low] + (points[high] - points[low]) * (at - low) / (high - low)
    return points[xs[-1]]


def floor_of_a_checkout(floor, rows, cores, kind="call"):
    """floor: request_us; call_us and calls_per_s, or those of rows, each by calls at once;
    message_us by commands."""
    total = rows["sum"]
    at_once = total["calls"] / max(total["flushes"], 1e-9)
    in_one = total["commands"] / max(total["messages"], 1e-9)
    parts = {
        "request": floor["request_us"],
        "calls": total["calls"] * between(floor[f"{kind}_us"], at_once),
        "messages": total["messages"] * between(floor["message_us"], in_one),
    }
    cpu_us = sum(parts.values())
    calls_per_s = between(floor[f"{kind}s_per_s"], at_once)
    ceilings = {"cpu": cores * 1e6 / cpu_us, "store": calls_per_s / total["calls"]}
    return {"parts_us": parts, "cpu_us": cpu_us, "calls_at_once": at_once,
            "commands_in_a_message": in_one, "ceilings": ceilings,
            "ceiling": min(ceilings.values())}


def median_by(runs, key):
    """The run in the middle; of two, the worse one, given that a larger key is better."""
    ordered = sorted(runs, key=key)
    return ordered[(len(ordered) - 1) // 2]
