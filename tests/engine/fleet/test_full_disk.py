"""A disk that fills up while cells run: one line, the database intact, and the run goes on once there is room."""

import contextlib
import os
import sqlite3
import subprocess
import time

import fakes
import pytest
from forked import Forked, call_main, call_main_without_figures
from small_disk import fill, small_disk

from kernbench.engine.fleet import disk as room

pytestmark = pytest.mark.slow

STUDY = fakes.SMALL + "epochs = 2\nrate = 0.005\ncheckpoint_seconds = 0\n"
SIZE_KB = 49152  # the whole run fits
GRACE_S = 3


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, with a function that leaves so many kilobytes free on it."""
    with small_disk(tmp_path / "disk", SIZE_KB) as place:

        def leave(kilobytes):
            (place / "ballast").unlink(missing_ok=True)
            if kilobytes is not None:
                fill(place, kilobytes)

        yield place, leave


def main_regardless(*words):
    """`kernbench WORDS` that does not look whether there is room."""
    room.check_room = lambda *_args, **_options: None
    call_main(*words)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, smoke_lines):
    """Scores of the study on a disk with room."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "mine.toml").write_text(STUDY)
    words = ("run", "--study", "mine.toml", "--plugin", "siren", "--no-baselines")
    environment = {**os.environ, "KERNBENCH_CACHE": str(smoke_lines)}
    assert Forked(call_main_without_figures, words, cwd=folder, env=environment).wait(600) == 0
    return fakes.stored_scores(folder / "kernbench.db")


# What is free decides what fails first: the database's tables, a checkpoint, an artifact, its entry, the scores.
@pytest.mark.usefixtures("no_report", "no_pictures")  # of this process; the one whose disk fills up draws
@pytest.mark.parametrize("kilobytes", [0, 340, 600, 1000])
def test_a_full_disk_stops_the_run_with_a_line_and_loses_nothing(smoke_bench, disk, whole, kilobytes):
    bench, (place, leave) = smoke_bench, disk
    (bench.folder / "mine.toml").write_text(STUDY)
    words = ("run", "--study", "mine.toml", "--plugin", "siren", "--no-baselines")
    database = place / "kernbench.db"
    words += ("--heartbeat", "1", str(GRACE_S), "--storage", f"sqlite:///{database}", "--out", str(place / "report"))
    leave(kilobytes)
    process = Forked(main_regardless, words, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ended = bench.ended(process)  # which lets go of the disk
    # 2: refused or stopped; 3: the database itself could not be written
    assert ended.code in (0, 2, 3), ended
    if ended.code != 0:
        *beats, last = ended.err.splitlines()
        assert last.startswith("kernbench: "), ended
        assert all(line.startswith("heartbeat of trial") for line in beats), ended
        assert any(said in ended.err for said in ("full", "space", "disk")), ended
    assert "Traceback" not in ended.err, ended
    leave(None)
    if database.exists() and database.stat().st_size:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    again = bench.run(*words)
    while "1 running" in again.out:  # claimed, and there was no room to say by whom: silence tells, after a while
        time.sleep(GRACE_S)
        again = bench.run(*words)
    assert again.code == 0, again
    assert fakes.stored_scores(database) == whole, (ended, again)
    assert list((place / "kernbench.checkpoints").iterdir()) == []
    assert not list(place.rglob("*.part*")), list(place.rglob("*.part*"))
