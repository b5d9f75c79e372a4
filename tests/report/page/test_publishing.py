"""The folder of a report: all of the new report or all of the old one, no file of another, none of the user touched."""

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.errors import StorageError
from kernbench.report.page.manifest import MANIFEST, is_report_name, read_manifest
from kernbench.report.page.publishing import publishing

PAGE = '<meta name="generator" content="kernbench, made from 0123456789abcdef">'


def publish(folder, names, source="a", form="html"):
    """A report of these files; each holds the source."""
    with publishing(folder, form, source) as new:
        for name in names:
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_text(source)


def files(folder):
    """Every file and link, and what it holds, without the manifest."""
    paths = (path for path in folder.rglob("*") if path.name != MANIFEST and not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


NAMES = st.sets(st.sampled_from(["report.html", "a.csv", "b.csv", "figures/a.svg", "figures/b.svg", "matrix.tex"]))


@given(st.lists(st.tuples(NAMES, st.sampled_from("ab"), st.sampled_from(["html", "csv"])), min_size=1, max_size=4))
def test_a_folder_holds_the_last_report_and_what_is_made_from_the_same_cells(tmp_path_factory, reports):
    folder = tmp_path_factory.mktemp("report")
    (folder / "figures").mkdir()
    mine = {"notes.txt": "mine", "figures/mine.svg": "mine"}
    for name, text in mine.items():
        (folder / name).write_text(text)
    expected, last = {}, None
    for names, source, form in reports:
        kept = {name: kind for name, kind in expected.items() if kind != form} if source == last else {}
        expected, last = kept | dict.fromkeys(names, form), source
        publish(folder, names, source, form)
        assert files(folder) == mine | dict.fromkeys(expected, source)
        found = read_manifest(folder)
        assert (dict(found.files), found.source) == (expected, source)


def test_files_of_an_older_kernbench_are_known_by_its_page(tmp_path):
    (tmp_path / "figures").mkdir()
    figures = [f"figures/k_sweep.v1.quick-sweep.{suffix}" for suffix in ("svg", "png")]
    mine = ("mine.csv", "bins.csv", "figures/notes.txt", "figures/mine.svg", "figures/mine.png")
    for name in ("report.html", *figures, *mine):
        (tmp_path / name).write_text(PAGE)
    for name in ("summary.csv", "lines.csv"):
        (tmp_path / name).write_text("study,cell,line\n")
    publish(tmp_path, ["report.html"])
    assert files(tmp_path) == {"report.html": "a", **dict.fromkeys(mine, PAGE)}


@pytest.mark.parametrize("name", ["report.html", "summary.csv", "figures/a.svg"])
def test_a_file_of_the_user_is_not_replaced(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = files(tmp_path)
    with pytest.raises(StorageError, match="not from kernbench, and the report would replace it; give another --out"):
        publish(tmp_path, ["report.html", "summary.csv", "figures/a.svg"])
    assert files(tmp_path) == before


def test_links_are_not_followed(tmp_path):
    folder, outside = tmp_path / "report", tmp_path / "outside"
    publish(folder, ["a.csv", "b.csv", "figures/a.svg"])
    outside.mkdir()
    for name in ("a.csv", "b.csv", "a.svg"):
        (outside / name).write_text("mine")
    for name in ("a.csv", "b.csv", "figures/a.svg"):
        (folder / name).unlink()
    (folder / "figures").rmdir()
    for name in ("a.csv", "b.csv", "figures"):
        (folder / name).symlink_to(outside / name if "." in name else outside)
    with pytest.raises(StorageError, match="is a link"):
        publish(folder, ["figures/a.svg"], "b")
    publish(folder, ["b.csv"], "b")
    assert files(outside) == dict.fromkeys(["a.csv", "b.csv", "a.svg"], "mine")
    assert (folder / "a.csv").is_symlink()  # of the user, and left alone
    assert not (folder / "b.csv").is_symlink()


PARTS = ["figures", "a.svg", "b.csv", "..", ".", "/", "\\", "\0", "report.html", "x"]


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_a_name_of_a_report_stays_in_the_folder_and_is_one_that_a_report_writes(name):
    if is_report_name(name):
        path = Path(os.path.normpath(f"/reports/one/{name}"))
        assert path.parts[:3] == ("/", "reports", "one")
        assert path.parent.name in {"one", "figures"}
        assert path.suffix in {".html", ".csv", ".svg"}


def test_a_manifest_that_names_other_files_is_not_believed(tmp_path):
    folder = tmp_path
    publish(folder, ["report.html", "a.csv", "figures/k_sweep.v1.quick-sweep.svg"], "a")
    (folder / "thesis.tex").write_text("mine")
    path = folder / MANIFEST
    path.write_text(path.read_text().replace("a.csv", "thesis.tex"))
    with pytest.raises(StorageError, match="is no list of kernbench's files"):
        publish(folder, ["report.html"], "b")
    assert (folder / "thesis.tex").read_text() == "mine"


def test_what_killed_processes_left_of_a_manifest_is_removed(tmp_path):
    folder = tmp_path
    publish(folder, ["report.html"], "a")
    left, mine = folder / f"{MANIFEST}.123-0123abcd.part", folder / f"{MANIFEST}.old.part"
    left.touch()
    mine.touch()
    publish(folder, ["report.html"], "b")
    assert not left.exists()
    assert mine.exists()


@pytest.mark.parametrize("name", ["../mine.txt", "figures/../../mine.txt", "/mine.txt", "", MANIFEST, "a/b/c"])
def test_a_manifest_with_another_name_is_not_believed(tmp_path, name):
    folder, mine = tmp_path / "report", tmp_path / "mine.txt"
    mine.write_text("mine")
    publish(folder, ["report.html"])
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = {name: "html", str(mine): "html"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert read_manifest(folder) is None
    before = files(folder)
    with pytest.raises(StorageError, match=r"is no list of kernbench's files, or a damaged one; remove it"):
        publish(folder, ["report.html"], "b")
    assert (files(folder), mine.read_text()) == (before, "mine")


@pytest.mark.parametrize(
    ("name", "said"), [("figures", "needs a folder there"), ("report.html/x", "not from kernbench")]
)
def test_a_folder_without_room_for_the_report_stays_as_it_was(tmp_path, name, said):
    publish(tmp_path, ["a.csv", "report.html"])
    if "/" in name:
        (tmp_path / "report.html").unlink()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = files(tmp_path)
    with pytest.raises(StorageError, match=said):
        publish(tmp_path, ["a.csv", "figures/a.svg", "report.html"], "b")
    assert files(tmp_path) == before


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, "{}", '{"version": 1, "source": 1}', "\udcff"])
def test_a_damaged_manifest_is_none(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content.encode(errors="surrogateescape"))
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize("moves", range(8))
def test_a_report_that_fails_on_its_way_is_the_old_one_or_claims_nothing(tmp_path, monkeypatch, moves):
    publish(tmp_path, ["a.csv", "b.csv", "report.html"])
    replace, left = Path.replace, iter(range(moves))

    def failing(path, target):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with contextlib.suppress(OSError):
            publish(tmp_path, ["a.csv", "c.csv", "report.html"], "b")
    found = read_manifest(tmp_path)
    whole = {"a": {"a.csv", "b.csv", "report.html"}, "b": {"a.csv", "c.csv", "report.html"}}
    if found.source:
        assert files(tmp_path) == dict.fromkeys(whole[found.source], found.source)
    assert (moves == 0) == (found.source == "a")
    assert (moves >= 5) == (found.source == "b")
    assert set(files(tmp_path)) <= set(found.files)  # the next one removes what this one left
    publish(tmp_path, ["report.html"], "c")
    assert files(tmp_path) == {"report.html": "c"}
