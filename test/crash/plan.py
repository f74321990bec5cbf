"""Which point is to die in which scenario, at which hit: from what a traced run has passed.

The points are those that the binaries have (--crash-points). What cannot be passed is said here
with its reason; anything else that no scenario passes is a hole, and fails the run.
"""

import random

OUTCOMES = ("paid", "credit", "stock", "cancelled")
PREFERRED = ("stock", "cancelled", "paid", "credit", "shop", "asked", "late")
PUBLISHING = ("consumer.publish.", "consumer.confirm.")
# Commands from which another command follows; all others end with a notice, or with nothing.
SENDERS = {
    "order.checkout",
    "order.cancel",
    "payment.charge",
    "payment.refund",
    "stock.quote",
    "stock.take",
    "stock.cancel",
    "stock.refused",
    "stock.cancelled",
}
# Passed now and then by themselves, so there is no need to act for another hit.
IDLE = ("sweep.", "recovery.lease.", "replaying.")


def impossible(service, point):
    """Why this service never passes that point, or None."""
    name, _, command = point.partition(":")
    if name.startswith(PUBLISHING) and command not in SENDERS:
        return "answered by a notice, if at all: nothing is published"
    if service == "order" and name.startswith("replay."):
        return "only a participant of sagas announces"
    if service == "gateway" and name.startswith("notice.publish"):
        return "it only reads notices"
    if service == "gateway" and name.startswith("broker.ack."):
        return "it consumes nothing"
    if command == "payment.charged":
        return "a charge of a checkout has a slip: it travels on, and stock answers"
    return None


def disturbance(point):
    """What has to happen to connections for this point to be passed."""
    if point.startswith(("replay.", "replaying.")) or point.endswith(":order.replay"):
        return "run"
    if point.startswith("redis."):
        return "store"
    return "broker" if point.startswith("link.") else None


class Shot:
    """One death: `service` at the hit-th hit of `point`."""

    def __init__(self, service, point, hit):
        self.service = service
        self.point = point
        self.hit = hit
        self.fired = False

    def __str__(self):
        return f"{self.service} {self.point} hit {self.hit}"


def random_hit(passed, point, dice):
    """Neither the first nor the second, and one that comes without waiting for long."""
    if point.startswith(IDLE):
        return 3
    return dice.randint(3, max(4, min(passed, 20)))


def scenarios_of(service, point, passed):
    """passed: {scenario: {(service, point): hits}}. Those in which this point can die."""
    if disturbance(point) and not impossible(service, point):
        return list(OUTCOMES)
    reached = [name for name in passed if passed[name].get((service, point))]
    # Those that are there for what only they pass.
    own = {"late": point.startswith("recovery."), "asked": point.endswith(":order.checkout")}
    return [name for name in reached if own.get(name, True)]


def together(plan):
    """Those whose services run in their own way come at the end, side by side."""
    return sorted(plan, key=lambda entry: entry[0] if entry[0] in ("asked", "late") else "")


def holes(points, passed):
    """Points that no scenario passes though they should, and the reverse."""
    for service, point in points:
        reached = scenarios_of(service, point, passed)
        why = impossible(service, point)
        if not reached and not why:
            yield service, point, "not reached in any scenario"
        if reached and why:
            yield service, point, f"passed in {reached}, though: {why}"


def full(points, passed, dice):
    """(scenario, [shot]) of everything, mixed."""
    plan = []
    for service, point in points:
        if impossible(service, point):
            continue
        for scenario in scenarios_of(service, point, passed):
            hits = passed[scenario].get((service, point), 1)
            for hit in (1, 2, random_hit(hits, point, dice)):
                plan.append((scenario, [Shot(service, point, hit)]))
    dice.shuffle(plan)
    return together(plan)


def quick(points, passed, dice):
    """Each point once; up to one of each service in one act."""
    lanes = {}
    for service, point in points:
        reached = scenarios_of(service, point, passed)
        if impossible(service, point) or not reached:
            continue
        kind = disturbance(point)
        scenario = "paid" if kind else next(s for s in PREFERRED if s in reached)
        shots = lanes.setdefault((scenario, kind), {}).setdefault(service, [])
        shots.append(Shot(service, point, 1))
    plan = []
    for (scenario, _), by_service in lanes.items():
        while any(by_service.values()):
            plan.append((scenario, [shots.pop() for shots in by_service.values() if shots]))
    dice.shuffle(plan)
    return together(plan)


def dice(seed):
    return random.Random(seed)
