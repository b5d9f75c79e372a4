"""A number that a cell reports is one entry of its task: everything else is made from it."""

import contextlib
import csv
import os
import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.study.columns import Column

# A task of one's own: the bundled one, and one number more.
DOUBLE = """
import dataclasses, sys
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
main()
"""


@given(st.floats(-1e9, 1e9), st.integers(0, 4), st.sampled_from(["", "ms"]))
def test_a_value_reads_with_its_digits_and_unit(value, digits, unit):
    text = Column("a", "a", "any", unit, digits).text(value)
    assert float(text.removesuffix(unit).replace(",", "")) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-6)
    assert Column("a", "a", "any", unit, digits).text(None) == ""


@pytest.mark.slow
def test_a_column_of_a_task_appears_everywhere(tmp_path, smoke_lines):
    script = tmp_path / "double.py"
    script.write_text(DOUBLE)
    words = ["run", "--study", "smoke", "--no-baselines", "--plugin"]
    environment = {**os.environ, "KERNBENCH_CACHE": str(smoke_lines)}
    # the database is there before, without the column
    for program in (["-m", "kernbench", *words, "gaussian"], [str(script), *words, "discrete"]):
        command = [sys.executable, *program]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "widest gap" in done.stdout
    assert "12.2 samples" in done.stdout
    with contextlib.closing(sqlite3.connect(tmp_path / "kernbench.db")) as database:
        assert database.execute("SELECT widest_gap FROM kernbench_run ORDER BY family, cell").fetchall() == [
            *[(12.25,), (12.25,), (None,), (None,)]
        ]
        attributes = "SELECT value_json FROM trial_user_attributes WHERE key = 'gap'"
        assert database.execute(attributes).fetchall() == [("12.25",), ("12.25",)]
    with (tmp_path / "kernbench-report" / "summary.csv").open(newline="", encoding="utf-8") as table:
        assert [row["widest_gap"] for row in csv.DictReader(table)] == ["12.25", "12.25", "", ""]
    page = (tmp_path / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "widest gap [samples]" in page
    assert "samples without a detection" in page
