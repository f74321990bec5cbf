"""A group of the containers' stores (deploy/compose/redis.sh, copy.sh) without containers: three nodes
and three Sentinels on loopback addresses. Nodes are killed where what a replica has acknowledged is on
no disk, and where the nodes that come back have not the same.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy/compose/redis.sh"
NODES = (1, 2, 3)
WAIT_S = 40
KEYS = 20000
SLOW = "--rdb-key-save-delay 500"  # a rewrite of that many keys takes 10 s: as a store of 1 GB
AWAY_S = 12  # then the services do without it
GROUPS_AT_ONCE = 6  # they mostly wait


def wait_for(what, is_true, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(0.1)


chosen_ports = set()
choosing = threading.Lock()


def choose_port():
    """One that is free together with the one before it, and no other group has been given."""
    while True:
        with choosing, socket.socket() as one, socket.socket() as other:
            one.bind(("", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("", port - 1))
            except OSError:
                continue
            if chosen_ports.isdisjoint((port, port - 1)):
                chosen_ports.update((port, port - 1))
                return port


class Group:
    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="kassa-copies."))
        self.port, self.sentinel_port = choose_port(), choose_port()
        (self.home / "secrets").mkdir()
        for name in ("password", "metrics", "order", "gateway", "audit"):
            (self.home / "secrets" / f"redis_{name}").write_text("secret")
        self.running = {}

    def address(self, node):
        return f"127.0.0.{10 + node}"

    def sentinel(self, number):
        return f"127.0.0.{20 + number}"

    # ---- processes ----

    def launch(self, name, words, **environment):
        log = open(self.home / f"{name}.log", "a", encoding="utf-8")
        self.running[name] = subprocess.Popen(
            words, stdout=log, stderr=log, cwd=self.home, start_new_session=True,
            env={**os.environ, **environment})
        log.close()

    def kill(self, *names):
        """As the engine does it: all processes of the container."""
        for name in names:
            os.killpg(self.running[name].pid, signal.SIGKILL)
        for name in names:
            self.running.pop(name).wait()

    def signal_watch(self, node, number):
        """Not the server: what decides about it."""
        server = int(self.info(node, "server")["process_id"])
        group = self.running[f"node-{node}"].pid
        for entry in pathlib.Path("/proc").iterdir():
            try:
                pid = int(entry.name)
                if pid != server and os.getpgid(pid) == group:
                    os.kill(pid, number)
            except (ValueError, ProcessLookupError):
                pass

    def start(self, node, arguments=""):
        name, own = f"node-{node}", self.address(node)
        data, run = self.home / name, self.home / f"run-{node}"
        data.mkdir(exist_ok=True)
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        others = [self.address(n) for n in NODES if n != node]
        self.launch(
            name, ["sh", str(SCRIPT), "order", own, *others], KASSA_RUN=str(run), KASSA_SELF=own,
            KASSA_SECRETS=str(self.home / "secrets"), REDIS_PORT=str(self.port),
            SENTINELS=" ".join(f"{self.sentinel(n)}:{self.sentinel_port}" for n in NODES),
            KASSA_DATA=str(data), REDIS_ARGS=f"--bind {own} {arguments}")

    def start_sentinel(self, number):
        conf = self.home / f"sentinel-{number}.conf"
        if not conf.exists():
            conf.write_text(f"""port {self.sentinel_port}
