"""The servers of the system under test, reached behind the services' backs.

Needs KASSA_VAR, the directory with run/ports and run/secrets: VAR is None without it.
"""

import os

from kassa import broker
from kassa.stack import Stack

VAR = os.environ.get("KASSA_VAR")
STACK = Stack(VAR or "")
QUEUES, envelope = broker.QUEUES, broker.envelope
read_settings, metrics, counter = STACK.settings, STACK.metrics, STACK.counter
redis, erlang = STACK.redis, STACK.erlang


def tool(name, *arguments, body=None):
    """One of amqp-tools: exit status and output."""
    return broker.tool(STACK.broker_url, name, *arguments, body=body)


def take_parked(queue, is_wanted, seconds):
    return broker.take_parked(STACK.broker_url, queue, is_wanted, seconds)
