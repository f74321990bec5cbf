"""Many at once: sold out to the last piece, attached checkouts, nothing lost and nothing twice."""

import threading
import time
import unittest

from client import (
    INSUFFICIENT_CREDIT,
    OUT_OF_STOCK,
    RESPOND_ASYNC,
    Case,
    Client,
    at_once,
)


def checkouts(orders, connections):
    jobs = [lambda client, o=order: client.post(f"/orders/checkout/{o}") for order in orders]
    return at_once(jobs, connections)


class Concurrency(Case):
    def count_answers(self, orders, answers, total):
        """How many were paid; each other one must be one of the two refusals."""
        paid = 0
        for order, answer in zip(orders, answers):
            if answer.status == 200:
                self.assert_paid(answer, order, total)
                paid += 1
            else:
                self.assert_error(answer, 400)
                self.assertIn(answer.body, (OUT_OF_STOCK, INSUFFICIENT_CREDIT))
        return paid

    def test_exactly_sold_out(self):
        """300 one-piece orders on 100 pieces over 50 connections sell exactly 100."""
        item = self.item(1, 100)
        users = [self.user(1) for _ in range(300)]
        orders = [self.order(user, (item, 1)) for user in users]
        answers = checkouts(orders, 50)
        self.assertEqual(self.count_answers(orders, answers, 1), 100)
        self.assert_stock(item, 0, 1)
        for user, answer in zip(users, answers):
            self.assert_credit(user, 0 if answer.status == 200 else 1)

    def test_shared_users(self):
        """Several orders of each of 60 users with credit 1, 40 pieces: exactly 40 are sold."""
        item = self.item(1, 40)
        users = [self.user(1) for _ in range(60)]
        buyers = users * 4
        orders = [self.order(user, (item, 1)) for user in buyers]
        answers = checkouts(orders, 50)
        self.assertEqual(self.count_answers(orders, answers, 1), 40)
        self.assert_stock(item, 0, 1)
        for user in users:
            paid = sum(a.status == 200 for u, a in zip(buyers, answers) if u == user)
            self.assertLessEqual(paid, 1)
            self.assert_credit(user, 1 - paid)

    def test_one_purse(self):
        """100 orders of one user with credit for 30: exactly 30 are paid."""
        user, item = self.user(90), self.item(3, 1000)
        orders = [self.order(user, (item, 1)) for _ in range(100)]
        answers = checkouts(orders, 50)
        self.assertEqual(self.count_answers(orders, answers, 3), 30)
        self.assert_credit(user, 0)
        self.assert_stock(item, 970, 3)

    def test_crossed_lines(self):
        """Orders of two items, half of them the other way round: all lines or none."""
        left, right = self.item(1, 20), self.item(1, 30)
        users = [self.user(2) for _ in range(60)]
        orders = []
        for n, user in enumerate(users):
            lines = [(left, 1), (right, 1)]
            orders.append(self.order(user, *(lines if n % 2 else lines[::-1])))
        answers = checkouts(orders, 30)
        self.assertEqual(self.count_answers(orders, answers, 2), 20)
        self.assert_stock(left, 0, 1)
        self.assert_stock(right, 10, 1)
        for user, answer in zip(users, answers):
            self.assert_credit(user, 0 if answer.status == 200 else 2)

    def test_refused_reads_are_exact(self):
        """Under load, too, a refused client reads its own credit back as it was, at once."""
        item = self.item(1, 20)
        users = [self.user(5) for _ in range(120)]
        orders = [self.order(user, (item, 1)) for user in users]

        def job(client, user, order):
            answer = client.post(f"/orders/checkout/{order}")
            return answer, client.get(f"/payment/find_user/{user}").body["credit"]

        pairs = list(zip(users, orders))
        seen = at_once([lambda c, u=u, o=o: job(c, u, o) for u, o in pairs], 40)
        self.assertEqual(self.count_answers(orders, [a for a, _ in seen], 1), 20)
        for answer, credit in seen:
            self.assertEqual(credit, 4 if answer.status == 200 else 5, answer)

    def assert_attached(self, order):
        """The one answer of 20 concurrent checkouts of an order."""
        answers = checkouts([order] * 20, 20)
        self.assertEqual(len({(a.status, a.text) for a in answers}), 1, answers[:3])
        self.assertTrue(answers[0].headers.get("saga-id"))
        return answers

    def test_attach_paid(self):
        """20 concurrent checkouts of one order: all paid by the same saga, one charge."""
        for _ in range(5):
            user, item = self.user(100), self.item(3, 100)
            order = self.order(user, (item, 2))
            answers = self.assert_attached(order)
            self.assert_paid(answers[0], order, 6)
            self.assertEqual(len({a.headers["saga-id"] for a in answers}), 1)
            self.assert_credit(user, 94)
            self.assert_stock(item, 98, 3)

    def test_attach_refused(self):
        """The same for refusals: all refused, everything given back."""
        for credit, stock, refusal in ((100, 1, OUT_OF_STOCK), (1, 100, INSUFFICIENT_CREDIT)):
            user, item = self.user(credit), self.item(3, stock)
            order = self.order(user, (item, 2))
            self.assert_refused(self.assert_attached(order)[0], refusal)
            self.assert_credit(user, credit)
            self.assert_stock(item, stock, 3)

    def test_add_item_races_checkout(self):
        """addItem beside a checkout: added before it and charged, or 409 and not in the order."""
        for _ in range(20):
            user, item, other = self.user(100), self.item(3, 10), self.item(5, 10)
            order = self.order(user, (item, 1))
            jobs = [
                lambda c, o=order: c.post(f"/orders/checkout/{o}"),
                lambda c, o=order, i=other: c.post(f"/orders/addItem/{o}/{i}/1"),
            ]
            checkout, added = at_once(jobs, 2)
            self.assertIn(added.status, (200, 409), added)
            lines, total = [(item, 1)], 3
            if added.status == 200:
                lines, total = [(item, 1), (other, 1)], 8
                body = {"added": True, "order_id": order, "total_cost": total}
                self.assert_ok(added, body)
            else:
                self.assert_error(added, 409)
            self.assert_paid(checkout, order, total)
            self.assert_order(order, user, True, lines, total)
            self.assert_credit(user, 100 - total)
            self.assert_stock(other, 10 if total == 3 else 9, 5)

    def test_add_item_beside_running_saga(self):
        """While a saga runs the lines are frozen: what is charged is what is in the order."""
        user, item = self.user(100), self.item(3, 10)
        order = self.order(user, (item, 1))
        self.assertEqual(self.checkout(order, RESPOND_ASYNC).status, 202)
        self.assert_error(self.post(f"/orders/addItem/{order}/{item}/1"), 409)
        self.assert_paid(self.checkout(order), order, 3)
        self.assert_credit(user, 97)

    def test_hundred_connections_stay_open(self):
        """100 keep-alive connections: none is dropped between or within two rounds."""
        barrier = threading.Barrier(100, timeout=60)
        user = self.user(1000)

        def job(_):
            client = Client()
            socks = set()
            try:
                for _ in range(3):
                    barrier.wait()
                    answer = client.get(f"/payment/find_user/{user}")
                    socks.add(client.connection.sock)
                    time.sleep(0.2)
                return answer.body, len(socks)
            finally:
                client.close()

        for body, connections in at_once([job] * 100, 100):
            self.assertEqual((body, connections), ({"user_id": user, "credit": 1000}, 1))

    def test_funds_of_many(self):
        """200 add_funds of one user over 50 connections: each counts, each answer is another."""
        user = self.user()
        jobs = [lambda client: client.post(f"/payment/add_funds/{user}/1")] * 200
        credits = sorted(answer.body["credit"] for answer in at_once(jobs, 50))
        self.assertEqual(credits, list(range(1, 201)))

    def test_lines_of_many(self):
        """50 addItems of one order at once: every one of them is in it."""
        user, item = self.user(), self.item(2)
        order = self.order(user)
        jobs = [lambda client: client.post(f"/orders/addItem/{order}/{item}/1")] * 50
        totals = sorted(answer.body["total_cost"] for answer in at_once(jobs, 25))
        self.assertEqual(totals, list(range(2, 102, 2)))
        self.assert_order(order, user, False, [(item, 50)], 100)


if __name__ == "__main__":
    unittest.main()
