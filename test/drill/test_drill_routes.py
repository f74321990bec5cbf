"""Each route of the gateway has a line that says what it means, and each line is a route."""

import re
import unittest

import checker
import routes
from kassa import ROOT

DOCUMENTED = re.compile(r"^\| ([A-Z]+) `(/[^`?]*)[`?]", re.M)


class RoutesTest(unittest.TestCase):
    def test_all_that_there_are(self):
        documented = DOCUMENTED.findall((ROOT / "README.md").read_text(encoding="utf-8"))
        self.assertGreater(len(documented), 20)
        lines = [(route.method, route.pattern) for route in routes.ROUTES]
        self.assertEqual(sorted(lines), sorted(documented))

    def test_a_line_names_what_its_pattern_has(self):
        for route in routes.ROUTES:
            names = set(re.findall(r"{(\w+)}", route.pattern))
            if route.means in (routes.GAINS, routes.LOSES, routes.ADDS_LINE):
                self.assertLessEqual({route.what, route.field}, names, route)
            if route.means in (routes.READS, routes.CHECKS_OUT):
                self.assertIn(route.what, names, route)
            if route.means == routes.CREATES:
                self.assertLessEqual({route.field} - {None}, names, route)

    def test_find(self):
        route, of = routes.find("POST", "/payment/pay/u-1/5")
        self.assertEqual((route.means, of), (routes.LOSES, {"user": "u-1", "amount": "5"}))
        self.assertEqual(routes.find("GET", "/sagas?state=open")[0].pattern, "/sagas")
        self.assertTrue(routes.is_checkout({"method": "POST", "path": "/orders/checkout/o"}))
        self.assertFalse(routes.is_checkout({"method": "GET", "path": "/orders/find/o"}))
        for method, path in (("GET", "/payment/pay/u/5"), ("POST", "/payment/pay/u"),
                             ("POST", "/payment/pay/u/5/6"), ("POST", "/new")):
            with self.assertRaisesRegex(LookupError, "no line"):
                routes.find(method, path)


class HistoryTest(unittest.TestCase):
    def test_what_no_rule_accounts_for_is_not_passed_over(self):
        for path, why in (("/payment/batch_init/5/5", "no rule"), ("/new/route", "no line")):
            request = {"t": "request", "at": 0, "to": 1, "method": "POST", "path": path, "key": None,
                       "status": 200, "body": {}, "error": None}
            with self.assertRaisesRegex(LookupError, why):
                checker.check([request])


if __name__ == "__main__":
    unittest.main()
