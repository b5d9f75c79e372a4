"""Copies of studies: everything or nothing, to and from a server; dead cells wait again, live ones refuse."""

import dataclasses
import os
import pkgutil
import re
import shutil
import signal
from pathlib import Path

import fakes
import optuna
import pytest
from fakes import NINE, THIRTY_THREE
from forked import Forked
from optuna.trial import TrialState, create_trial
from sqlalchemy import event, text

from kernbench.errors import StorageError, StudyError
from kernbench.host.files import PART
from kernbench.store.database.opening import open_storage
from kernbench.store.database.url import side_folder
from kernbench.store.files.artifact_entries import analysis_file
from kernbench.store.maintenance import copying
from kernbench.store.maintenance.copying import copy_studies
from kernbench.store.reading.runs import load_runs, stored_states, stored_studies
from kernbench.study.cell import file_key

KEY, LAST = "mine.v1.quick/discrete", "kernel_size=129,seed=0"


@pytest.fixture
def target(tmp_path):
    """URL of the database to copy to."""
    folder = tmp_path / "target"
    folder.mkdir()
    return f"sqlite:///{folder}/copy.db"


def filled(world):
    """Cells of every end, with artifacts, checkpoints, curves and results of classical detectors."""

    def compute(context):
        context.report(1, 0.25)
        context.report(2, float("nan"))
        if context.params["kernel_size"] == 33:
            raise ValueError("no")
        if context.params["kernel_size"] == 65:
            return fakes.diverged()
        for name in ("curve.csv", "cell.npz"):
            (context.scratch / name).write_text(f"{name} of {context.cell}")
        return fakes.outcome(artifacts=[context.scratch / "curve.csv", context.scratch / "cell.npz"])

    study = world.study([9, 33, 65, 129])
    world.run(study, queue_only=True)
    world.run(world.study([9, 33, 65]), compute)
    world.run(study, queue_only=True)  # the cell that was claimed and dropped waits once more
    folder = side_folder(world.url, "artifacts") / "baselines"
    folder.mkdir()
    (folder / f"{fakes.DATA}-8.csv").write_text("method,f1\n")
    (folder / "elsewhere-8.csv").write_text("method,f1\n")
    fakes.analysed(folder.parent, KEY, f"{KEY}2")
    checkpoints = side_folder(world.url, "checkpoints")
    key = file_key(KEY, LAST)
    (checkpoints / f"{key}.3.pt").write_bytes(b"state")
    (checkpoints / "0123456789abcdef.1.pt").write_bytes(b"of another study")
    return study


def copy(world, target, *names):
    return copy_studies(world.url, target, names, lambda _line: None)


def facts(url):
    """What status and report read, without the places of files."""
    studies, runs = stored_studies(url), load_runs(url)
    about = [(s.study_name, s.user_attrs, s.directions, s.metric_names, stored_states(s)) for s in studies]
    trials = [
        vars(t)
        | {"_trial_id": None, "intermediate_values": repr(sorted(t.intermediate_values.items()))}  # NaN is not NaN
        for study in studies
        for t in study.get_trials()
    ]
    rows = [repr(dataclasses.replace(run, artifacts=sorted(run.artifacts))) for run in runs]
    contents = [{name: path.read_bytes() for name, path in run.artifacts.items()} for run in runs]
    return about, trials, rows, contents


def there(target):
    """Names of the studies in a database."""
    return [study.study_name for study in stored_studies(target)]


def test_a_copy_reads_the_same_and_a_run_goes_on_there(world, target):
    study = filled(world)
    before = world.content()
    copied = copy(world, target)
    assert facts(target) == facts(world.url)
    assert world.content() == before
    assert (copied.studies, copied.trials, copied.queued) == ((KEY,), len(world.trials()), 0)
    names = sorted(path.name for path in side_folder(target, "artifacts").rglob("*") if path.is_file())
    assert {f"{fakes.DATA}-8.csv", analysis_file(Path(), KEY, "spectrum").name} < set(names)
    assert not {"elsewhere-8.csv", analysis_file(Path(), f"{KEY}2", "spectrum").name} & set(names)
    assert [path.name for path in side_folder(target, "checkpoints").iterdir()] == [f"{file_key(KEY, LAST)}.3.pt"]
    assert copied.files == len(names) + 1
    other = fakes.World(world.folder, url=target)
    assert set(other.states(other.run(study, retry_failed=True)).values()) == {"done", "diverged"}
    assert other.executed == [LAST, THIRTY_THREE]
    other.close()


