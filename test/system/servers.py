"""The servers of the system under test, reached behind the services' backs with Debian's tools.

Needs KASSA_VAR, the directory with run/ports and run/secrets: VAR is None without it.
"""

import json
import os
import pathlib
import re
import subprocess
import time
import urllib.request

from kassa.services import QUEUES  # noqa: F401  (for those who import this)

VAR = os.environ.get("KASSA_VAR")


def read_settings(name):
    """NAME=value lines of run/<name>."""
    lines = (pathlib.Path(VAR) / "run" / name).read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip("'\"") for key, value in pairs}


def metrics(service):
    """What a service that is no gateway tells of itself, as text."""
    port = read_settings("ports")[f"{service.upper()}_METRICS_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def counter(service, name):
    """Of all labels together."""
    lines = (line for line in metrics(service).splitlines() if re.match(rf"{name}[ {{]", line))
    return sum(int(line.split()[1]) for line in lines)


def broker_url():
    password = read_settings("secrets")["RABBITMQ_PASSWORD"]
    return f"amqp://kassa:{password}@127.0.0.1:{read_settings('ports')['RABBITMQ_PORT']}"


def tool(name, *arguments):
    """One of amqp-tools: exit status and output."""
    done = subprocess.run(
        [name, "--url", broker_url(), *arguments], capture_output=True, timeout=30, check=False
    )
    return done.returncode, done.stdout


def take_parked(queue, is_wanted, seconds):
    """Waits for a parked message of which is_wanted(body) is true, and takes it; others that lie
    there are left out. False: there was none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status, found = tool("amqp-get", "--queue", queue + ".parked")
        if status == 0 and is_wanted(found):
            return True
        if status != 0:
            time.sleep(0.05)
    return False


def envelope(type, count=1, **fields):
    """An envelope of `count` times the same command."""
    table = {"type": type, "fields": list(fields), "rows": [list(fields.values())] * count}
    return json.dumps({"v": 2, "tables": [table]})


def redis(*arguments, port="REDIS_PORT"):
    """`port`: of which store; SAGA_REDIS_PORT is that of the keys."""
    return subprocess.run(
        ["redis-cli", "-h", "127.0.0.1", "-p", read_settings("ports")[port], *arguments],
        env={
            "REDISCLI_AUTH": read_settings("secrets")["REDIS_PASSWORD"],
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        timeout=60,
        check=True,
    ).stdout
