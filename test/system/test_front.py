"""nginx reads its configuration anew, as when a gateway comes: no client loses a request by it."""

import http.client
import http.server
import itertools
import json
import secrets
import subprocess
import tempfile
import threading
import time
import unittest

import client
from client import Case, Client
from front import NGINX, TEMPLATE, Front
from servers import VAR, redis

BODIES = str(TEMPLATE.parent / "bodies.sh")
CLIENTS = 16
RELOADS = 5
CLOSING_S = 0.5  # these clients are never idle


class ThroughFront(Case):
    def setUp(self):
        super().setUp()
        self.front = Front(client.HOST, client.PORT)
        self.addCleanup(self.front.close)

    def through_front(self):
        made = Client(f"http://127.0.0.1:{self.front.port}")
        self.addCleanup(made.close)
        return made


@unittest.skipUnless(NGINX, "nginx is not installed")
class Reload(ThroughFront):
    def test_nobody_is_dropped(self):
        user = self.user()
        is_over = threading.Event()
        added, dropped = itertools.count(), []

        def work(one):
            while not is_over.is_set():
                try:
                    self.assertEqual(one.post(f"/payment/add_funds/{user}/1").status, 200)
                    next(added)
                except Exception as error:  # whatever it is, this request has no answer
                    dropped.append(repr(error))

        threads = [threading.Thread(target=work, args=(self.through_front(),))
                   for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in range(RELOADS):
            time.sleep(0.2)
            self.front.reload(CLOSING_S)
        is_over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(dropped, [])
        self.assert_credit(user, next(added))

    def test_an_answer_says_that_its_connection_ends(self):
        one, path = self.through_front(), "/payment/find_user/no%2Fuser?x=1"
        before = one.get(path)
        self.assertNotEqual(before.headers.get("connection"), "close")
        with self.front.closing():
            during = one.get(path)
        self.assertEqual(during.headers.get("connection"), "close")
        self.assertEqual((before.status, before.text), (during.status, during.text))
        self.assertNotEqual(one.get(path).headers.get("connection"), "close")


def name_of(offset_s=0, digits=None):
    """As nginx makes one."""
    digits = digits or secrets.token_hex(16)
    return {"Kassa-Request": f"{time.time() + offset_s:.3f}-{digits}", "Idempotency-Key": digits}


class Tries(Case):
    """The second try of nginx is the same command, at whichever gateway, and however wrong its clock is."""

    def refused_total(self):
        lines = self.get("/metrics").text.splitlines()
        return sum(int(line.split()[1]) for line in lines
                   if line.startswith("kassa_front_ids_refused_total"))

    def twice(self, path, name):
        first, second = self.post(path, name), self.post(path, name)
        self.assertEqual((first.status, first.text), (second.status, second.text))
        self.assertNotIn("idempotency-key", first.headers)
        return first

    def test_one_effect(self):
        user = self.user()
        self.assert_ok(self.twice(f"/payment/add_funds/{user}/5", name_of()), {"done": True, "credit": 5})
        self.assert_credit(user, 5)
        self.assertEqual(self.twice("/payment/create_user", name_of()).status, 200)
        self.assertEqual(self.twice("/payment/batch_init/2/7", name_of()).status, 200)

    def test_a_checkout(self):
        user, item = self.user(10), self.item(3, 10)
        for offset_s in (0, -400, 200, -7200):
            with self.subTest(offset_s=offset_s):
                order = self.order(user, (item, 1))
                self.assert_paid(self.twice(f"/orders/checkout/{order}", name_of(offset_s)), order, 3)
                self.post(f"/payment/add_funds/{user}/3")
        self.assert_credit(user, 10)

    def test_a_clock_that_is_wrong(self):
        """The store refuses the id that such a clock has made: for orders, checkouts show that."""
        user, item = self.user(10), self.item(3, 10)
        before = self.refused_total()
        order = self.order(user, (item, 1))
        self.assert_paid(self.twice(f"/orders/checkout/{order}", name_of(-400)), order, 3)
        self.assertEqual(self.refused_total() - before, 2)

    def test_far_ahead(self):
        user = self.user()
        answer = self.post(f"/payment/add_funds/{user}/5", name_of(7200))
        self.assertEqual((answer.status, answer.body["error"]), (429, "clocks differ, nothing was begun"))
        self.assert_credit(user, 0)

    def test_a_name_that_is_none(self):
        user = self.user()
        for name in ("", "1795269802.123-", "now-0123456789abcdef0123456789abcdef"):
            self.assertEqual(self.post(f"/payment/add_funds/{user}/5", {"Kassa-Request": name}).status, 200)
        self.assert_credit(user, 15)

    @unittest.skipUnless(VAR, "KASSA_VAR is not set")
    def test_below_the_floor(self):
        """What lies below the floor gets another id, once."""
        user = self.user()
        floor = redis("GET", "payment:floor")
        redis("SET", "payment:floor", str(time.time_ns() // 4096000000 - 1000))
        try:
            self.assert_ok(self.twice(f"/payment/add_funds/{user}/5", name_of(-7200)),
                           {"done": True, "credit": 5})
        finally:
            redis("SET", "payment:floor", floor or "0")
        self.assert_credit(user, 5)


@unittest.skipUnless(NGINX and VAR, "nginx is not installed, or KASSA_VAR is not set")
class NoClaim(ThroughFront):
    def claims(self):
        return len(redis("KEYS", "kassa:keys:day:*:*", port="SAGA_REDIS_PORT").split())

    def test_nothing_is_written_down(self):
        """A POST without a key leaves no claim, one with a key does; and a client cannot name requests."""
        user, one = self.user(), self.through_front()
        redis("FLUSHALL", port="SAGA_REDIS_PORT")
        for _ in range(2):
            name = name_of()
            for _ in range(2):
                answer = one.post(f"/payment/add_funds/{user}/1", {"Kassa-Request": name["Kassa-Request"]})
                self.assertEqual(answer.status, 200)
                self.assertNotIn("idempotency-key", answer.headers)
        self.assert_credit(user, 4)
        self.assertEqual(self.claims(), 0)
        key = secrets.token_hex(16)
        for _ in range(2):
            answer = one.post(f"/payment/add_funds/{user}/1", {"Idempotency-Key": key})
            self.assertEqual(answer.headers.get("idempotency-key"), key)
        self.assert_credit(user, 5)
        self.assertEqual(self.claims(), 1)


class Echo(http.server.BaseHTTPRequestHandler):
    """In a gateway's place: says what has come."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        length = self.headers.get("Content-Length")
        came = {"request": f"{self.command} {self.path}", "length": length,
                "encoding": self.headers.get("Transfer-Encoding"),
                "body": self.rfile.read(int(length or 0)).hex()}
        refuses = self.server.refusals > 0
        self.server.refusals -= refuses
        text = json.dumps(came).encode()
        self.send_response(503 if refuses else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *args):
        pass


@unittest.skipUnless(NGINX, "nginx is not installed")
class Bodies(unittest.TestCase):
    """A body goes to the gateway where a route has one, and nowhere else."""

    BODY = bytes(range(256)) * 230  # nearly all that nginx lets through

    def setUp(self):
        self.servers = [self.server(), self.server()]
        with tempfile.NamedTemporaryFile("w", suffix=".c") as rows:
            rows.write("""static const struct route rows[] = {
                {"GET", "/notes/{note}", "find_note", MESSAGE_NOTE_FIND, QUEUE_NOTE},
                {"PUT", "/notes/{note}/texts/{text}", "put_text", MESSAGE_NOTE_PUT, QUEUE_NOTE,
                 .body = text_body, .body_max = 4096},
                {"DELETE", "/notes", "delete_notes", MESSAGE_NOTE_DELETE, QUEUE_NOTE},
            };""")
            rows.flush()
            made = subprocess.run(["sh", BODIES, rows.name], check=True, capture_output=True, text=True)
        port, other = (server.server_address[1] for server in self.servers)
        self.front = Front("127.0.0.1", port, bodies=made.stdout.splitlines(), others=(other,))
        self.addCleanup(self.front.close)

    def server(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        server.refusals = 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def ask(self, method, path, body, chunked=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.front.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request(method, path, body=iter([body[:7], body[7:]]) if chunked else body,
                           encode_chunked=chunked,
                           headers={"Transfer-Encoding": "chunked"} if chunked else {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def assert_body(self, method, path, body, **how):
        status, came = self.ask(method, path, body, **how)
        self.assertEqual(status, 200)
        self.assertEqual(came, {"request": f"{method} {path}", "length": str(len(body)), "encoding": None,
                                "body": body.hex()})

    def assert_no_body(self, method, path, body, **how):
        status, came = self.ask(method, path, body, **how)
        self.assertEqual(status, 200)
        self.assertEqual(came, {"request": f"{method} {path}", "length": None, "encoding": None, "body": ""})

    def test_where_a_route_has_one(self):
        for path in ("/notes/n%201/texts/t", "/notes/n/texts/t?q=1"):
            self.assert_body("PUT", path, self.BODY)
            self.assert_body("PUT", path, self.BODY, chunked=True)
            self.assert_body("PUT", path, b"")

    def test_nowhere_else(self):
        for method, path in (("POST", "/notes/n/texts/t"), ("GET", "/notes/n"), ("PUT", "/notes/n/texts"),
                             ("DELETE", "/notes"), ("PUT", "/notes/n/texts/t/more"),
                             ("PUT", "/more/notes/n/texts/t"), ("POST", "/orders/checkout/o")):
            self.assert_no_body(method, path, b"text")
            self.assert_no_body(method, path, self.BODY, chunked=True)

    def test_a_second_try_has_it_too(self):
        self.servers[0].refusals = 1
        for _ in self.servers:  # one of the two comes to it first
            self.assert_body("PUT", "/notes/n/texts/t", self.BODY)
        self.assertEqual(self.servers[0].refusals, 0)

    def test_too_large(self):
        self.assertEqual(self.ask("PUT", "/notes/n/texts/t", bytes(70000)),
                         (413, {"error": "body too large"}))


if __name__ == "__main__":
    unittest.main()