@pytest.mark.slow
def test_to_the_server_and_back(tmp_path, sqlite_world, new_database, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filled(sqlite_world)
    (tmp_path / "server").mkdir()
    monkeypatch.chdir(tmp_path / "server")
    server = new_database(tables=False)
    copy(sqlite_world, server)
    assert facts(server) == facts(sqlite_world.url)
    (tmp_path / "back").mkdir()
    back = f"sqlite:///{tmp_path}/back/back.db"
    copy_studies(server, back, [], lambda _line: None)
    assert facts(back) == facts(sqlite_world.url)


def test_notes_of_the_dashboard_stay_with_their_trials(world, target):
    notes = pytest.importorskip("optuna_dashboard")
    world.run(world.study([9, 33]))
    world.run(world.study([9, 33, 65]), extend=True)
    # ids begin anew over there, and elsewhere they do not begin at 1
    storage = open_storage(target)
    optuna.create_study(study_name="other", storage=storage).add_trials(
        [create_trial(state=TrialState.COMPLETE, value=0.5) for _ in range(4)]
    )
    storage.remove_session()
    storage.engine.dispose()
    copy(world, target)
    before, after = (
        [
            (trial.user_attrs["cell"], notes._note.get_note_from_system_attrs(attributes, trial._trial_id)["body"])
            for trial in study.get_trials(deepcopy=False)
        ]
        for study in (stored_studies(world.url)[0], stored_studies(target, [KEY])[0])
        for attributes in [study._storage.get_study_system_attrs(study._study_id)]
    )
    assert before == after
    assert all(cell.split(",")[0].partition("=")[2] in note for cell, note in after), after


def test_only_the_named_studies_are_copied_and_another_one_joins_them_later(world, target):
    world.run()
    world.found = fakes.find("siren")
    world.run()
    optuna.create_study(study_name="of others", storage=world.storage())
    assert copy(world, target, KEY).studies == (KEY,)
    assert there(target) == [KEY]
    content = fakes.World(world.folder, url=target).content()
    with pytest.raises(StorageError, match=r"has 1 of the studies already, mine.v1.quick/discrete"):
        copy(world, target)  # studies are not mixed
    assert fakes.World(world.folder, url=target).content() == content
    copy(world, target, "mine.v1.quick/siren")
    assert facts(target) == facts(world.url)
    with pytest.raises(StudyError, match="'mine'"):
        copy(world, target, "mien")


def test_a_database_is_not_copied_to_itself_and_an_empty_one_not_at_all(world, target):
    with pytest.raises(StorageError, match="to itself"):
        copy(world, world.url)
    open_storage(world.url).engine.dispose()
    with pytest.raises(StorageError, match="no studies to copy"):
        copy(world, target)
    assert not Path(target.removeprefix("sqlite:///")).exists()


def claimed(world, worker, silent=False):
    """A cell in the hands of a worker elsewhere, heard of now or long ago."""
    world.run(queue_only=True)
    opened = world.optuna_study()
    trial = opened._pop_waiting_trial_id()
    opened._storage.set_trial_user_attr(trial, "worker", worker)
    opened._storage.set_trial_user_attr(trial, "checkpoint_epoch", 3)
    if silent:
        with opened._storage._backend.engine.begin() as connection:
            connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))


def test_nothing_is_copied_while_a_worker_lives(world, target):
    claimed(world, "elsewhere:1")
    with pytest.raises(StorageError, match=r"^1 cell of mine.* is running \(worker elsewhere:1\); stop the workers"):
        copy(world, target)
    assert not Path(target.removeprefix("sqlite:///")).exists()


def test_a_cell_of_a_vanished_worker_is_killed_and_waits_again(world, target):
    claimed(world, "elsewhere:1", silent=True)
    assert copy(world, target).queued == 1
    copied = fakes.World(world.folder, url=target)
    first, second, again = copied.trials()
    assert (first.state, second.state, again.state) == (TrialState.FAIL, TrialState.WAITING, TrialState.WAITING)
    assert first.user_attrs == {"cell": NINE, "worker": "elsewhere:1", "checkpoint_epoch": 3}
    assert first.datetime_complete >= first.datetime_start
    assert (again.number, again.user_attrs) == (2, {"cell": NINE})
    assert set(copied.states(copied.run()).values()) == {"done"}
    assert copied.executed == [THIRTY_THREE, NINE]
    assert len(world.trials()) == 2  # the source stays as it was
    copied.close()


def test_a_lost_artifact_is_left_out_and_a_link_is_not_followed(world, target, caplog):
    filled(world)
    folder = side_folder(world.url, "artifacts")
    (run,) = [run for run in load_runs(world.url) if run.cell == NINE]
    run.artifacts["curve.csv"].unlink()
    secret = world.folder / "secret"
    secret.write_text("not yours")
    run.artifacts["cell.npz"].unlink()
    run.artifacts["cell.npz"].symlink_to(secret)
    copy(world, target)
    assert caplog.text.count("no plain file: left out") == 2
    assert "not yours" not in [p.read_text() for p in side_folder(target, "artifacts").rglob("*") if p.is_file()]
    assert folder.is_dir()


