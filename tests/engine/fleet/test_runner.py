"""Runs: missing cells are queued, finished ones never run again, and a changed study is refused."""

import dataclasses
import json
import time
from datetime import datetime, timedelta
from types import SimpleNamespace

import fakes
import optuna
import pytest
from fakes import NINE, THIRTY_THREE
from optuna.trial import TrialState
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from worlds import claimed, dead_worker

from kernbench.engine.fleet import runner
from kernbench.engine.fleet.runner import Options, plan
from kernbench.errors import StudyError
from kernbench.store.database import storage as steady
from kernbench.store.maintenance.superseding import choose_cells, supersede
from kernbench.store.reading.runs import stored_states, stored_studies
from kernbench.store.tables import result_tables
from kernbench.store.tables.cell_states import KILLED_LIMIT
from kernbench.store.tables.result_tables import RunRow, ScoreRow
from kernbench.study.selection import read_selection


def test_a_run_fills_the_queue_and_runs_every_cell_once_and_again_changes_nothing(world):
    result = world.run()
    assert world.states(result) == {NINE: "done", THIRTY_THREE: "done"}
    assert world.executed == [NINE, THIRTY_THREE]
    assert world.observer.started == [(NINE, 1, 2), (THIRTY_THREE, 2, 2)]
    assert [trial.value for trial in world.trials(TrialState.COMPLETE)] == [0.5, 0.5]
    before = world.trials()
    result = world.run()
    assert (list(result.plan.queue), len(world.executed)) == ([], 2)
    assert world.trials() == before


def test_a_dry_plan_writes_nothing(world):
    study = world.study()
    assert plan(study, Options(world.url)).queue == [NINE, THIRTY_THREE]
    assert not world.database.exists()
    world.run(study)
    content = world.content()
    assert plan(study, Options(world.url)).queue == []
    assert world.content() == content


def test_queue_only_runs_nothing_and_a_later_run_takes_the_queue(world):
    first = world.run(queue_only=True)
    assert world.states(first) == {NINE: "waiting", THIRTY_THREE: "waiting"}
    second = world.run(queue_only=True)
    assert second.plan.waiting == 2
    assert len(world.trials()) == 2
    world.run()
    assert len(world.trials()) == 2
    assert world.executed == [NINE, THIRTY_THREE]


def test_failed_cells_stay_until_retry_failed_queues_exactly_them(world):
    world.run(world.study([9, 33, 65]), fakes.raises(ValueError("x")))
    again = world.run(world.study([9, 33, 65]))
    assert list(again.plan.queue) == []
    third = world.run(world.study([9, 33, 65]), retry_failed=True)
    assert list(third.plan.queue) == [NINE]
    assert set(world.states(third).values()) == {"done"}


