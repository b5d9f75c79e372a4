"""`--only`: cells by their values, in run, status and report; the others are left alone and are no gaps."""

import csv

import fakes
import pytest

from kernbench.store.reading.runs import load_runs

RUN = ("run", "--profile", "quick", "--no-baselines", "--study", "mine.toml", "--plugin")
STUDY = fakes.SMALL.replace("[9, 33]", "[9, 17, 33]").replace("version = 1", "version = 1\nseeds = 2")


@pytest.fixture
def trained(bench, quick_cells):
    """A study of three sizes and two seeds in the working folder; what was trained."""
    (bench.folder / "mine.toml").write_text(STUDY)
    return quick_cells


def cells(*sizes, seeds=(0, 1), family="siren"):
    return [f"mine.v1.quick/{family} kernel_size={size},seed={seed}" for size in sizes for seed in seeds]


def test_a_run_trains_the_cells_that_are_meant_and_a_later_one_the_others(bench, trained):
    ended = bench.run(*RUN, "siren", "--only", "kernel_size=17,33", "--only", "seed=0")
    assert ended.code == 0, ended
    assert trained == cells(17, 33, seeds=[0])
    assert "mine.v1.quick/siren: all complete (2 done)" in ended.out, ended
    assert "missing" not in ended.out, ended
    ended = bench.run(*RUN, "siren")
    assert ended.code == 0, ended
    assert trained[2:] == [cell for cell in cells(9, 17, 33) if cell not in cells(17, 33, seeds=[0])]
    assert bench.run("storage", "check").code == 0


def test_a_dry_run_lists_the_cells_that_are_meant_and_writes_nothing(bench, trained):
    ended = bench.run(*RUN, "siren", "--only", "kernel_size=9..17", "--dry-run")
    assert "mine.v1.quick/siren: 4 cells with kernel_size = 9 to 17 (4 missing); would run 4" in ended.out, ended
    assert "33" not in ended.out, ended
    assert (trained, bench.database.exists()) == ([], False)


def test_cells_that_wait_and_are_not_meant_go_on_waiting(bench, trained):
    assert bench.run(*RUN, "siren", "--workers", "0").code == 0
    ended = bench.run(*RUN, "siren", "--only", "kernel_size=33")
    assert (ended.code, trained) == (0, cells(33)), ended
    status = bench.run("status")
    assert "mine.v1.quick/siren: 6 cells (4 waiting, 2 done)" in status.out, status
    assert bench.run(*RUN, "siren").code == 0
    assert sorted(trained) == sorted(cells(9, 17, 33))


def test_status_shows_the_cells_that_are_meant(bench, trained):
    bench.run(*RUN, "siren", "--only", "kernel_size=17")
    ended = bench.run("status", "--only", "kernel_size=9,17", "--only", "seed=1")
    assert "mine.v1.quick/siren: 2 cells with kernel_size = 9 or 17, seed = 1 (1 missing, 1 done)" in ended.out, ended
    assert "seed=0" not in ended.out, ended


def test_the_report_says_what_was_selected_and_lists_no_other_cell_as_missing(bench, trained):
    ended = bench.run(*RUN, "siren,discrete", "--only", "kernel_size=17")
    assert "report: kernbench-report/report.html; of cells with kernel_size = 17 alone\n" in ended.out, ended
    page = bench.folder / "kernbench-report" / "report.html"
    said = "Only cells with kernel_size = 17 were read; nothing here is about the others."
    text = page.read_text(encoding="utf-8")
    assert said in text
    assert "not finished" not in text
    assert " missing (" not in text
    again = bench.run("report", "mine", "--only", "kernel_size=17", "--only", "seed=0")
    assert "report: kernbench-report/report.html; of cells with kernel_size = 17, seed = 0 alone\n" in again.out, again
    rows = list(csv.DictReader((page.parent / "cells.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["cell"] for row in rows} == {"kernel_size=17,seed=0"}
    bench.run("report")
    whole = page.read_text(encoding="utf-8")
    assert said not in whole
    assert "is not finished: 4 of its 6 cells have not ended" in whole
    table = bench.run("report", "--only", "kernel_size=17", "--format", "latex")
    assert "Only cells with kernel\\_size = 17 were read" in table.out, table


def test_the_page_of_a_run_is_of_its_own_cells(bench, trained):
    bench.run(*RUN, "siren")
    page = bench.folder / "kernbench-report" / "report.html"
    assert "Only cells" not in page.read_text(encoding="utf-8")
    ended = bench.run(*RUN, "siren", "--only", "seed=0")
    assert "(up to date)" not in ended.out, ended
    assert "Only cells with seed = 0 were read" in page.read_text(encoding="utf-8")
    assert "report: kernbench-report/report.html\n" in bench.run(*RUN, "siren").out


def test_workers_run_the_cells_that_are_meant(bench, trained, monkeypatch):
    from kernbench.cli.worker import crew_of
    from kernbench.engine.fleet.runner import Options
    from kernbench.study.selection import read_selection

    study = fakes.load_study("mine.toml", fakes.find("siren").family, "quick")
    only = read_selection(["kernel_size=9..17", "seed=0"])
    words = list(crew_of(2, "siren", "cpu", study, Options(bench.url, only=only)).command(0))
    assert words[words.index("--only") + 1 :][:3] == ["kernel_size=9..17", "--only", "seed=0"]
    bench.run(*RUN, "siren", "--workers", "0")
    ended = bench.run("worker", "--study", "mine", "--only", "kernel_size=9..17", "--only", "seed=0")
    assert (ended.code, trained) == (0, cells(9, 17, seeds=[0])), ended


def test_a_draw_that_is_meant_does_not_wait_for_those_that_are_not(bench, trained):
    (bench.folder / "mine.toml").write_text(STUDY.replace("[9, 17, 33]", "[9]") + "[tuning]\ntrials = 3\n")
    assert bench.run(*RUN, "siren", "--workers", "0").code == 0
    ended = bench.run(*RUN, "siren", "--only", "draw=2", "--only", "seed=1")
    assert (ended.code, trained) == (0, ["mine.v1.quick/siren draw=2,kernel_size=9,seed=1"]), ended


def test_a_family_without_the_axis_has_no_such_cell(bench, trained):
    ended = bench.run(
        *("run", "--profile", "quick", "--no-baselines", "--study", "smoke,omega_sweep", "--plugin", "siren"),
        *("--only", "omega_0=30", "--dry-run"),
    )
    assert ended.code == 0, ended
    assert "smoke.v1.quick/siren: 0 cells with omega_0 = 30; would run 0" in ended.out, ended


def test_what_means_nothing_is_one_line_with_what_there_is(bench, trained, refused):
    refused(*RUN, "siren", "--only", "kernel_size=10", said=["kernel_size=10: selects nothing", "is 9, 17, 33"])
    refused(*RUN, "siren", "--only", "omega_0=3", said=["has an axis 'omega_0'; known: kernel_size, seed"])
    refused(*RUN, "siren", "--only", "65", said=["'65'", "expected NAME=VALUE"])
    bench.run(*RUN, "siren", "--only", "kernel_size=9")
    for command in (["status"], ["report"], ["report", "--format", "csv"], ["worker", "--study", "mine"]):
        refused(*command, "--only", "kernel_size=65", said=["65: selects nothing; kernel_size is 9, 17, 33"])
        refused(*command, "--only", "kernal_size=9", said=["did you mean 'kernel_size'?"])
    assert {run.cell for run in load_runs(bench.url)} == {"kernel_size=9,seed=0", "kernel_size=9,seed=1"}
