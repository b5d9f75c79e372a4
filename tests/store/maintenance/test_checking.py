"""`storage check`: a sound database has no problem, and each kind of damage is one line; nothing is changed.

Long because every kind of damage is done to the same sound database.
"""

import io
import json
import os
import pickle
import zipfile

import fakes
import numpy as np
import optuna
import pytest
import torch
from fakes import NINE, THIRTY_THREE
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.trial import TrialState, create_trial
from sqlalchemy import text

from kernbench.errors import StorageError
from kernbench.store.database.url import side_folder
from kernbench.store.maintenance import checking
from kernbench.store.maintenance.checking import check_storage
from kernbench.store.maintenance.checking_files import Files
from kernbench.store.reading.runs import load_runs
from kernbench.study.cell import file_key

KEY = "mine.v1.quick/discrete"


class Trap:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def compute(context):
    """Artifacts of every type that is looked into."""
    np.savez(context.scratch / "cell.npz", a=np.arange(3))
    torch.save({"a": torch.zeros(2)}, context.scratch / "weights.pt")
    (context.scratch / "curve.csv").write_text("epoch\n1\n")
    (context.scratch / "kernel.png").write_bytes(b"\x89PNG\r\n\x1a\n....\0\0\0\0IEND\xaeB`\x82")
    if context.params["kernel_size"] == 65:
        raise ValueError("no")
    if context.params["kernel_size"] == 129:
        return fakes.diverged()
    names = ("cell.npz", "weights.pt", "curve.csv", "kernel.png")
    return fakes.outcome(artifacts=[context.scratch / name for name in names])


@pytest.fixture
def sound(world):
    """A world with cells done, diverged, failed and waiting, and a checkpoint of the one that waits."""
    world.run(world.study([9, 33, 65, 129]), compute)
    world.run(world.study([9, 33, 65, 129, 257]), extend=True, queue_only=True)
    checkpoints = side_folder(world.url, "checkpoints")
    torch.save({"epoch": 3}, checkpoints / f"{file_key(KEY, 'kernel_size=257,seed=0')}.7.pt")
    for name in ("baselines", "analyses"):
        folder = side_folder(world.url, "artifacts") / name
        folder.mkdir()
        (folder / "some.csv").touch()
    (side_folder(world.url, "checkpoints") / f"scratch.{os.uname().nodename}.{os.getpid()}.0.abc").mkdir()
    return world


def artifact(world, name, cell=NINE):
    """Path of an artifact."""
    return next(run.artifacts[name] for run in load_runs(world.url) if run.cell == cell)


def execute(world, *statements):
    with world.storage().engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_sound_database_has_no_problem_and_is_left_as_it_was(sound):
    content = sound.content()
    before = sorted(sound.folder.rglob("*"))
    checked = check_storage(sound.url)
    assert checked.problems == ()
    assert (checked.studies, checked.cells, checked.files) == (1, 5, 2 * 4 + 1 + 1)
    assert sound.content() == content
    assert sorted(sound.folder.rglob("*")) == before


def test_a_database_in_use_has_no_problem(world):
    def look(context):
        assert check_storage(world.url).problems == ()
        return fakes.outcome()

    assert set(world.states(world.run(world.study([9]), look)).values()) == {"done"}


def of_cell(cell):
    return f"WHERE study = '{KEY}' AND cell = '{cell}'"


# kernel size -> what happens to the rows of its cell, and what is said of it
ROWS = {
    3: (["DELETE FROM kernbench_run {}", "DELETE FROM kernbench_score {}"], ["is ok"]),
    5: (["DELETE FROM kernbench_run {}"], ["is ok", "belong to no run", "belong to no run"]),
    7: (
        ["DELETE FROM kernbench_score {} AND split = 'test' AND signal = 0 AND tolerance = 0"],
        ["29 scores on the test lines, expected 3 lines x 10 tolerances = 30"],
    ),
    9: (["UPDATE kernbench_run SET trial = 99 {}"], ["rows of trial 99, which is not there"]),
    11: (["UPDATE kernbench_run SET trial = 0 {}"], ["rows of trial 0, which is FAIL"]),
    13: (["UPDATE kernbench_run SET study = 'x/y' {}", "DELETE FROM kernbench_score {}"], ["is ok"]),
}


