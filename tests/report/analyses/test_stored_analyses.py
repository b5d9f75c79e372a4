"""Rows of analyses beside the artifacts: kept cell by cell, read as they were, refused where they are damaged."""

import dataclasses

import pytest

from kernbench.errors import DataError
from kernbench.report.analyses import stored
from kernbench.report.analyses.catalogue import ANALYSES
from kernbench.report.analyses.movement import MOVEMENT
from kernbench.store.files.artifact_entries import analysis_file

ROW = {"layer": 1, "taps": 65, "kernels": 8, "kernel_change": 0.5, "unmoved": 0.0, "dead_lags": 2}


@pytest.fixture
def runs(make_run):
    """Two cells with files in one folder."""
    first, second = (make_run(seed=seed, artifacts=True) for seed in range(2))
    return first, dataclasses.replace(second, artifacts=first.artifacts)


def rows_of(run, **changed):
    return {"movement": [{**stored.cell_columns(run), **ROW, **changed}], "movement_parameters": []}


def keep(run, **changed):
    stored.store(MOVEMENT, stored.folder_beside(run), rows_of(run, **changed))


def test_rows_come_back_as_they_were_and_those_of_another_cell_stay(runs):
    for run in runs:
        keep(run)
    keep(runs[0], kernel_change=None, dead_lags=3)
    found = stored.stored(MOVEMENT, runs)["movement"]
    assert {row["cell"]: (row["kernel_change"], row["dead_lags"]) for row in found} == {
        runs[0].cell: (None, 3),
        runs[1].cell: (0.5, 2),
    }
    assert all(row["study"] == "k_sweep.v1.quick/siren" and row["kernel_size"] == 65 for row in found)


def test_rows_of_a_cell_that_was_run_again_are_left_out(runs):
    keep(runs[0])
    again = dataclasses.replace(runs[0], started="2031-01-01T00:00:00")
    assert stored.stored(MOVEMENT, [again])["movement"] == []
    assert len(stored.stored(MOVEMENT, [runs[0]])["movement"]) == 1


def test_new_results_change_the_checksums_of_a_page(runs):
    assert stored.checksums(ANALYSES, runs) == []
    keep(runs[0])
    first = stored.checksums(ANALYSES, runs)
    keep(runs[0], dead_lags=9)
    assert len(first) == 2
    assert stored.checksums(ANALYSES, runs) != first


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"study,cell\n1,2\n", "lacks the column family"),
        (b"\xff\xfe\n", "cannot be read"),
        (b"study,cell,family,kernel_size,seed,started\na,b\n", "rows of another length"),
    ],
)
def test_a_damaged_file_is_named(runs, content, line):
    keep(runs[0])
    path = analysis_file(stored.folder_beside(runs[0]), runs[0].study, "movement")
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"movement\.csv.*{line}"):
        stored.stored(MOVEMENT, runs)


def test_every_row_and_table_has_one_name():
    names = [table for analysis in ANALYSES for table in analysis.tables]
    assert len(set(names)) == len(names)
    assert all(next(iter(analysis.tables)) == analysis.name.replace("-", "_") for analysis in ANALYSES)
