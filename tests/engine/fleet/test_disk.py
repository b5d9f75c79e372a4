"""A run that will not fit on its disks is refused before it writes anything; what it needs is not underestimated."""

import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import fakes
import pytest

from kernbench.engine.fleet.disk import check_room, disks, needs, one_after_the_other
from kernbench.errors import StorageError
from kernbench.registry import find_family
from kernbench.study.task import load as load_task_study
from kernbench.ulm.cells import definition
from kernbench.ulm.cells.preflight import check_networks
from kernbench.ulm.cells.task import SAMPLE_BYTES

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def study(tmp_path):
    """A small study."""
    path = tmp_path / "mine.toml"
    path.write_text(fakes.SMALL + "epochs = 1\n")
    return load_task_study(str(path), find_family("siren"), "quick")


@pytest.fixture
def free(monkeypatch):
    """Sets how much every disk seems to have free."""

    def leave(size):
        monkeypatch.setattr(shutil, "disk_usage", lambda _place: Usage(10**12, 10**12 - size, size))

    return leave


def test_a_run_that_does_not_fit_is_told_what_it_needs_and_what_there_is(study, tmp_path, free):
    url = f"sqlite:///{tmp_path}/kernbench.db"
    free(5_000_000)
    with pytest.raises(StorageError) as error:
        check_room(needs(study, url, tmp_path / "report", cells=2, parameters=1000))
    said = str(error.value)
    assert "\n" not in said
    for each in ("5 MB free", "lines", "artifacts", "checkpoints", "report", "database", "KERNBENCH_CACHE"):
        assert each in said, said
    free(10**10)
    check_room(needs(study, url, tmp_path / "report", cells=2, parameters=1000))


def test_folders_on_one_disk_share_its_room_and_those_on_another_do_not(tmp_path, monkeypatch):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    there = other / "kernbench-not-made" / "artifacts"
    # free space changes from call to call, so what it is taken from says more
    sizes = {tmp_path.stat().st_dev: 100, other.stat().st_dev: 200}
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=sizes[place.stat().st_dev]))
    found = disks({("a", tmp_path / "new" / "folder"): 3, ("b", tmp_path): 4, ("c", there): 5})
    assert not there.parent.exists()
    assert sorted((disk.free, sum(disk.needs.values())) for disk in found) == [(100, 7), (200, 5)]


def test_a_server_keeps_its_own_disk(study, tmp_path):
    names = {what for what, _ in needs(study, "postgresql+psycopg://kb@host/kb", None, cells=2, parameters=10)}
    assert names == {"lines", "artifacts", "checkpoints", "report"}


def test_lines_that_are_in_the_cache_need_no_room(study, tmp_path, monkeypatch):
    monkeypatch.setenv("KERNBENCH_CACHE", str(tmp_path / "cache"))
    url = f"sqlite:///{tmp_path}/kernbench.db"
    before = needs(study, url, None, cells=2, parameters=10)
    definition.prepare(study, "cpu", lambda *_: None)
    after = needs(study, url, None, cells=2, parameters=10)
    key = ("lines", tmp_path / "cache")
    assert (before[key], after[key]) == ((8 + 4 + 6) * 512 * SAMPLE_BYTES, 0)
    written = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.npy"))
    assert before[key] <= written <= 1.1 * before[key]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["siren", "discrete"])
def test_what_a_run_leaves_is_less_than_what_it_asked_room_for(smoke_bench, family):
    bench = smoke_bench
    (bench.folder / "mine.toml").write_text(fakes.SMALL.replace("channels = 4", "channels = 32") + "epochs = 2\n")
    ended = bench.run("run", "--study", "mine.toml", "--plugin", family, "--no-baselines")
    assert ended.code == 0, ended
    study = load_task_study("mine.toml", find_family(family), "quick")
    parameters = check_networks(study)
    asked = needs(study, "sqlite:///kernbench.db", None, cells=2, parameters=parameters)
    asked = {what: size for (what, _), size in asked.items()}
    left = {
        "artifacts": sum(path.stat().st_size for path in (bench.folder / "kernbench.artifacts").iterdir()),
        "database": sum(path.stat().st_size for path in bench.folder.glob("kernbench.db*")),
        "report": sum(path.stat().st_size for path in (bench.folder / "kernbench-report").rglob("*")),
    }
    for what, size in left.items():
        assert size <= asked[what], (what, size, asked[what])


def test_the_command_refuses_before_it_writes(bench, free):
    (bench.folder / "mine.toml").write_text(fakes.SMALL + "epochs = 1\n")
    before = bench.files()
    free(1_000_000)
    ended = bench.run("run", "--study", "mine.toml", "--plugin", "siren")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended
    assert "1 MB free" in ended.err, ended
    assert bench.files() == before
    planned = bench.run("run", "--study", "mine.toml", "--plugin", "siren", "--dry-run")
    assert planned.code == 0, planned  # nothing is written, so nothing needs room


def test_runs_one_after_the_other_add_up_what_stays_and_share_the_rest(study, tmp_path):
    url, out = f"sqlite:///{tmp_path}/kernbench.db", tmp_path / "out"
    one, two = (needs(study, url, out, cells=2, parameters=number) for number in (1000, 3000))
    other = load_task_study("smoke", find_family("siren"), "quick")
    other.definition["data"]["train"] += 1
    third = needs(other, url, out, cells=1, parameters=10)
    found = {
        what: size for (what, _), size in one_after_the_other([(study, one), (study, two), (other, third)]).items()
    }
    each = [{what: size for (what, _), size in alone.items()} for alone in (one, two, third)]
    for what in ("artifacts", "database"):
        assert found[what] == sum(alone[what] for alone in each)
    assert found["checkpoints"] == each[1]["checkpoints"]
    assert found["report"] == each[0]["report"]
    assert found["lines"] == each[0]["lines"] + each[2]["lines"]
