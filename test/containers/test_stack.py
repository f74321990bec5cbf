"""What a newcomer gets from `docker-compose up`: soon, small, and closed but for the front."""

import json
import os
import unittest

from kassa import SERVICES
from kassa.connection import ask
from project import UP_S_MAX, post, run, say, stack

KASSA_MIB_MAX = 64  # of one of our processes
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
WATCHERS = ("prometheus", "redis-exporter")


def inspected(container):
    return json.loads(run("docker", "inspect", container.id))[0]


def status(container):
    """The fields of the first process's /proc/<pid>/status."""
    with open(f"/proc/{container.pid}/status", encoding="ascii") as file:
        return dict(line.rstrip().split(":\t", 1) for line in file)


def memory_mib():
    """name -> MiB"""
    ids = [c.id for c in stack().containers]
    told = run("docker", "stats", "--no-stream", "--format", "{{.Container}} {{.MemUsage}}", *ids)
    found = {}
    for line in told.splitlines():
        name, used = line.split()[:2]
        unit = next(u for u in ("KiB", "MiB", "GiB", "B") if used.endswith(u))
        found[name[:12]] = float(used.removesuffix(unit)) * UNITS[unit] / UNITS["MiB"]
    return {c.name: found[c.id] for c in stack().containers}


class Stack(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.all = stack().containers

    def each(self, check):
        for container in self.all:
            with self.subTest(container.name):
                check(container, inspected(container))

    def test_is_ready_soon(self):
        say(f"from nothing to ready: {stack().up_s:.0f} s, {len(self.all)} containers")
        self.assertLess(stack().up_s, UP_S_MAX)

    def test_is_small(self):
        used = memory_mib()
        kinds = {}
        for container in self.all:
            kind = container.service.partition("-")[0] if container.service not in WATCHERS else (
                "what watches")
            kinds.setdefault(kind, []).append(used[container.name])
        say(f"memory: {sum(used.values()):.0f} MiB: " + ", ".join(
            f"{kind} {'+'.join(f'{m:.0f}' for m in sorted(of_kind))}"
            for kind, of_kind in sorted(kinds.items())))
        for service in SERVICES:
            for container in stack().of(service):
                self.assertLess(used[container.name], KASSA_MIB_MAX, container.name)

    def test_both_ports_are_the_front(self):
        for port in ("HTTP_PORT", "HTTP_PORT_2"):
            self.assertIn("user_id", post("/payment/create_user", os.environ[port]))

    def test_only_the_front_is_published(self):
        def check(container, told):
            ports = [(b["HostIp"], b["HostPort"]) for bound in
                     (told["HostConfig"]["PortBindings"] or {}).values() for b in bound]
            wanted = {"nginx": ("HTTP_PORT", "HTTP_PORT_2"), "prometheus": ("PROMETHEUS_PORT",)}
            self.assertEqual(sorted(ports), sorted(
                ("127.0.0.1", os.environ[name]) for name in wanted.get(container.service, ())))

        self.each(check)

    def test_nobody_is_root_or_may_more_than_he_needs(self):
        def check(container, told):
            host, process = told["HostConfig"], status(container)
            self.assertNotEqual(process["Uid"].split()[0], "0")
            self.assertEqual({process[cap].strip("0") for cap in ("CapEff", "CapPrm", "CapBnd")}, {""})
            self.assertEqual(process["NoNewPrivs"], "1")
            self.assertTrue(host["ReadonlyRootfs"] and host["Init"])
            self.assertEqual(host["RestartPolicy"]["Name"], "unless-stopped")

        self.each(check)

    def test_all_but_what_watches_have_a_healthcheck(self):
        def check(container, told):
            if container.service not in WATCHERS:
                self.assertEqual(told["State"]["Health"]["Status"], "healthy")

        self.each(check)

    def test_a_service_knows_its_own_passwords_only(self):
        for service in SERVICES:
            for container in stack().of(service):
                self.assertEqual(
                    run("docker", "exec", container.id, "ls", "/run/kassa").split(),
                    ["rabbitmq_password", "redis_password"])

    def test_the_front_says_who_answered(self):
        post("/payment/create_user")
        addresses = [f"upstream={c.address}:8000/200/" for c in stack().of("gateway")]
        last = run("docker", "logs", "--tail", "20", stack().find("nginx").id)
        self.assertTrue(any(a in last for a in addresses), last)

    def test_the_front_is_ready(self):
        url = f"http://127.0.0.1:{os.environ['HTTP_PORT']}/ready"
        self.assertEqual(ask("GET", url, 10).json(), {"status": "ready", "ok": True})

    def test_the_audit_is_clean(self):
        report, found = stack().audit()
        self.assertEqual((report["violations"], found), (0, []))


if __name__ == "__main__":
    unittest.main()
