"""Cells as a folder of CSV files: the same records again, the same page, and damage in one line."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from fakes import NINE, THIRTY_THREE, diverged, outcome

import kernbench
from kernbench.errors import KernbenchError, StorageError
from kernbench.store.database.url import resolve_source
from kernbench.store.maintenance.exporting import export_tables
from kernbench.store.reading.exported import CELLS, FLOORS, LINES, MACHINES, SCORES, STUDIES
from kernbench.store.reading.several import load_several
from kernbench.study.selection import read_selection

FILES = {"artifacts", "lacking", "curve", "missing"}  # what is in the artifacts, or said of the database alone


@pytest.fixture
def exported(sqlite_world, tmp_path):
    """A world of one scored and one diverged cell, and a folder of both."""
    sqlite_world.run(compute=lambda context: outcome() if context.params["kernel_size"] == 9 else diverged())
    export_tables(load_several([sqlite_world.url]), tmp_path / "out")
    return sqlite_world, tmp_path / "out"


def same(first, second):
    """Whether two values are the same, arrays included."""
    if dataclasses.is_dataclass(first):
        names = [each.name for each in dataclasses.fields(first)]
        return type(first) is type(second) and all(same(getattr(first, n), getattr(second, n)) for n in names)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second


def damage(path, column, value, row=0):
    """Write another text into a column of a row."""
    rows = list(csv.DictReader(path.read_text().splitlines()))
    rows[row][column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_every_field_of_a_record_comes_back_bit_for_bit(exported):
    world, folder = exported
    first, second = load_several([world.url]), load_several([resolve_source(str(folder))])
    assert {run.cell for run in second} == {NINE, THIRTY_THREE}
    for one, other in zip(first, second, strict=True):
        for field in dataclasses.fields(one):
            if field.name not in FILES:
                assert same(getattr(one, field.name), getattr(other, field.name)), field.name


def test_a_message_that_a_spreadsheet_would_run_is_a_text_there_and_comes_back(exported, tmp_path):
    world, _ = exported
    runs = [dataclasses.replace(run, message="=cmd()") for run in load_several([world.url])]
    export_tables(runs, tmp_path / "odd")
    assert ",'=cmd()," in (tmp_path / "odd" / CELLS).read_text()
    assert {run.message for run in load_several([resolve_source(str(tmp_path / "odd"))])} == {"=cmd()"}


def test_cells_are_selected_and_python_reads_the_folder(exported, monkeypatch):
    world, folder = exported
    monkeypatch.chdir(folder.parent)
    (run,) = load_several([resolve_source("out")], only=read_selection(["kernel_size=9"]))
    assert (run.cell, run.asked, run.selected) == (NINE, 1, "kernel_size = 9")
    cells = kernbench.results(folder).cells
    assert {(cell.name, cell.status) for cell in cells} == {(NINE, "ok"), (THIRTY_THREE, "diverged")}
    (scored,) = [cell for cell in cells if cell.status == "ok"]
    assert np.array_equal(scored.f1(), kernbench.results(world.url).cells[[c.name for c in cells].index(NINE)].f1())


@pytest.mark.parametrize(
    ("file", "column", "value", "said"),
    [
        (SCORES, "tp", "1 2", r"cells.csv, cell kernel_size=9.*row is damaged"),
        (SCORES, "fn", "1 2 x", r"cells.csv, cell kernel_size=9.*row is damaged"),
        (CELLS, "params", "{", "cells.csv, cell .*row is damaged"),
        (CELLS, "seconds", "soon", "cells.csv, cell .*row is damaged"),
        (CELLS, "study", "odd", "cells.csv, cell .*no study 'odd'"),
        (CELLS, "machine", "odd", "cells.csv, cell .*no machine 'odd'"),
        (STUDIES, "references", '[{"source": 1}]', "cells.csv, cell .*row is damaged"),
        (MACHINES, "content", "[", "cells.csv, cell .*row is damaged"),
        (LINES, "bubbles", "many", "lines.csv: a row is damaged"),
        (LINES, "line", "1", "lines.csv: a row is damaged .*column line expected 0, 1, 2"),
        (STUDIES, "definition", "[]", "cells.csv, cell .*expected JSON of another kind, got '\\[\\]'"),
        (CELLS, "params", "null", "cells.csv, cell .*expected JSON of another kind"),
    ],
)
def test_damage_is_one_line_that_names_the_place(exported, file, column, value, said):
    _, folder = exported
    damage(folder / file, column, value)
    with pytest.raises(StorageError, match=said):
        load_several([resolve_source(str(folder))])


@pytest.mark.parametrize("cut", ["a digit", "rows", "all rows"])
def test_a_file_that_was_cut_is_refused(exported, cut):
    _, folder = exported
    for path, kept in [(folder / name, kept) for name, kept in ((SCORES, 3), (FLOORS, 3), (LINES, -1), (CELLS, -1))]:
        whole = path.read_text()
        head, *rows = whole.splitlines(keepends=True)
        rows.sort(key=lambda row: NINE in row)  # the scored cell last
        path.write_text(head + {"a digit": "".join(rows)[:-2], "rows": "".join(rows[:kept]), "all rows": ""}[cut])
        with pytest.raises(StorageError, match="was cut"):
            load_several([resolve_source(str(folder))])
        path.write_text(whole)


def test_rows_that_are_there_twice_are_refused(exported):
    _, folder = exported
    for path in [folder / name for name in (SCORES, LINES, FLOORS, CELLS)]:
        whole = path.read_text()
        path.write_text(whole + whole.split("\n", 1)[1])
        with pytest.raises(StorageError, match=r"take (it from its source|the folder) again"):
            load_several([resolve_source(str(folder))])
        path.write_text(whole)


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read: No such file"), ("a,b\n1,2\n", "lacks the column"), ('"', "cannot be read")],
)
def test_a_file_that_is_none_of_ours_is_refused(exported, text, said):
    _, folder = exported
    (folder / STUDIES).unlink()
    if text is not None:
        (folder / STUDIES).write_text(text)
    with pytest.raises(StorageError, match=rf"studies.csv.*{said}"):
        load_several([resolve_source(str(folder))])


def test_nothing_and_twice_the_same_are_refused(exported, tmp_path):
    world, _ = exported
    with pytest.raises(KernbenchError, match="no cell to export"):
        export_tables([], tmp_path / "none")
    runs = load_several([world.url])
    again = dataclasses.replace(runs[0], started="2001-01-01T00:00:00+00:00")
    with pytest.raises(KernbenchError, match="hold the same cell, trained twice: ") as refused:
        export_tables([*runs, again], tmp_path / "none")
    assert f"{runs[0].study}, {runs[0].cell} (begun {runs[0].started} and 2001" in str(refused.value)
    assert not (tmp_path / "none").exists()


def test_cells_of_a_later_run_join_an_exported_folder(exported, tmp_path):
    world, folder = exported
    later = [dataclasses.replace(run, cell=f"{run.cell},more=1") for run in load_several([world.url])]
    export_tables(later, tmp_path / "later")
    both = [resolve_source(str(each)) for each in (folder, tmp_path / "later")]
    before = {(run.study, run.cell): run for run in load_several(both[:1])}
    export_tables(load_several(both), folder)
    joined = {(run.study, run.cell): run for run in load_several(both[:1])}
    assert len(joined) == 2 * len(before)
    assert all(
        same(joined[key].values, run.values) and same(joined[key].scores, run.scores) for key, run in before.items()
    )


@pytest.mark.parametrize("headline", [False, True])
def test_the_page_of_the_folder_has_the_numbers_of_the_page_of_the_database(trained_bench, headline):
    bench = trained_bench
    words = ("storage", "export", "--out", "out", *(["--headline"] if headline else []))
    written = bench.run(*words).out
    assert "exported to out: " in written
    for words in (("--storage", "out", "--out", "of_folder"), ("--out", "of_database")):
        ended = bench.run("report", *words)
        assert ended.code == 0, ended
        assert "warning" not in ended.err, ended
    pages = [bench.folder / name for name in ("of_folder", "of_database")]
    for name in ("summary.csv", "cells.csv", *([] if headline else ["tolerances.csv", "line_statistics.csv"])):
        first, second = ((page / name).read_text() for page in pages)
        assert first == second, name
    words = ("storage", "export", "--storage", "out", "--out", "again")
    assert bench.run(*words, *(["--headline"] if headline else [])).code == 0
    for path in (bench.folder / "out").iterdir():
        assert (bench.folder / "again" / path.name).read_bytes() == path.read_bytes()
    # the database that a folder came from may be given again: a copy of a training is no other training
    words = ("storage", "export", "--storage", "out", "--storage", bench.url, "--out", "again")
    joined = bench.run(*words, *(["--headline"] if headline else []))
    assert joined.out.replace("again", "out") == written
    for path in (bench.folder / "out").iterdir():
        assert (bench.folder / "again" / path.name).read_bytes() == path.read_bytes()
    refused = bench.run("status", "--storage", "out")
    assert refused.code == 2, refused
    assert json.loads((pages[0] / "kernbench-report.json").read_text())
