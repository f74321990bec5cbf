"""The checker finds each kind of lie in made-up histories, and none in a true one."""

import unittest

import checker


class Story:
    """A history in the making: a user with 10 credits, an item of price 2 with 3 pieces, an order
    of one piece; requests take one second each and follow one another, unless told otherwise."""

    def __init__(self):
        self.records = []
        self.now = 0.0
        self.post("/payment/create_user", {"user_id": "u"})
        self.post("/payment/add_funds/u/10", {"done": True, "credit": 10})
        self.post("/stock/item/create/2", {"item_id": "i"})
        self.post("/stock/add/i/3", {"added": True, "stock": 3})
        self.order("o")
        self.final = {("user", "u"): {"user_id": "u", "credit": 10},
                      ("item", "i"): {"stock": 3, "price": 2}}
        self.final_order("o", paid=False)
        self.settled = {"open": 0, "pending": 0, "queued": 0, "after_s": 1}
        self.audit = {"t": "audit", "violations": 0, "new": [], "open": 0}

    def ask(self, method, path, body, status=200, key=None, at=None, to=None):
        at = self.now if at is None else at
        to = at + 1 if to is None else to
        self.now = max(self.now, to + 1)
        self.records.append({"t": "request", "at": at, "to": to, "method": method, "path": path,
                             "key": key, "status": status, "body": body,
                             "error": None if status else "connection reset"})

    def post(self, path, body, status=200, **more):
        self.ask("POST", path, body, status, **more)

    def order(self, name, quantity=1):
        self.post("/orders/create/u", {"order_id": name})
        self.post(f"/orders/addItem/{name}/i/{quantity}", {"added": True})

    def final_order(self, name, paid, quantity=1):
        self.final["order", name] = {"order_id": name, "paid": paid, "user_id": "u",
                                     "items": [["i", quantity]], "total_cost": 2 * quantity}

    def pay(self, name="o", total=2, **more):
        self.post(f"/orders/checkout/{name}",
                  {"status": "paid", "order_id": name, "total_cost": total}, **more)

    def refuse(self, why, name="o", **more):
        self.post(f"/orders/checkout/{name}", {"error": why}, 400, **more)

    def silent(self, path, **more):
        self.post(path, None, 0, **more)

    def stores(self, credit=None, stock=None, **paid):
        """What the stores hold at the end, where it differs."""
        if credit is not None:
            self.final["user", "u"]["credit"] = credit
        if stock is not None:
            self.final["item", "i"]["stock"] = stock
        for name, is_paid in paid.items():
            self.final["order", name]["paid"] = is_paid

    def verdict(self):
        finals = [{"t": "final", "kind": kind, "id": name, "status": 200, "body": body}
                  for (kind, name), body in self.final.items()]
        return checker.check(
            self.records + [{"t": "settled", **self.settled}, self.audit] + finals)


class Case(unittest.TestCase):
    def setUp(self):
        self.story = Story()

    def assert_clean(self):
        verdict = self.story.verdict()
        self.assertEqual((verdict.found, verdict.errors), ([], {}))

    def assert_found(self, kind, rule):
        verdict = self.story.verdict()
        self.assertIn((kind, rule), {found[:2] for found in verdict.found}, verdict.found)


class Truth(Case):
    def test_nothing_happened(self):
        self.assert_clean()

    def test_paid(self):
        self.story.pay()
        self.story.pay()
        self.story.stores(credit=8, stock=2, o=True)
        self.assert_clean()

    def test_refused_then_paid(self):
        """Sold out, refused with the charge given back; restocked, paid."""
        self.story.post("/stock/subtract/i/3", {"subtracted": True, "stock": 0})
        self.story.refuse("out of stock", key="refused-1")
        self.story.post("/stock/add/i/1", {"added": True, "stock": 1})
        self.story.pay()
        self.story.refuse("out of stock", key="refused-1")  # the key's own answer
        self.story.stores(credit=8, stock=0, o=True)
        self.assert_clean()

    def test_no_answer_may_mean_either(self):
        """An error, but neither a loss nor a lie, whatever became of it."""
        self.story.silent("/orders/checkout/o")
        for credit, stock, paid in ((10, 3, False), (8, 2, True)):
            with self.subTest(paid=paid):
                self.story.stores(credit=credit, stock=stock, o=paid)
                verdict = self.story.verdict()
                self.assertEqual(verdict.found, [])
                self.assertEqual(sum(verdict.errors.values()), 1)

    def test_one_key_one_effect(self):
        for _ in range(2):
            self.story.post("/payment/add_funds/u/5", {"done": True, "credit": 15}, key="funds-001")
        self.story.stores(credit=15)
        self.assert_clean()

    def test_turned_away_is_no_answer_of_a_key(self):
        """An error in the table, but the repeat has the effect."""
        why = {"error": "too many requests, try again"}
        self.story.post("/payment/add_funds/u/5", why, 429, key="funds-001")
        self.story.post("/payment/add_funds/u/5", {"done": True, "credit": 15}, key="funds-001")
        self.story.stores(credit=15)
        self.assertEqual(self.story.verdict().found, [])

    def test_credit_lent_meanwhile(self):
        """Another order's charge, refunded later, is a reason to be refused."""
        self.story.order("big", 4)
        self.story.final_order("big", False, 4)
        self.story.order("other", 4)
        self.story.final_order("other", False, 4)
        self.story.refuse("out of stock", "big", at=100, to=110)
        self.story.refuse("insufficient credit", "other", at=101, to=102)
        self.assert_clean()


