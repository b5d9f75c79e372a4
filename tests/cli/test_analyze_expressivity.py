"""`kernbench analyze expressivity`: fits to trained free taps, kept as they come, shown on the page."""

import csv

import pytest

from kernbench.analysis.layer_fit import DAMPED
from kernbench.report.analyses import expressivity
from kernbench.store.reading.runs import load_runs

WORDS = ("analyze", "expressivity", "--study", "mine", "--epochs", "1")


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_families_are_fitted_scored_tuned_and_shown(trained_bench, no_pictures):
    done = trained_bench.run(*WORDS, "--plugin", "discrete,wendland,siren,stencil", "--out", "found")
    assert done.code == 0, done
    rows = {
        (row["kernel_size"], row["fitted"]): row for row in read(trained_bench.folder / "found" / "expressivity.csv")
    }
    assert len(rows) == 2 * 4
    for size in ("9", "17"):
        free = rows[size, "discrete"]
        # the way from the start to free taps, of which damping leaves the square of its share
        assert float(free["error"]) < DAMPED**2
        assert float(free["f1_fitted"]) == pytest.approx(float(free["f1_free"]), abs=1e-6)
        assert free["f1_trained"] == free["f1_free"]
        # it holds every kernel of as many taps
        assert float(rows[size, "wendland"]["error"]) < 1e-3
        assert float(rows[size, "wendland"]["f1_fitted"]) == pytest.approx(float(free["f1_free"]), abs=1e-3)
        assert 0 < float(rows[size, "siren"]["error"]) < 1
        assert 0 <= float(rows[size, "siren"]["f1_tuned"]) <= 1
    siren = {run.params["kernel_size"]: run for run in load_runs("sqlite:///kernbench.db") if run.family == "siren"}
    for size, run in siren.items():
        assert float(rows[str(size), "siren"]["f1_trained"]) == pytest.approx(expressivity._cell_f1(run))
    assert trained_bench.run("report").code == 0
    page = (trained_bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "What families could represent, and what training found" in page


def test_a_stopped_run_goes_on_and_nothing_is_done_twice(trained_bench, monkeypatch):
    fitted = expressivity._fit
    seen = []

    def counting(network, target):
        family = network.kernel_layers()[0].kernel_module.family
        seen.append(family)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return fitted(network, target)

    monkeypatch.setattr(expressivity, "_fit", counting)
    words = (*WORDS, "--plugin", "discrete,siren", "--cell", "kernel_size=9,seed=0")
    assert trained_bench.run(*words).code == 0
    first = trained_bench.run(*words, "--out", "whole")
    assert (first.code, seen) == (0, ["discrete", "siren"])
    words = (*WORDS, "--plugin", "discrete,siren", "--cell", "kernel_size=17,seed=0")
    assert trained_bench.run(*words).code == 130
    monkeypatch.setattr(expressivity, "_fit", fitted)
    resumed = trained_bench.run(*words, "--out", "found")
    assert resumed.code == 0, resumed
    assert {row["fitted"] for row in read(trained_bench.folder / "found" / "expressivity.csv")} == {"discrete", "siren"}


def test_a_family_that_cannot_be_fitted_is_named_with_the_reason(trained_bench, monkeypatch):
    def refuse(*_given):
        raise expressivity.KernbenchError("no such size")

    monkeypatch.setattr(expressivity, "_sized", refuse)
    done = trained_bench.run(*WORDS, "--plugin", "siren", "--cell", "kernel_size=9,seed=0", "--out", "found")
    assert done.code == 0, done
    assert "kernel_size=9,seed=0: siren cannot be fitted: no such size" in done.out
    (row,) = read(trained_bench.folder / "found" / "expressivity.csv")
    assert (row["reason"], row["error"]) == ("no such size", "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("analyze", "expressivity"), "expected --study"),
        (
            (*WORDS, "--cell", "kernel_size=9,seed=4"),
            "no trained cell of discrete named 'kernel_size=9,seed=4'",
        ),
        ((*WORDS, "--plugin", "sirne"), "did you mean 'siren'?"),
    ],
)
def test_what_cannot_be_meant_is_one_line(trained_bench, words, line):
    done = trained_bench.run(*words)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert line in done.err
