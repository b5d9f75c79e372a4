"""`kernbench analyze spectrum` and `movement`: on trained cells, on the page, and where something is missing."""

import csv

import numpy as np
import pytest
import torch

from kernbench.networks.weights import WEIGHTS
from kernbench.report.analyses.trained_cells import trained_cells
from kernbench.store.reading.runs import load_runs
from kernbench.ulm.cells.artifact_reader import ARRAYS, load_arrays

STORAGE = "sqlite:///kernbench.db"


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_trained_cells_are_analysed_and_the_page_shows_it(trained_bench):
    for name in ("spectrum", "movement"):
        done = trained_bench.run("analyze", name, "--study", "mine", "--out", "found")
        assert done.code == 0, done
        assert done.err.splitlines() == [f"  analyze {name}"]
    rows = read(trained_bench.folder / "found" / "movement.csv")
    assert len(rows) == 4 * 2
    # the start is known for every family: each kernel has moved, by less than a hundred times itself
    assert all(0 < float(row["kernel_change"]) < 100 for row in rows)
    spectra = read(trained_bench.folder / "found" / "spectrum.csv")
    assert {(row["family"], row["stage"]) for row in spectra} == {
        (family, stage) for family in ("siren", "discrete") for stage in ("start", "trained")
    }
    assert (trained_bench.folder / "found" / "spectrum.svg").read_bytes().startswith(b"<?xml")
    assert trained_bench.run("report").code == 0
    page = (trained_bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "Spectra of the kernels" in page
    assert "How far training moved the kernels" in page
    assert "4 cells of 4 analysed" in page


def test_the_start_is_drawn_again_as_the_cell_had_it(trained_bench):
    said = []
    runs = load_runs(STORAGE)
    for cell in trained_cells(runs, said.append):
        arrays = load_arrays(cell.run.artifacts[ARRAYS])
        assert len(arrays.starts) == 2, "the kernels before training are not those after it"
        for first, last, kept in zip(cell.kernels_before(), cell.kernels(), arrays.starts, strict=True):
            strongest = np.argsort(-np.square(last).sum(axis=1), kind="stable")[: len(kept)]
            np.testing.assert_allclose(first[strongest], kept, rtol=1e-6)
            assert not np.array_equal(first, last)
    assert said == []


def test_a_start_that_is_not_the_stored_one_is_not_known(trained_bench, monkeypatch):
    monkeypatch.setattr("kernbench.ulm.evaluation.trained.derived_seed", lambda _purpose, seed: seed + 1)
    done = trained_bench.run("analyze", "movement", "--study", "mine", "--plugin", "siren", "--out", "found")
    assert done.code == 0, done
    assert done.err.count("its kernels before training are not known: drawn again they are others") == 2
    assert {row["kernel_change"] for row in read(trained_bench.folder / "found" / "movement.csv")} == {""}


def test_cells_without_files_are_named_and_the_others_are_analysed(trained_bench):
    run = next(run for run in load_runs(STORAGE) if run.family == "siren" and run.params["kernel_size"] == 9)
    run.artifacts[WEIGHTS].unlink()
    done = trained_bench.run("analyze", "spectrum", "--study", "mine", "--plugin", "siren")
    assert done.code == 0, done
    why = "its file weights.pt is not beside the database; see `kernbench storage check`"
    assert done.err.splitlines()[1:] == [f"kernbench: {run.study} kernel_size=9,seed=0 is left out: {why}"]
    assert "1 cell." in done.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("spectrum", "expected --study"),
        ("spectrum --study mien", "no study 'mien'"),
        ("spectrum --study mine --cell kernel_size=9,seed=1", "did you mean 'kernel_size=9,seed=0'?"),
        ("movement --study mine --plugin a.py:a,b.py:b", "expected one FILE.py:NAME"),
        ("movement --study mine --only seed=7", "seed"),
    ],
)
def test_what_cannot_be_meant_is_one_line(trained_bench, words, line):
    done = trained_bench.run("analyze", *words.split())
    assert done.code == 2, done
    assert done.err.count("\n") == 1
    assert line in done.err


def test_analysing_leaves_the_random_generator_as_it_was(trained_bench):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    list(trained_cells(load_runs(STORAGE), lambda _line: None))
    assert torch.equal(torch.rand(3), wanted)
