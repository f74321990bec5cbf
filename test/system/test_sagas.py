"""Sagas as people and tools see them: their story, the list, and asynchronous checkouts."""

import time
import unittest

from client import (
    INSUFFICIENT_CREDIT,
    OUT_OF_STOCK,
    RESPOND_ASYNC,
    UUID7,
    Case,
    new_key,
    unknown,
)

STATES = ("CHARGING", "REFUNDING", "CANCELLING", "PAID", "FAILED", "STUCK")
ENDED = ("PAID", "FAILED")
KEYS = {"saga_id", "order_id", "state", "attempt", "reason", "began_ms", "steps"}


class Sagas(Case):
    def check_story(self, story):
        """The form of a saga's story, whatever it tells."""
        self.assertEqual(set(story) - {"waiters"}, KEYS, story)
        self.assertRegex(story["saga_id"], UUID7)
        self.assertIsInstance(story["order_id"], str)
        self.assertIn(story["state"], STATES)
        self.assertIs(type(story["attempt"]), int)
        self.assertGreaterEqual(story["attempt"], 1)
        self.assertIs(type(story["began_ms"]), int)
        self.assertTrue(story["reason"] is None or isinstance(story["reason"], str), story)
        self.assertIs(type(story.get("waiters", 0)), int)
        at_ms = story["began_ms"]
        self.assertIsInstance(story["steps"], list)
        for step in story["steps"]:
            self.assertEqual(set(step), {"state", "at_ms", "retries"}, story)
            self.assertIn(step["state"], STATES)
            self.assertIs(type(step["at_ms"]), int)
            self.assertIs(type(step["retries"]), int)
            self.assertGreaterEqual(step["retries"], 0)
            self.assertGreaterEqual(step["at_ms"], at_ms - 1000, "in order, but for clocks")
            at_ms = step["at_ms"]
        return story

    def story(self, saga):
        answer = self.get(f"/sagas/{saga}")
        self.assertEqual(answer.status, 200, answer)
        story = self.check_story(answer.body)
        self.assertEqual(story["saga_id"], saga)
        return story

    def sagas(self, query):
        answer = self.get(f"/sagas{query}")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(list(answer.body), ["sagas"], answer)
        for story in answer.body["sagas"]:
            self.check_story(story)
        return answer.body["sagas"]

    def states_of(self, story):
        return [step["state"] for step in story["steps"]]

    def assert_passed(self, story, *states):
        """The saga has been in these states, in this order."""
        seen = iter(self.states_of(story))
        self.assertTrue(all(state in seen for state in states), story)

    def paid(self):
        """(order, saga) of a paid checkout."""
        order = self.order(self.user(10), (self.item(1, 10), 2))
        answer = self.assert_paid(self.checkout(order), order, 2)
        return order, answer.headers["saga-id"]

    def failed(self, credit, stock, refusal):
        order = self.order(self.user(credit), (self.item(1, stock), 2))
        answer = self.assert_refused(self.checkout(order), refusal)
        return order, answer.headers["saga-id"]

    def test_paid_story(self):
        """A paid saga charged, and payment passed the take on: the journal sees the end of both."""
        before_ms = int(time.time() * 1000)
        order, saga = self.paid()
        story = self.story(saga)
        self.assertEqual((story["state"], story["order_id"]), ("PAID", order))
        self.assertIsNone(story["reason"])
        self.assert_passed(story, "CHARGING")
        self.assertNotIn("REFUNDING", self.states_of(story))
        self.assertLess(abs(story["began_ms"] - before_ms), 60_000)

    def test_story_without_credit(self):
        """A saga without credit ended at the charge, and says why."""
        order, saga = self.failed(1, 5, INSUFFICIENT_CREDIT)
        story = self.story(saga)
        self.assertEqual((story["state"], story["order_id"]), ("FAILED", order))
        self.assertEqual(story["reason"], "insufficient credit")
        self.assert_passed(story, "CHARGING")
        self.assertNotIn("REFUNDING", self.states_of(story))

    def test_story_without_stock(self):
        """A saga without stock charged, failed to take, and gave back."""
        order, saga = self.failed(5, 1, OUT_OF_STOCK)
        story = self.story(saga)
        self.assertEqual((story["state"], story["order_id"]), ("FAILED", order))
        self.assertEqual(story["reason"], "out of stock")
        self.assert_passed(story, "CHARGING", "REFUNDING")

    def test_unknown_saga(self):
        """404 for a saga that is not there, 400 for what cannot be one's id."""
        self.assert_error(self.get(f"/sagas/{unknown()}"), 404)
        self.assert_error(self.get("/sagas/0193b5c0-0000-7000-8000-000000000000"), 404)
        self.assert_error(self.get("/sagas/a.b"), 400)

    def test_list_newest_first(self):
        """The list is newest first, whatever the filter, and no longer than the limit."""
        made = [self.paid()[1] for _ in range(3)]
        for query in ("?limit=10", "?state=PAID&limit=10", "?limit=10&state=PAID"):
            listed = self.sagas(query)
            self.assertLessEqual(len(listed), 10)
            began = [story["began_ms"] for story in listed]
            self.assertEqual(began, sorted(began, reverse=True), query)
            ids = [story["saga_id"] for story in listed]
            self.assertEqual([saga for saga in ids if saga in made], made[::-1], query)
        self.assertEqual([s["saga_id"] for s in self.sagas("?limit=1")], made[-1:])
        self.assertTrue(self.sagas(""))

    def test_list_by_state(self):
        """state= gives the sagas in that state only."""
        _, paid = self.paid()
        _, failed = self.failed(1, 5, INSUFFICIENT_CREDIT)
        for state, there, absent in (("PAID", paid, failed), ("FAILED", failed, paid)):
            listed = self.sagas(f"?state={state}&limit=20")
            self.assertEqual({story["state"] for story in listed}, {state})
            ids = [story["saga_id"] for story in listed]
            self.assertIn(there, ids)
            self.assertNotIn(absent, ids)
        for state in STATES:
            listed = self.sagas(f"?state={state}&limit=5")
            self.assertLessEqual({story["state"] for story in listed}, {state})

    def test_list_by_order(self):
        """order= gives the sagas of that order only; none for an order never checked out."""
        order, saga = self.paid()
        self.paid()
        self.assertEqual([s["saga_id"] for s in self.sagas(f"?order={order}")], [saga])
        listed = self.sagas(f"?order={order}&state=PAID&limit=5")
        self.assertEqual([s["saga_id"] for s in listed], [saga])
        self.assertEqual(self.sagas(f"?order={order}&state=FAILED"), [])
        self.assertEqual(self.sagas(f"?order={self.order(self.user())}"), [])

    def test_second_attempt(self):
        """After a refusal the next checkout is a saga, or an attempt, of its own."""
        user, item = self.user(1), self.item(2, 5)
        order = self.order(user, (item, 1))
        first = self.assert_refused(self.checkout(order), INSUFFICIENT_CREDIT).headers["saga-id"]
        before = self.story(first)["attempt"]
        self.post(f"/payment/add_funds/{user}/1")
        second = self.assert_paid(self.checkout(order), order, 2).headers["saga-id"]
        story = self.story(second)
        self.assertEqual((story["state"], story["order_id"]), ("PAID", order))
        self.assertTrue(second != first or story["attempt"] > before, story)
        self.assertEqual(self.sagas(f"?order={order}")[0]["saga_id"], second)

    def test_open_sagas(self):
        """state=open gives those that have not ended; a saga leaves it when it ends."""
        _, saga = self.paid()
        for story in self.sagas("?state=open&limit=100"):
            self.assertNotIn(story["state"], ENDED)
            self.assertNotEqual(story["saga_id"], saga)

    def test_bad_filters(self):
        """A filter that cannot be meant is a 400 with a sentence."""
        for query in (
            "?limit=x",
            "?limit=-1",
            "?limit=1e3",
            "?limit=99999999999999999999",
            "?state=paid",
            "?state=NOTHING",
            "?state=%00",
            "?order=a.b",
            "?order=" + "a" * 65,
            "?order=a%2Fb",
        ):
            with self.subTest(query=query):
                self.assert_error(self.get(f"/sagas{query}"), 400)

    def accepted(self, order, headers=RESPOND_ASYNC):
        """The saga of an asynchronous checkout, having checked its 202."""
        answer = self.checkout(order, headers)
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(set(answer.body), {"saga_id", "state"}, answer)
        self.assertIn(answer.body["state"], STATES)
        saga = answer.body["saga_id"]
        self.assertEqual(answer.headers.get("location"), f"/sagas/{saga}")
        return saga

    def test_async_paid(self):
        """respond-async: 202 with a Location that is polled until PAID."""
        user, item = self.user(10), self.item(3, 10)
        order = self.order(user, (item, 1))
        story = self.check_story(self.poll_saga(self.accepted(order)))
        self.assertEqual((story["state"], story["order_id"]), ("PAID", order))
        self.assert_credit(user, 7)
        self.assert_order(order, user, True, [(item, 1)], 3)

    def test_async_failed(self):
        """The same until FAILED; by then everything has been given back."""
        user, item = self.user(10), self.item(3, 0)
        order = self.order(user, (item, 1))
        story = self.check_story(self.poll_saga(self.accepted(order)))
        self.assertEqual((story["state"], story["reason"]), ("FAILED", "out of stock"))
        self.assert_credit(user, 10)
        self.assert_order(order, user, False, [(item, 1)], 3)

    def test_async_then_plain(self):
        """A plain checkout of an order whose asynchronous one runs waits for that one's answer."""
        user, item = self.user(10), self.item(3, 10)
        order = self.order(user, (item, 1))
        saga = self.accepted(order)
        answer = self.assert_paid(self.checkout(order), order, 3)
        self.assertEqual(answer.headers["saga-id"], saga)
        self.assert_credit(user, 7)

    def test_async_already_paid(self):
        """Nothing is left to wait for on a paid order: 200 as ever."""
        order, saga = self.paid()
        answer = self.assert_paid(self.checkout(order, RESPOND_ASYNC), order, 2)
        self.assertEqual(answer.headers["saga-id"], saga)

    def test_async_unknown_order(self):
        """An unknown order is a 404 at once, asked for asynchronously or not."""
        self.assert_error(self.checkout(unknown(), RESPOND_ASYNC), 404)

    def test_async_with_key(self):
        """A key and respond-async together: one saga."""
        user, item = self.user(10), self.item(3, 10)
        order = self.order(user, (item, 1))
        headers = {"Idempotency-Key": new_key(), **RESPOND_ASYNC}
        saga = self.accepted(order, headers)
        self.assertEqual(self.poll_saga(saga)["state"], "PAID")
        answer = self.checkout(order, headers)
        self.assertIn(answer.status, (200, 202), answer)
        self.assertEqual(answer.headers.get("saga-id", saga), saga)
        self.assert_credit(user, 7)


if __name__ == "__main__":
    unittest.main()