bind {self.sentinel(number)}
sentinel announce-ip {self.sentinel(number)}
sentinel monitor order {self.address(1)} {self.port} 2
sentinel auth-pass order secret
sentinel down-after-milliseconds order 2000
sentinel failover-timeout order 5000
""")
        self.launch(f"sentinel-{number}", ["redis-server", str(conf), "--sentinel"])

    def up(self):
        for number in NODES:
            self.start_sentinel(number)
            self.start(number)
        self.wait_whole()

    def end(self):
        """Whatever has become of the test."""
        self.kill(*list(self.running))
        if os.environ.get("KASSA_KEEP"):
            print(self.home)
        else:
            shutil.rmtree(self.home)

    def trust(self, node):
        """An operator's word."""
        subprocess.run(["sh", str(SCRIPT), "trust"], check=True, env={
            **os.environ, "KASSA_RUN": str(self.home / f"run-{node}"),
            "KASSA_SECRETS": str(self.home / "secrets")})

    # ---- questions ----

    def cli(self, host, port, *words):
        done = subprocess.run(["redis-cli", "-h", host, "-p", str(port), *map(str, words)],
                              env={**os.environ, "REDISCLI_AUTH": "secret"}, text=True, timeout=20,
                              capture_output=True, check=False)
        return done.stdout.strip()

    def ask(self, node, *words):
        return self.cli(self.address(node), self.port, *words)

    def info(self, node, section="replication"):
        lines = self.ask(node, "INFO", section).splitlines()
        return dict(line.strip().split(":", 1) for line in lines if ":" in line)

    def state(self, node):
        try:
            return (self.home / f"run-{node}/state").read_text().strip()
        except OSError:
            return ""

    def log(self, node):
        return (self.home / f"node-{node}.log").read_text()

    def named(self):
        """By all Sentinels that run; 0: they do not agree."""
        said = {self.cli(self.sentinel(n), self.sentinel_port, "SENTINEL",
                         "GET-MASTER-ADDR-BY-NAME", "order").split("\n")[0]
                for n in NODES if f"sentinel-{n}" in self.running}
        return next((n for n in NODES if said == {self.address(n)}), 0)

    def master(self):
        """The one that is named, and says so itself."""
        node = self.named()
        return node if node and self.info(node).get("role") == "master" else 0

    def listed(self, master):
        """How its replicas are named there."""
        said = self.info(master)
        return sorted(said[f"slave{n}"].split(",")[0].removeprefix("ip=")
                      for n in range(len(NODES)) if f"slave{n}" in said)

    def knows_replicas(self, sentinel):
        """A Sentinel asks the master for them every 10 s; who it does not know is not promoted."""
        said = self.cli(self.sentinel(sentinel), self.sentinel_port, "SENTINEL", "REPLICAS", "order")
        words = said.split("\n")
        return words.count("slave-priority") == 2 and words.count("100") >= 2

    def is_whole(self):
        master = self.master()
        others = sorted(self.address(n) for n in NODES if n != master)
        return (master and self.listed(master) == others
                and sorted(map(self.state, NODES)) == ["master", "sure", "sure"]
                and all(map(self.knows_replicas, NODES)))

    def wait_whole(self):
        wait_for("the group is whole", self.is_whole)

    def wait_master(self, *allowed):
        wait_for(f"one of {allowed} is master", lambda: self.master() in allowed)
        return self.master()

    # ---- what services do ----

    def write(self, master, key, value, copies):
        """Is it answered? What is acknowledged counts as store/copies.h counts it."""
        said = self.cli(self.address(master), self.port, "EVAL",
                        "return redis.call('SET', KEYS[1], ARGV[1])", "1", key, value)
        if said != "OK":
            return False
        words = f"SET {key} {value}\nWAIT {len(NODES) - 1} 500\nROLE\n"
        told = subprocess.run(["redis-cli", "-h", self.address(master), "-p", str(self.port)],
                              input=words, env={**os.environ, "REDISCLI_AUTH": "secret"}, text=True,
                              timeout=20, capture_output=True, check=False).stdout.split()
        doubtful = sum(word.startswith(("in-doubt.", "unsure.")) for word in told)
        return told[0] == "OK" and int(told[1]) - doubtful >= copies

    def write_until_answered(self, master, key, value, copies):
        wait_for(f"{key} is answered", lambda: self.write(master, key, value, copies))


