"""HTTP clients and readers of the package: what they make of answers, good and bad."""

import socket
import threading
import unittest

from kassa import metrics
from kassa.connection import Connection, Dropped, ask

ANSWER = b"HTTP/1.1 200 OK\r\nRetry-After: 3\r\nContent-Length: 11\r\n\r\n{\"ok\":true}"
TORN = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\""
METRICS = """# HELP a b
# TYPE a counter
a{group="x"} 3
a{group="y",route="check\\"out"} 4
ab 7
b 1.5
b_waiting{} 0
c -1
"""


class Server:
    """Says, on each connection that it takes, the next of these texts, one for each request."""

    def __init__(self, *connections):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.heads = []
        self.thread = threading.Thread(target=self.serve, args=(connections,), daemon=True)
        self.thread.start()

    def serve(self, connections):
        for texts in connections:
            client, _ = self.listener.accept()
            with client, client.makefile("rb") as stream:
                for text in texts:
                    head = []
                    while (line := stream.readline()) not in (b"\r\n", b""):
                        head.append(line.decode().strip())
                    self.heads.append(head)
                    client.sendall(text)

    def close(self):
        self.listener.close()
        self.thread.join(10)


class ConnectionTest(unittest.TestCase):
    def serve(self, *connections):
        server = Server(*connections)
        self.addCleanup(server.close)
        return server

    def test_one_connection_many_requests(self):
        server = self.serve([ANSWER, ANSWER])
        connection = Connection(server.url)
        self.addCleanup(connection.close)
        for _ in range(2):
            answer = connection.request("POST", "/x?y=1", {"Idempotency-Key": "k"})
            self.assertEqual((answer.status, answer.json(), answer.headers["retry-after"]),
                             (200, {"ok": True}, "3"))
        self.assertIn("POST /x?y=1 HTTP/1.1", server.heads[1])
        self.assertIn("Idempotency-Key: k", server.heads[1])

    def test_an_answer_that_is_cut_off_is_none(self):
        server = self.serve([TORN], [b""], [ANSWER])
        connection = Connection(server.url)
        self.addCleanup(connection.close)
        for _ in range(2):
            with self.assertRaisesRegex(Dropped, "GET /x"):
                connection.request("GET", "/x")
        self.assertEqual(connection.request("GET", "/x").status, 200)

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
        with self.assertRaisesRegex(Dropped, "refused"):
            ask("GET", url)

    def test_ask_takes_path_and_query_from_the_url(self):
        server = self.serve([ANSWER])
        self.assertEqual(ask("GET", f"{server.url}/sagas?state=open").text, '{"ok":true}')
        self.assertIn("GET /sagas?state=open HTTP/1.1", server.heads[0])

    def test_where_it_leads_is_not_changed_later(self):
        with self.assertRaises(AttributeError):
            Connection("http://127.0.0.1:1").port = 2
        with self.assertRaises(ValueError):
            Connection("127.0.0.1:1")


class MetricsTest(unittest.TestCase):
    def test_values(self):
        self.assertEqual(metrics.values(METRICS, "a"), [3, 4])
        self.assertEqual(metrics.values(METRICS, "a", group="x"), [3])
        self.assertEqual(metrics.values(METRICS, "a", route='check\\"out'), [4])
        self.assertEqual(metrics.values(METRICS, "b_waiting"), [0])
        self.assertEqual(metrics.values(METRICS, "nothing"), [])
        with self.assertRaises(ValueError):
            metrics.total(METRICS, 'a{group="x"}')
        self.assertEqual((metrics.total(METRICS, "a"), metrics.total(METRICS, "c")), (7, -1))

    def test_sums(self):
        self.assertEqual(metrics.totals(METRICS),
                         {"a": 7, "ab": 7, "b": 1.5, "b_waiting": 0, "c": -1})
        self.assertEqual(metrics.by_label(METRICS, "a", "group"), {"x": 3, "y": 4})
        self.assertEqual(metrics.by_label(METRICS, "a", "route"), {'check\\"out': 4})


if __name__ == "__main__":
    unittest.main()
