"""What every fault is: it strikes, is mended, and says what a row may expect of clients meanwhile."""


class AnyFault:
    """await strike(); ..; await mend(); ..; await clean(). Broken when it had no effect."""

    is_of_the_front = False  # clients lose their connections by it
    paid_before = 1  # checkouts that must have been paid before it strikes
    wait_max_s = None  # no client may wait longer; None: whatever it takes
    may_turn_away = False  # a 429 is an answer like another
    is_asked_again = False  # what was answered under a key before is asked for again afterwards

    def __init__(self, stack, component, kind):
        self.stack = stack
        self.component = component
        self.kind = kind
        self.name = component  # until it is known which one
        self.seen = {}  # what proves it
        self.found = []  # sentences: what was not as it has to be while it lasted

    def plan(self, delay_s):
        """It will last so long."""

    def judge(self, records):
        """Of the row's history: what has to be added to `found`."""

    async def clean(self):
        """What it has changed for good, undone when the row has settled."""
