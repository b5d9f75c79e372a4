"""`kernbench analyze spectrum` and `movement`: on trained cells, on the page, and where something is missing."""

import csv

import numpy as np
import pytest
import torch

from kernbench.networks.weights import WEIGHTS
from kernbench.report.analyses import receptive_field
from kernbench.report.analyses.trained_cells import trained_cells
from kernbench.store.reading.runs import load_runs
from kernbench.ulm.cells.artifact_reader import ARRAYS, load_arrays

STORAGE = "sqlite:///kernbench.db"


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_trained_cells_are_analysed_and_the_page_shows_it(trained_bench, no_pictures):
    for name in ("spectrum", "movement", "receptive-field", "limit"):
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
    fields = read(trained_bench.folder / "found" / "receptive_field.csv")
    assert {(row["kernel_size"], row["before"], row["behind"]) for row in fields} == {
        ("9", "8", "8"),
        ("17", "16", "16"),
    }
    assert trained_bench.run("report").code == 0
    page = (trained_bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "Spectra of the kernels" in page
    assert "How far training moved the kernels" in page
    assert "How far the networks look" in page
    assert "How near the networks come to the bound" in page
    assert "It is no ceiling of F1 or recall" in page
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
        ("receptive-field --data some", "--data goes with --weights"),
        ("receptive-field --weights some --study mine", "--weights excludes --study"),
        ("receptive-field --weights some", "some"),
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


def test_cells_whose_lines_are_gone_are_named(trained_bench, monkeypatch, tmp_path):
    monkeypatch.setenv("KERNBENCH_CACHE", str(tmp_path / "empty"))
    receptive_field._noisy.cache_clear()
    done = trained_bench.run("analyze", "receptive-field", "--study", "mine", "--plugin", "siren")
    assert done.code == 2, done
    said = done.err.splitlines()
    assert sum("is left out: the test lines of mine.v1.smoke/siren" in line for line in said) == 2
    assert said[-1].endswith("no trained cell can be analysed; `kernbench status` says how far it is")


def test_weights_of_a_cell_are_measured_on_its_lines(trained_bench):
    run = next(run for run in load_runs(STORAGE) if run.family == "siren" and run.params["kernel_size"] == 9)
    words = ("--weights", str(run.artifacts[WEIGHTS]), "--out", "found")
    done = trained_bench.run("analyze", "receptive-field", *words)
    assert done.code == 0, done
    (row,) = read(trained_bench.folder / "found" / "receptive_field.csv")
    assert (
        trained_bench.run("analyze", "receptive-field", "--study", "mine", "--cell", run.cell, "--out", "all").code == 0
    )
    same = [each for each in read(trained_bench.folder / "all" / "receptive_field.csv") if each["family"] == "siren"]
    known = next(each for each in same if each["stage"] == "trained")
    assert {name: row[name] for name in ("peak", "centre", "width_95")} == {
        name: known[name] for name in ("peak", "centre", "width_95")
    }


@pytest.mark.slow
def test_the_published_network_looks_at_the_echo(bench, reference):
    (bench.folder / "whole.toml").write_text(
        "version = 1\n[axes]\nkernel_size = [3]\n[profiles.thesis.data]\ntrain = 1\nvalidation = 1\ntest = 4\n"
    )
    assert bench.run("data", "simulate", "--study", "whole.toml", "--profile", "thesis").code == 0
    told = bench.run("data", "info").out
    digest = next(line.split()[0] for line in told.splitlines() if " test " in line and "4 lines, window whole" in line)
    weights = str(reference / "srml1d" / "modelHS_001")
    done = bench.run("analyze", "receptive-field", "--weights", weights, "--data", digest, "--out", "found")
    assert done.code == 0, done
    (row,) = read(bench.folder / "found" / "receptive_field.csv")
    assert (row["before"], row["behind"], row["theoretical"]) == ("4095", "4095", "8191")
    assert 58 <= int(row["peak"]) <= 179  # lags of the echo
    assert 0 < float(row["width_50"]) < float(row["width_95"]) < 8191
    refused = bench.run("analyze", "receptive-field", "--weights", weights)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is a published network: expected --data" in refused.err
