"""The README's tour, run as it stands: a reader who pastes it sees what the README shows.

    ```sh tour  --all blocks, one shell--> what they print
    ```text tour --------------------------------'--> must be the same, but for ids and times

Ids are numbered in the order in which they turn up, on both sides: so an id that is repeated in
the README has to be repeated by the service. Links of the documents have to lead somewhere.
"""

import os
import pathlib
import re
import subprocess
import unittest

from client import TIME_FACTOR, URL

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
TOUR_S = 60
BLOCK_END = "-- end of a block --"
FENCE = re.compile(r"^```(sh|text) tour\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
VARYING = (
    (re.compile(r"^Date: .*$", re.MULTILINE), "Date: ..."),
    (re.compile(r'("began_ms"|"at_ms"):\d{13}\b'), r"\1:..."),
    (re.compile(r'"retries":\d+'), '"retries":...'),  # a slow machine sends again
)


def tour():
    """(shell, output) of each block of the tour."""
    fences = FENCE.findall(README.read_text(encoding="utf-8"))
    kinds = [kind for kind, _ in fences]
    assert kinds and kinds == ["sh", "text"] * (len(kinds) // 2), f"blocks in pairs: {kinds}"
    texts = [text for _, text in fences]
    return list(zip(texts[::2], texts[1::2]))


def shape(text, ids):
    """The text without what differs from run to run. `ids` is shared by the blocks of one run."""
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return ID.sub(lambda match: ids.setdefault(match[0], f"<id {len(ids) + 1}>"), text).strip()


def anchors(document):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Readme(unittest.TestCase):
    maxDiff = None

    def test_tour(self):
        """Each block prints what the README says."""
        blocks = tour()
        script = "".join(f"{shell}echo '{BLOCK_END}'\n" for shell, _ in blocks)
        run = subprocess.run(
            ["sh"],
            input=script,
            env={**os.environ, "KASSA_URL": URL},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TOUR_S * TIME_FACTOR,
        )
        outputs = run.stdout.split(BLOCK_END + "\n")
        self.assertEqual((run.returncode, len(outputs)), (0, len(blocks) + 1), run.stdout)
        shown_ids, printed_ids = {}, {}
        for number, ((shell, shown), printed) in enumerate(zip(blocks, outputs), 1):
            with self.subTest(block=number, shell=shell):
                self.assertEqual(shape(printed, printed_ids), shape(shown, shown_ids))

    def test_links(self):
        """Each relative link of a document names a file, and a heading of it."""
        for document in DOCUMENTS:
            for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
                if re.match(r"[a-z]+:", path):
                    continue
                with self.subTest(document=document.name, path=path, anchor=anchor):
                    target = (document.parent / path).resolve() if path else document
                    self.assertTrue(target.exists(), f"{path} is not there")
                    if anchor:
                        self.assertIn(anchor, anchors(target))


if __name__ == "__main__":
    unittest.main()
