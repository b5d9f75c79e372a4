"""Processes as others may name them: a number counts only in its PID namespace, on one machine, until it restarts."""

import hashlib
import os
import re
import socket
from pathlib import Path


def process_namespace() -> str:
    """Where this process's number counts: boot id and PID namespace; empty where the system does not say (no Linux).

    Two containers may have one host name, and then both have a process 1.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().decode(errors="replace").strip()
    except OSError:
        boot = ""
    try:
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbers = ""
    return f"{boot} {numbers}".strip()


def process_place() -> str:
    """Host and namespace of this process as 8 hexadecimal digits, for names of files."""
    said = f"{socket.gethostname()} {process_namespace()}"
    return hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()[:8]


def is_here(host: str, namespace: object) -> bool:
    """Whether numbers of processes mean there what they mean here.

    Args:
        host: of the other process.
        namespace: its `process_namespace`; None where it was not recorded, then the host decides.
    """
    return host == socket.gethostname() and (namespace is None or namespace == process_namespace())


def process_start(pid: int) -> str | None:
    """When a local process started, as the system counts it; None without such a process, "" if it is not known."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        if str(Path("/proc/self").readlink()) != str(
            os.getpid()
        ):  # mounted for another PID namespace: its numbers are others
            return ""
        # bytes: a process may give itself any name
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # no /proc here, another user's process is hidden, or it ended just now
        return ""
    return None if fields[0] == b"Z" else fields[19].decode()


def process_is_gone(host: str, namespace: object, pid: str, start: object) -> bool:
    """Whether a process has ended, also where another one has its number; false where that cannot be known here.

    Args:
        host: its host.
        namespace: see `is_here`.
        pid: its number.
        start: what `process_start` gave for it; empty or None where that was not known.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,8}", pid) or not is_here(host, namespace):
        return False
    now = process_start(int(pid))
    return now is None or bool(now and start and now != start)
