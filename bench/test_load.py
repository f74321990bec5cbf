"""kassa-load against a server that misbehaves in a known way: what it says must be that."""

import json
import pathlib
import socket
import subprocess
import threading
import time
import unittest

LOAD = pathlib.Path(__file__).resolve().parent.parent / "build/release/kassa-load"
RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ok\": true}"


class Server:
    """A thread for each connection; `answer(n, socket)` answers the n-th request of all."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        text = b""
        with client:
            while True:
                try:
                    piece = client.recv(65536)
                except OSError:
                    return
                if not piece:
                    return
                text += piece
                while b"\r\n\r\n" in text:
                    head, _, text = text.partition(b"\r\n\r\n")
                    with self.lock:
                        number = len(self.requests)
                        self.requests.append(head.decode())
                    if self.answer(number, client) is False:
                        return

    def load(self, *options, expect="ok=200 true"):
        done = subprocess.run(
            [LOAD, "--url", self.url, "--expect", expect, *map(str, options)],
            capture_output=True, text=True, timeout=60, check=False)
        self.listener.close()
        return done.returncode, json.loads(done.stdout)


def right(_, client):
    client.sendall(RIGHT)


class Load(unittest.TestCase):
    def test_counts_numbers_up(self):
        server = Server(right)
        status, said = server.load("--path", "/x/{n}", "--from", 5, "--count", 40, "--method",
                                   "POST", "--connections", 4)
        self.assertEqual(status, 0)
        self.assertEqual((said["answers"], said["next"], said["wrong"]), (40, 45, 0))
        self.assertEqual(sorted(line.split()[1] for line in server.requests),
                         sorted(f"/x/{n}" for n in range(5, 45)))

    def test_torn_answers(self):
        def torn(_, client):
            for at in range(0, len(RIGHT), 7):
                client.sendall(RIGHT[at:at + 7])
                time.sleep(0.001)
        status, said = Server(torn).load("--path", "/", "--count", 20, "--connections", 2)
        self.assertEqual((status, said["answers"]), (0, 20))

    def test_wrong_answers(self):
        def wrong(n, client):
            client.sendall(RIGHT.replace(b"true", b"null") if n % 4 == 1 else RIGHT)
        status, said = Server(wrong).load("--path", "/", "--count", 40, "--connections", 1)
        self.assertEqual((status, said["answers"], said["wrong"]), (1, 30, 10))
        self.assertEqual(len(said["samples"]), 5)
        self.assertEqual(said["samples"][0], {"path": "/", "status": 200, "body": '{"ok": null}'})

    def test_resets_and_garbage(self):
        def answer(n, client):
            if n == 3:
                return False
            client.sendall(b"garbage\r\n\r\n" if n == 5 else RIGHT)
            return None
        status, said = Server(answer).load("--path", "/", "--count", 10, "--connections", 1)
        self.assertEqual((status, said["answers"]), (1, 8))
        self.assertEqual((said["errors"]["reset"], said["errors"]["broken"]), (1, 1))

    def test_timeout(self):
        status, said = Server(lambda n, client: n == 1 or right(n, client)).load(
            "--path", "/", "--count", 4, "--connections", 1, "--timeout", 1)
        self.assertEqual((status, said["answers"], said["errors"]["timeout"]), (1, 3, 1))

    def test_a_stall_is_paid_by_all_that_were_due(self):
        """200 a second over one connection, half a second of silence: the open loop has to tell of
        100 slow requests; a closed loop would tell of one."""
        def stall(n, client):
            if n == 100:
                time.sleep(0.5)
            right(n, client)
        status, said = Server(stall).load("--path", "/", "--rate", 200, "--seconds", 2,
                                          "--connections", 1)
        self.assertEqual(status, 0)
        self.assertAlmostEqual(said["answers"], 400, delta=4)
        self.assertGreater(said["latency_ms"]["max"], 480)
        self.assertGreater(said["latency_ms"]["p90"], 250)
        self.assertLess(said["latency_ms"]["p50"], 100)

    def test_the_warm_up_is_not_measured(self):
        began = time.monotonic()

        def slow_at_first(n, client):
            if time.monotonic() - began < 0.8:
                time.sleep(0.1)
            right(n, client)
        _, said = Server(slow_at_first).load("--path", "/", "--warm", 1, "--seconds", 1,
                                             "--rate", 50, "--connections", 8)
        self.assertLess(said["latency_ms"]["max"], 90)
        self.assertAlmostEqual(said["rate"], 50, delta=3)
        self.assertEqual(said["kinds"][0]["measured"], said["measured"])
        self.assertGreater(said["kinds"][0]["answers"], said["measured"])


if __name__ == "__main__":
    unittest.main()
