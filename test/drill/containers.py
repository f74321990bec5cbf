"""The highly available stack as a drill's own project of docker-compose: which containers there
are, who is master and who leads just now, and whether everything is whole again.

The drill talks to containers at their own addresses, so it runs on the engine's machine.
"""

import itertools
import json
import os
import pathlib
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import redis

from breakable import Breakable, is_listening, run
from container_faults import Parts, make_fault
from kassa import Broken, metrics

GROUPS = ("order", "stock", "payment", "saga")
NODES = 3  # of each group, of the broker, and of the Sentinels
UP_S = 240
DOWN_AGAIN_S = 3
EQUAL_S = 20
FILL = "for i = 1, ARGV[1] do redis.call('SET', KEYS[1] .. i, i) end return 0"
FILL_KEYS, FILL_DELAY_US = 20000, 500  # a file of them takes 10 s to write, as of a store of 1 GB
DIGESTS = 500  # at once: the server answers nobody else meanwhile
LEADERS = ("[{binary_to_list(element(4, amqqueue:get_name(Q))), element(2, amqqueue:get_pid(Q))} "
           '|| Q <- rabbit_amqqueue:list(<<"/">>)].\n')
# Nodes that a node sees; whether its part of each queue runs, and how many parts that has.
WHOLE = ("{length(rabbit_mnesia:cluster_nodes(running)), "
         "lists:usort([{is_pid(whereis(element(1, amqqueue:get_pid(Q)))), "
         "length(maps:get(nodes, amqqueue:get_type_state(Q)))} "
         '|| Q <- rabbit_amqqueue:list(<<"/">>)])}.\n')


class Container:
    """What the engine said of one, when it was asked last."""

    def __init__(self, told):
        labels, networks = told["Config"]["Labels"], told["NetworkSettings"]["Networks"]
        self.id = told["Id"][:12]
        self.service = labels["com.docker.compose.service"]
        self.number = int(labels["com.docker.compose.container-number"])
        self.name = f"{self.service}-{self.number}"
        self.image = told["Config"]["Image"]
        self.state = told["State"]
        self.started_at = told["State"]["StartedAt"]
        self.pid = told["State"]["Pid"]
        self.networks = list(networks)
        self.address = next((n["IPAddress"] for n in networks.values() if n["IPAddress"]), "")
        self.fixed = next(((n.get("IPAMConfig") or {}).get("IPv4Address", "")
                           for n in networks.values()), "")

    def __str__(self):
        return self.name


