"""The notebook of the documentation: it was executed without an error, and its code runs today."""

import contextlib
import io
import json
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pandas")

NOTEBOOK = Path(__file__).parents[1] / "docs" / "results.ipynb"


def code_cells():
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_it_was_executed_from_top_to_bottom_without_an_error():
    assert [cell["execution_count"] for cell in code_cells()] == list(range(1, 1 + len(code_cells())))
    kinds = {output["output_type"] for cell in code_cells() for output in cell["outputs"]}
    assert {"execute_result", "display_data"} <= kinds
    assert "error" not in kinds


def test_its_code_runs_and_ends_with_a_verdict(plain_bench, monkeypatch):
    """Its commands run in this process, where nothing is drawn."""
    codes, names, said = [], {}, io.StringIO()
    elsewhere = subprocess.run

    def run(command, **options):
        if command[1:3] != ["-m", "kernbench"]:
            return elsewhere(command, **options)
        return codes.append(plain_bench.run(*command[3:]).code)

    monkeypatch.setattr(subprocess, "run", run)
    with contextlib.redirect_stdout(said):
        for cell in code_cells():
            exec("".join(cell["source"]), names)  # the notebook of this repository
    assert codes == [0, 0]
    assert len(names["found"]) == 12
    assert names["figure"].axes
    assert said.getvalue().count(names["verdict"].verdict) == 1
