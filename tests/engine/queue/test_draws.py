"""Draws of a tuned study: cells like any other, learning within their own search, the same again from the same seed.

Long because every test looks at one search from another side, in the worlds of the fixtures at the top.
"""

import contextlib
import dataclasses
import os
import signal

import fakes
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from sqlalchemy import select
from sqlalchemy.orm import Session
from worlds import queue_instead

from kernbench.engine.queue import draws
from kernbench.engine.queue.draws import DrawingSampler, draw, past_of, suggest_value, values_of
from kernbench.engine.work.worker import RefusingSampler, work
from kernbench.report.numbers.searches import searches_of
from kernbench.store.reading.runs import load_runs
from kernbench.store.tables.result_tables import RunRow
from kernbench.study.cell import LineCounts
from kernbench.training.settings import Interrupted

NAMES = {"omega_0", "hidden", "init", "omega_bias"}


@pytest.fixture
def tuned(world):
    """A world whose family has something to tune."""
    world.found = fakes.find("siren")
    return world


def study_of(world, trials=5, sizes=(9,), more="", **options):
    return world.study(sizes, more=f"[tuning]\ntrials = {trials}\n{more}", **options)


@pytest.fixture
def tuned_world(tmp_path, empty_database):
    """Makes such worlds in folders of their own; tables are copied, because making them takes longer than the draws."""

    @contextlib.contextmanager
    def make(name):
        (tmp_path / name).mkdir()
        world = fakes.World(tmp_path / name, empty_database)
        world.found = fakes.find("siren")
        yield world
        world.close()

    return make


def score(params):
    """A score with a maximum inside the space."""
    return 1 / (1 + abs(params["omega_0"] - 12) + abs(params["hidden"] - 20) / 10)


def scored(context):
    return fakes.outcome(score(context.params))


def drawn(world, study):
    """Cell -> what it has drawn, its score, of the attempts that count."""
    found = {}
    for trial in world.optuna_study(study).get_trials(deepcopy=False):
        if trial.state == TrialState.COMPLETE or trial.user_attrs.get("status"):
            found[trial.user_attrs["cell"]] = (values_of(study, trial), trial.value)
    return found


def test_every_draw_is_a_cell_and_its_values_are_stored_with_it(tuned):
    study = study_of(tuned, 3, (9, 33), seeds=2)
    seen = {}
    result = tuned.run(study, lambda context: seen.update({context.cell: context.params}) or scored(context))
    assert set(tuned.states(result).values()) == {"done"}
    assert tuned.executed == list(study.cells())
    assert list(tuned.run(study).plan.queue) == []
    for trial in tuned.optuna_study(study).get_trials(states=(TrialState.COMPLETE,)):
        assert trial.params == seen[trial.user_attrs["cell"]]
    with Session(tuned.storage().engine) as session:
        rows = {row.cell: row.params for row in session.scalars(select(RunRow))}
    assert rows == seen
    # seeds are searches of their own, as are points of the axes
    assert len({tuple(params[name] for name in sorted(NAMES)) for params in seen.values()}) == 1 + 4 * 2
    for cell, params in seen.items():
        assert set(params) == {"kernel_size", "draw", "seed"} | NAMES
        assert {k: v for k, v in params.items() if k not in NAMES} == study.cells()[cell]
        assert {n: study.tuned[n].check(params[n]) for n in NAMES} == {n: params[n] for n in NAMES}


def test_draw_0_is_the_default_setting_and_is_queued_whole(tuned):
    study = study_of(tuned)
    tuned.run(study, queue_only=True)
    first = tuned.optuna_study(study).get_trials()[0].system_attrs["fixed_params"]
    assert first == {"kernel_size": 9, "draw": 0, "seed": 0} | study.family.resolve()
    second = tuned.optuna_study(study).get_trials()[1].system_attrs["fixed_params"]
    assert second == {"kernel_size": 9, "draw": 1, "seed": 0}  # the sampler is to see the scores first


def test_a_family_without_hyper_parameters_runs_once_at_each_point(world):
    study = study_of(world, 9, (9, 33), seeds=2)
    result = world.run(study)
    assert world.executed == [f"draw=0,kernel_size={k},seed={s}" for k in (9, 33) for s in (0, 1)]
    assert set(world.states(result).values()) == {"done"}


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_the_same_seed_gives_the_same_draws_and_another_gives_others(tuned_world, sampler):
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        with tuned_world(name) as here:
            study = study_of(here, 6, more=f"sampler = '{sampler}'\nseed = {seed}")
            here.run(study, scored)
            found.append(drawn(here, study))
    assert len(found[0]) == 6
    assert found[0] == found[1]
    same = [cell for cell in found[0] if found[0][cell] == found[2][cell]]
    assert same == ["draw=0,kernel_size=9,seed=0"]