def test_damage_of_the_rows_is_reported(world):
    world.run(world.study([65, *ROWS]), compute)
    expected = [("x/y", "rows of a study that is not there")]
    for size, (statements, said) in ROWS.items():
        cell = f"kernel_size={size},seed=0"
        execute(world, *(statement.format(of_cell(cell)) for statement in statements))
        expected += [(f"cell {cell}", each) for each in said]
    problems = list(check_storage(world.url).problems)
    for owner, said in expected:
        found = next(each for each in problems if owner in each and said in each)
        assert "\n" not in found
        problems.remove(found)
    assert problems == []


@pytest.mark.parametrize(
    ("statement", "said", "times"),
    [
        ("DELETE FROM kernbench_line WHERE split = 'test'", "30 scores on the test lines, expected 0", 2),
        ("DELETE FROM kernbench_environment", "names environment", 3),
    ],
)
def test_damage_of_rows_that_cells_share_is_reported_for_each_cell(sound, statement, said, times):
    execute(sound, statement)
    problems = check_storage(sound.url).problems
    assert [said in each and "\n" not in each for each in problems] == [True] * times, problems


def test_trials_that_should_not_be_there_are_reported(sound):
    opened = sound.optuna_study(sound.study([9, 33, 65, 129, 257]))
    opened.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs={"cell": NINE, "status": "ok"}))
    opened.add_trial(create_trial(state=TrialState.WAITING))
    opened.add_trial(create_trial(state=TrialState.PRUNED))  # what an empty queue leaves
    first, second = check_storage(sound.url).problems
    assert "trial 6 (WAITING) names no cell" in first
    assert f"cell {NINE} has 2 finished trials" in second


def trap(path, world):
    path.write_bytes(pickle.dumps(Trap(world.folder / "sprung")))


def trapped_arrays(path, world):
    with io.BytesIO() as file:
        np.savez(file, a=np.array([Trap(world.folder / "sprung")], object))
        path.write_bytes(file.getvalue())


def trapped_tensors(path, world):
    torch.save({"a": Trap(world.folder / "sprung")}, path)


def linked(path, world):
    path.unlink()
    path.symlink_to(world.folder / "mine.toml")


def foldered(path, _world):
    path.unlink()
    path.mkdir()


FILES = [
    ("cell.npz", lambda path, _world: path.unlink(), "has no file"),
    ("cell.npz", trap, "is damaged or of another type"),
    ("cell.npz", trapped_arrays, "holds Python objects"),
    ("cell.npz", lambda path, _world: os.truncate(path, 90), "is damaged"),
    ("cell.npz", linked, "is a symbolic link"),
    ("cell.npz", foldered, "is a folder"),
    ("weights.pt", trap, "without running code"),
    ("weights.pt", trapped_tensors, "Python code"),
    ("weights.pt", lambda path, _world: os.truncate(path, 0), "without running code"),
    ("curve.csv", trap, "is damaged or of another type"),
    ("kernel.png", trap, "is no PNG picture"),
]


def test_an_artifact_that_is_not_what_it_was_is_reported_and_never_run(world):
    world.run(world.study([3, 5, 7, 9, 11, 33]), compute)
    runs = {name: load_runs(world.url) for name, _, _ in FILES}
    expected = []
    for name, spoil, said in FILES:
        path = runs[name].pop().artifacts[name]
        spoil(path, world)
        expected.append((name, path, said))
    problems = check_storage(world.url).problems
    assert len(problems) == len(FILES), problems
    for name, path, said in expected:
        (problem,) = (each for each in problems if str(path) in each)
        assert f"artifact {name}" in problem
        assert said in problem
        assert "\n" not in problem
    assert not (world.folder / "sprung").exists()


