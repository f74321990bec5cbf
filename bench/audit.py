#!/usr/bin/env python3
"""Measures the audit: fills a private Redis with ended sagas as Kassa would have left them, and
audits it.

    python3 bench/audit.py [--sagas 1000000] [--users 100000] [--items 100000] [--json]

Of 20 sagas 18 are PAID, one is refused by stock and refunded, one refused by payment; orders have
two lines each. The records are spread over the given hours. Prints the seconds of both, the
memory of the audit and what it found; the exit status is that of the audit. With --keep DIR the
data stays there, for `redis-server --dir DIR --appendonly yes`.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time

from kassa import ROOT, Broken
from kassa.store import Store, info

CHUNK = 2000
SECONDS_TO_START = 30

# ARGV: first, one past the last, users, items, first ms, ms between two sagas
FILL = """
local first, last = tonumber(ARGV[1]), tonumber(ARGV[2])
local users, items = tonumber(ARGV[3]), tonumber(ARGV[4])
local from_ms, step = tonumber(ARGV[5]), tonumber(ARGV[6])
local function id_of(kind, n, ms)
    return string.format('%08x-%04x-7%03x-8%03x-%04x%08x', math.floor(ms / 65536), ms % 65536,
        kind, 0, kind, n)
end
for n = first, last - 1 do
    local ms = from_ms + math.floor(n * step)
    local saga, order = id_of(1, n, ms), id_of(2, n, ms)
    local user, item, other = tostring(n % users), tostring(n % items), tostring((n + 7) % items)
    local bucket = string.format('once:%09x', math.floor(ms / 4096))
    local name = string.format('%09x', math.floor(ms / 4096))
    local kind, lines = n % 20, item .. '*1,' .. other .. '*2'
    local states, reason = {'CHARGING', 'PAID'}, ''
    if kind == 18 then
        states, reason = {'CHARGING', 'REFUNDING', 'FAILED'}, 'out of stock'
    elseif kind == 19 then
        states, reason = {'CHARGING', 'FAILED'}, 'insufficient credit'
    end
    local story = {}
    for i, state in ipairs(states) do
        story[i] = string.format('%s:%.0f:0', state, ms + 2 * (i - 1))
    end
    local journal = table.concat({saga, '1', states[#states], '0', '0', reason, 'gateway1/' .. saga,
        user, '6', lines, table.concat(story, ',')}, '|')
    redis.call('HSET', 'order:order:' .. order, 'user', user, 'total', 6, 'lines', lines,
        'journal', journal)
    redis.call('HSET', 'order:' .. bucket, order, 'created', saga,
        (kind < 18 and 'begun|' .. order .. '|' .. saga or 'ended|' .. order .. '|' .. journal))
    redis.call('HSET', 'payment:' .. bucket, saga .. ':1:charge',
        kind == 19 and 'refused|insufficient credit' or 'charged|' .. user .. '|6|g1')
    if kind == 18 then
        redis.call('HSET', 'payment:' .. bucket, saga .. ':1:charge-undo', 'refunded|' .. user .. '|6|g1')
    end
    if kind ~= 19 then
        redis.call('HSET', 'stock:' .. bucket, saga .. ':1:take', kind == 18 and 'refused|out of stock' or
            'taken|' .. item .. '*1*g1,' .. other .. '*2*g1')
    end
    if kind < 18 then
        redis.call('HINCRBY', 'payment:user:' .. user, 'credit', -6)
        redis.call('HINCRBY', 'stock:item:' .. item, 'quantity', -1)
        redis.call('HINCRBY', 'stock:item:' .. other, 'quantity', -2)
    end
    for _, service in ipairs({'order', 'payment', 'stock'}) do
        redis.call('ZADD', service .. ':buckets', math.floor(ms / 4096), name)
    end
end
return 'OK'
"""

# ARGV: kind, first, one past the last
MAKE = """
for n = tonumber(ARGV[2]), tonumber(ARGV[3]) - 1 do
    if ARGV[1] == 'user' then
        redis.call('HSET', 'payment:user:' .. n, 'credit', 1000000, 'funded', 1000000, 'gen', 'g1')
    else
        redis.call('HSET', 'stock:item:' .. n, 'quantity', 1000000, 'price', 2, 'added', 1000000,
            'gen', 'g1')
    end
end
return 'OK'
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(directory, port):
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", directory]
        + ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            redis = Store(port)
            redis.call("PING")
            return server, redis
        except (OSError, Broken):
            if time.monotonic() > until or server.poll() is not None:
                raise
            time.sleep(0.05)


def fill(redis, o):
    for kind, count in (("user", o.users), ("item", o.items)):
        for first in range(0, count, CHUNK):
            redis.call("EVAL", MAKE, 0, kind, first, min(first + CHUNK, count))
    span_ms = o.hours * 3_600_000
    from_ms = int(time.time() * 1000) - span_ms - 60_000
    for first in range(0, o.sagas, CHUNK):
        last = min(first + CHUNK, o.sagas)
        redis.call("EVAL", FILL, 0, first, last, o.users, o.items, from_ms, span_ms / o.sagas)


def audit(port, variant):
    """Seconds, seconds of processor, MiB, exit status and report."""
    node = f"127.0.0.1:{port}"
    environment = dict(os.environ, ORDER_REDIS=node, STOCK_REDIS=node, PAYMENT_REDIS=node)
    environment["REDIS_PASSWORD"] = ""
    began = time.monotonic()
    run = subprocess.Popen(
        [ROOT / "build" / variant / "kassa-audit", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
    )
    text = run.stdout.read()
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    seconds = time.monotonic() - began
    return seconds, cpu, usage.ru_maxrss / 1024, run.returncode, json.loads(text)


def server_cpu(redis):
    fields = info(redis.call("INFO", "cpu"))
    return float(fields["used_cpu_user"]) + float(fields["used_cpu_sys"])


def parse_options():
    parser = argparse.ArgumentParser(description="Measures the audit.")
    parser.add_argument("--sagas", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--hours", type=int, default=1, help="the records are spread over these")
    parser.add_argument("--variant", default="release", help="build to run")
    parser.add_argument("--keep", help="directory for the data, which then stays")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    o = parse_options()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="kassa-audit.") as temporary:
        server, redis = start(o.keep or temporary, port := free_port())
        try:
            began = time.monotonic()
            fill(redis, o)
            filled = time.monotonic() - began
            server_began = server_cpu(redis)
            seconds, cpu, mib, status, report = audit(port, o.variant)
            of_server = server_cpu(redis) - server_began
        finally:
            server.terminate()
            server.wait()
    result = {"fill_seconds": round(filled, 2), "audit_seconds": round(seconds, 2)}
    result |= {"audit_cpu_seconds": round(cpu, 2), "redis_cpu_seconds": round(of_server, 2)}
    result |= {"audit_mib": round(mib), "sagas": report["sagas"], "status": status}
    result["violations"] = report["violations"]
    if o.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:18} {value}")
    return status


if __name__ == "__main__":
    sys.exit(main())