def test_a_search_does_not_learn_from_another(tuned_world):
    found = []
    for name, sizes, factor in (("alone", (9,), 1), ("beside", (9, 33), 1), ("other", (9, 33), -3)):

        def compute(context, factor=factor):
            return fakes.outcome(score(context.params) * (factor if context.params["kernel_size"] == 33 else 1))

        with tuned_world(name) as here:
            study = study_of(here, 5, sizes)
            here.run(study, compute)
            every = drawn(here, study)
        found.append({cell: each for cell, each in every.items() if "kernel_size=9" in cell})
        if len(sizes) > 1:
            others = {cell.replace("=33", "=9"): values for cell, (values, _) in every.items() if "=33" in cell}
            own = {cell: values for cell, (values, _) in found[0].items()}
            assert [cell for cell in own if own[cell] == others[cell]] == ["draw=0,kernel_size=9,seed=0"]
    assert found[0] == found[1] == found[2]


def test_the_sampler_learns_from_scores(tuned_world):
    found = []
    for name, sign in (("up", 1), ("down", -1)):
        with tuned_world(name) as here:
            study = study_of(here, 12)
            here.run(study, lambda context, sign=sign: fakes.outcome(sign * score(context.params)))
            found.append([values for values, _ in drawn(here, study).values()])
    assert found[0][:3] == found[1][:3]  # random at first
    assert found[0][3:] != found[1][3:]


def test_test_scores_change_neither_draws_nor_choice(tuned_world):
    found = []
    for name, best in (("a", 0), ("b", 3), ("c", 5)):

        def compute(context, best=best):
            # a perfect test score for one draw, another one in each world; validation is the same in all
            number = context.params["draw"]
            plain, perfect = fakes.counts(100 + number), fakes.counts(number)
            perfect = LineCounts(perfect.thresholds, perfect.tp + 9, 0 * perfect.fn, 0 * perfect.fp)
            outcome = fakes.outcome(score(context.params), number)
            scores = {"validation": plain, "test": perfect if number == best else fakes.counts(number)}
            f1_test = 1.0 if number == best else 0.0
            return dataclasses.replace(outcome, scores=scores, attributes={"f1_test": f1_test})

        with tuned_world(name) as here:
            study = study_of(here, 6)
            here.run(study, compute)
            (search,) = searches_of(load_runs(here.url))
            found.append((drawn(here, study), search.chosen.params, search.validation))
    assert found[0] == found[1] == found[2]


def interrupted_at(cell, how=Interrupted):
    """A compute that is cut off once, in one cell."""
    over = []

    def compute(context):
        if context.cell == cell and not over:
            over.append(context.params)
            if how is Interrupted:
                os.kill(os.getpid(), signal.SIGINT)
            raise how("cut off")
        return scored(context)

    return compute, over


def test_an_interrupted_draw_goes_on_with_its_values_and_nothing_changes(tuned, tuned_world):
    study, cell = study_of(tuned, 6), "draw=3,kernel_size=9,seed=0"
    compute, before = interrupted_at(cell)
    assert tuned.run(study, compute).exit_code == 130
    waiting = tuned.optuna_study(study).get_trials(states=(TrialState.WAITING,))[-1]
    assert waiting.system_attrs["fixed_params"] == before[0]
    result = tuned.run(study, scored)
    assert set(tuned.states(result).values()) == {"done"}
    cells = list(study.cells())
    assert tuned.executed == cells[:4] + cells[3:]  # before those that learn
    with tuned_world("whole") as whole:
        whole.run(study, scored)
        assert drawn(tuned, study) == drawn(whole, study)
    with Session(tuned.storage().engine) as session:
        attempts = dict(session.execute(select(RunRow.cell, RunRow.attempts)).all())
    assert attempts == dict.fromkeys(study.cells(), 1) | {cell: 2}


