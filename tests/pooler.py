"""A real PgBouncer before a server: it gives a connection to somebody else after each transaction."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postgres_server import USER, Server, folder_of_server

SETTINGS = """
[databases]
* = host={server.host} port={server.port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
logfile = {folder}/pgbouncer.log
"""


class Pooler:
    """A pooler before a server.

    Attributes:
        port: of the loopback address, on which it listens.
    """

    def __init__(self, port):
        self.port = port

    def url(self, name):
        """URL of a database of the server, through the pool."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"


def why_not() -> str:
    """Why no pooler can be started here; empty if one can."""
    return "" if _program() else "PgBouncer is not installed"


def _program():
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def pooling(server: Server) -> Iterator[Pooler]:
    """A running pooler in transaction mode; as the server, it refuses to run as root."""
    with folder_of_server() as (folder, user):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = folder / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(server=server, user=USER, port=port, folder=folder))
        command = [_program(), "--quiet", str(settings)]
        process = subprocess.Popen(command, user=user, cwd="/")
        try:
            _wait(port, process, folder / "pgbouncer.log")
            yield Pooler(port)
        finally:
            process.kill()
            process.wait()


def _wait(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 150
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"PgBouncer does not listen: {log.read_text() if log.exists() else 'it wrote no log'}")
