"""Paths and verbs: unknown paths 404, wrong verbs 405 with Allow; health, readiness, metrics."""

import pathlib
import re
import unittest

from client import Case
from kassa.services import CONSUMERS
from servers import VAR, metrics

ROOT = pathlib.Path(__file__).resolve().parents[2]

ROUTES = {
    "/payment/create_user": "POST",
    "/payment/find_user/a": "GET",
    "/payment/add_funds/a/1": "POST",
    "/payment/pay/a/1": "POST",
    "/payment/batch_init/1/1": "POST",
    "/stock/item/create/1": "POST",
    "/stock/find/a": "GET",
    "/stock/add/a/1": "POST",
    "/stock/subtract/a/1": "POST",
    "/stock/batch_init/1/1/1": "POST",
    "/orders/create/a": "POST",
    "/orders/find/a": "GET",
    "/orders/addItem/a/a/1": "POST",
    "/orders/checkout/a": "POST",
    "/orders/batch_init/1/1/1/1": "POST",
    "/sagas/a": "GET",
    "/sagas": "GET",
    "/health": "GET",
    "/ready": "GET",
    "/metrics": "GET",
}
UNKNOWN = (
    "/",
    "/payment",
    "/payment/",
    "/payment/nothing",
    "/payment/find_user/a/b",
    "/payment/add_funds/a/1/2",
    "/payment/create_user/a",
    "/payments/find_user/a",
    "/Payment/find_user/a",
    "/payment/FIND_USER/a",
    "/payment/find_userx/a",
    "/xpayment/find_user/a",
    "/stock/item/a",
    "/stock/item/create/1/2",
    "/orders/additem/a/a/1",
    "/orders/checkout/a/b",
    "/nothing/at/all/of/this/kind/here",
    "/health/x",
    "/metrics/x",
    "/favicon.ico",
)


class Routes(Case):
    def test_unknown_paths(self):
        """A path that is no route is a 404 with a sentence, for either verb."""
        for path in UNKNOWN:
            for method in ("GET", "POST"):
                with self.subTest(path=path, method=method):
                    self.assert_error(self.client.request(method, path), 404)

    def test_wrong_verbs(self):
        """A route with another verb is a 405 that names the right one."""
        for path, right in ROUTES.items():
            for wrong in ("GET", "POST", "PUT", "DELETE", "PATCH"):
                if wrong == right:
                    continue
                with self.subTest(path=path, verb=wrong):
                    answer = self.assert_error(self.client.request(wrong, path), 405)
                    allowed = re.split(r"\s*,\s*", answer.headers.get("allow", ""))
                    self.assertIn(right, allowed, answer.headers)
                    self.assertNotIn(wrong, allowed, answer.headers)

    def test_long_path(self):
        """A path beyond all reason is refused, and the service goes on."""
        for length in (2100, 3000):
            try:
                answer = self.get("/payment/find_user/" + "a" * length)
            except OSError:
                self.client.close()  # closed without reading on: allowed
            else:
                self.assert_error(answer, 400, 404, 414, 431)
        self.assert_ok(self.get("/health"), {"status": "api up", "ok": True})

    def test_query_is_ignored(self):
        """Something behind a question mark does not change a checkout route."""
        user = self.user(3)
        answer = self.get(f"/payment/find_user/{user}?x=1&y=%00")
        self.assert_ok(answer, {"user_id": user, "credit": 3})


class Health(Case):
    def test_health(self):
        """The process is up."""
        self.assert_ok(self.get("/health"), {"status": "api up", "ok": True})

    def test_ready(self):
        """Every dependency is up."""
        answer = self.get("/ready")
        self.assertEqual(answer.status, 200, answer)
        self.assertIsInstance(answer.body, dict)


NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"^({NAME})(?:\{{((?:{LABEL}(?:,{LABEL})*,?)?)\}})? (\S+)(?: (-?\d+))?$")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")


def number(text):
    return float(text.replace("+Inf", "inf").replace("-Inf", "-inf"))


class Metrics(Case):
    """Prometheus text 0.0.4, as its format description has it."""

    def family(self, name, types):
        for suffix in ("_bucket", "_sum", "_count"):
            if name.endswith(suffix) and types.get(name.removesuffix(suffix)) == "histogram":
                return name.removesuffix(suffix)
        return name

    def parse(self, text):
        """{(name, labels): value} and {family: type}, having checked the form of each line."""
        self.assertTrue(text.endswith("\n"), "the last line has an end")
        samples, types, families = {}, {}, []
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                self.assertRegex(name, rf"^{NAME}$")
                self.assertIn(kind, TYPES)
                self.assertNotIn(name, types, "one TYPE for a family")
                self.assertNotIn(name, families, "TYPE comes before the samples")
                types[name] = kind
            elif line.startswith("#") or not line:
                continue
            else:
                match = SAMPLE.match(line)
                self.assertIsNotNone(match, line)
                name, labels = match.group(1), match.group(2) or ""
                labels = tuple(sorted(re.findall(LABEL, labels)))
                self.assertNotIn((name, labels), samples, "each series once")
                samples[name, labels] = number(match.group(3))
                family = self.family(name, types)
                if not families or families[-1] != family:
                    self.assertNotIn(family, families, "a family's samples are together")
                    families.append(family)
        return samples, types

    def check_histogram(self, family, samples):
        series = {}
        for (name, labels), value in samples.items():
            if name == family + "_bucket":
                bound = [l for l in labels if l.startswith('le="')]
                self.assertEqual(len(bound), 1, labels)
                rest = tuple(l for l in labels if l != bound[0])
                series.setdefault(rest, []).append((number(bound[0][4:-1]), value))
        for labels, buckets in series.items():
            buckets.sort()
            counts = [count for _, count in buckets]
            self.assertEqual(counts, sorted(counts), f"{family}: buckets are cumulative")
            self.assertEqual(buckets[-1][0], float("inf"), family)
            self.assertEqual(samples[family + "_count", labels], counts[-1], family)
            self.assertIn((family + "_sum", labels), samples)

    def test_format(self):
        """Every line is well-formed; counters do not sink; histograms add up."""
        self.get("/health")
        samples, types = self.parse(self.get("/metrics").text)
        self.assertTrue(samples, "there is something to see")
        order = self.order(self.user())
        self.assert_paid(self.checkout(order), order, 0)
        later, types = self.parse(self.get("/metrics").text)
        for (name, labels), value in samples.items():
            if types.get(name) == "counter":
                self.assertGreaterEqual(later[name, labels], value, name)
        self.assertTrue(any(later[s] > samples.get(s, 0) for s in later), "something has moved")
        for family, kind in types.items():
            if kind == "histogram":
                self.check_histogram(family, later)

    @unittest.skipUnless(VAR, "KASSA_VAR is not set")
    def test_dashboard(self):
        """What deploy/compose/grafana.json draws is told by somebody, from the start."""
        dashboard = (ROOT / "deploy" / "compose" / "grafana.json").read_text()
        told = [self.get("/metrics").text, *map(metrics, CONSUMERS)]
        told = {name for text in told for name, _ in self.parse(text)[0]}
        drawn = set(re.findall(r"\bkassa_\w+", dashboard))
        self.assertTrue(drawn)
        self.assertEqual(drawn - told, set())


if __name__ == "__main__":
    unittest.main()
