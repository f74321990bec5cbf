"""nginx reads its configuration anew, as when a gateway comes: no client loses a request by it."""

import itertools
import threading
import time
import unittest

import client
from client import Case, Client
from front import NGINX, Front

CLIENTS = 16
RELOADS = 5
CLOSING_S = 0.5  # these clients are never idle


@unittest.skipUnless(NGINX, "nginx is not installed")
class Reload(Case):
    def setUp(self):
        super().setUp()
        self.front = Front(client.HOST, client.PORT)
        self.addCleanup(self.front.close)

    def through_front(self):
        made = Client()
        made.connection.port = self.front.port
        self.addCleanup(made.close)
        return made

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


if __name__ == "__main__":
    unittest.main()