class Containers(Parts, Breakable):
    RETURN_S = 30  # until another one is master, at most
    SYNCS = 3 * 3  # begun, given back, ended: each waits for the sync that runs, its own, and one more
    LOOK_S = 0.3  # each look costs processes: what boots meanwhile needs the processors more

    def __init__(self):
        super().__init__()
        self.compose = os.environ["COMPOSE"].split()
        self.project = os.environ["COMPOSE_PROJECT_NAME"]
        self.home = pathlib.Path(os.environ["COMPOSE_HOME"])  # docker-compose.yml's directory
        self.url = f"http://127.0.0.1:{os.environ['HTTP_PORT']}"
        self.logs = pathlib.Path(os.environ["KASSA_VAR"]) / "log" / "containers.log"
        self.missing = []  # for is_ready
        self.containers = []
        self.pool = ThreadPoolExecutor(16)
        self.secrets = {}
        self.auditor = ""  # a container's id

    # ---- all of it ----

    def up(self):
        run(*self.compose, "up", "-d", timeout=UP_S)
        self.look()
        some = self.find("redis-order-1")
        for name in ("redis_password", "erlang_cookie"):
            self.secrets[name] = run("docker", "exec", some.id, "cat", f"/run/kassa/{name}")
        # One for all audits: to make a container takes longer than an audit.
        self.auditor = run(*self.compose, "run", "-d", "--entrypoint", "sleep", "audit",
                           "infinity").split()[-1]
        self.wait_until(self.is_ready, "ready", UP_S)

    def down(self):
        if self.auditor:
            run("docker", "rm", "-f", self.auditor)
            self.auditor = ""
        with self.logs.open("a") as logs:
            logs.write(run(*self.compose, "logs", "--no-color", timeout=UP_S))
        run(*self.compose, "kill", timeout=UP_S)
        try:
            run(*self.compose, "down", "-v", "-t", "1", timeout=UP_S)
        except Broken:  # the engine may need a moment to see that nobody uses the network
            time.sleep(DOWN_AGAIN_S)
            run(*self.compose, "down", "-v", "-t", "1", timeout=UP_S)

    def wipe(self):
        """The volumes went with the containers."""
        self.known.clear()

    def look(self):
        ids = run("docker", "ps", "-aq", "--filter",
                  f"label=com.docker.compose.project={self.project}", "--filter",
                  "label=com.docker.compose.oneoff=False").split()
        told = json.loads(run("docker", "inspect", *ids)) if ids else []
        self.containers = [c for c in map(Container, told) if c.service != "secrets"]
        return self.containers

    def of(self, service):
        return [c for c in self.containers if c.service.startswith(service)]

    def gateways(self):
        self.look()
        return [f"http://{c.address}:8000" for c in self.of("gateway")]

    def front(self):
        """Not the published port: the engine's proxy in front of that one, which has six files open for
        each connection, ends for good when it may open no more."""
        self.look()
        return f"http://{self.find('nginx').address}:8000"

    def is_ready(self):
        """As whole as it was in the beginning: what is broken next must be the only thing broken."""
        urls = self.gateways()
        self.missing = [c.name for c in self.containers
                        if not c.state["Running"] or c.state["Paused"] or not c.address]
        for is_well, parts in (  # what costs least comes first
                (self.is_answering, {url: url for url in [*urls, self.url]}),
                (self.is_group_whole, {group: group for group in GROUPS}),
                (self.is_node_whole, {node.name: node for node in self.of("rabbitmq-")})):
            if not self.missing:
                looks = {name: self.pool.submit(is_well, part) for name, part in parts.items()}
                self.missing = [name for name, look in looks.items() if not look.result()]
        return not self.missing

    def complaint(self):
        return f"missing: {self.missing}"

    def is_answering(self, url):
        return self.get(f"{url}/ready")[0] == 200

    def checkouts_at(self, gateway):
        """Those that this gateway has answered."""
        _, body = self.get(f"http://{gateway.address}:8000/metrics")
        return metrics.total(body, "kassa_http_requests_total", route="checkout")

    # ---- the stores ----

    def redis(self, address, port=6379):
        """A server, or a Sentinel at its port."""
        return redis.Redis(address, port, username="kassa" if port == 26379 else "default",
                           password=self.secrets["redis_password"], decode_responses=True,
                           socket_timeout=5, socket_connect_timeout=1)

    def master_address(self, group):
        """What most of the Sentinels say; '' while they do not agree."""
        said = []
        for sentinel in self.of("sentinel-"):
            try:
                with self.redis(sentinel.address, 26379) as r:
                    said.append(r.sentinel_get_master_addr_by_name(group)[0])
            except (redis.RedisError, OSError, TypeError):
                pass
        most = max(set(said), key=said.count, default="")
        return most if said.count(most) * 2 > NODES else ""

    def nodes(self, group):
        """(its master, its replicas)"""
        address = self.master_address(group)
        nodes = self.of(f"redis-{group}-")
        masters = [c for c in nodes if c.address == address]
        if len(masters) != 1:
            raise Broken(f"{group}: the master is {address or 'unknown'}")
        return masters[0], [c for c in nodes if c.address != address]

    def is_group_whole(self, group):
        """All Sentinels name one master, it says so itself, and its replicas follow it, under their
        own names: what they have is on their disks. By its own word, since the Sentinels look at that
        every 10 s only."""
        try:
            with self.redis(self.master_address(group) or "127.0.0.1") as r:
                said = r.info("replication")
            followed = [said.get(f"slave{n}", {}) for n in range(NODES - 1)]
            addresses = {node.address for node in self.of(f"redis-{group}-")}
            if said["role"] != "master" or any(f.get("state") != "online" or f["ip"] not in addresses
                                               for f in followed):
                return False
            for sentinel in self.of("sentinel-"):
                with self.redis(sentinel.address, 26379) as r:
                    known = r.sentinel_master(group)
                    if (known["flags"] != "master" or known["num-other-sentinels"] != NODES - 1
                            or known["num-slaves"] != NODES - 1):
                        return False
                    if any(s["flags"] != "slave" for s in r.sentinel_slaves(group)):
                        return False
        except (redis.RedisError, OSError, KeyError):
            return False
        return True

    def fill(self, master):
        with self.redis(master.address) as r:
            r.eval(FILL, 1, "filler:", FILL_KEYS)

    def slow_rewrites(self, node):
        """Its server may not be let out yet (deploy/compose/copy.sh). False: it does not answer."""
        for port in (6378, 6379):
            try:
                with self.redis(self.find(node.service).address, port) as r:
                    return r.config_set("rdb-key-save-delay", FILL_DELAY_US)
            except (redis.RedisError, OSError):
                pass
        return False

    def is_doubted(self, master, node):
        """It follows the master, and has nothing on its disk yet."""
        with self.redis(master.address) as r:
            said = r.info("replication")
        return any(said.get(f"slave{n}", {}).get("ip") == f"in-doubt.{node.address}"
                   and said[f"slave{n}"]["state"] == "online" for n in range(NODES - 1))

    def digests(self, node, keys):
        """DEBUG DIGEST-VALUE, some at a time: one number for what is under a key, whatever the
        order. keys None: all there are."""
        found = {}
        with self.redis(node.address) as r:
            keys = iter(r.scan_iter(count=DIGESTS) if keys is None else keys)
            while some := list(itertools.islice(keys, DIGESTS)):
                found.update(zip(some, r.execute_command("DEBUG", "DIGEST-VALUE", *some)))
            return r.dbsize(), found

    def unequal(self, entities=None):
        """Compares the nodes of each group: how many keys, and what is under those of `entities`,
        group -> keys; None: under all."""
        until = time.monotonic() + EQUAL_S
        while True:
            self.look()
            different = []
            for group in GROUPS:
                keys = None if entities is None else entities.get(group, [])
                told = list(self.pool.map(lambda node, keys=keys: self.digests(node, keys),
                                          self.of(f"redis-{group}-")))
                if len(told) != NODES or any(one != told[0] for one in told):
                    sizes = [size for size, _ in told]
                    differing = sum(len({digests.get(key) for _, digests in told}) > 1
                                    for key in set().union(*(digests for _, digests in told)))
                    different.append(f"the nodes of {group} differ: they have {sizes} keys, "
                                     f"{differing} of those compared are not the same")
            if not different or time.monotonic() > until:
                return different
            time.sleep(0.2)

    def audit_command(self):
        return ["docker", "exec", self.auditor, "kassa-audit", "--json"]

    # ---- the broker ----

    def erlang_call_at(self, node):
        return ["erl_call", "-c", self.secrets["erlang_cookie"], "-address",
                f"{node.address}:25672", "-e"], {"HOME": "/"}

    def erlang_call(self):
        """Of a node that serves: one that boots knows no queues yet."""
        for node in self.of("rabbitmq-"):
            if (node.state["Running"] and not node.state["Paused"] and node.address
                    and is_listening(5672, node.address)):
                return self.erlang_call_at(node)
        raise Broken("no node of the broker serves")

    def is_node_whole(self, node):
        """It sees all others, and has a part of each queue, which runs. A node that boots is not
        asked: a call that needs its feature flags before it has read them itself can make it stand
        still for ever (3.10: both load rabbit_ff_registry)."""
        if not is_listening(5672, node.address):
            return False
        command, _ = self.erlang_call_at(node)
        try:
            done = subprocess.run(command, input=WHOLE, capture_output=True, text=True, timeout=5,
                                  check=False)
        except subprocess.TimeoutExpired:
            return False
        return f"{{{NODES},[{{true,{NODES}}}]}}" in re.sub(r"\s", "", done.stdout)

    def leader(self):
        """The node that leads most queues."""
        said = self.erlang(LEADERS)
        return max(self.of("rabbitmq-"), key=lambda c: said.count(f"rabbit@{c.service}"))

    def fault(self, component, kind):
        return make_fault(self, component, kind)

    # ---- for the faults of edges.py, with what Parts has ----

    def ask(self, container, *words):
        try:
            with self.redis(container.address) as r:
                return str(r.execute_command(*words))
        except redis.RedisError as error:
            raise Broken(f"{container.name}: {error}") from error

    def clock_of(self, container):
        if container.service.startswith("redis-"):
            with self.redis(container.address) as r:
                return r.time()[0]
        port = 8000 if container.service == "gateway" else 9000
        return self.date_of(f"http://{container.address}:{port}")
