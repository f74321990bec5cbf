"""What a client sends stays data: no byte of it reaches a log line, a Redis key or an answer's
head as anything else. And what comes over the broker too large, too deep or torn is parked.

Needs KASSA_VAR for the logs and for run/secrets; without it everything here is skipped.
"""

import json
import pathlib
import unittest
import uuid

import client
from client import Case
from servers import QUEUES, VAR, envelope, redis, take_parked, tool
from test_hostile import talk

MARK = "kassa-bytes-mark"
EVIL = (
    "\r\nX-Injected: yes",
    "\n level=error event=forged",
    "\x1b[31mred\x1b[0m",
    '" event=forged x="',
    "'; DROP",
    "\0",
    "$(id)`id`",
    "{json:1}",
    "* FLUSHALL",
    "\x7f\x80\xff\u2028",
    "%0d%0a",
    "a|b,c*1",
)


def percent(text):
    return "".join(f"%{byte:02x}" for byte in text.encode())


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Bytes(Case):
    def requests(self):
        """Raw requests with a mark and something evil in each place that a client can fill."""
        host = "Host: x\r\n"
        for evil in EVIL:
            bad = MARK + evil
            for place in (percent(bad), bad.replace(" ", "%20")):
                for line in (
                    f"GET /payment/find_user/{place}",
                    f"POST /payment/add_funds/{place}/1",
                    f"POST /orders/addItem/{place}/{place}/1",
                    f"POST /stock/add/i/{place}",
                    f"POST /orders/checkout/{place}",
                    f"GET /sagas/{place}",
                    f"GET /sagas?order={place}&state={place}",
                    f"GET /{place}",
                    f"GET /metrics?{place}",
                ):
                    yield f"{line} HTTP/1.1\r\n{host}\r\n"
            for name in ("Idempotency-Key", "Prefer", "Host", "User-Agent", "Content-Length", bad):
                if evil.startswith("\r\n"):
                    continue  # a header of the client's own
                head = f"{host if name != 'Host' else ''}{name}: {bad}\r\n"
                yield f"POST /payment/create_user HTTP/1.1\r\n{head}\r\n"
            yield f"{bad} / HTTP/1.1\r\n{host}\r\n"
            yield f"GET / {bad}\r\n{host}\r\n"

    def test_bytes(self):
        """Nothing of it is in a key, raw in a log, or a header or a metric of ours."""
        for request in self.requests():
            heard, _ = talk(client.PORT, request.encode("utf-8", "surrogateescape"), 0.02)
            head, _, body = heard.partition(b"\r\n\r\n")
            self.assertNotIn(b"x-injected", head.lower(), request)
            self.assertNotIn(MARK.encode(), head, request)
            if body.startswith(b"{"):
                self.assertNotIn(MARK.encode(), body, request)
        self.assertNotIn(MARK, self.get("/metrics").text)
        self.check_redis()
        self.check_logs()

    def check_redis(self):
        """Keys are made of what our own names are made of."""
        keys = redis("KEYS", "*").split("\n")
        self.assertGreater(len(keys), 1)
        for key in keys:
            self.assertRegex(key, r"^[A-Za-z0-9_.:-]*$")
            self.assertNotIn(MARK, key)

    def check_logs(self):
        """Each line is one event, printable, in logfmt."""
        for name in ("gateway", "order", "stock", "payment"):
            log = pathlib.Path(VAR) / "log" / f"{name}.log"
            for line in log.read_bytes().split(b"\n")[-20000:]:
                self.assertNotRegex(line, rb"[^ -~]", log)
                self.assertNotRegex(line, rb"^ level=", log)
                if line.startswith(b"ts="):
                    # an event of ours, and not one inside quotes that were closed too early
                    outside = b"".join(line.replace(b'\\"', b"").split(b'"')[::2])
                    self.assertEqual(outside.count(b" event="), 1, line)
                    self.assertNotIn(b"forged", outside)


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Oversized(Case):
    """Over the broker: too large, too deep, torn."""

    def setUp(self):
        super().setUp()
        self.mark = str(uuid.uuid4())

    def publish(self, queue, body, *options):
        status, _ = tool("amqp-publish", "--routing-key", queue, *options, body=body)
        self.assertEqual(status, 0)

    def check_parked(self, body, queues=QUEUES, *options):
        for queue in queues:
            with self.subTest(queue=queue):
                self.publish(queue, body, *options)
                if not take_parked(queue, body.__eq__, 10 * client.TIME_FACTOR):
                    self.fail(f"{body[:80]!r}.. is not in {queue}.parked")
        user = self.user(credit=5)
        self.assert_credit(user, 5)

    def find(self, **more):
        return envelope("payment.find", id=self.mark, gateway="g", user="u", **more).encode()

    def test_deep(self):
        self.check_parked(self.mark.encode() + b"[" * 100_000)
        self.check_parked(b"[" * 50_000 + self.mark[:8].encode() + b"]" * 50_000)

    def test_deep_in_a_field(self):
        self.check_parked(self.find(reason=json.loads("[" * 200 + "]" * 200)))

    def test_large_text(self):
        self.check_parked(self.find(reason="a" * (1 << 20)))

    def test_large_rubbish(self):
        self.check_parked((self.mark + "x" * (4 << 20)).encode(), QUEUES[:1])

    def test_too_many_commands(self):
        self.check_parked(envelope("created", count=5000, id=self.mark).encode())

    def test_no_commands(self):
        self.check_parked(json.dumps({"v": 2, "tables": [], "n": self.mark}).encode())

    def of_version(self, version):
        return json.dumps(json.loads(self.find()) | {"v": version}).encode()

    def test_versions_that_are_none(self):
        for version in (0, -1, 2**63, 1.5, "1", None, True, [1]):
            with self.subTest(version=version):
                self.check_parked(self.of_version(version), QUEUES[:1])

    def test_versions_that_nobody_knew(self):
        """They were given back often enough."""
        for version in (1, 3, 2**63 - 1):
            with self.subTest(version=version):
                self.check_parked(self.of_version(version), QUEUES, "--header", "x-kassa-returns: 200")

    def test_bytes_that_are_no_text(self):
        self.check_parked(self.mark.encode() + bytes(range(256)))
        self.check_parked(self.find().replace(b'"u"', b'"\xff\xfe\xc0\xaf"'))
        self.check_parked(self.find().replace(b'"u"', b'"\\u0000\\ud800\\u001b[31m"'))

    def test_torn(self):
        self.check_parked(self.find()[:-3])


if __name__ == "__main__":
    unittest.main()
