"""RabbitMQ by Debian's tools: erl_call evaluates an expression on a node, and amqp-tools put a message
into a queue, or take one out."""

import json
import os
import re
import subprocess
import time

from kassa import Broken

TOOL_S = 60
QUEUES = ("kassa.order", "kassa.saga", "kassa.stock", "kassa.payment")
# Asks the queues themselves: the figures that the broker publishes, which rabbitmqctl prints, are
# up to 5 s old. -1: the queue has no leader that answers.
MESSAGES = (
    "[{binary_to_list(element(4, amqqueue:get_name(Q))), "
    "case catch ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1) of "
    "{ok, {_, N}, _} -> N; _ -> -1 end} "
    '|| Q <- rabbit_amqqueue:list(<<"/">>)].\n'
)


def erl_call(home, node, epmd_port):
    """(command, environment) that evaluates an expression on a private node. `home`: a path, where
    the node's cookie is."""
    cookie = (home / ".erlang.cookie").read_text().strip()
    return ["erl_call", "-c", cookie, "-n", f"{node}@localhost", "-e"], {
        "HOME": str(home), "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": epmd_port}


def evaluate(command, environment, expression):
    """What a node says to an expression. Errors: Broken."""
    try:
        done = subprocess.run(command, env={"PATH": os.environ["PATH"], **environment},
                              input=expression, capture_output=True, text=True, timeout=TOOL_S,
                              check=False)
    except subprocess.TimeoutExpired as error:
        raise Broken("the broker does not answer") from error
    if done.returncode != 0:
        raise Broken(f"the broker was asked in vain: {done.stdout[:300]} {done.stderr[:300]}")
    return done.stdout


def messages(said):
    """Of what a node says to MESSAGES: queue -> messages ready and unacknowledged together; -1: it
    does not say."""
    found = re.findall(r'{"([^"]+)", *(-?\d+)', said)
    if not found:
        raise Broken(f"the queues could not be counted: {said[:300]}")
    return {name: int(count) for name, count in found}


def tool(url, name, *arguments, body=None):
    """One of amqp-tools: exit status and output. `body` goes by the standard input: it may be larger
    than an argument can be."""
    done = subprocess.run([name, "--url", url, *arguments], input=body, capture_output=True,
                          timeout=TOOL_S, check=False)
    return done.returncode, done.stdout


def take_parked(url, queue, is_wanted, seconds):
    """Waits for a parked message of which is_wanted(body) is true, and takes it; others that lie
    there are left out. False: there was none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status, found = tool(url, "amqp-get", "--queue", queue + ".parked")
        if status == 0 and is_wanted(found):
            return True
        if status != 0:
            time.sleep(0.05)
    return False


def envelope(type, count=1, **fields):
    """An envelope of `count` times the same command."""
    table = {"type": type, "fields": list(fields), "rows": [list(fields.values())] * count}
    return json.dumps({"v": 2, "tables": [table]})
