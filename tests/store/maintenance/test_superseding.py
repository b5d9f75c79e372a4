"""Cells put back or dropped: what counts, what stays as history, what is never touched; on both databases."""

import optuna
import pytest
from fakes import NINE, THIRTY_THREE, World, outcome, raises
from optuna.trial import TrialState
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from worlds import claimed, dead_worker

from kernbench.engine.queue.draws import past_of
from kernbench.engine.queue.queueing import requeue
from kernbench.engine.work.worker import work
from kernbench.errors import StorageLostError
from kernbench.registry import find
from kernbench.store.database.opening import read_storage
from kernbench.store.maintenance import superseding
from kernbench.store.maintenance.checking import check_storage
from kernbench.store.maintenance.copying import copy_studies
from kernbench.store.maintenance.superseding import DROP, REDO, choose_cells, supersede
from kernbench.store.reading.runs import load_runs, stored_states, stored_studies
from kernbench.store.tables.result_tables import RunRow
from kernbench.study.selection import read_selection

KEY = "mine.v1.quick/discrete"
ONLY_NINE = read_selection(["kernel_size=9"])
MISSING = ("missing", "to be trained again")


def change(world, what, only=ONLY_NINE):
    """Choose cells of the study and supersede them; what was done."""
    (study,) = stored_studies(world.url)
    return supersede(world.url, [choose_cells(study, only, what)], what, lambda _line: None)


def states(world):
    (study,) = stored_studies(world.url)
    return {state.cell: (state.state, state.detail) for state in stored_states(study)}


def sound(world):
    assert check_storage(world.url).problems == ()


def rows(world):
    with Session(read_storage(world.url).engine) as session:
        return session.scalar(select(func.count()).select_from(RunRow))


def test_a_redone_cell_is_out_of_the_means_until_its_new_result_is_there(world):
    world.run(compute=lambda _context: outcome(0.5, seed=1))
    before = world.trials()
    done = change(world, REDO)
    assert (done.cells, done.left) == ({KEY: [NINE]}, {KEY: []})
    assert states(world)[NINE] == MISSING
    assert [run.cell for run in load_runs(world.url)] == [THIRTY_THREE]
    assert load_runs(world.url)[0].missing == {KEY: (NINE,)}
    old = next(trial for trial in world.trials() if trial.user_attrs["cell"] == NINE)
    assert old.user_attrs.pop("superseded").startswith("redo 20")
    assert old == before[old.number]  # all else as it was
    assert rows(world) == 2
    sound(world)
    result = world.run(compute=lambda _context: outcome(0.7, seed=2))
    assert world.executed == [NINE, THIRTY_THREE, NINE]
    assert set(world.states(result).values()) == {"done"}
    (run,) = [run for run in load_runs(world.url) if run.cell == NINE]
    assert run.scores["test"].tp.tolist() == outcome(seed=2).scores["test"].tp.tolist()
    assert [trial.value for trial in world.trials(TrialState.COMPLETE)] == [0.5, 0.5, 0.7]
    sound(world)


def test_a_dropped_cell_is_gone_from_its_study_until_a_run_asks_for_it_again(world):
    world.run()
    assert change(world, DROP).cells == {KEY: [NINE]}
    assert states(world) == {THIRTY_THREE: ("done", "")}
    (run,) = load_runs(world.url)
    assert (run.cell, run.asked, run.missing) == (THIRTY_THREE, 1, {})
    assert len(world.trials(TrialState.COMPLETE)) == 2
    sound(world)
    again = world.run()
    assert list(again.plan.added) == [NINE]
    assert world.executed == [NINE, THIRTY_THREE, NINE]
    assert states(world) == {NINE: ("done", ""), THIRTY_THREE: ("done", "")}
    sound(world)


def test_all_cells_of_a_study_may_be_dropped(world):
    world.run(compute=raises(ValueError("x")))
    assert change(world, DROP, read_selection([])).cells == {KEY: [NINE, THIRTY_THREE]}
    assert states(world) == {}
    assert load_runs(world.url) == []
    sound(world)
    assert world.states(world.run()) == {NINE: "done", THIRTY_THREE: "done"}


def test_a_failed_cell_begins_again_and_its_checkpoint_is_removed(world):
    def compute(context):
        context.checkpoints.save({"digest": "d", "epoch": 3})
        raise ValueError("x")

    world.run(world.study([9]), compute)
    folder = world.folder / "kernbench.checkpoints"
    assert len(list(folder.glob("*.pt"))) == 1
    change(world, REDO)
    assert list(folder.glob("*.pt")) == []
    assert states(world) == {NINE: MISSING}
    sound(world)
    found = []
    world.run(world.study([9]), lambda context: found.append(context.checkpoints.newest("d")) or outcome())
    assert found == [None]
    assert states(world) == {NINE: ("done", "")}


