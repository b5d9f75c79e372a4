"""What is printed never fails what is computed: strange encodings, pipes that close, disks that are full."""

import errno
import io
import os
import subprocess
import sys

import click
import pytest
from rich.console import Console
from rich.table import Table

from kernbench.cli.terminal.output import steady_output
from kernbench.cli.terminal.progress import PlainObserver, TerminalObserver


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("latin-1", "5 µm ± 1~ - ?\n".encode("latin-1")),
        ("ascii", b"5 um ? 1~ - ?\n"),
        ("utf-8", "5 µm ± 1… – 日\n".encode()),
    ],
)
def test_what_cannot_be_encoded_is_one_sign_for_one_letter(monkeypatch, encoding, said):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    with steady_output() as lost:
        click.echo("5 µm ± 1… – 日")
        assert written.getvalue() == said
        table = Table()
        table.add_column("a column that is too narrow for all of its name")
        Console(width=20).print(table)
        assert lost() is None
    last = written.getvalue().decode(encoding).splitlines()
    assert {len(line) for line in last[1:]} == {20}


def test_bytes_of_a_file_name_are_printed_as_they_are(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "utf-8"))
    with steady_output():
        click.echo(os.fsdecode(b"caf\xe9.db"))
    assert written.getvalue() == b"caf\xe9.db\n"


def _closed_pipe():
    theirs, ours = os.pipe()
    os.close(theirs)
    return open(ours, "w", encoding="utf-8")  # noqa: PTH123  # a descriptor


def _full_disk():
    return open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123


@pytest.mark.parametrize(
    ("opened", "number"),
    [(_closed_pipe, errno.EPIPE), (_full_disk, errno.ENOSPC)],
    ids=["closed pipe", "full disk"],
)
def test_output_that_goes_nowhere_is_known_and_raises_nothing(monkeypatch, opened, number):
    with opened() as stream:  # it is closed without an error, too
        monkeypatch.setattr(sys, "stdout", stream)
        with steady_output() as lost:
            PlainObserver("mine").cell_started("seed=0", 1, 2)
            print("as a plugin does", flush=True)
            Console().print("more")
            assert lost().errno == number
        assert sys.stdout is stream


def test_a_descriptor_that_is_closed_is_not_given_to_a_file():
    program = (
        "import os, sys; os.close(1); sys.stdout = None\n"
        "from kernbench.cli.terminal.output import steady_output\n"
        "with steady_output():\n"
        "    print('nowhere')\n"
        "    sys.exit(0 if os.open(os.devnull, os.O_RDONLY) > 2 else 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_observer_raises_nothing_into_the_cell(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    plain = PlainObserver("mine")
    plain.note("…")  # cannot be encoded, outside of `steady_output`
    plain.epoch(1, 2, "no number", None, 0.5)
    shown = io.StringIO()
    live = TerminalObserver("mine", Console(file=shown, force_terminal=True))
    with live.display:
        live.cell_started("init=[/bold]", 1, 1)
        live.display.refresh()
        live.epoch(1, 2, 0.5, None, 0.5)
        live.cell_finished("init=[/bold]", "ok", "F1 0.5")
    assert "mine init=[/bold]  ok  F1 0.5" in shown.getvalue()


def test_warnings_are_no_errors_in_a_command_whatever_the_environment_says():
    program = (
        "import warnings\n"
        "from kernbench.cli.terminal.errors import quiet_warnings\n"
        "from kernbench.errors import KernbenchWarning\n"
        "quiet_warnings()\n"
        "warnings.warn('one of ours', KernbenchWarning)\n"
        "warnings.warn('one of a library', UserWarning)\n"
        "warnings.warn('ignored by default', DeprecationWarning, stacklevel=2)\n"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE, check=False, timeout=300, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "kernbench: warning: one of ours"
    assert [line for line in lines if "library" in line and "UserWarning" in line]
    assert "ignored by default" not in done.stderr
