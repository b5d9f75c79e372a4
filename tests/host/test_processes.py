"""Processes: who they are, whether they have ended, and where their numbers count."""

import os
import socket
import subprocess
import sys

import pytest

from kernbench.host import processes
from kernbench.host.processes import is_here, process_is_gone, process_namespace, process_place, process_start

SHOW = (
    "from kernbench.host import processes as p; import os; print(os.getpid(), p.process_namespace(), p.process_place())"
)
NAMED = b"""
import ctypes, sys
ctypes.CDLL(None).prctl(15, b") \\xff\\xfe (", 0, 0, 0)
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.read()
"""


def inside(*words):
    """Output of a command in a PID namespace of its own."""
    done = subprocess.run(["unshare", "--pid", "--fork", *words], capture_output=True, text=True, check=False)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no PID namespace can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_number_counts_in_its_namespace_alone():
    number, _, rest = inside("--mount-proc", sys.executable, "-c", SHOW).strip().partition(" ")
    namespace, _, place = rest.rpartition(" ")
    assert number == "1"
    assert namespace != process_namespace()
    assert place != process_place()
    assert namespace.split()[0] == process_namespace().split()[0]  # the same machine


def test_where_proc_shows_another_namespace_no_start_is_known():
    # the numbers in it are those of other processes
    said = inside(
        sys.executable, "-c", "import os; from kernbench.host.processes import *; print([process_start(os.getpid())])"
    )
    assert said.strip() == "['']"


def test_the_namespace_decides_where_it_is_known():
    host = socket.gethostname()
    assert is_here(host, process_namespace())
    assert is_here(host, None)  # stored by a kernbench that did not record it
    assert not is_here(host, "")
    assert not is_here(host, "another boot")
    assert not is_here(f"not-{host}", process_namespace())


def test_a_system_that_does_not_say_compares_by_host(monkeypatch):
    monkeypatch.setattr(processes, "process_namespace", lambda: "")
    assert is_here(socket.gethostname(), "")


def test_a_process_may_have_any_name():
    process = subprocess.Popen([sys.executable, "-S", "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        start = process_start(process.pid)
        assert start.isdigit()
        where = socket.gethostname(), process_namespace()
        assert not process_is_gone(*where, str(process.pid), start)
        assert process_is_gone(*where, str(process.pid), f"{start}0")
    finally:
        process.communicate()
    assert process_is_gone(*where, str(process.pid), start)


@pytest.mark.parametrize("number", ["", "0", "-1", "\u00b2", "1" * 30, "x"])
def test_what_is_no_process_number_says_nothing(number):
    assert not process_is_gone(socket.gethostname(), process_namespace(), number, None)


def test_this_process_is_not_gone():
    where = socket.gethostname(), process_namespace()
    assert not process_is_gone(*where, str(os.getpid()), process_start(os.getpid()))
