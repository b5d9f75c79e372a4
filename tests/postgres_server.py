"""A real PostgreSQL server in a folder of its own, on a free loopback port, without sockets on disk."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "kernbench"
# nothing here outlives the machine, but a commit outlives the server: synchronous_commit stays on
SETTINGS = {"fsync": "off", "full_page_writes": "off", "unix_socket_directories": "''", "max_connections": "300"}


class Server:
    """A server that can go down and come back.

    Attributes:
        host: its address.
        port: there.
    """

    host = "127.0.0.1"

    def __init__(self, folder, binaries, user, encoding="UTF8"):
        self._folder, self._binaries, self._user = folder, binaries, user
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        locale = [] if encoding == "UTF8" else ["--locale=C"]
        options = ["--no-sync", "-A", "trust", "-U", USER, "-E", encoding, *locale]
        self._call("initdb", "-D", folder / "data", *options)

    def _call(self, program, *words):
        command = [str(self._binaries / program), *map(str, words)]
        # the server's own output would keep a pipe open
        subprocess.run(command, check=True, user=self._user, cwd="/", stdout=subprocess.DEVNULL, timeout=120)

    def start(self):
        """Start, and wait until it takes connections."""
        settings = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        options = f"-p {self.port} -c listen_addresses={self.host} {settings}"
        log = self._folder / "log"
        self._call("pg_ctl", "-D", self._folder / "data", "-o", options, "-l", log, "-w", "start")

    def stop(self):
        """Stop without asking anybody, as a crash does."""
        self._call("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "stop")

    def url(self, name, user=USER):
        """URL of a database."""
        return f"postgresql+psycopg://{user}@{self.host}:{self.port}/{name}"

    def admit(self, addresses):
        """Take connections from these addresses, 10.0.0.0/24, and not only from its own."""
        with (self._folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {addresses} trust\n")
        self._call("pg_ctl", "-D", self._folder / "data", "reload")

    def create(self, name, template="template1"):
        """Make a database, a copy of another one; returns its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name):
        """Remove a database, whoever is still connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, *statements, name="postgres"):
        """Execute statements in a database, as its owner."""
        import psycopg

        with psycopg.connect(f"host={self.host} port={self.port} user={USER} dbname={name}", autocommit=True) as link:
            for statement in statements:
                link.execute(statement)


def why_not() -> str:
    """Why no server can be started here; empty if one can."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"psycopg is not there: {error}"
    if _programs() is None:
        return "no PostgreSQL server is installed"
    if os.getuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@contextmanager
def folder_of_server() -> Iterator[tuple[Path, str | None]]:
    """A folder for a server, and the user that it runs as: PostgreSQL refuses to run as root, so its own user does."""
    user = "postgres" if os.getuid() == 0 else None
    # not in tmp_path, whose parents are closed to other users
    with tempfile.TemporaryDirectory(prefix="kernbench-postgres-") as folder:
        if user:
            shutil.chown(folder, user)
        yield Path(folder), user


@contextmanager
def running(kind: type[Server] = Server, encoding: str = "UTF8") -> Iterator[Server]:
    """A running server."""
    with folder_of_server() as (folder, user):
        server = kind(folder, _programs(), user, encoding)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _programs() -> Path | None:
    """Folder of PostgreSQL's programs."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = (installed and installed[-1]) or shutil.which("initdb")
    return Path(found).parent if found else None