class Copies(unittest.TestCase):
    def setUp(self):
        self.group = Group()
        self.addCleanup(self.group.end)
        self.group.up()

    def fill(self):
        """So much that a copy of it takes its time."""
        master = self.group.master()
        script = "for i = 1, ARGV[1] do redis.call('SET', KEYS[1] .. i, i) end return 'done'"
        self.assertEqual(self.group.ask(master, "EVAL", script, "1", "key:", KEYS), "done")
        self.group.write_until_answered(master, "first", "1", 2)
        return master

    def restart_slowly(self, node, is_wiped):
        """It follows its master again, and has nothing on its disk for some seconds."""
        g = self.group
        g.kill(f"node-{node}")
        if is_wiped:
            shutil.rmtree(g.home / f"node-{node}")
        g.start(node, SLOW)
        wait_for("it has all, in memory", lambda: g.ask(node, "GET", "first") == "1")
        wait_for("it writes that down",
                 lambda: g.info(node, "persistence")["aof_rewrite_in_progress"] == "1")

    def successor_dies(self, is_wiped):
        """A replica has all, and nothing of it on its disk; its master dies, and so does it."""
        g = self.group
        master = self.fill()
        doubtful, other = [n for n in NODES if n != master]
        self.restart_slowly(doubtful, is_wiped)
        self.assertFalse(g.write(master, "second", "2", 2))
        self.assertTrue(g.write(master, "second", "2", 1))
        self.assertEqual(g.state(doubtful), "in doubt")
        g.kill(f"node-{master}")
        g.wait_master(other)
        g.kill(f"node-{doubtful}")
        g.start(doubtful)
        g.start(master)
        g.wait_whole()
        for node in NODES:
            self.assertEqual(g.ask(node, "GET", "second"), "2")
            self.assertGreater(int(g.ask(node, "DBSIZE")), KEYS)

    def test_a_copy_that_is_on_no_disk(self):
        self.successor_dies(False)

    def test_an_empty_node_that_has_nothing_on_its_disk(self):
        self.successor_dies(True)

    def test_the_successor_is_killed_at_once(self):
        """It has been master for a moment; the last one takes over, which has everything."""
        g = self.group
        master = self.fill()
        g.kill(f"node-{master}")
        successor = g.wait_master(*[n for n in NODES if n != master])
        g.kill(f"node-{successor}")
        g.start(successor)
        g.start(master)
        g.wait_whole()
        self.assertEqual(g.ask(master, "GET", "first"), "1")

    def reboot_while_one_was_away(self, away):
        g = self.group
        master = g.master()
        other = next(n for n in NODES if n not in (master, away))
        g.kill(f"node-{away}")
        time.sleep(AWAY_S)
        g.write_until_answered(master, "order", "paid", 1)
        g.kill(*list(g.running))
        g.start(away)
        g.start(other)
        for sentinel in NODES:
            g.start_sentinel(sentinel)
        g.wait_master(other)
        self.assertEqual(g.ask(other, "GET", "order"), "paid")
        g.start(master)
        g.wait_whole()
        self.assertEqual(g.ask(master, "GET", "order"), "paid")

    def test_a_reboot_while_one_was_away(self):
        """Which of the two comes up first, or has the smaller run id, does not matter."""
        self.reboot_while_one_was_away(2)

    def test_a_reboot_while_the_other_one_was_away(self):
        self.reboot_while_one_was_away(3)

    def promote_one_that_slept(self):
        """The others did without it, and are dead when it wakes: it knows that it slept only after
        the Sentinels have made it master."""
        g = self.group
        master = g.master()
        sleeper, other = [n for n in NODES if n != master]
        g.signal_watch(sleeper, signal.SIGSTOP)
        server = int(g.info(sleeper, "server")["process_id"])
        os.kill(server, signal.SIGSTOP)
        wait_for("its master gives it up", lambda: g.listed(master) == [g.address(other)])
        time.sleep(AWAY_S)
        g.write_until_answered(master, "order", "paid", 1)
        g.kill(f"node-{master}", f"node-{other}")
        os.kill(server, signal.SIGCONT)
        g.wait_master(sleeper)
        self.assertEqual(g.ask(sleeper, "GET", "order"), "")
        return master, sleeper, other

    def test_one_that_slept_is_promoted(self):
        """Whoever has what it lacks does not follow it."""
        g = self.group
        master, sleeper, other = self.promote_one_that_slept()
        g.signal_watch(sleeper, signal.SIGCONT)
        g.start(other)
        g.wait_master(other)
        g.start(master)
        g.wait_whole()
        for node in NODES:
            self.assertEqual(g.ask(node, "GET", "order"), "paid")

    def test_an_operator_wants_what_one_has_that_slept(self):
        g = self.group
        master, sleeper, other = self.promote_one_that_slept()
        g.trust(sleeper)
        g.signal_watch(sleeper, signal.SIGCONT)
        wait_for("it is heard", lambda: g.ask(sleeper, "HGET", "kassa:copy", "with")
                 == g.address(sleeper))
        g.start(other)
        g.start(master)
        g.wait_whole()
        self.assertEqual(g.master(), sleeper)
        self.assertEqual(g.ask(other, "GET", "order"), "")

    def test_the_order_of_terms_is_kept_when_memory_is_full(self):
        """What a master counts in its data it counts then, too, or nobody follows it for sure."""
        g = self.group
        master = g.master()
        for node in NODES:
            g.ask(node, "CONFIG", "SET", "maxmemory", "1")
        before = int(g.ask(master, "HGET", "kassa:copy", "pulse"))
        time.sleep(2)
        self.assertGreater(int(g.ask(master, "HGET", "kassa:copy", "pulse")), before)
        g.kill(f"node-{master}")
        g.start(master, "--maxmemory 1")
        g.wait_master(*[n for n in NODES if n != master])
        g.wait_whole()

    def test_all_of_it_comes_back_by_itself(self):
        g = self.group
        master = self.fill()
        g.kill(*list(g.running))
        for number in NODES:
            g.start(number)
            g.start_sentinel(number)
        g.wait_whole()
        self.assertEqual(g.master(), master)
        self.assertEqual(g.ask(master, "GET", "first"), "1")

    def test_one_alone_waits_for_an_operator(self):
        g = self.group
        master = self.fill()
        left = next(n for n in NODES if n != master)
        g.kill(*[f"node-{n}" for n in NODES])
        g.start(left)
        wait_for("it asks for an operator", lambda: "redis.sh trust" in g.log(left))
        self.assertEqual(g.master(), 0)
        self.assertEqual(g.state(left), "room")
        g.trust(left)
        g.wait_master(left)
        self.assertEqual(g.ask(left, "GET", "first"), "1")

    def test_a_master_that_restarts_waits_for_another(self):
        """What it would cost is a full sync of both replicas at once, so all would be in doubt."""
        g = self.group
        master = self.fill()
        g.kill(f"node-{master}")
        g.start(master)
        g.wait_master(*[n for n in NODES if n != master])
        g.wait_whole()
        self.assertEqual(g.ask(master, "GET", "first"), "1")

    def test_it_ends_in_order(self):
        """SIGTERM reaches the server, and what the server says is what the container ends with."""
        process = self.group.running["node-2"]
        process.terminate()
        self.assertEqual(process.wait(10), 0)


class AtOnce(unittest.TestSuite):
    """Each test has a group of its own: several run at a time, and tell when they are done."""

    def run(self, result, debug=False):
        telling = threading.Lock()

        def run_one(test):
            own = unittest.TestResult()
            test.run(own)
            with telling:
                result.startTest(test)
                result.errors += own.errors
                result.failures += own.failures
                if own.wasSuccessful():
                    result.addSuccess(test)
                result.stopTest(test)

        with ThreadPoolExecutor(GROUPS_AT_ONCE) as pool:
            list(pool.map(run_one, self))
        return result


def load_tests(loader, _tests, _pattern):
    return AtOnce(loader.loadTestsFromTestCase(Copies))


if __name__ == "__main__":
    unittest.main()
