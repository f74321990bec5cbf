"""deploy/compose/renew.sh without an engine: what it asks and tells an engine, and in which order. In the
engine's place stands a script that writes down its words and has two containers, all of them well but for
as long as a test wants."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy/compose/renew.sh"
ENGINE = r"""#!/bin/sh
echo "$(basename "$0") $*" >>"$HOME/said"
case "$(basename "$0") $1" in
"docker compose") exit 1 ;; # version 1 only
"docker-compose ps") echo any ;;
"docker ps") echo "$*" | sed 's/.*compose.service=\([a-z0-9-]*\).*/\1-id/' ;;
"docker inspect")
    case $3 in
    *Healthcheck*) printf 'CMD\nis-well\n' ;;
    *project*) echo shop ;;
    *) echo "/$4" ;;
    esac
    ;;
"docker exec")
    left=$(cat "$HOME/ill-$2" 2>/dev/null || echo 0)
    [ "$left" -eq 0 ] || { echo $((left - 1)) >"$HOME/ill-$2"; exit 1; }
    ;;
esac
"""


class RenewTest(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = pathlib.Path(home.name)
        for name, text in (("docker", ENGINE), ("docker-compose", ENGINE), ("sleep", "#!/bin/sh\n")):
            (self.home / name).write_text(text)
            (self.home / name).chmod(0o755)

    def renew(self, *services, status=0):
        """The containers that were asked whether they are well (?), and those that were replaced, in order."""
        done = subprocess.run(["sh", SCRIPT, *services], capture_output=True, text=True, timeout=60, check=False,
                              env={"HOME": str(self.home), "PATH": f"{self.home}:{os.environ['PATH']}"})
        self.assertEqual(done.returncode, status, done.stderr)
        acts = []
        for words in map(str.split, (self.home / "said").read_text().splitlines()):
            if words[:2] == ["docker", "exec"]:
                acts.append(words[2].removesuffix("-id") + "?")
            elif words[:2] == ["docker", "stop"]:
                acts.append(words[2].removesuffix("-id"))
        return acts

    def replaced(self, acts):
        return [act for act in acts if not act.endswith("?")]

    def test_who_reads_is_renewed_before_who_writes(self):
        replaced = self.replaced(self.renew())
        self.assertEqual(replaced[-1], "gateway")
        self.assertEqual(sorted(replaced[:-1]), ["order", "payment", "stock"])

    def test_the_gateway_is_last_wherever_it_is_named(self):
        self.assertEqual(self.replaced(self.renew("gateway", "stock", "order")), ["stock", "order", "gateway"])

    def test_a_store_has_all_its_copies_before_one_goes(self):
        """And before the next one goes: who has just been replaced fills itself for a while."""
        (self.home / "ill-redis-order-3-id").write_text("3\n")
        self.assertEqual(self.renew("redis-order-2", "redis-order-1"),
                         ["redis-order-1?", "redis-order-2?", *["redis-order-3?"] * 4,
                          "redis-order-2", "redis-order-2?",
                          "redis-order-1?", "redis-order-2?", "redis-order-3?",
                          "redis-order-1", "redis-order-1?"])

    def test_who_does_not_get_well_ends_it(self):
        (self.home / "ill-redis-order-3-id").write_text("1000\n")
        self.assertEqual(self.replaced(self.renew("redis-order-2", "redis-order-3", status=1)), [])


if __name__ == "__main__":
    unittest.main()
