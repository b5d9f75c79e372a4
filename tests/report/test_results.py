"""Results in Python: records and data frames of what is stored, and one line for what is not."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import kernbench
from kernbench.errors import DataError, KernbenchError
from kernbench.report import results as module
from kernbench.report.results import Results, results
from kernbench.statistics import compare
from kernbench.ulm.scoring.scores import f1_scores

pd = pytest.importorskip("pandas")

QUALITIES = {"discrete": 0.8, "siren": 0.7}


@pytest.fixture
def found(make_run, curves, monkeypatch):
    """Two families, two sizes, three seeds, and a cell that diverged."""
    runs = [
        make_run(family, size, seed, quality, artifacts=(size, seed) == (65, 0), curve=curves(seed))
        for family, quality in QUALITIES.items()
        for size in (65, 129)
        for seed in range(3)
    ]
    monkeypatch.setattr(module, "load_several", lambda _urls, _names: [*runs, make_run("log", status="diverged")])
    return results("sqlite:///any.db")


def test_cells_hold_what_the_page_shows(found):
    assert len(found) == 13
    assert found.families == ["discrete", "log", "siren"]
    cell = next(iter(found.where(family="siren", kernel_size=129, seed=2)))
    assert (cell.params, cell.seed, cell.status) == ({"kernel_size": 129}, 2, "ok")
    counts = cell.counts("validation")
    expected = f1_scores(counts.tp[7], counts.fn[7], counts.fp[7])
    np.testing.assert_array_equal(cell.f1("validation", tolerance=7), expected)
    assert cell.f1().shape == cell.line_facts["bubbles"].shape == (64,)
    assert set(cell.floors()) == {"comb", "random"}
    assert cell.floors(9)["comb"] > cell.floors()["comb"]


def test_scores_of_several_cells_are_what_compare_takes(found):
    first, second = (found.where(family=family, kernel_size=65).f1() for family in ("discrete", "siren"))
    assert first.shape == second.shape == (3, 64)
    assert compare(first, second).verdict == "better"
    study = found.cells[0].study
    of_study = len(found.where(study=study.partition(".")[0]))
    assert of_study == len([cell for cell in found if cell.study.partition(".")[0] == study.partition(".")[0]]) > 0
    only = found.where(lambda cell: cell.seed == 1)
    assert {cell.seed for cell in only} == {1}


def test_frames_agree_with_the_records(found):
    cells, lines, tolerances = found.frame(), found.lines(), found.tolerances()
    assert len(cells) == 13
    assert np.isnan(cells.set_index("family").loc["log", "f1_test"])
    assert (len(lines), len(tolerances)) == (12 * 64, 12 * 10)
    means = lines.groupby(["study", "cell"]).f1.mean()
    for cell in found.where(status="ok"):
        assert means[cell.study, cell.name] == pytest.approx(cell.f1().mean(), rel=1e-12)
        row = cells[(cells.study == cell.study) & (cells.cell == cell.name)]
        assert row.f1_validation.item() == pytest.approx(cell.f1("validation").mean(), rel=1e-12)
        at_four = tolerances[(tolerances.study == cell.study) & (tolerances.cell == cell.name)].set_index("tolerance")
        assert at_four.f1[4] == pytest.approx(cell.f1().mean(), rel=1e-12)
        assert at_four.floor_comb[4] == pytest.approx(cell.floors()["comb"])
    assert "bubbles" in lines
    assert "bubbles" not in found.lines("validation")
    curves = found.where(family="siren", kernel_size=65, seed=0).curves()
    stored = found.where(family="siren", kernel_size=65, seed=0).cells[0].curve
    pivot = curves.pivot_table(index="tolerance", columns="threshold", values="recall")
    np.testing.assert_allclose(pivot.to_numpy(), stored.recall)
    assert len(Results(()).lines()) == 0


def test_files_of_a_cell_are_read_or_named_as_missing(found, tmp_path):
    cell, other = found.where(family="siren", kernel_size=65).cells[:2]
    assert cell.learning_curve()["train_loss"].shape == (30,)
    assert cell.arrays().kernels[0].shape == (16, 65)
    with pytest.raises(KernbenchError, match=r"has no file weights.pt; it has: cell.npz, curve.csv"):
        _ = cell.weights
    with pytest.raises(KernbenchError, match="it has: none"):
        other.arrays()
    (tmp_path / "curve.csv").write_text("nonsense")
    broken = dataclasses.replace(
        cell, run=dataclasses.replace(cell.run, artifacts={"curve.csv": tmp_path / "curve.csv"})
    )
    with pytest.raises(DataError, match="no epochs"):
        broken.learning_curve()


def test_what_is_not_there_is_said(found, make_run):
    (lost,) = found.where(family="log")
    with pytest.raises(KernbenchError, match="has no scores on 'test' lines; it has: none, its status is diverged"):
        lost.f1()
    with pytest.raises(KernbenchError, match="none of 1 cell has scores"):
        found.where(family="log").f1()
    with pytest.raises(KernbenchError, match="no cell has 'kernel_sise'; did you mean 'kernel_size'"):
        found.where(kernel_sise=65)
    with pytest.raises(KernbenchError, match="tolerance 12 is not among the stored ones"):
        found.cells[0].f1(tolerance=12)
    elsewhere = Results((*found.cells, *map(module.Cell, [make_run(data_digest="other")])))
    with pytest.raises(KernbenchError, match="scored on different lines"):
        elsewhere.f1()


def test_a_path_is_a_database_and_a_missing_one_is_one_line(tmp_path):
    for storage in (tmp_path / "none.db", str(tmp_path / "none.db"), f"sqlite:///{tmp_path}/none.db"):
        with pytest.raises(KernbenchError, match="no database there yet"):
            kernbench.results(storage)


def test_results_import_no_torch():
    program = "import sys, kernbench; kernbench.results; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout.strip() == "False"


def test_cells_that_are_not_whole_and_tolerances_that_differ_are_no_means(make_run, monkeypatch):
    whole, part = make_run("siren", 65), make_run("siren", 129)
    test = part.scores["test"]
    few = dataclasses.replace(test, tp=test.tp[:, :5], fn=test.fn[:, :5], fp=test.fp[:, :5])
    part = dataclasses.replace(part, scores=part.scores | {"test": few})
    other = dataclasses.replace(make_run("siren", 257), tolerance=2)
    monkeypatch.setattr(module, "load_several", lambda _urls, _names: [whole, part, other])
    found = results("any.db")
    assert found.where(kernel_size=129).cells[0].status == "incomplete"
    assert len(found.lines()) == 2 * 64
    with pytest.raises(KernbenchError, match=r"several headline tolerances, \[2, 4\]; name one"):
        found.f1()
    assert found.f1(tolerance=4).shape == (2, 64)
    with pytest.raises(KernbenchError, match="no cell has scores on 'tset' lines; there are: test, validation"):
        found.lines("tset")
    with pytest.raises(KernbenchError, match="holds # or % has no URL"):
        results("p%20x#y.db")
    with pytest.raises(KernbenchError, match="need a database"):
        results([])