def test_without_the_folder_of_the_artifacts_it_is_refused(world, target):
    filled(world)
    shutil.rmtree(side_folder(world.url, "artifacts"))
    with pytest.raises(StorageError, match=r"artifacts, but .* is not there"):
        copy(world, target)
    assert there(target) == []


# after each of these a copy is stopped; a later one is reached only if the try before left nothing in its way
STAGES = [
    f"kernbench.store.maintenance.copying.{name}"
    for name in ("FileCopies.copy_study", "_copy_trials", "_copy_of_trials", "_copy_results", "_queue_again")
]


def ending(monkeypatch, stage, end):
    """Let a stage of copying end so."""
    usual = pkgutil.resolve_name(stage)
    monkeypatch.setattr(stage, lambda *arguments: (usual(*arguments), end()))


def full():
    raise OSError(28, "No space left on device")


def test_a_failure_in_the_middle_leaves_nothing_and_the_next_try_works(world, target, monkeypatch):
    filled(world)
    for stage in STAGES:
        with monkeypatch.context() as patch:
            ending(patch, stage, full)
            with pytest.raises(StorageError, match=r"nothing was copied to .*No space left on device") as error:
                copy(world, target)
        assert "\n" not in str(error.value)
        assert there(target) == [], stage
        kept = [side_folder(target, kind).rglob("*") for kind in ("artifacts", "checkpoints")]
        assert [path for paths in kept for path in paths if path.is_file()] == [], stage
    copy(world, target)
    assert facts(target) == facts(world.url)


def test_a_full_database_leaves_nothing(world, target, monkeypatch):
    filled(world)
    open_storage(target).engine.dispose()

    def small(url):
        storage = open_storage(url)

        def limit(dbapi, _record):
            pages = dbapi.execute("PRAGMA page_count").fetchone()[0]
            dbapi.execute(f"PRAGMA max_page_count={pages + 4}")

        event.listen(storage.engine, "connect", limit)
        storage.engine.dispose()
        return storage

    with monkeypatch.context() as patch:
        patch.setattr(copying, "open_storage", small)
        with pytest.raises(StorageError, match=r"nothing was copied to .*full"):
            copy(world, target)
    assert there(target) == []
    copy(world, target)
    assert facts(target) == facts(world.url)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # connections of a dead server
def test_a_server_that_stops_in_the_middle_has_nothing(server, tmp_path, sqlite_world, new_database, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filled(sqlite_world)
    target = new_database()
    try:
        with monkeypatch.context() as patch:
            ending(patch, STAGES[2], server.stop)
            with pytest.raises(StorageError, match="nothing was copied"):
                copy(sqlite_world, target)
    finally:
        server.start()
    assert there(target) == []
    copy(sqlite_world, target)
    assert facts(target) == facts(sqlite_world.url)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def write_half(reading, writing):
    writing.write(reading.read()[:3])
    writing.flush()


def copy_and_die(source, target, stage):
    """Copy until a stage is over, in a process of its own."""
    ending(pytest.MonkeyPatch(), stage, die)
    copying.copy_studies(source, target, [], print)


def copy_half_and_die(source, target):
    """Copy until the first file is half written, in a process of its own."""
    shutil.copyfileobj = write_half
    copy_and_die(source, target, "shutil.copyfileobj")


@pytest.mark.slow
def test_what_a_killed_copy_has_half_written_goes_with_the_next_one(world, target):
    filled(world)
    assert Forked(copy_half_and_die, [world.url, target]).wait(120) == -signal.SIGKILL
    folder = side_folder(target, "artifacts")
    [half] = folder.iterdir()
    assert half.name.endswith(PART)
    others = half.with_name(re.sub(r"\.\d+-", f".{os.getpid()}-", half.name))  # a copy beside this one
    others.touch()
    copy(world, target)
    assert [path.name for path in folder.glob(f"*{PART}")] == [others.name]
    assert facts(target) == facts(world.url)


@pytest.mark.slow
def test_a_copy_that_is_killed_leaves_no_study_and_the_next_one_is_complete(world, target):
    filled(world)
    for stage in STAGES:
        assert Forked(copy_and_die, [world.url, target, stage]).wait(120) == -signal.SIGKILL, stage
        assert there(target) == [], stage
    copy(world, target)
    assert facts(target) == facts(world.url)