RECORDS = {
    "definition": "UPDATE study_user_attributes SET value_json = '\"{\\\"a\\\": 1}\"' WHERE key = 'definition'",
    "references": "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, 'references', '\"[{}]\"')",
    "axes": "UPDATE study_user_attributes SET value_json = '\"[1\"' WHERE key = 'axes'",
    "cells": "UPDATE study_user_attributes SET value_json = '\"{}\"' WHERE key = 'cells'",
    "score": "DELETE FROM trial_values WHERE trial_id = 1",
    "negative": f"UPDATE kernbench_score SET tp = -1 {of_cell(NINE)} AND signal = 0",
    "tolerance": f"UPDATE kernbench_run SET tolerance = 99 {of_cell(NINE)}",
    "digest": f"UPDATE kernbench_run SET digest = 'another' {of_cell(THIRTY_THREE)}",
}


def test_changed_records_are_reported_one_by_one(sound):
    """Report and status end with a traceback at most of these; the check says which it is."""
    execute(sound, *RECORDS.values())
    problems = "\n".join(check_storage(sound.url).problems)
    for said in (
        "its definition is not the one that its digest",
        "its references cannot be read",
        "its axes cannot be read",
        "its cells are of another type",
        f"cell {NINE} is finished (trial 0) and has no score",
        f"cell {NINE}: 20 scores are no counts",
        f"cell {NINE} has a run that cannot be read",
        f"cell {THIRTY_THREE} was made with definition another",
    ):
        assert problems.count(said) == 1, (said, problems)


def test_a_record_that_ends_all_reading_is_one_line(sound):
    execute(sound, "UPDATE trial_user_attributes SET value_json = '{' WHERE key = 'cell' AND trial_id = 1")
    problems = check_storage(sound.url).problems
    assert len(problems) == 2, problems
    assert all("a record cannot be read (JSONDecodeError: " in each and "\n" not in each for each in problems)


def spoil_header(path, header):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"xx")


def test_files_that_a_crash_left_or_that_no_memory_holds_are_reported(sound):
    """Each of these ended the check with a traceback, or was taken for sound."""
    curve, picture = artifact(sound, "curve.csv"), artifact(sound, "kernel.png")
    os.truncate(curve, 2**40)  # a file with a hole: no disk is needed
    os.truncate(picture, 12)
    spoil_header(artifact(sound, "cell.npz"), b"{'descr': '<f8', 'fortran_order': False, 'shape': (10**18,)}")
    spoil_header(artifact(sound, "cell.npz", THIRTY_THREE), b"((((((((")
    artifact(sound, "kernel.png", THIRTY_THREE).unlink()
    os.mkfifo(artifact_path := next(iter(side_folder(sound.url, "artifacts").glob("*-*"))).with_name("pipe"))
    problems = check_storage(sound.url).problems
    assert len(problems) == 6, problems
    for said in ("holds zero bytes", "without its end", "has no file", f"{artifact_path}: is no plain file"):
        assert sum(said in problem for problem in problems) == 1, said
    assert sum("artifact cell.npz" in problem and "is damaged" in problem for problem in problems) == 2


def test_a_file_that_goes_while_the_check_runs_is_no_problem(sound, monkeypatch):
    """A worker that ends a cell removes its checkpoint; a copy gives its files their names at the end."""
    checkpoint = side_folder(sound.url, "checkpoints") / f"{file_key(KEY, 'kernel_size=257,seed=0')}.7.pt"
    half = side_folder(sound.url, "artifacts") / "0123.part"
    half.touch()
    usual = Files.of_study

    def late(self, *args):
        checkpoint.unlink()
        half.unlink()
        return usual(self, *args)

    monkeypatch.setattr(Files, "of_study", late)
    assert check_storage(sound.url).problems == ()


