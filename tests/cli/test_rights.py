"""Folders of other users: one line that names the folder, and nothing written."""

import ctypes
import os
import shutil

import pytest
from forked import call_main

from kernbench.registry import find_family
from kernbench.study.task import load
from kernbench.ulm.cells.definition import data_digest

RUN = ("run", "--plugin", "discrete", "--study", "smoke", "--no-baselines")
WITHOUT = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, which let root go where it has no rights
VERSION_3 = 0x20080522


def call_without_privileges(*words):
    """`kernbench WORDS` with the rights of its user only."""
    if os.geteuid() == 0:
        head, sets = (ctypes.c_uint32 * 2)(VERSION_3, 0), (ctypes.c_uint32 * 6)()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capget(head, sets) == 0, os.strerror(ctypes.get_errno())
        for place in range(3):  # effective, permitted, inheritable: the lower halves come first
            sets[place] &= ~sum(1 << number for number in WITHOUT)
        assert libc.capset(head, sets) == 0, os.strerror(ctypes.get_errno())
    call_main(*words)


def smoke_digest():
    """Of the lines of the smoke study."""
    return data_digest(load("smoke", find_family("discrete"), "quick").definition)


@pytest.fixture
def closed(bench):
    """Runs a command while folders have no rights; it must end with one line, code 2, and nothing written."""
    bench.main = call_without_privileges

    def run(folder, *words, mode=0, **environment):
        before = bench.files()
        folder.chmod(mode)
        try:
            ended = bench.ended(bench.spawn(*words, **environment))
        finally:
            folder.chmod(0o755)
        assert ended.code == 2, ended
        assert ended.err.count("\n") == 1, ended
        assert ended.err.startswith("kernbench: "), ended
        assert bench.files() == before
        return ended.err

    return run


@pytest.mark.parametrize(("below", "mode"), [("", 0), ("lines", 0o500)])
def test_a_run_with_a_cache_of_another_user_is_refused_before_it_writes(closed, tmp_path, below, mode):
    folder = tmp_path / "other" / below
    folder.mkdir(parents=True)
    said = closed(folder, *RUN, mode=mode, KERNBENCH_CACHE=str(tmp_path / "other"))
    assert str(folder) in said
    assert "KERNBENCH_CACHE" in said


def test_lines_of_another_user_are_refused_before_a_run_writes(closed, smoke_lines, tmp_path):
    cache = tmp_path / "other"
    shutil.copytree(smoke_lines, cache)
    digest = cache / "lines" / smoke_digest()  # other tests may have left lines of their own there
    for folder in (digest, digest / "train"):
        said = closed(folder, *RUN, KERNBENCH_CACHE=str(cache))
        assert f"data cache: {folder}" in said
        assert "Permission denied; set KERNBENCH_CACHE" in said


def test_data_info_names_the_folder_that_it_cannot_read(closed, smoke_lines, tmp_path):
    cache = tmp_path / "other"
    shutil.copytree(smoke_lines, cache)
    assert f"data cache: {cache / 'lines'} cannot be used: Permission denied" in closed(
        cache / "lines", "data", "info", KERNBENCH_CACHE=str(cache)
    )


@pytest.mark.parametrize("mode", [0o300, 0o500])
def test_artifacts_of_another_user_are_refused_before_a_run_writes(closed, bench, mode):
    folder = bench.folder / "kernbench.artifacts"
    folder.mkdir()
    assert "kernbench.artifacts" in closed(folder, *RUN, mode=mode)


def test_weights_and_storage_check_name_the_folder(closed, smoke_bench, bench, no_pictures, no_report):
    assert bench.run(*RUN).code == 0
    folder = bench.folder / "kernbench.artifacts"
    assert "kernbench.artifacts" in closed(folder, "storage", "check")
    file = next(each for each in folder.rglob("*") if each.is_file())
    assert "kernbench.artifacts" in closed(folder, "evaluate", "--weights", str(file), "--data", smoke_digest())


@pytest.mark.parametrize("words", [RUN, ("data", "info"), ("describe", "discrete")])
def test_without_a_home_folder_the_variable_is_named(refused, monkeypatch, words):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KERNBENCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.home", none)
    refused(*words, said=["no cache folder: Could not determine home directory; set KERNBENCH_CACHE to a folder"])


def test_a_cache_folder_of_an_unknown_user_is_refused(refused, monkeypatch):
    monkeypatch.setenv("KERNBENCH_CACHE", "~no_such_user_here/cache")
    refused("data", "info", said=["set KERNBENCH_CACHE to a folder"])
