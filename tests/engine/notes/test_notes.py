"""Every trial says what it was, how it ended and where it ran; a note that cannot be written changes nothing."""

import dataclasses
import logging
import sys

import fakes
import pytest
from fakes import NINE, THIRTY_THREE
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import Trial, TrialState
from worlds import claimed, dead_worker

from kernbench.engine.notes import notes

optuna_dashboard = pytest.importorskip("optuna_dashboard")


def note_of(world, trial, study=None):
    return optuna_dashboard.get_note(Trial(world.optuna_study(study), trial._trial_id))


def ends(context):
    """One cell that is scored, one that diverges, one that fails."""
    if context.params["kernel_size"] == 9:
        return dataclasses.replace(fakes.outcome(), note=[("F1 on test lines", "0.5 [0.4, 0.6]")])
    if context.params["kernel_size"] == 17:
        return fakes.diverged()
    raise ValueError("bad | kernel")


def test_each_end_has_its_note(world):
    study = world.study((9, 17, 33))
    world.run(study, ends)
    scored, diverged, failed = (note_of(world, trial) for trial in world.trials())
    assert "**ok**: ` mine.v1.quick/discrete `, cell ` kernel_size=9,seed=0 `" in scored
    for row in (
        r"| F1 on test lines | 0\.5 \[0\.4\, 0\.6\] |",
        "| family | discrete |",
        "| kernel size | 9 |",
        "| seed | 0 |",
        "| parameters | 11 |",
        "| epochs | 3 |",
        "| seconds |",
    ):
        assert row in scored
    assert notes.WORDS["diverged"] in diverged
    assert "` loss became nan `" in diverged
    assert "` ValueError: bad | kernel `" in failed
    assert 'raise ValueError("bad | kernel")' in failed
    for note in (scored, diverged, failed):
        assert "Ran on cpu" in note
        assert "torch 2" in note


def test_a_killed_trial_has_a_note_once_it_is_found(world):
    world.run(queue_only=True)
    worker = dead_worker()
    _, trial_id = claimed(world, worker=worker)
    world.run()
    lost = world.trials(TrialState.FAIL)
    assert [each._trial_id for each in lost] == [trial_id]
    note = note_of(world, lost[0])
    assert "**killed**" in note
    assert f"` {worker} `" in note
    assert world.trials()[-1].state == TrialState.COMPLETE


def test_the_study_has_a_note_with_its_question_and_its_floors(world):
    study = dataclasses.replace(world.study(), question="Why `this` <b>?")
    world.run(study)
    note = optuna_dashboard.get_note(world.optuna_study())
    assert r"**Why \`this\` \<b\>\?**" in note
    assert "| profile | quick |" in note
    assert "| tolerance | 4 samples |" in note
    assert r"comb 0\.200\, random noise 0\.100" in note
    assert "| kernel\\_size | 9\\, 33 |" in note


def test_a_worker_without_the_study_file_keeps_the_question(world):
    study = dataclasses.replace(world.study(), question="Why?", note="Because.")
    world.run(study, queue_only=True)
    opened = world.optuna_study()
    notes.save_study(opened, dataclasses.replace(study, question="", note=""), world.storage().engine)
    kept = optuna_dashboard.get_note(opened)
    assert r"**Why\?**" in kept
    assert r"Because\." in kept


def test_a_note_of_somebody_else_is_left_alone(world):
    study = world.study()
    world.run(study, queue_only=True)
    optuna_dashboard.save_note(world.optuna_study(), "mine")
    world.run(study)
    assert optuna_dashboard.get_note(world.optuna_study()) == "mine"


@pytest.mark.parametrize("broken", ["save_note", "get_note"])
def test_a_note_that_cannot_be_written_is_a_warning(world, monkeypatch, caplog, broken):
    def fail(*_arguments):
        raise RuntimeError("no room")

    monkeypatch.setattr(optuna_dashboard, broken, fail)
    with caplog.at_level(logging.WARNING, "kernbench"):
        result = world.run(compute=fakes.raises(ValueError("bad")))
    assert world.states(result) == {NINE: "failed", THIRTY_THREE: "done"}
    assert "no room" in caplog.text


def test_without_the_extra_there_are_no_notes_and_no_warnings(world, monkeypatch, caplog):
    real = notes.importlib.util.find_spec
    monkeypatch.setattr(
        notes.importlib.util, "find_spec", lambda name: None if name == "optuna_dashboard" else real(name)
    )
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with caplog.at_level(logging.WARNING, "kernbench"):
        result = world.run()
    assert world.states(result) == {NINE: "done", THIRTY_THREE: "done"}
    assert not caplog.records
    attributes = world.optuna_study()._storage.get_study_system_attrs(1)
    assert not [key for key in attributes if "note" in key]


def test_attributes_sort_and_belong_to_failed_trials_too(world):
    def compute(context):
        outcome = ends(context)
        odd = {"threshold": float("nan"), "gap": float("inf"), "worker_start": "mine", "status": "mine"}
        odd |= {"f1_test": 1 / 3, "flops_fwd": 12_031_744.0}
        return dataclasses.replace(outcome, attributes={**outcome.attributes, **odd})

    world.run(world.study((9, 17, 33)), compute)
    scored, diverged, failed = (trial.user_attrs for trial in world.trials())
    assert {"threshold", "gap", "nothing"}.isdisjoint(scored)
    assert (scored["f1_test"], scored["flops_fwd"]) == (0.333333, 12_031_744)
    assert (scored["status"], scored["worker_start"] != "mine") == ("ok", True)
    for attributes in (scored, diverged, failed):
        assert attributes["wall_s"] >= 0
        assert attributes["family"] == "discrete"
        assert len(attributes["digest"]) == 12
    assert (failed["kernel_size"], failed["seed"], failed["status"]) == (33, 0, "error")


def test_a_long_error_is_cut_in_the_table_and_whole_in_the_traceback(world):
    world.run(compute=fakes.raises(ValueError("x" * 10_000)))
    trial = world.trials(TrialState.FAIL)[0]
    assert len(trial.user_attrs["error"]) < 1100
    (meta,) = get_all_artifact_meta(trial, storage=world.storage())
    kept = (world.folder / "kernbench.artifacts" / meta.artifact_id).read_text(encoding="utf-8")
    assert "x" * 10_000 in kept