def test_a_cell_that_ends_while_the_check_runs_is_no_problem(sound, monkeypatch):
    usual = checking._of_trials

    def late(trials):
        assert {trial.state for trial in trials} >= {TrialState.WAITING}
        sound.run(sound.study([9, 33, 65, 129, 257]), compute)
        return usual(trials)

    monkeypatch.setattr(checking, "_of_trials", late)
    assert check_storage(sound.url).problems == ()


def test_any_character_may_stand_in_a_traceback(world):
    world.run(world.study([9]), fakes.raises(ValueError("\0 <script>alert(1)</script> ![](http://x.invalid/)\udcff")))
    assert check_storage(world.url).problems == ()


def test_what_nothing_names_is_reported(sound):
    artifacts, checkpoints = (side_folder(sound.url, kind) for kind in ("artifacts", "checkpoints"))
    (artifacts / "orphan").touch()
    (artifacts / "lead\nout").symlink_to("/etc")
    (checkpoints / "0123456789abcdef.1.pt").touch()
    (checkpoints / f"{file_key(KEY, THIRTY_THREE)}.1.pt").touch()
    (checkpoints / f"{file_key(KEY, 'kernel_size=65,seed=0')}.2.part").touch()
    (checkpoints / f"{file_key(KEY, 'kernel_size=257,seed=0')}.8.pt").write_bytes(b"damaged")
    (checkpoints / f"scratch.{os.uname().nodename}.4194305.1.xyz").mkdir()  # above the largest process number
    (checkpoints / "scratch.elsewhere.1.1.xyz").mkdir()
    problems = sorted(check_storage(sound.url).problems)
    assert len(problems) == 7, problems
    for said in (
        "orphan: no artifact",
        "lead\\nout: is a symbolic link",
        "of no cell of this database",
        "which is finished; remove",
        "is half written",
        "is skipped and the cell starts again",
        "worker that is gone",
    ):
        assert sum(said in problem for problem in problems) == 1, said
    assert len(check_storage(sound.url, ["mine"]).problems) == 3  # those of the study itself


def test_entries_that_lead_out_of_the_folder_are_reported_and_not_followed(sound):
    secret = sound.folder / "secret"
    secret.write_text("not yours")
    trial = sound.trials()[0]._trial_id
    with sound.storage().engine.begin() as connection:
        for path in ("../secret", str(secret), "..", "a/../../secret"):
            entry = {"artifact_id": path, "filename": "example.png", "mimetype": "", "encoding": None}
            connection.execute(
                text("INSERT INTO trial_system_attributes (trial_id, key, value_json) VALUES (:trial, :key, :value)"),
                {"trial": trial, "key": f"artifacts:{path}", "value": json.dumps(entry)},
            )
    (problem,) = check_storage(sound.url).problems
    assert "4 artifact entries that are none of kernbench" in problem
    assert all("example.png" not in run.artifacts for run in load_runs(sound.url))


def test_files_of_other_studies_in_the_database_are_no_orphans(sound, tmp_path):
    other = optuna.create_study(study_name="of others", storage=sound.storage())
    (tmp_path / "theirs.txt").touch()
    store = FileSystemArtifactStore(str(side_folder(sound.url, "artifacts")))
    upload_artifact(artifact_store=store, file_path=str(tmp_path / "theirs.txt"), study_or_trial=other)
    assert check_storage(sound.url).problems == ()


def test_a_damaged_database_is_reported(sqlite_world):
    world = sqlite_world
    world.run(world.study([9]))
    world.close()
    content = bytearray(world.database.read_bytes())
    for page in range(8 * 4096, len(content) - 4096, 4096):
        content[page : page + 64] = os.urandom(64)
    world.database.write_bytes(content)
    problems = check_storage(world.url).problems
    assert problems
    assert all("restore a copy" in problem and "\n" not in problem for problem in problems)
    world.database.write_bytes(b"SQLite format 3\0" + bytes(4096))
    with pytest.raises(StorageError, match="is not a SQLite database"):
        check_storage(world.url)
