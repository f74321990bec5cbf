"""What the kernel knows of a process. Of one that is gone it knows nothing."""

import pathlib


def stat(pid):
    """The fields of /proc/<pid>/stat from the state on; [] when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def state(pid):
    """The kernel's letter: T is stopped, Z a zombie; '' gone."""
    return (stat(pid) or [""])[0]


def has_ended(pid):
    """Gone, or a zombie that waits for its parent."""
    return state(pid) in ("", "Z", "X")


def started(pid):
    """Ticks from the boot to its start, as in a pid file; '' gone."""
    return (stat(pid) or [""] * 20)[19]
