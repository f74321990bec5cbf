"""A private nginx in front of the gateway under test, with the project's own configuration."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TEMPLATE = pathlib.Path(__file__).parents[2] / "deploy" / "nginx" / "nginx.conf"
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Front:
    """nginx on a port of its own, until close."""

    def __init__(self, host, port, clients=None, bodies=(), others=()):
        """clients: requests of one address at once, instead of those of the template. bodies: lines
        of the map of routes that take a body, beside those of the template. others: ports of other
        gateways."""
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="kassa-front.")
        self.mark = pathlib.Path(self.directory.name) / "closing"
        directory = pathlib.Path(self.directory.name)
        text = TEMPLATE.read_text()
        for name, value in {
            "USER": "user root;" if os.getuid() == 0 else "",
            "LISTEN": f"127.0.0.1:{self.port}",
            "DIR": str(directory),
            "ACCESS": "off",
            "RESOLVER": "127.0.0.1",
            "AGAIN": "gateways",
            "GATEWAYS": " ".join(f"server {host}:{p} max_fails=0;" for p in (port, *others)),
        }.items():
            text = text.replace(f"@{name}@", value)
        if clients is not None:
            text, changed = re.subn("limit_conn clients [0-9]+;", f"limit_conn clients {clients};",
                                    text)
            assert changed == 1, "the template has no limit"
        mark = "# end bodies\n"
        assert text.count(mark) == 1, "the template has no routes with bodies"
        text = text.replace(mark, "\n".join((*bodies, mark)))
        (directory / "nginx.conf").write_text(text)
        self.log = directory / "nginx.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [NGINX, "-c", str(directory / "nginx.conf"), "-p", str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait()

    def wait(self):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        text = self.log.read_text()
        self.close()
        raise RuntimeError(f"nginx does not start: {text}")

    @contextlib.contextmanager
    def closing(self):
        """Each answer ends its connection meanwhile."""
        self.mark.touch()
        yield
        self.mark.unlink()

    def reload(self, seconds):
        """The configuration is read anew, `seconds` after clients have been told of it; as
        deploy/compose/nginx.sh does it."""
        with self.closing():
            time.sleep(seconds)
            self.process.send_signal(signal.SIGHUP)
            time.sleep(seconds)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.directory.cleanup()