class Lies(Case):
    def test_c1_lost_money(self):
        self.story.stores(credit=9)
        self.assert_found("lost", "C1")

    def test_c1_money_from_nowhere(self):
        self.story.stores(credit=11)
        self.assert_found("doubled", "C1")

    def test_c1_lost_piece(self):
        self.story.stores(stock=2)
        self.assert_found("lost", "C1")

    def test_c1_entity_gone(self):
        verdict = checker.check(self.story.records + [
            {"t": "settled", **self.story.settled},
            {"t": "final", "kind": "user", "id": "u", "status": 404, "body": {"error": "-"}}])
        self.assertIn(("lost", "C1"), {found[:2] for found in verdict.found})

    def test_c2_below_zero(self):
        self.story.stores(stock=-1)
        self.assert_found("lie", "C2")

    def test_c3_charged_not_taken(self):
        self.story.pay()
        self.story.stores(credit=8, stock=3, o=True)
        self.assert_found("doubled", "C1")

    def test_c3_taken_not_charged(self):
        self.story.pay()
        self.story.stores(credit=10, stock=2, o=True)
        self.assert_found("doubled", "C1")

    def test_c3_charged_not_paid(self):
        self.story.refuse("out of stock")
        self.story.stores(credit=8)
        self.assert_found("lost", "C1")

    def test_c4_200_and_not_paid(self):
        self.story.pay()
        self.assert_found("lost", "C4")

    def test_c4_refused_and_paid(self):
        self.story.refuse("insufficient credit")
        self.story.stores(credit=8, stock=2, o=True)
        self.assert_found("lie", "C4")

    def test_c4_paid_then_refused(self):
        self.story.pay()
        self.story.refuse("insufficient credit")
        self.story.stores(credit=8, stock=2, o=True)
        self.assert_found("lie", "C4")

    def test_c4_two_answers_for_a_key(self):
        self.story.post("/payment/add_funds/u/5", {"done": True, "credit": 15}, key="funds-001")
        self.story.post("/payment/add_funds/u/5", {"done": True, "credit": 20}, key="funds-001")
        self.story.stores(credit=15)
        self.assert_found("lie", "C4")

    def test_c4_wrong_total(self):
        self.story.pay(total=3)
        self.story.stores(credit=8, stock=2, o=True)
        self.assert_found("lie", "C4")

    def test_c5_charged_twice(self):
        self.story.pay()
        self.story.stores(credit=6, stock=2, o=True)
        self.assert_found("lost", "C1")

    def test_c5_key_applied_twice(self):
        for _ in range(2):
            self.story.post("/payment/add_funds/u/5", {"done": True, "credit": 15}, key="funds-001")
        self.story.stores(credit=20)
        self.assert_found("doubled", "C1")

    def test_c6_out_of_stock_with_enough(self):
        self.story.refuse("out of stock")
        self.assert_found("lie", "C6")

    def test_c6_restocked_before_the_request(self):
        self.story.post("/stock/subtract/i/3", {"subtracted": True, "stock": 0})
        self.story.post("/stock/add/i/1", {"added": True, "stock": 1})
        self.story.refuse("out of stock")
        self.story.stores(stock=1)
        self.assert_found("lie", "C6")

    def restock_beside_a_refusal(self, seconds):
        self.story.post("/stock/subtract/i/3", {"subtracted": True, "stock": 0})
        now = self.story.now
        self.story.refuse("out of stock", at=now, to=now + seconds)
        self.story.post("/stock/add/i/1", {"added": True, "stock": 1}, at=now + 1, to=now + 2)
        self.story.refuse("out of stock", at=now + 4, to=now + 5)
        self.story.stores(stock=1)

    def test_c6_joined_one_that_was_decided_before_the_restock(self):
        self.restock_beside_a_refusal(6)
        self.assert_clean()

    def test_c6_nothing_to_join_any_more(self):
        self.restock_beside_a_refusal(3)
        self.assert_found("lie", "C6")

    def test_c6_insufficient_credit_with_enough(self):
        self.story.refuse("insufficient credit")
        self.assert_found("lie", "C6")

    def test_c7_left_over(self):
        for what in ("open", "pending", "queued"):
            with self.subTest(what=what):
                self.story.settled = {"open": 0, "pending": 0, "queued": 0, "after_s": 60, what: 1}
                self.assert_found("lost", "C7")

    def test_c7_nobody_looked(self):
        verdict = checker.check(self.story.records)
        self.assertIn(("lie", "C7"), {found[:2] for found in verdict.found})

    def test_c8_credit_before_the_write(self):
        self.story.post("/payment/add_funds/u/5", {"done": True, "credit": 15})
        self.story.ask("GET", "/payment/find_user/u", {"user_id": "u", "credit": 10})
        self.story.stores(credit=15)
        self.assert_found("lie", "C8")

    def test_c8_stock_from_the_future(self):
        self.story.ask("GET", "/stock/find/i", {"stock": 8, "price": 2})
        self.story.post("/stock/add/i/5", {"added": True, "stock": 8})
        self.story.stores(stock=8)
        self.assert_found("lie", "C8")

    def test_c8_paid_order_reads_unpaid(self):
        self.story.pay()
        self.story.ask("GET", "/orders/find/o", {"paid": False})
        self.story.stores(credit=8, stock=2, o=True)
        self.assert_found("lie", "C8")

    def test_c8_line_lost(self):
        self.story.final["order", "o"]["items"] = []
        self.assert_found("lie", "C8")

    def test_the_audit_found_something(self):
        """Answers and reads agree, and yet there is a credit that no record explains."""
        self.story.audit = {"t": "audit", "violations": 1, "open": 0, "new": [
            {"check": "C1", "saga": "", "order": "", "entity": "user u", "found": 11, "wanted": 10,
             "what": "credit with what the records took"}]}
        self.assert_found("audit", "C1")
        verdict = self.story.verdict()
        self.assertFalse(verdict.is_clean)
        self.assertEqual(verdict.found[0][2],
                         "user u: credit with what the records took: 11, should be 10")

    def test_the_audit_sees_open_sagas(self):
        self.story.audit["open"] = 1
        self.assert_found("audit", "C7")

    def test_nobody_audited(self):
        verdict = checker.check(self.story.records)
        self.assertIn(("audit", "audit"), {found[:2] for found in verdict.found})

    def test_errors_are_counted(self):
        self.story.post("/payment/create_user", {"status": "pending"}, 503)
        self.story.post("/payment/create_user", None, 200)
        self.story.silent("/payment/create_user")
        self.story.refuse("too many requests, try again")
        self.assertEqual(sum(self.story.verdict().errors.values()), 4)

    def allow(self, **what):
        self.story.records.append({"t": "allowed", "wait_s": None, "may_turn_away": False,
                                   "found": [], **what})
        return dict(self.story.verdict().errors)

    def test_a_wait_longer_than_is_allowed(self):
        self.story.pay(at=20, to=27)
        self.story.stores(credit=8, stock=2, o=True)
        self.assertEqual(self.allow(wait_s=7.5), {})
        self.assertEqual(self.allow(wait_s=6.5), {"an answer after more than 6.5 s": 1})

    def test_a_429_where_it_is_an_answer(self):
        self.story.post("/orders/checkout/o", {"error": "try again"}, 429)
        self.assertEqual(self.allow(may_turn_away=True), {})
        self.story.records.pop()
        self.assertEqual(self.allow(), {"429 try again": 1})

    def test_what_the_fault_has_found(self):
        self.assertEqual(self.allow(found=["nobody was told"]), {"nobody was told": 1})


if __name__ == "__main__":
    unittest.main()
