"""A store comes back from an older copy of its files: what sagas did since then is done again.

Services and stores of its own, a store for each service, and a virtual host of the stack's broker:

    paid, refused, copy the files -> more of both -> kill -9 the store, start it on the copy
        -> its service asleep: look, the tail is gone -> awake: credit, stock, audit as if it were not

Needs KASSA_VAR, for the broker; without it everything here is skipped.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from client import INSUFFICIENT_CREDIT, OUT_OF_STOCK, TIME_FACTOR, Case, Client
from front import free_port
from kassa import ROOT, Broken, metrics
from kassa.connection import ask
from kassa.store import Store, flat
from servers import VAR, erlang, read_settings

BUILD = ROOT / "build" / os.environ.get("VARIANT", "release")
SERVICES = ("order", "stock", "payment", "gateway")
STORES = ("order", "stock", "payment")
VHOST = "test-replay"
WAIT_S = 10 * TIME_FACTOR


def channels_give_up_after(ms):
    """How long new channels of the broker let a delivery be open: half an hour, unless told."""
    erlang(
        f"application:set_env(rabbit, consumer_timeout, {ms}), "
        f"application:set_env(rabbit, channel_tick_interval, {min(ms // 4, 60000)}).\n"
    )


class Private:
    """Servers and services of this test. Owns: their processes and directory, until stop()."""

    def __init__(self, **variables):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kassa-replay."))
        names = (*STORES, "http", *(f"{service}-metrics" for service in STORES))
        self.ports = {name: free_port() for name in names}
        self.processes = {}
        user = '<<"kassa">>, <<"%s">>' % VHOST
        erlang(
            f'rabbit_vhost:add(<<"{VHOST}">>, <<"test">>), '
            f"rabbit_auth_backend_internal:set_permissions({user}, "
            '<<".*">>, <<".*">>, <<".*">>, <<"test">>).\n'
        )
        self.environment = dict(
            os.environ,
            HTTP_HOST="127.0.0.1",
            HTTP_PORT=str(self.ports["http"]),
            REDIS_PASSWORD="",
            SAGA_REDIS=self.node("order"),
            RABBITMQ_NODES="127.0.0.1:" + read_settings("ports")["RABBITMQ_PORT"],
            RABBITMQ_USER="kassa",
            RABBITMQ_PASSWORD=read_settings("secrets")["RABBITMQ_PASSWORD"],
            RABBITMQ_VHOST=VHOST,
            **{f"{name.upper()}_REDIS": self.node(name) for name in STORES},
            **variables,
        )

    def node(self, store):
        return f"127.0.0.1:{self.ports[store]}"

    def start(self):
        for store in STORES:
            (self.directory / store).mkdir()
            self.start_store(store)
        for service in SERVICES:
            metrics = "0" if service == "gateway" else str(self.ports[f"{service}-metrics"])
            self.run(service, [BUILD / f"kassa-{service}"], METRICS_PORT=metrics)

    def start_store(self, store):
        options = f"--bind 127.0.0.1 --port {self.ports[store]} --save  --appendonly yes"
        words = [*options.split(" "), "--appendfsync", "always", "--dir", self.directory / store]
        self.run(f"redis-{store}", ["redis-server", *words])
        until = time.monotonic() + WAIT_S
        while self.redis(store, "PING") != "PONG":
            assert time.monotonic() < until, f"the store of {store} does not answer"
            time.sleep(0.02)

    def run(self, name, words, **environment):
        with open(self.directory / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                words, env=dict(self.environment, **environment), stdout=log, stderr=log
            )

    def redis(self, store, *words):
        """The reply, or what was wrong."""
        try:
            with Store(self.ports[store]) as connection:
                return flat(connection.call(*words))
        except (OSError, Broken) as error:
            return str(error)

    def keep(self, store):
        shutil.copytree(self.directory / store, self.directory / "kept" / store)

    def restore(self, store):
        """The store dies, and another one has what was kept. Its service sleeps until wake()."""
        server = self.processes[f"redis-{store}"]
        server.kill()
        server.wait()
        self.processes[store].send_signal(signal.SIGSTOP)
        shutil.rmtree(self.directory / store)
        shutil.move(self.directory / "kept" / store, self.directory / store)
        self.start_store(store)

    def wake(self, service):
        self.processes[service].send_signal(signal.SIGCONT)

    def metric(self, service, name, **labels):
        url = f"http://127.0.0.1:{self.ports[f'{service}-metrics']}/metrics"
        return metrics.total(ask("GET", url).text, name, **labels)

    def audit(self):
        """Exit status and report."""
        done = subprocess.run(
            [BUILD / "kassa-audit"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    def stop(self):
        """Returns the services that did not end well, with the end of their logs."""
        bad = []
        for name in reversed(list(self.processes)):
            process = self.processes[name]
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                status = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            if status != 0:
                log = (self.directory / f"{name}.log").read_text(errors="replace")
                bad.append(f"{name} ended with {status}: {log[-3000:]}")
        erlang(f'rabbit_vhost:delete(<<"{VHOST}">>, <<"test">>).\n')
        shutil.rmtree(self.directory)
        return bad


class ReplayCase(Case):
    variables = {}

    def setUp(self):
        self.system = Private(**self.variables)
        self.addCleanup(self.stop)
        self.system.start()
        self.client = Client(f"http://127.0.0.1:{self.system.ports['http']}", 60)
        self.addCleanup(self.client.close)
        self.wait("ready", lambda: self.get_status("/ready") == 200)

    def stop(self):
        self.assertEqual(self.system.stop(), [])

    def get_status(self, path):
        try:
            return self.get(path).status
        except OSError:
            return None

    def wait(self, what, is_there, wait_s=WAIT_S):
        until = time.monotonic() + wait_s
        while not is_there():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.05)

    def buy(self, user, item, pieces):
        return self.checkout(self.order(user, (item, pieces)))

    def trade(self):
        """One of each end."""
        self.assertEqual(self.buy(self.rich, self.plenty, 3).status, 200)
        self.assert_refused(self.buy(self.rich, self.scarce, 2), OUT_OF_STOCK)
        self.assert_refused(self.buy(self.poor, self.plenty, 1), INSUFFICIENT_CREDIT)

    def lose(self, store):
        """Two trades, of which the store keeps the first. Its service is asleep afterwards."""
        self.rich, self.poor = self.user(1000), self.user(1)
        self.plenty, self.scarce = self.item(2, 100), self.item(5, 1)
        self.trade()
        self.system.keep(store)
        self.trade()
        self.replays = self.system.metric("order", "kassa_saga_replays_total")
        self.system.restore(store)

    def assert_mended(self):
        self.wait(
            "replayed",
            lambda: self.system.metric("order", "kassa_saga_replays_total") > self.replays,
        )
        self.wait("audit clean", lambda: self.system.audit()[0] == 0)
        self.assert_credit(self.rich, 1000 - 2 * 6)
        self.assert_credit(self.poor, 1)
        self.assert_stock(self.plenty, 100 - 2 * 3, 2)
        self.assertEqual(self.system.metric("order", "kassa_replay_refused_total"), 0)
        self.trade()  # and business goes on
        self.assertEqual(self.system.audit()[0], 0)

    def log_of(self, service):
        return (self.system.directory / f"{service}.log").read_text()


@unittest.skipUnless(VAR, "KASSA_VAR is not set: there is no broker")
class Replay(ReplayCase):
    def test_payment(self):
        """Charges and refunds are lost: balance and records vanish together, and come back."""
        self.lose("payment")
        key = f"payment:user:{self.rich}"
        self.assertEqual(self.system.redis("payment", "HGET", key, "credit"), str(1000 - 6))
        self.assertEqual(self.system.audit()[0], 1)
        self.system.wake("payment")
        self.assert_mended()

    def test_stock(self):
        """Takes and refusals are lost."""
        self.lose("stock")
        key = f"stock:item:{self.plenty}"
        self.assertEqual(self.system.redis("stock", "HGET", key, "quantity"), str(100 - 3))
        self.assertEqual(self.system.audit()[0], 1)
        self.system.wake("stock")
        self.assert_mended()

    def test_spent(self):
        """Somebody else has the credit by now: that cannot be mended, and is not kept quiet."""
        self.lose("payment")
        self.system.redis("payment", "HINCRBY", f"payment:user:{self.rich}", "credit", "-994")
        self.system.redis("payment", "HINCRBY", f"payment:user:{self.rich}", "funded", "-994")
        self.system.wake("payment")
        # once for each announcement: the one of the first start may still be on its way
        self.wait("alarm", lambda: self.system.metric("order", "kassa_replay_refused_total") > 0)
        self.assertEqual(self.system.audit()[0], 1)
        self.assertIn("event=replay_refused ", self.log_of("order"))


@unittest.skipUnless(VAR, "KASSA_VAR is not set: there is no broker")
class WrongClock(ReplayCase):
    variables = {"REPLAY_SECONDS": "1"}
    AHEAD_MS = 9 * 24 * 3600 * 1000

    def test_pulse_from_the_future(self):
        """Who wrote last until when the store has everything had a clock that was ahead: the store's
        own records tell better."""
        self.lose("payment")
        ahead_ms = int(time.time() * 1000) + self.AHEAD_MS
        self.system.redis("payment", "SET", "payment:run", f"0|{ahead_ms}")
        time.sleep(3)
        self.system.wake("payment")
        self.assert_mended()


@unittest.skipUnless(VAR, "KASSA_VAR is not set: there is no broker")
class LongReplay(ReplayCase):
    """The broker takes a delivery that is open for too long for one of a dead consumer: it closes the
    channel, delivers again, and parks what that has happened to too often. A replay may be longer."""

    variables = {"REPLAY_SECONDS": "3600"}
    OPEN_MS = 2000

    def setUp(self):
        channels_give_up_after(self.OPEN_MS)
        self.addCleanup(channels_give_up_after, 30 * 60 * 1000)
        super().setUp()

    def lengthen(self):
        """Each bucket is a call of the store, and it rests after some: an hour of them takes seconds."""
        self.system.redis(
            "order",
            "EVAL",
            "for n = ARGV[1] - 900, ARGV[1] - 1 do "
            "redis.call('ZADD', 'order:buckets', n, string.format('%09x', n)) end",
            "0",
            str(int(time.time() * 1000) >> 12),
        )

    def open(self):
        return self.system.metric("order", "kassa_replay_open", participant="payment")

    def test_longer_than_a_delivery_may_be_open(self):
        self.lengthen()
        self.lose("payment")
        before = self.count_done()
        self.system.wake("payment")
        start = time.monotonic()
        self.wait("under way", lambda: self.open() == 1)
        self.wait("done", lambda: self.count_done() > before, WAIT_S + 30)
        self.assertGreater(time.monotonic() - start, 2 * self.OPEN_MS / 1000)
        self.assert_mended()
        self.wait("over", lambda: self.open() == 0)
        self.assertNotIn("delivery acknowledgement", self.log_of("order"))
        self.assertEqual(self.system.metric("order", "kassa_broker_reconnects_total"), 0)
        # two charged, one of them refunded, one refused; some were there before the loss
        sent = self.system.metric("order", "kassa_saga_replays_total") - self.replays
        self.assertLess(sent, 20)

    def count_done(self):
        return self.log_of("order").count("event=replay_done participant=payment ")


if __name__ == "__main__":
    unittest.main()
