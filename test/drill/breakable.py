"""What a row needs of a system that it may break: private processes (processes.py), or the
containers of docker-compose.yml (containers.py)."""

import email.utils
import json
import socket
import subprocess
import time

from kassa import Broken, broker, metrics
from kassa.connection import Dropped, ask

READY_S = 60
WHOLE_S = 180  # after a fault; a broker's node that hangs at boot is started anew after 90 s
AUDIT_S = 120
AUDIT_CLEAN, AUDIT_VIOLATIONS = 0, 1  # its exit statuses; any other: it could not decide
GET_S = 6


def is_listening(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), timeout=1).close()
        return True
    except OSError:
        return False


def run(*command, timeout=120):
    """What a command prints. Broken when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)
    if done.returncode != 0:
        raise Broken(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-500:]}")
    return done.stdout


class Breakable:
    """The parts that differ: up, down, wipe, is_ready, fault, url, gateways, erlang_call,
    audit_command, unequal; and for the faults of edges.py: RETURN_S (from a store's death until it,
    or another one, serves), SYNCS (of one store, that a request waits for at most), part, parts,
    store, tell, ask, clock_of, end_part, start_part."""

    LOOK_S = 0.05  # between two looks whether something is so

    def __init__(self):
        self.known = set()  # what the audit found in earlier rows

    def can_break(self, component, kind):
        """Is there what this fault needs? Where not, somebody has said why."""
        return True

    # ---- looking ----

    @staticmethod
    def get(url):
        """(status, body); status 0: no answer."""
        try:
            answer = ask("GET", url, GET_S)
            return answer.status, answer.text
        except Dropped:
            return 0, ""

    def wait_until(self, is_so, what, seconds=READY_S):
        limit = time.monotonic() + seconds
        while not is_so():
            if self.is_hopeless() or time.monotonic() > limit:
                raise Broken(f"not in {seconds} s: {what}; {self.complaint()}")
            time.sleep(self.LOOK_S)

    def is_hopeless(self):
        """Something is gone that nobody broke, and will not come back."""
        return False

    def complaint(self):
        """What is not as it must be."""
        return ""

    def open_sagas(self):
        status, body = self.get(f"{self.url}/sagas?state=open")
        return body.count('"saga_id"') if status == 200 else -1

    @staticmethod
    def date_of(url):
        """What a service believes the time is, in seconds since 1970: it dates its answers."""
        said = ask("GET", f"{url}/health", GET_S).headers["date"]
        return email.utils.parsedate_to_datetime(said).timestamp()

    def pending(self):
        """Requests that the gateways have not answered."""
        return sum(self.pending_at(url) for url in self.gateways())

    def front(self):
        """Where nginx itself listens."""
        return self.url

    def pending_at(self, url):
        status, body = self.get(f"{url}/metrics")
        found = metrics.values(body, "kassa_pending_requests")
        return found[0] if status == 200 and found else -1

    # ---- the broker ----

    def erlang(self, expression):
        """What a node of the broker says to an expression."""
        return broker.evaluate(*self.erlang_call(), expression)

    def queues(self):
        """queue -> messages, see broker.messages()."""
        return broker.messages(self.erlang(broker.MESSAGES))

    # ---- the stores ----

    def unequal(self, entities=None):
        """C9: sentences about groups of stores whose nodes do not have the same under the keys of
        `entities`, group -> keys; None: under any."""
        return []

    def audit(self):
        """kassa-audit on the stores. Returns its report, and those of its findings that no earlier
        row had: the stores keep what a bad row has done to them."""
        try:
            done = subprocess.run(self.audit_command(), stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=AUDIT_S, check=False)
            report = json.loads(done.stdout)
            found = {json.dumps(finding): finding for finding in report["found"]}
            violations = report["violations"]
        except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
            raise Broken(f"the audit has not said what it found: {error}") from error
        if done.returncode != (AUDIT_VIOLATIONS if violations else AUDIT_CLEAN):
            raise Broken(f"the audit ended with {done.returncode}, violations: {violations}, "
                         f"undecided: {report['undecided']}")
        new = [finding for text, finding in found.items() if text not in self.known]
        self.known.update(found)
        return report, new
