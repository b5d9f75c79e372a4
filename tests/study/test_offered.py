"""Packages of studies: a broken one breaks nothing but itself, and no study takes the place of another."""

import sys
from importlib.metadata import EntryPoint, distribution

import pytest

from kernbench.errors import StudyError
from kernbench.registry import find_family
from kernbench.study import offered
from kernbench.study.offered import STUDY_GROUP, offered_studies
from kernbench.study.reading import available_studies
from kernbench.study.task import load

STUDY = 'version = 1\nquestion = "from outside"\n[axes]\nkernel_size = [5]\n'


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """Installs packages of studies beside the bundled one: name -> (source of the package or None, files)."""

    def install(**given):
        for name, (source, files) in given.items():
            monkeypatch.delitem(sys.modules, name, raising=False)
            if source is None:
                continue
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text(source)
            for file, content in files.items():
                (tmp_path / name / file).write_bytes(content.encode())
        bundled = [entry for entry in distribution("kernbench").entry_points if entry.group == STUDY_GROUP]
        found = [EntryPoint(name, name, STUDY_GROUP) for name in given]
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(offered, "entries_of", lambda _group: [*bundled, *found])

    return install


def read(name):
    return load(name, find_family("siren"), "quick")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "ModuleNotFoundError: No module named 'aaa_ghost'"),
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_package_that_cannot_be_imported_is_named_and_the_others_go_on(packages, bench, source, reason):
    packages(aaa_ghost=(source, {}), zzz_good=("", {"outside.toml": STUDY}))
    assert read("k_sweep").name == "k_sweep"
    assert read("outside").axes == {"kernel_size": (5,)}
    assert offered_studies().broken == {"aaa_ghost": reason}
    with pytest.raises(StudyError, match="aaa_ghost") as error:
        read("ghostly")
    assert reason in str(error.value)
    listed = bench.run("list", "studies")
    assert listed.code == 0
    (shown,) = [line for line in listed.out.splitlines() if "BROKEN" in line]
    assert shown.split() == ["aaa_ghost", "BROKEN:", *reason.split()]
    assert "from outside" in listed.out


def test_two_studies_of_one_name_are_refused_and_both_packages_named(packages, bench):
    packages(mine=("", {"k_sweep.toml": STUDY, "other.toml": STUDY}))
    with pytest.raises(StudyError, match="'k_sweep': offered by packages kernbench_studies and mine; rename one"):
        read("k_sweep")
    assert "k_sweep" not in available_studies()
    assert read("other").axes == {"kernel_size": (5,)}
    assert "REFUSED: offered by packages kernbench_studies and mine" in bench.run("list", "studies").out


def test_a_package_that_is_listed_twice_is_one(packages, monkeypatch):
    packages(mine=("", {"other.toml": STUDY}))
    entries = [EntryPoint("one", "mine", STUDY_GROUP), EntryPoint("two", "mine", STUDY_GROUP)]
    monkeypatch.setattr(offered, "entries_of", lambda _group: entries)
    assert list(available_studies()) == ["other"]


def test_a_file_that_is_not_toml_is_listed_as_that(packages, bench):
    packages(mine=("", {"bad.toml": "version = ", "good.toml": STUDY}))
    listed = bench.run("list", "studies").out
    assert "BROKEN: bad.toml: not valid TOML: Invalid value (at end of document)" in listed
    assert "from outside" in listed


def test_a_byte_order_mark_is_no_part_of_a_study(packages, tmp_path):
    packages(mine=("", {"marked.toml": "\ufeff" + STUDY}))
    assert read("marked").question == "from outside"
    path = tmp_path / "mine.toml"
    path.write_text(STUDY, encoding="utf-8-sig")
    assert read(str(path)).question == "from outside"


def test_what_a_package_changes_of_the_process_is_put_back(packages, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packages(mine=("import os\nos.chdir('/')\n", {"other.toml": STUDY}))
    assert read("other").question == "from outside"
    assert (tmp_path / "mine").samefile("mine")
