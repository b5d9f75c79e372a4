"""A number that a cell reports is one entry of its task: everything else is made from it."""

import contextlib
import csv
import sqlite3
import subprocess
import sys

import pytest
from fakes import DRAWING
from hypothesis import given
from hypothesis import strategies as st

from kernbench.study.columns import Column

# A task of one's own: the bundled one, and one number more.
DOUBLE = """
import dataclasses
from unittest import mock
from kernbench.cli import main
from kernbench.study.columns import Column
from kernbench.study.task import use
from kernbench.ulm.cells.task import COLUMNS, UlmTask

GAP = Column("widest_gap", "widest gap", "samples without a detection", "samples", digits=1, attribute="gap")

@dataclasses.dataclass(frozen=True)
class Double(UlmTask):
    columns: tuple = (*COLUMNS, GAP)

    def run(self, context):
        outcome = super().run(context)
        return dataclasses.replace(outcome, values={**outcome.values, "widest_gap": 12.25})

use(Double())
for name, nothing in DRAWING.items():
    mock.patch(name, return_value=nothing).start()
main()
"""


@given(st.floats(-1e9, 1e9), st.integers(0, 4), st.sampled_from(["", "ms"]))
def test_a_value_reads_with_its_digits_and_unit(value, digits, unit):
    text = Column("a", "a", "any", unit, digits).text(value)
    assert float(text.removesuffix(unit).replace(",", "")) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-6)
    assert Column("a", "a", "any", unit, digits).text(None) == ""


@pytest.mark.slow
def test_a_column_of_a_task_appears_everywhere(plain_bench):
    folder, words = plain_bench.folder, ["run", "--study", "smoke", "--no-baselines", "--plugin"]
    (folder / "double.py").write_text(DOUBLE.replace("DRAWING", repr(DRAWING)))
    # the database is there before, without the column
    assert plain_bench.run(*words, "gaussian").code == 0
    command = [sys.executable, "double.py", *words, "discrete"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "widest gap" in done.stdout
    assert "12.2 samples" in done.stdout
    with contextlib.closing(sqlite3.connect(folder / "kernbench.db")) as database:
        assert database.execute("SELECT widest_gap FROM kernbench_run ORDER BY family, cell").fetchall() == [
            *[(12.25,), (12.25,), (None,), (None,)]
        ]
        attributes = "SELECT value_json FROM trial_user_attributes WHERE key = 'gap'"
        assert database.execute(attributes).fetchall() == [("12.25",), ("12.25",)]
    with (folder / "kernbench-report" / "summary.csv").open(newline="", encoding="utf-8") as table:
        assert [row["widest_gap"] for row in csv.DictReader(table)] == ["12.25", "12.25", "", ""]
    page = (folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "widest gap [samples]" in page
    assert "samples without a detection" in page
