"""`kernbench cells`: what is asked, what is refused, and what the other commands say afterwards."""

import csv

import fakes
import pytest

from kernbench.cli import cells
from kernbench.store.reading.runs import load_runs

RUN = ("run", "--profile", "quick", "--no-baselines", "--study", "mine.toml", "--plugin")
STUDY = fakes.SMALL.replace("version = 1", "version = 1\nseeds = 2")
ONE = ("--only", "kernel_size=9", "--only", "seed=0")


@pytest.fixture(scope="module")
def kept():
    """The database of the study, made by the first test."""
    return []


@pytest.fixture
def trained(bench, quick_cells, kept):
    """Four finished cells of each of two families; what was trained since."""
    (bench.folder / "mine.toml").write_text(STUDY)
    if not kept:
        assert bench.run(*RUN, "siren,discrete").code == 0
        assert len(quick_cells) == 8
        quick_cells.clear()
        assert not list(bench.folder.glob("*-wal"))  # all of it is in the file
        kept.append(bench.database.read_bytes())
    bench.database.write_bytes(kept[0])
    return quick_cells


@pytest.fixture
def answers(monkeypatch):
    """What a user types on a terminal, in order."""
    typed = []
    monkeypatch.setattr(cells, "_is_terminal", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: typed.pop(0))
    return typed


def test_a_redone_cell_is_trained_again_by_the_next_run(bench, trained):
    ended = bench.run("cells", "redo", "mine", "--plugin", "siren", *ONE, "--yes")
    assert (ended.code, ended.err) == (0, ""), ended
    assert "mine.v1.quick/siren: 1 cell to be put back, to be trained again\n" in ended.out, ended
    assert "  kernel_size=9,seed=0  done, F1 0.500 (validation)\n" in ended.out, ended
    said = "1 cell put back; the next `kernbench run` trains it again, and until then it is in no mean\n"
    assert ended.out.endswith(f"mine.v1.quick/siren: {said}"), ended
    status = bench.run("status", "--plugin", "siren")
    assert "(1 missing, 3 done)" in status.out, status
    assert "to be trained again" in status.out, status
    assert bench.run("storage", "check").code == 0
    bench.run("report")
    page = (bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "1 of 8 cells missing" in page
    found = list(csv.DictReader((bench.folder / "kernbench-report" / "cells.csv").read_text().splitlines()))
    assert len(found) == 7
    ended = bench.run(*RUN, "siren,discrete")
    assert (ended.code, trained) == (0, ["mine.v1.quick/siren kernel_size=9,seed=0"]), ended
    assert len(load_runs(bench.url)) == 8
    assert bench.run("storage", "check").code == 0


def test_a_dropped_cell_is_no_longer_asked_for(bench, trained):
    ended = bench.run("cells", "drop", "mine", "--only", "seed=1", "--yes")
    assert ended.code == 0, ended
    for family in ("discrete", "siren"):
        said = "2 cells dropped; a later `kernbench run` of the study asks for them again"
        assert f"mine.v1.quick/{family}: {said}\n" in ended.out, ended
    status = bench.run("status")
    assert status.out.count("2 cells (2 done)") == 2, status
    bench.run("report")
    page = (bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "not finished" not in page
    assert bench.run("storage", "check").code == 0
    ended = bench.run(*RUN, "siren")
    assert ended.code == 0, ended
    assert "2 new cells were added to the stored study" in ended.out, ended
    assert trained == [f"mine.v1.quick/siren kernel_size={size},seed=1" for size in (9, 33)]


def test_what_was_dropped_is_not_counted_where_settings_have_changed(bench, trained):
    assert bench.run("cells", "drop", "mine", "--only", "seed=1", "--yes").code == 0
    (bench.folder / "mine.toml").write_text(STUDY.replace("channels = 4", "channels = 3"))
    ended = bench.run(*RUN, "siren")
    assert ended.code == 2
    assert "mine.v1.quick/siren has 2 finished cells made with other settings" in ended.err, ended


def test_it_asks_first_and_no_changes_nothing(bench, trained, answers):
    answers += ["n", "y"]
    ended = bench.run("cells", "redo", "mine", "--only", "seed=0")
    assert ended.code == 1, ended
    assert ended.out.endswith("nothing was changed\n"), ended
    assert ended.out.count("done, F1") == 4, ended
    assert "missing" not in bench.run("status").out
    assert bench.run("cells", "redo", "mine", "--only", "seed=0").code == 0
    assert bench.run("status").out.count("to be trained again") == 4


def test_a_whole_study_is_asked_for_by_its_name(bench, trained, answers):
    answers += ["y", "mine"]
    ended = bench.run("cells", "drop", "mine")
    assert (ended.code, ended.out.endswith("nothing was changed\n")) == (1, True), ended
    ended = bench.run("cells", "drop", "mine")
    assert ended.code == 0, ended
    status = bench.run("status")
    assert [line.strip() for line in status.out.splitlines()] == [
        "mine.v1.quick/discrete: 0 cells",
        "mine.v1.quick/siren: 0 cells",
    ]


def test_nothing_to_do_is_said_and_is_no_error(bench, trained):
    assert bench.run("cells", "redo", "mine", *ONE, "--yes").code == 0
    ended = bench.run("cells", "redo", "mine", *ONE)
    assert ended.code == 0, ended
    assert "1 cell not trained yet, which the next run trains anyway" in ended.out, ended
    assert ended.out.endswith("no cell to redo\n"), ended


def test_refusals_are_one_line_and_change_nothing(bench, trained, refused):
    before = bench.run("status").out
    no_terminal = "there is no terminal to ask on; give --yes"
    refused("cells", "redo", "mine", *ONE, said=["2 cells would be put back, to be trained again, and", no_terminal])
    refused("cells", "drop", "mine", said=["8 cells would be dropped from the study, and", no_terminal])
    refused("cells", "redo", "--yes", said=["STUDY"])
    refused("cells", "redo", "mien", "--yes", said=["no study 'mien'", "did you mean 'mine'?"])
    refused("cells", "drop", "mine", "--plugin", "log", "--yes", said=["family 'log'", "stored: discrete, siren"])
    refused("cells", "drop", "mine", "--only", "kernel_size=10", "--yes", said=["selects nothing", "is 9, 33"])
    refused("cells", "drop", "mine", "--storage", "sqlite:///none.db", said=["no database there yet"])
    assert bench.run("status").out == before