def test_a_killed_draw_is_queued_with_the_values_that_it_had_drawn(tuned):
    study, cell = study_of(tuned, 4), "draw=1,kernel_size=9,seed=0"
    tuned.run(study, queue_only=True)
    storage = tuned.storage()
    opened = tuned.optuna_study(study, storage)
    opened.tell(optuna.Trial(opened, opened._pop_waiting_trial_id()).number, 0.5)
    opened.sampler = DrawingSampler(study, RefusingSampler(seed=0))
    trial = optuna.Trial(opened, opened._pop_waiting_trial_id())
    values = {name: suggest_value(trial, name, parameter) for name, parameter in study.tuned.items()}
    opened.tell(trial.number, state=TrialState.FAIL)  # its worker vanished
    assert trial.user_attrs["cell"] == cell
    tuned.run(study, queue_only=True)
    queued = tuned.optuna_study(study).get_trials(states=(TrialState.WAITING,))[-1]
    assert queued.user_attrs["cell"] == cell
    assert {name: queued.system_attrs["fixed_params"][name] for name in NAMES} == values


def test_a_failed_draw_counts_and_is_only_tried_again_with_its_own_values(tuned):
    study, cell = study_of(tuned, 6), "draw=2,kernel_size=9,seed=0"
    compute, before = interrupted_at(cell, ValueError)
    result = tuned.run(study, compute)
    assert tuned.states(result) == dict.fromkeys(study.cells(), "done") | {cell: "failed"}
    assert list(tuned.run(study, scored).plan.queue) == []
    assert len(tuned.executed) == 6
    seen = []
    tuned.run(study, lambda context: seen.append(context.params) or scored(context), retry_failed=True)
    assert seen == before


def test_a_sampler_sees_values_scores_and_curves_and_failed_and_diverged_draws_as_the_worst(tuned):
    study = study_of(tuned, 6)

    def compute(context):
        context.report(0, 0.25)
        if context.params["draw"] == 2:
            raise ValueError("x")
        return fakes.diverged() if context.params["draw"] == 3 else scored(context)

    tuned.run(study, compute)
    past = past_of(study, tuned.optuna_study(study).get_trials(deepcopy=False), "draw=5,kernel_size=9,seed=0")
    assert [(each.user_attrs, each.system_attrs, each.state) for each in past] == [
        ({"draw": number}, {}, TrialState.COMPLETE) for number in range(5)
    ]
    worst = -float("inf")
    assert [each.value for each in past] == [
        worst if number in (2, 3) else score(each.params) for number, each in enumerate(past)
    ]
    assert [each.intermediate_values for each in past] == [{} if number == 2 else {0: 0.25} for number in range(5)]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_small_space_is_drawn_whole_and_nothing_twice(world, sampler):
    world.found = fakes.find("stencil")
    more = f"sampler = '{sampler}'\n[tuning.space.stencil]\nscales = [6, 9]\nset = ['compact', 'smooth']"
    study = study_of(world, 20, more=more)
    assert study.tuning.draws == 8
    world.run(study, lambda context: fakes.outcome(context.params["scales"] / 10))
    found = [(values["set"], values["scales"]) for values, _ in drawn(world, study).values()]
    assert sorted(found) == [(stencils, scales) for stencils in ("compact", "smooth") for scales in (6, 7, 8, 9)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["tpe", "random", "cmaes"]), st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_workers_that_draw_at_the_same_time_draw_different_points(tmp_path, sampler, seed, number):
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    here = fakes.World(tmp_path)
    here.found = fakes.find("siren")
    study = study_of(here, 12, more=f"sampler = '{sampler}'\nseed = {seed}")
    values = [draw(study, [], f"draw={n},kernel_size=9,seed=0") for n in range(number)]
    assert len({tuple(each.values()) for each in values}) == number
    for each in values:
        assert {name: study.tuned[name].check(value) for name, value in each.items()} == each


@pytest.mark.filterwarnings("ignore:.*out of range")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bogus": 3}, "the queue holds bogus"),
        ({"kernel_size": 11}, "expected"),
        ({"draw": 2}, "expected"),
        ({"hidden": 1000}, "hidden"),
        ({"kernel_size": None}, "its queue entry is incomplete"),
    ],
)
def test_a_queued_draw_with_other_parameters_is_refused(tuned, changed, said):
    study = study_of(tuned, 1)
    values = {"kernel_size": 9, "draw": 0, "seed": 0} | study.family.resolve() | changed
    queue_instead(tuned, study, {name: value for name, value in values.items() if value is not None})
    (state,) = tuned.run(study, scored).states
    assert tuned.executed == []
    assert state.state == "failed"
    assert "WrongCellError" in state.detail
    assert said in state.detail