def test_a_killed_cell_runs_again_until_it_is_held(world):
    study = world.study([9])
    world.run(study, queue_only=True)
    for kills in range(1, KILLED_LIMIT + 1):
        claimed(world, study, dead_worker())
        assert [state.state for state in stored_states(world.optuna_study(study))] == ["lost"]
        assert plan(study, Options(world.url)).queue == [NINE]
        result = world.run(study, queue_only=True)
        assert len(world.trials(TrialState.FAIL)) == kills
        assert "has ended" in world.observer.notes[-1]
    assert world.states(result) == {NINE: "failed"}
    assert not result.states[0].retry
    assert world.run(study).plan.queue == []
    assert world.states(world.run(study, retry_failed=True)) == {NINE: "done"}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_trial_that_died_before_its_first_heartbeat_is_found_after_the_grace_period(world, zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    # the server may have been started for this very test, and just after a start silence proves nothing
    monkeypatch.setattr(steady.SteadyStorage, "just_back", lambda _self: False)
    study = world.study([9])
    world.run(study, queue_only=True)
    opened, trial_id = claimed(world, study)

    def older(seconds):
        with opened._storage._backend.engine.begin() as connection:
            (stored,) = connection.execute(text("SELECT datetime_start FROM trials")).one()
            began = datetime.fromisoformat(str(stored)) - timedelta(seconds=seconds)
            connection.execute(text("DELETE FROM trial_heartbeats"))
            connection.execute(
                text("UPDATE trials SET datetime_start = :when WHERE trial_id = :id"),
                {"when": str(began), "id": trial_id},
            )

    older(100)
    assert world.states(world.run(study, grace_s=200)) == {NINE: "running"}
    older(200)
    assert world.states(world.run(study, grace_s=200)) == {NINE: "done"}
    monkeypatch.undo()
    time.tzset()


def test_a_silent_trial_of_another_host_is_taken_over_after_the_grace_period(world, monkeypatch):
    monkeypatch.setattr(steady, "SETTLING_BEATS", 0)  # the server may have been started just now
    study = world.study([9])
    world.run(study, queue_only=True)
    opened, _ = claimed(world, study, "elsewhere:1")
    assert world.states(world.run(study)) == {NINE: "running"}
    with opened._storage._backend.engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    assert world.states(world.run(study)) == {NINE: "done"}


def test_silence_says_nothing_just_after_the_clock_was_set_forward_or_the_machine_has_slept(world, monkeypatch):
    study = world.study([9])
    world.run(study, queue_only=True)
    opened, trial_id = claimed(world, study)
    storage = opened._storage._backend
    monkeypatch.setattr(storage, "_jumped", float("-inf"))
    monkeypatch.setattr(steady, "_server_age", lambda _engine: 10**6)
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    assert storage._get_stale_trial_ids(opened._study_id) == [trial_id]
    monkeypatch.setattr(steady, "_clock_ahead", lambda: storage._ahead + 3600)
    assert storage._get_stale_trial_ids(opened._study_id) == []
    monkeypatch.undo()
    monkeypatch.setattr(steady, "SETTLING_BEATS", 0)  # every worker has beaten again, or is gone
    assert storage._get_stale_trial_ids(opened._study_id) == [trial_id]


def test_a_changed_definition_is_refused_with_old_and_new_and_nothing_is_written(world):
    world.run(world.study(more="[training]\nrate = 0.001"))
    content = world.content()
    changed = world.study(more="[training]\nrate = 0.01")
    for attempt in ({}, {"extend": True}, {"retry_failed": True}):
        with pytest.raises(StudyError) as error:
            world.run(changed, **attempt)
        for said in ("2 finished cells", "training.rate", "0.001 (stored)", "0.01 (now)", "version", "mine.toml"):
            assert said in str(error.value)
    assert world.content() == content
    assert len(world.executed) == 2


def test_raising_the_version_makes_another_study(world):
    world.run()
    path = world.folder / "mine.toml"
    path.write_text(path.read_text().replace("version = 1", "version = 2").replace("[9, 33]", "[9]"))
    newer = fakes.load_study(str(path), world.found.family, "quick")
    assert world.states(world.run(newer)) == {NINE: "done"}
    assert len(world.executed) == 3


def test_more_cells_need_extend_and_are_told(world):
    world.run(world.study([9]))
    with pytest.raises(StudyError, match=r"1 cell .*kernel_size: 33.*--extend"):
        world.run(world.study([9, 33]))
    result = world.run(world.study([9, 33]), extend=True)
    assert list(result.plan.added) == [THIRTY_THREE]
    assert world.executed == [NINE, THIRTY_THREE]
    assert list(world.run(world.study([9, 33])).plan.added) == []


def test_more_seeds_grow_a_study_and_nothing_else(world):
    study = world.study([9])
    world.run(study)
    grown = dataclasses.replace(study, seeds=(0, 1))
    with pytest.raises(StudyError, match=r"1 cell .*seed: 1.*--extend"):
        world.run(grown)
    wide = dataclasses.replace(world.study([9, 33]), seeds=(0, 1))
    with pytest.raises(StudyError, match=r"2 cells .*kernel_size: 33"):
        world.run(wide, more_seeds=True)
    assert list(world.run(grown, more_seeds=True).plan.added) == ["kernel_size=9,seed=1"]
    assert world.executed == [NINE, "kernel_size=9,seed=1"]
    result = world.run(study)  # without the option again: one seed is asked for, both are kept
    assert world.executed == [NINE, "kernel_size=9,seed=1"]
    assert list(result.plan.left_out) == ["kernel_size=9,seed=1"]


def test_fewer_cells_run_and_the_others_are_kept(world):
    world.run()
    result = world.run(world.study([9]))
    assert list(result.plan.left_out) == [THIRTY_THREE]
    assert len(world.trials(TrialState.COMPLETE)) == 2
    assert list(world.run(world.study()).plan.queue) == []


def test_a_waiting_cell_that_is_no_longer_asked_for_is_not_failed(world):
    world.run(queue_only=True)
    result = world.run(world.study([33]))
    assert world.states(result) == {THIRTY_THREE: "done"}
    assert world.trials(TrialState.FAIL) == []
    again = world.run(world.study([9, 33]))
    assert list(again.plan.queue) == [NINE]
    assert set(world.states(again).values()) == {"done"}


def test_a_value_may_be_added_to_every_kind_of_axis_later(world):
    world.found = fakes.find("siren")
    world.run(world.study([9], more="omega_0 = [10.0]\ninit = ['calibrated']\nhidden = [8]"))
    more = "omega_0 = [10.0, 7.0]\ninit = ['calibrated', 'siren-intended']\nhidden = [8, 9]"
    wide = world.study([9], more=more)
    result = world.run(wide, extend=True)
    assert set(world.states(result).values()) == {"done"}
    assert len(world.executed) == len(wide.cells()) == 8


def test_an_older_attempt_cannot_overwrite_a_newer_one(world):
    world.run(world.study([9]))
    storage = world.storage()
    with Session(storage.engine) as session:
        row = session.scalars(select(RunRow)).one()
        session.expunge(row)
    columns = {column.name: getattr(row, column.name) for column in RunRow.__table__.columns}

    def scores(tp):
        key = {"study": row.study, "cell": row.cell, "split": "test", "signal": 0, "tolerance": 0}
        return [ScoreRow(**key, tp=tp, fp=0, fn=0)]

    def stored():
        with Session(storage.engine) as session:
            return session.scalars(select(RunRow.message)).one(), session.scalars(select(ScoreRow.tp)).all()

    assert result_tables.write_run(storage.engine, RunRow(**columns | {"trial": 7, "message": "seven"}), scores(7))
    assert not result_tables.write_run(storage.engine, RunRow(**columns | {"trial": 6, "message": "six"}), scores(6))
    assert stored() == ("seven", [7])
    assert result_tables.write_run(storage.engine, RunRow(**columns | {"trial": 7, "message": "again"}), scores(8))
    assert stored() == ("again", [8])


def test_cells_made_with_another_plugin_version_are_told(world):
    for version in ("1.0", "99.9"):
        world.found = type(world.found)(world.found.family, "x", "mine", version)
        world.run()
    assert "2 stored cells" in world.observer.notes[-1]
    assert "made with mine 1.0, the plugin is now mine 99.9" in world.observer.notes[-1]
    assert "`kernbench cells redo`" in world.observer.notes[-1]
    study = stored_studies(world.url)[0]
    chosen = choose_cells(study, read_selection(["kernel_size=9"]), "redo")
    supersede(world.url, [chosen], "redo", world.observer.note)
    world.run()
    assert "1 stored cell of" in [note for note in world.observer.notes if "made with" in note][-1]


def test_another_release_of_kernbench_is_no_other_plugin(world):
    for version in ("0.1.0", "99.9"):
        world.found = type(world.found)(world.found.family, "x", "kernbench", version)
        world.run()
    assert not [note for note in world.observer.notes if "made with" in note]


def test_families_do_not_mix_and_studies_of_others_in_the_same_database_are_left_alone(world):
    world.run()
    world.found = fakes.find("siren")
    world.run()
    assert len(world.executed) == 4
    optuna.create_study(study_name="somebody/else", storage=world.storage())
    assert set(world.states(world.run()).values()) == {"done"}


def test_two_runs_that_add_cells_at_the_same_moment_both_add_them(world, monkeypatch):
    world.run(world.study([9]), queue_only=True)
    study, other = world.study([9, 33]), fakes.World(world.folder, url=world.url)
    another, begun = other.study([9, 65]), []

    def dumps(content, **options):
        if not begun:  # the first one has seen the study as it was
            begun.append(another)
            other.run(another, queue_only=True, extend=True)
        return json.dumps(content, **options)

    monkeypatch.setattr(runner, "json", SimpleNamespace(dumps=dumps, loads=json.loads))
    world.run(study, queue_only=True, extend=True)
    other.close()
    asked_for = json.loads(world.optuna_study(study).user_attrs["cells"])
    assert asked_for == [NINE, "kernel_size=65,seed=0", THIRTY_THREE]


@pytest.mark.parametrize("at_work", [True, False])
def test_a_run_with_another_study_file_takes_no_cell_from_one_that_runs(world, at_work):
    """Two runs share a study, each with a file of its own: both end with all their cells."""
    study, other = world.study(), fakes.World(world.folder, url=world.url)
    another = other.study([65])

    def meddle(context):
        if context.cell == NINE:
            if not at_work:  # as in the moment between two cells
                monkey.setattr("kernbench.engine.queue.queueing.worker_is_gone", lambda _trial: True)
            result = other.run(another, extend=True)
            assert other.states(result) == {"kernel_size=65,seed=0": "done"}
        return fakes.outcome()

    with pytest.MonkeyPatch.context() as monkey:
        result = world.run(study, meddle)
    other.close()
    assert world.states(result) == {NINE: "done", THIRTY_THREE: "done"}
    assert world.executed == [NINE, THIRTY_THREE]
    assert other.executed == ["kernel_size=65,seed=0"]