def test_a_waiting_cell_is_dropped_from_the_queue_and_cannot_be_redone(world):
    world.run(queue_only=True)
    assert change(world, REDO).cells == {KEY: []}
    assert states(world)[NINE] == ("waiting", "")
    assert change(world, DROP).cells == {KEY: [NINE]}
    assert [trial.user_attrs["cell"] for trial in world.trials(TrialState.WAITING)] == [THIRTY_THREE]
    sound(world)
    world.run(world.study([33]))
    assert world.executed == [THIRTY_THREE]


@pytest.mark.parametrize("what", [REDO, DROP])
@pytest.mark.parametrize("worker", [None, dead_worker], ids=["running", "lost"])
def test_a_running_cell_is_never_touched(world, what, worker):
    world.run(queue_only=True)
    claimed(world, worker=worker and worker())
    (study,) = stored_studies(world.url)
    chosen = choose_cells(study, ONLY_NINE, what)
    assert (chosen.cells, [state.cell for state in chosen.left]) == ((), [NINE])
    content = world.trials(TrialState.RUNNING)
    change(world, what)
    assert world.trials(TrialState.RUNNING) == content


@pytest.mark.parametrize("what", [REDO, DROP])
def test_a_cell_that_was_claimed_after_it_was_chosen_is_left(world, what):
    world.run(compute=raises(ValueError("x")))
    (study,) = stored_studies(world.url)
    chosen = choose_cells(study, ONLY_NINE, what)
    assert [state.cell for state in chosen.cells] == [NINE]
    world.run(retry_failed=True, queue_only=True)
    claimed(world)
    done = supersede(world.url, [chosen], what, lambda _line: None)
    assert (done.cells, done.left) == ({KEY: []}, {KEY: [NINE]})
    assert states(world)[NINE][0] == "running"
    assert not any("superseded" in trial.user_attrs for trial in world.trials())


def test_nothing_is_changed_where_the_transaction_fails(world, monkeypatch):
    world.run()
    before = world.content()[0]

    def full(*_arguments):
        raise optuna.exceptions.StorageInternalError("the disk is full")

    monkeypatch.setattr(superseding, "change_in", full)
    with pytest.raises(StorageLostError):
        change(world, DROP)
    assert world.content()[0] == before


def test_a_worker_that_was_there_before_trains_a_redone_cell(world):
    """Optuna caches finished trials in each process, and does not read their attributes again."""
    study = world.study()
    world.run(study)
    storage = world.storage()
    opened = world.optuna_study(study, storage)
    assert len(opened.get_trials(deepcopy=False)) == 2  # cached from now on
    change(world, REDO)
    world.run(study, queue_only=True)
    job = world.job(study, storage, lambda context: world.executed.append(context.cell) or outcome())
    work(opened, job)
    assert world.executed == [NINE, THIRTY_THREE, NINE]
    assert states(world)[NINE] == ("done", "")


def test_a_run_that_goes_on_does_not_bring_a_dropped_cell_back(world):
    study = world.study()
    world.run(study, queue_only=True)
    change(world, DROP)
    assert requeue(world.optuna_study(study), study, study.cells()) == []
    assert NINE not in states(world)


def test_a_redone_draw_keeps_its_values_and_others_do_not_learn_from_what_it_was(tmp_path, empty_database):
    world = World(tmp_path, empty_database)
    world.found = find("siren")
    study = world.study([9], more="[tuning]\ntrials = 3\n")
    seen = []
    world.run(study, lambda context: seen.append(dict(context.params)) or outcome())
    cells = list(study.cells())
    (stored,) = stored_studies(world.url)
    chosen = choose_cells(stored, read_selection(["draw=1"]), REDO)
    supersede(world.url, [chosen], REDO, lambda _line: None)
    assert [trial.user_attrs["draw"] for trial in past_of(study, world.trials(), cells[2])] == [0]
    world.run(study, lambda context: seen.append(dict(context.params)) or outcome())
    assert seen[3:] == [seen[1]]
    world.close()


def test_a_copy_keeps_what_is_superseded(sqlite_world, tmp_path):
    world = sqlite_world
    world.run()
    change(world, REDO)
    copy_studies(world.url, f"sqlite:///{tmp_path}/copy.db", [], lambda _line: None)
    (study,) = stored_studies(f"sqlite:///{tmp_path}/copy.db")
    assert {state.cell: state.state for state in stored_states(study)} == {NINE: "missing", THIRTY_THREE: "done"}
    assert check_storage(f"sqlite:///{tmp_path}/copy.db").problems == ()
