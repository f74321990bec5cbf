"""docker-compose.small.yml, beside the large one: it comes up, sells, and accounts for it."""

import json
import os
import time
import unittest

from kassa import ROOT
from project import run, say, stack

UP_S_MAX = 60


class Small(unittest.TestCase):
    def setUp(self):
        stack()  # so that neither disturbs the other's start
        self.addCleanup(os.environ.update, dict(os.environ))
        os.environ.update(
            COMPOSE_FILE=f"{os.environ['COMPOSE_HOME']}/docker-compose.small.yml",
            COMPOSE_PROJECT_NAME=f"{os.environ['COMPOSE_PROJECT_NAME']}-small",
            HTTP_PORT=os.environ["SMALL_PORT"], HTTP_PORT_2="0")
        self.compose = os.environ["COMPOSE"].split()
        self.addCleanup(run, *self.compose, "down", "-v", "-t", "1")

    def test_sells_and_accounts(self):
        began = time.monotonic()
        run(*self.compose, "up", "-d")
        url = f"http://127.0.0.1:{os.environ['HTTP_PORT']}"
        stack().wait_until(lambda: stack().is_answering(url), "the small stack is ready", UP_S_MAX)
        took = time.monotonic() - began
        say(f"the small stack, from nothing to ready: {took:.0f} s")
        self.assertLess(took, UP_S_MAX)
        said = run("python3", f"{ROOT}/stress/consistency.py", "--url", url)
        self.assertTrue(said.endswith("\nconsistent\n"), said)
        report = json.loads(run(*self.compose, "run", "--rm", "-T", "audit", "--json"))
        self.assertEqual(report["violations"], 0)


if __name__ == "__main__":
    unittest.main()