def falling(context):
    """Draws 0 to 4 run through; of the others every second falls behind from its first epoch on."""
    bad = context.params["draw"] >= 5 and context.params["draw"] % 2
    for epoch in range(10):
        context.report(epoch, (0.1 if bad else 0.5) + epoch / 100)
        if epoch < 9 and context.enough():
            return dataclasses.replace(fakes.outcome(), status="pruned", scores={}, facts={}, epochs=epoch + 1)
    return dataclasses.replace(fakes.outcome(0.6), epochs=10)


def test_pruned_draws_are_results_that_count_what_they_spent(tuned):
    study = study_of(tuned, 9, more="pruner = 'median'\n[training]\nepochs = 10")
    result = tuned.run(study, falling)
    pruned = {"draw=5,kernel_size=9,seed=0", "draw=7,kernel_size=9,seed=0"}
    assert {cell for cell, state in tuned.states(result).items() if state == "pruned"} == pruned
    assert result.exit_code == 0
    trials = tuned.optuna_study(study).get_trials(states=(TrialState.PRUNED,))
    assert {t.user_attrs["cell"]: t.user_attrs["status"] for t in trials} == dict.fromkeys(pruned, "pruned")
    assert list(tuned.run(study, falling).plan.queue) == []
    (search,) = searches_of(load_runs(tuned.url))
    epochs = {run.params["draw"]: run.epochs for run in search.draws}
    assert epochs == {d: 4 if d in (5, 7) else 10 for d in range(9)}  # a quarter of the epochs is never cut
    assert (search.epochs, search.whole_epochs, search.saved_epochs) == (78, 90, 12)
    assert (len(search.draws), search.count("pruned"), search.count("ok")) == (9, 2, 7)
    assert search.chosen.status == "ok"


def test_without_a_pruner_nothing_ends_early(tuned):
    study = study_of(tuned, 9, more="[training]\nepochs = 10")
    assert set(tuned.states(tuned.run(study, falling)).values()) == {"done"}


def test_the_median_of_another_search_ends_nothing(tuned):
    study = study_of(tuned, 6, (9, 33), more="pruner = 'median'\n[training]\nepochs = 10")

    def compute(context):
        level = 0.9 if context.params["kernel_size"] == 9 else 0.1
        for epoch in range(10):
            context.report(epoch, level)
            assert not context.enough()
        return fakes.outcome(level)

    assert set(tuned.states(tuned.run(study, compute)).values()) == {"done"}


def test_a_draw_waits_for_the_values_of_one_that_was_claimed_a_moment_before(world, monkeypatch):
    world.found = fakes.find("stencil")
    more = "sampler = 'random'\n[tuning.space.stencil]\nscales = [7, 8]\nset = ['compact', 'smooth']"
    study = study_of(world, 20, more=more)
    world.run(study, queue_only=True)
    opened = world.optuna_study(study)
    ids = [opened._pop_waiting_trial_id() for _ in range(3)]
    storage = opened._storage
    alone = draw(study, opened.get_trials(deepcopy=False), "draw=2,kernel_size=9,seed=0")
    waited = []

    def stored_meanwhile(seconds):  # by the worker that has claimed draw 1
        waited.append(seconds)
        for name, parameter in study.tuned.items():
            distribution = draws._distribution(parameter)
            storage.set_trial_param(ids[1], name, distribution.to_internal_repr(alone[name]), distribution)

    monkeypatch.setattr(draws.time, "sleep", stored_meanwhile)
    sampler = DrawingSampler(study, RefusingSampler())
    trial = storage.get_trial(ids[2])
    values = {name: sampler.sample_independent(opened, trial, name, None) for name in study.tuned}
    assert len(waited) == 1
    assert values != alone
    monkeypatch.setattr(draws, "SETTLING_S", 0)  # a worker that died before it had drawn holds nobody up
    storage.set_trial_state_values(ids[1], TrialState.FAIL)
    assert DrawingSampler(study, RefusingSampler()).sample_independent(opened, trial, "set", None)
    assert len(waited) == 1


def test_two_workers_on_one_queue_share_the_draws(tuned):
    study = study_of(tuned, 6)
    tuned.run(study, queue_only=True)
    other = tuned.storage()
    second = tuned.optuna_study(study, tuned.storage())
    started = []

    def compute(context):
        if not started:  # the second worker begins while the first cell runs
            started.append(context.cell)
            work(second, tuned.job(study, other, lambda inner: tuned.executed.append(inner.cell) or scored(inner)))
        return scored(context)

    result = tuned.run(study, compute)
    assert set(tuned.states(result).values()) == {"done"}
    assert sorted(tuned.executed) == sorted(study.cells())
    values = [tuple(each.values()) for each, _ in drawn(tuned, study).values()]
    assert len(set(values)) == 6
