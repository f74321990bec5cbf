"""What happened in a row, in the order in which it became known: one JSON object a line.

    {"t": "request", "at": 1.204, "to": 1.209, "method": "POST", "path": "/orders/checkout/..",
     "key": "..", "status": 200, "body": {..}, "error": null}
    {"t": "fault", "at": 2.5, "what": "redis: kill", ..}      {"t": "healed", "at": 2.9, ..}
    {"t": "final", "kind": "user", "id": "..", "body": {..}}  a read after everything was over
    {"t": "settled", "open": 0, "pending": 0, "queued": 0, "after_s": 1.2}
    {"t": "audit", "violations": 0, "new": [], "open": 0, "took_ms": 60}    of kassa-audit
    {"t": "copies", "unequal": []}                        stores whose nodes differ
    {"t": "allowed", "wait_s": 6.5, "may_turn_away": false, "found": [], ..}   by the row's fault
    {"t": "phases", "prepare": 0.1, ..}                   seconds of each part of the row

Times are seconds of the drill's monotonic clock. status 0: no answer, and error says why.
"""

import json
import time

import routes


class History:
    def __init__(self):
        self.records = []
        self.began = time.monotonic()
        self.in_flight = {}  # number of the request -> its start
        self.last_paid_from = -1.0  # the latest start of a checkout that was answered 200
        self.paid = 0

    def now(self):
        return round(time.monotonic() - self.began, 6)

    def note(self, t, **fields):
        self.records.append({"t": t, **fields})

    def note_request(self, record):
        self.records.append({"t": "request", **record})
        if record["status"] == 200 and routes.is_checkout(record):
            self.paid += 1
            self.last_paid_from = max(self.last_paid_from, record["at"])

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            for record in self.records:
                file.write(json.dumps(record) + "\n")


def read(path):
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]
