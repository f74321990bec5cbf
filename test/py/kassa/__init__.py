"""What every test and measuring tool needs of a running Kassa. A room that uses it has a link `kassa`
to this directory, because Python looks for modules beside the script that it starts.

    stack       a private system: its files, ports, processes, and ./kassa
    connection  HTTP, one request after the other     store    Redis, in its own protocol
    pool        HTTP, many requests at once           broker   RabbitMQ, by Debian's tools
    metrics     the text of /metrics                  process  what the kernel knows of a process
"""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
SERVICES = ("gateway", "order", "stock", "payment")


class Broken(Exception):
    """The system, or a tool, is not as it must be: nothing found on it counts."""
