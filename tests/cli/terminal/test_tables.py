"""Tables on a terminal: numbers are whole at 80 columns, headings wrap."""

import io

import pytest
from rich.console import Console

from kernbench.cli.terminal import console

NAMES = ("kernel size", "seeds", "F1", "95 % interval", "blind floor", "skill", "parameters", "time")
ROWS = [
    ("17", "5", "0.198", "0.163 to 0.233", "0.601", "-1.01", "1,329", "38 s"),
    ("2111", "5", "0.801", "0.765 to 0.838", "0.601", "+0.50", "28,392", "3600 s"),
]


@pytest.mark.parametrize("width", [70, 80, 140])
def test_numbers_are_neither_cut_nor_broken(monkeypatch, width):
    out = io.StringIO()
    monkeypatch.setattr(console, "stdout", lambda: Console(file=out, width=width))
    console.print_table("k_sweep.v1.quick/siren: F1 at 4 samples on 128 test lines", NAMES, ROWS)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for row in ROWS:
        assert sum(all(cell in line for cell in row) for line in lines) == 1
    assert {word for name in NAMES for word in name.split()} <= set(" ".join(lines).split())
