"""A gateway that is told to end turns nobody away: what waits and what comes is answered.

Needs KASSA_VAR and KASSA_RESTART, see test_crash.py; without KASSA_VAR everything is skipped.
"""

import os
import signal
import subprocess
import threading
import time
import unittest

from client import TIME_FACTOR, Case, Client
from test_crash import RESTART, RESTART_S, VAR, has_ended, running_pid


@unittest.skipUnless(VAR, "KASSA_VAR is not set: there is nothing to stop")
class Drain(Case):
    def test_a_stopping_gateway_serves_open_connections(self):
        """One more answer on each, and it says that the connection closes."""
        user, item = self.user(5), self.item(5, 1)
        order = self.order(user, (item, 1))
        second = Client()
        self.addCleanup(second.close)
        self.assertEqual(second.get("/health").status, 200)
        gateway, payment = running_pid("gateway"), running_pid("payment")
        answers = []
        os.kill(payment, signal.SIGSTOP)
        try:
            waiting = threading.Thread(target=lambda: answers.append(self.checkout(order)))
            waiting.start()
            time.sleep(0.3)
            os.kill(gateway, signal.SIGTERM)
            time.sleep(0.3)
            answer = second.post(f"/orders/create/{user}")
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers.get("connection", "").lower(), "close", answer)
        finally:
            os.kill(payment, signal.SIGCONT)
        waiting.join(30 * TIME_FACTOR)
        self.assertEqual(len(answers), 1)
        self.assert_paid(answers[0], order, 5)
        until = time.monotonic() + 10 * TIME_FACTOR
        while not has_ended(gateway) and time.monotonic() < until:
            time.sleep(0.01)
        self.assertTrue(has_ended(gateway))
        subprocess.run(RESTART, shell=True, check=True, timeout=RESTART_S,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.client.close()
        self.assert_credit(user, 0)


if __name__ == "__main__":
    unittest.main()
