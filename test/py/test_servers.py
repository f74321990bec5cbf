"""A directory in the place of a private system, and a server in the place of its store."""

import pathlib
import socket
import subprocess
import tempfile
import threading
import unittest

from kassa import Broken, broker, process
from kassa.stack import Stack
from kassa.store import Store, flat, info


class FakeStore:
    """Takes one connection, and says one of these replies to each command."""

    def __init__(self, *replies):
        self.commands = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, args=(replies,), daemon=True)
        self.thread.start()

    def serve(self, replies):
        client, _ = self.listener.accept()
        with client, client.makefile("rb") as stream:
            for reply in replies:
                words = []
                for _ in range(int(stream.readline()[1:])):
                    words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2].decode())
                self.commands.append(words)
                client.sendall(reply)

    def close(self):
        self.listener.close()
        self.thread.join(10)


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.var = pathlib.Path(directory.name)
        (self.var / "run").mkdir()
        self.stack = Stack(self.var)

    def store(self, *replies):
        made = FakeStore(*replies)
        self.addCleanup(made.close)
        return made


class StoreTest(Case):
    def test_each_kind_of_reply(self):
        server = self.store(b"+OK\r\n", b":-7\r\n", b"$5\r\na\r\nb\xff\r\n", b"$-1\r\n", b"*-1\r\n",
                            b"*3\r\n$1\r\nx\r\n:2\r\n*1\r\n$-1\r\n")
        with Store(server.port) as store:
            said = [store.call("GET", n) for n in range(6)]
        self.assertEqual(said, ["OK", -7, "a\r\nb\udcff", None, None, ["x", 2, [None]]])
        self.assertEqual(flat(said[-1]), "x\n2\n")
        self.assertEqual((flat(None), flat(3)), ("", "3"))
        self.assertEqual(server.commands[5], ["GET", "5"])

    def test_what_it_refuses(self):
        server = self.store(b"-OOM command not allowed\r\n", b":1\r\n")
        with Store(server.port) as store:
            with self.assertRaisesRegex(Broken, "OOM command not allowed"):
                store.call("SET", "a", "b")
            self.assertEqual(store.call("DEL", "a"), 1)

    def test_one_that_dies(self):
        for reply in (b"", b"$5\r\nab", b":1"):
            server = self.store(reply)
            with self.subTest(reply), Store(server.port) as store, \
                    self.assertRaisesRegex(Broken, "closed"):
                store.call("GET", "a")

    def test_of_a_stack(self):
        server = self.store(b"+OK\r\n", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n")
        (self.var / "run" / "ports").write_text(f"REDIS_PORT=1\nSAGA_REDIS_PORT={server.port}\n")
        (self.var / "run" / "secrets").write_text("REDIS_PASSWORD=sec=ret\n")
        self.assertEqual(self.stack.redis("KEYS", "*", port="SAGA_REDIS_PORT"), "a\nb")
        self.assertEqual(server.commands, [["AUTH", "sec=ret"], ["KEYS", "*"]])
        with self.assertRaisesRegex(Broken, "the store: .*refused"):
            self.stack.redis("PING")

    def test_info(self):
        self.assertEqual(info("# Stats\r\na:1\r\ncmdstat_x:calls=2,usec=3\r\n"),
                         {"a": "1", "cmdstat_x": "calls=2,usec=3"})


class ProcessTest(Case):
    def pid_file(self, pid, ticks):
        (self.var / "run" / "order.pid").write_text(f"{pid} {ticks} 1\n")

    def test_a_pid_that_is_another_process_now(self):
        with subprocess.Popen(["sleep", "600"]) as sleeper:
            self.pid_file(sleeper.pid, process.started(sleeper.pid))
            self.assertEqual(self.stack.pid("order"), sleeper.pid)
            self.assertEqual(self.stack.must_run("order"), sleeper.pid)
            self.pid_file(sleeper.pid, int(process.started(sleeper.pid)) + 1)
            self.assertIsNone(self.stack.pid("order"))
            sleeper.kill()

    def test_one_that_has_died(self):
        with subprocess.Popen(["sleep", "600"]) as sleeper:
            self.pid_file(sleeper.pid, process.started(sleeper.pid))
            sleeper.kill()
            while not process.has_ended(sleeper.pid):
                pass
            self.assertEqual(process.state(sleeper.pid), "Z")
            self.assertIsNone(self.stack.pid("order"))
        self.assertEqual((process.state(sleeper.pid), process.started(sleeper.pid)), ("", ""))
        with self.assertRaisesRegex(Broken, "order does not run"):
            self.stack.must_run("order")

    def test_one_that_never_was(self):
        self.assertIsNone(self.stack.pid("order"))


class BrokerTest(unittest.TestCase):
    def test_messages(self):
        self.assertEqual(broker.messages('{ok, [{"kassa.order", 0}, {"kassa.stock.parked", -1}]}'),
                         {"kassa.order": 0, "kassa.stock.parked": -1})
        with self.assertRaisesRegex(Broken, "could not be counted"):
            broker.messages("{ok, []}")

    def test_envelope(self):
        self.assertEqual(broker.envelope("payment.fund", 2, id="a", amount=5),
                         '{"v": 2, "tables": [{"type": "payment.fund", "fields": ["id", "amount"], '
                         '"rows": [["a", 5], ["a", 5]]}]}')


if __name__ == "__main__":
    unittest.main()
