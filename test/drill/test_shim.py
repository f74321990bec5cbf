"""The shims: what a program with build/<variant>/shim.so preloaded believes of its clock and disk."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIM = ROOT / "build" / "release" / "shim.so"
DAY_S = 86400
LOOKED_S = 0.2  # more than the 50 ms between two looks at the file
# A clock at the beginning of each line that is read, in the words of each function.
CLOCK = """
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.time.restype = ctypes.c_long
class Moment(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("us", ctypes.c_long)]
for _ in sys.stdin:
    day = Moment()
    libc.gettimeofday(ctypes.byref(day), None)
    print(time.time(), libc.time(None), day.s + day.us / 1e6, time.monotonic(), flush=True)
"""
DISK = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    for sync in (os.fdatasync, os.fsync):
        file.write(b"a")
        file.flush()
        begin = time.monotonic()
        try:
            sync(file.fileno())
            print(time.monotonic() - begin)
        except OSError as error:
            print(error.errno)
"""


@unittest.skipUnless(SHIM.exists(), f"{SHIM} is not built")
class ShimTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.environment = {**os.environ, "LD_PRELOAD": str(SHIM), "KASSA_SHIM": directory.name}

    def tell(self, what, number):
        (self.directory / what).write_text(f"{number}\n")

    def test_clock(self):
        with subprocess.Popen([sys.executable, "-c", CLOCK], stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE, env=self.environment) as program:
            for shift in (None, 3600, 9 * DAY_S, -9 * DAY_S, 0):
                if shift is not None:
                    self.tell("clock", shift)
                    time.sleep(LOOKED_S)
                program.stdin.write("\n")
                program.stdin.flush()
                *wall, forward = map(float, program.stdout.readline().split())
                for said in wall:
                    self.assertAlmostEqual(said, time.time() + (shift or 0), delta=3)
                self.assertAlmostEqual(forward, time.monotonic(), delta=3)
            program.stdin.close()

    def synced(self):
        done = subprocess.run([sys.executable, "-c", DISK, self.directory / "file"], text=True,
                              env=self.environment, capture_output=True, check=True)
        return [float(line) for line in done.stdout.split()]

    def test_disk(self):
        self.assertLess(max(self.synced()), 0.25)
        self.tell("disk", 300)
        self.assertGreater(min(self.synced()), 0.3)
        self.tell("disk", -1)
        self.assertEqual(self.synced(), [28, 28])  # ENOSPC


if __name__ == "__main__":
    unittest.main()
