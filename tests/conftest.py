"""Fixtures of all tests: one thread, bundled plugins only, nothing written outside tmp_path."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERNBENCH_LOAD_PLUGINS", "bundled")
os.environ.setdefault("MPLBACKEND", "agg")

import gc
import itertools
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from fakes import main_without_pictures, no_pictures
from forked import Forked, call_main

# no test asks for time; each run draws other examples, so 50 of them meet in a few runs what 100 meet
slow = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("kernbench", deadline=None, max_examples=50, suppress_health_check=slow)
hypothesis.settings.load_profile("kernbench")

pytest_plugins = ["worlds"]  # databases for the tests of store and engine

REPOSITORY = Path(__file__).resolve().parent.parent


# Files of a minute and more: the last of them to begin must not be what the other processes wait for.
LONGEST = (
    "test_end_to_end",
    "test_many_workers",
    "test_killed_cell",
    "test_draws",
    "test_reproduction",
    "test_fake_scale",
    "test_runner",
    "test_accelerator_script",
    "test_compiling",
    "test_full_disk",
    "test_copying",
    "test_checking",
    "test_upgrade",
)


def pytest_collection_modifyitems(items):
    """The longest files first, then those of slow tests, so that processes that share files end together."""
    slow = {}
    for item in items:
        slow.setdefault(item.path, []).append(item.get_closest_marker("slow") is not None)
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (places.get(item.path.stem, len(LONGEST)), not all(slow[item.path])))


def pytest_collection_finish():
    """Collections need not walk over a million objects of imported libraries."""
    gc.freeze()


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    """The next cache folder; `mktemp` would look through those of all tests before, each time."""
    numbers, place = itertools.count(), tmp_path_factory.mktemp("caches")
    return lambda: place / str(next(numbers))


@pytest.fixture(autouse=True)
def own_cache(caches, monkeypatch):
    """Each test has its own cache folder and default storage."""
    folder = caches()
    folder.mkdir()
    monkeypatch.setenv("KERNBENCH_CACHE", str(folder))
    monkeypatch.delenv("KERNBENCH_STORAGE", raising=False)
    return folder


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """A test changes nothing of the process that the next one would meet."""
    from kernbench.host.process_state import kept

    with kept(quick=True) as changed:
        yield
    assert not changed, f"left behind: {', '.join(changed)}"


@pytest.fixture(scope="session")
def reference():
    """Folder of the outside reference data; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("outside reference data (../shared/reference) is not here")
    return folder


@dataclass(frozen=True)
class Ended:
    """A command that ended; all of it is shown when an assertion on it fails."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    database: Path

    def __repr__(self):
        database = f"{self.database} ({'there' if self.database.exists() else 'absent'})"
        return f"kernbench {' '.join(self.words)}\ncode {self.code}, database {database}\n{self.out}\n--\n{self.err}"


class Bench:
    """Drives the command line in a working folder of its own."""

    def __init__(self, folder, capsys, monkeypatch):
        self.folder = folder
        self.database = folder / "kernbench.db"
        self.url = f"sqlite:///{self.database}"
        self._capsys, self._monkeypatch = capsys, monkeypatch
        self._spawned = []
        self.main = call_main  # of processes

    def run(self, *words):
        """Run a command in this process; fast, and warnings are errors."""
        from kernbench.cli import main

        self._monkeypatch.setattr(sys, "argv", ["kernbench", *words])
        self._monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        return Ended(words, ended.value.code or 0, out, err, self.database)

    def spawn(self, *words, **environment):
        """Start a command as a process of its own, to be signalled or killed."""
        process = Forked(
            self.main,
            words,
            [sys.executable, "-m", "kernbench", *words],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._spawned.append(process)
        return process

    def close(self):
        """End what a failed test has left running."""
        for process in self._spawned:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def ended(self, process, timeout=300):
        """Wait for a spawned process."""
        out, err = process.communicate(timeout=timeout)
        return Ended(tuple(process.args[3:]), process.returncode, out, err, self.database)

    def files(self):
        """Everything in the working folder, to see that nothing was written."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@pytest.fixture
def bench(tmp_path, capsys, monkeypatch):
    """The command line, in a working folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    bench = Bench(folder, capsys, monkeypatch)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def smoke_lines(tmp_path_factory):
    """A cache folder with the lines of the smoke study, simulated once."""
    from kernbench.registry import find_family
    from kernbench.study.task import load, task

    folder = tmp_path_factory.mktemp("smoke-lines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNBENCH_CACHE", str(folder))
        task().prepare(load("smoke", find_family("discrete"), "quick"), "cpu", lambda *_: None)
    return folder


@pytest.fixture
def smoke_bench(bench, smoke_lines, monkeypatch):
    """The command line, with the lines of the smoke study in the cache."""
    monkeypatch.setenv("KERNBENCH_CACHE", str(smoke_lines))
    return bench


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory, smoke_lines):
    """A folder with the database of a study of four trained cells: siren and discrete, K = 9 and 17."""
    from kernbench.cli import main

    folder = tmp_path_factory.mktemp("trained")
    (folder / "mine.toml").write_text("version = 1\n[axes]\nkernel_size = [9, 17]\n")
    words = ("run", "--study", "mine.toml", "--profile", "smoke", "--no-baselines", "--plugin", "siren,discrete")
    with pytest.MonkeyPatch.context() as patch, no_pictures():
        patch.setenv("KERNBENCH_CACHE", str(smoke_lines))
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["kernbench", *words])
        patch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return folder


@pytest.fixture
def trained_bench(smoke_bench, trained_study):
    """The command line in a copy of that folder."""
    shutil.copytree(trained_study, smoke_bench.folder, dirs_exist_ok=True)
    return smoke_bench


@pytest.fixture
def plain_bench(smoke_bench):
    """The same, and nothing is drawn."""
    smoke_bench.main = main_without_pictures
    with no_pictures():
        yield smoke_bench
