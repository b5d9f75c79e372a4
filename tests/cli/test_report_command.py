"""`kernbench report` on stored cells: several databases, one folder each, tables for a paper, the browser."""

import csv
import gzip
import webbrowser
from pathlib import Path

import pytest

CELLS = gzip.decompress((Path(__file__).parents[1] / "store" / "data" / "schema_v1.db.gz").read_bytes())
ONE, TWO = "sqlite:///kernbench.db", "sqlite:///sub/other.db"


@pytest.fixture
def stored(bench, monkeypatch):
    """Two databases that hold cells of the same study; nothing is drawn."""
    monkeypatch.setattr("kernbench.report.page.html.study_pictures", lambda *_: {})
    (bench.folder / "sub").mkdir()
    for path in (bench.database, bench.folder / "sub" / "other.db"):
        path.write_bytes(CELLS)
    return bench


def table(folder, name):
    return list(csv.DictReader((folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


def test_cells_of_two_databases_are_kept_apart_and_named(stored):
    same = "sqlite:///sub/../sub/other.db"
    words = [word for url in (ONE, TWO, same) for word in ("--storage", url)]
    ended = stored.run("report", "smoke.v1.quick/siren", "--study", "smoke", *words, "--out", "both")
    assert (ended.code, ended.out, ended.err) == (0, "report: both/report.html\n", "")
    page = (stored.folder / "both" / "report.html").read_text(encoding="utf-8")
    names = ["kernbench.db: smoke.v1.quick", "other.db: smoke.v1.quick"]
    for name in names:
        assert f"{name}</h2>" in page
    rows = table(stored.folder / "both", "summary")
    assert [row["comparison"] for row in rows] == [name for name in names for _ in range(4)]
    assert {row["seeds"] for row in rows} == {"1"}  # the same seed of both is not two
    for name in ("cells", "lines"):
        found = [row["database"] for row in table(stored.folder / "both", name)]
        assert found.count("kernbench.db") == found.count("other.db") == len(found) / 2 > 0
    stored.run("report", "--out", "one")
    alone = [{**row, "comparison": names[0]} for row in table(stored.folder / "one", "summary")]
    assert alone == rows[:4]  # beside another database no number changes
    assert "database" not in table(stored.folder / "one", "cells")[0]


@pytest.mark.filterwarnings("always::kernbench.errors.KernbenchWarning")
def test_a_study_may_be_in_some_of_the_databases(stored, empty_database):
    words = ("report", "--storage", ONE, "--storage", f"sqlite:///{empty_database}", "--out", "out")
    ended = stored.run(*words, "smoke")
    assert ended.code == 0, ended
    assert ended.err == "kernbench: warning: empty.db has no finished or failed cell for this report\n"
    before = stored.files()
    refused = stored.run(*words, "smok")
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused
    assert "no study 'smok' in sqlite:///kernbench.db or sqlite:////" in refused.err
    assert "did you mean 'smoke'?" in refused.err
    assert stored.files() == before


def test_what_cannot_be_reported_is_one_line_and_nothing_is_written(stored, refused):
    refused("report", "--storage", ONE, "--storage", "sqlite:///none.db", said=["none.db: no database there yet"])
    refused("report", "--format", "csv", "--open", said=["--open shows the page"])
    refused("report", "--format", "word", said=["html, latex, markdown, csv"])
    refused("report", "k_sweep", said=["no study 'k_sweep'"])


def test_the_report_of_another_database_is_not_overwritten(stored):
    assert stored.run("report").out == "report: kernbench-report/report.html\n"
    page = (stored.folder / "kernbench-report" / "report.html").read_bytes()
    ended = stored.run("report", "--storage", TWO)
    assert ended.out == "report: kernbench-report-other/report.html; kernbench-report shows kernbench.db\n"
    assert (stored.folder / "kernbench-report" / "report.html").read_bytes() == page
    assert stored.run("report").out == "report: kernbench-report/report.html\n"


@pytest.mark.parametrize(("form", "file"), [("latex", "matrix.tex"), ("markdown", "matrix.md"), ("csv", "matrix.csv")])
def test_a_table_goes_to_standard_output_or_to_a_folder(stored, form, file):
    before = stored.files()
    ended = stored.run("report", "--format", form)
    assert (ended.code, ended.err, stored.files()) == (0, "", before), ended
    assert "0.283" in ended.out
    written = stored.run("report", "--format", form, "--out", "paper")
    assert written.out == f"report: paper/{file}\n"
    assert (stored.folder / "paper" / file).read_text(encoding="utf-8") == ended.out


@pytest.mark.parametrize("found", [None, False, True])
def test_the_page_is_opened_if_there_is_a_browser(stored, monkeypatch, found):
    asked = []

    def browser(address):
        asked.append(address)
        if found is None:
            raise webbrowser.Error("could not locate runnable browser")
        return found

    monkeypatch.setattr(webbrowser, "open", browser)
    ended = stored.run("report", "--open")
    assert (ended.code, ended.out) == (0, "report: kernbench-report/report.html\n")
    assert asked == [(stored.folder / "kernbench-report" / "report.html").as_uri()]
    assert ended.err == ("" if found else "no browser was found; open kernbench-report/report.html in one\n")
