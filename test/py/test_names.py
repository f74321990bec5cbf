"""Modules of all rooms: one name, one meaning; and whoever uses the package finds it."""

import ast
import collections
import subprocess
import unittest

from kassa import ROOT


def modules():
    """Paths of all Python files that git knows."""
    said = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others",
                           "--exclude-standard", "*.py"], cwd=ROOT, capture_output=True, text=True,
                          check=False).stdout
    return [path for name in said.splitlines() if (path := ROOT / name).exists()]


def imported(path):
    """The first part of each module that it imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


class NamesTest(unittest.TestCase):
    def setUp(self):
        self.modules = modules()
        if not self.modules:
            self.skipTest("no git repository")

    def test_no_two_have_one_name(self):
        rooms = collections.defaultdict(list)
        for path in self.modules:
            rooms[path.stem].append(str(path.relative_to(ROOT)))
        self.assertEqual([paths for paths in rooms.values() if len(paths) > 1], [])

    def test_who_uses_the_package_has_a_link_to_it(self):
        package = ROOT / "test" / "py" / "kassa"
        rooms = {path.parent for path in self.modules if "kassa" in imported(path)} - {package}
        self.assertGreater(len(rooms), 5)
        for room in rooms:
            self.assertEqual((room / "kassa").resolve(), package, room)


if __name__ == "__main__":
    unittest.main()
