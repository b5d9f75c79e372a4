"""Draws of a tuned study. A search is one point of the axes and one seed; it learns from its own draws and no others.

Sampler and pruner are made for every decision, over a study in memory that holds the search's draws: their
parameters, validation scores and learning curves, and nothing else. So a decision is a function of the study file, the
draw and the results so far, in whichever process it is made, and no sampler's state is kept in the database.
"""

import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Container, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from kernbench.kernels.space import Choice, Int, Parameter
from kernbench.store.tables.cell_states import cell_states, is_stray, worker_is_gone
from kernbench.store.tables.optuna_tables import storage_of, trial_id
from kernbench.study.cell import CellState
from kernbench.study.settings import Value
from kernbench.study.study import Params, Study
from kernbench.study.tuning import CMAES, DRAW, MEDIAN, RANDOM, Tuning

WORST = float("-inf")
MOST_RANDOM = 10  # TPE begins with random draws: a quarter of the budget, this many at most
SAME_AGAIN = 20  # a setting that was drawn before would give the same score: so often another is drawn
MOST_LISTED = 10_000  # spaces up to this size are searched for what is left
PRUNER_STARTUP = 5  # complete draws before any is ended early
PRUNER_WARMUP = 0.25  # of the epochs, in which none is
SETTLING_S = 10.0  # for a draw that was claimed a moment ago; its worker may have died elsewhere
PUT_BACK = "put_back"


class DrawingSampler(RandomSampler):
    """Draws what a study tunes, all of it together; whatever else a queued cell lacks is left to another sampler.

    Args:
        study: a tuned one.
        otherwise: asked for every other parameter; it refuses.
    """

    def __init__(self, study: Study, otherwise: BaseSampler) -> None:
        super().__init__(seed=0)  # never used: values are drawn when they are asked for, in the attempt that may fail
        self._study, self._otherwise = study, otherwise
        self._drawn: tuple[int, Params] = (-1, {})

    def sample_independent(self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        """One of the drawn values."""
        if param_name not in self._study.tuned:
            return self._otherwise.sample_independent(study, trial, param_name, param_distribution)
        if self._drawn[0] != trial_id(trial):
            cell = str(trial.user_attrs["cell"])
            self._drawn = trial_id(trial), draw(self._study, _settled(self._study, study, cell), cell)
        return self._drawn[1][param_name]


def _settled(study: Study, optuna_study: optuna.Study, cell: str) -> list[FrozenTrial]:
    """All trials, once every earlier draw of the search that has been claimed has its values.

    Workers that start together would otherwise draw without seeing each other, and in a small space the same.
    """
    cells = study.cells()
    earlier = {each for each in _search(study, cell) if int(cells[each][DRAW]) < int(cells[cell][DRAW])}
    until = time.monotonic() + SETTLING_S
    while True:
        trials = optuna_study.get_trials(deepcopy=False)
        drawing = any(_is_drawing(study, t) for t in trials if t.user_attrs.get("cell") in earlier)
        if not drawing or time.monotonic() > until:
            return trials
        time.sleep(0.05)


def _is_drawing(study: Study, trial: FrozenTrial) -> bool:
    running = trial.state == TrialState.RUNNING and PUT_BACK not in trial.user_attrs and not worker_is_gone(trial)
    return running and values_of(study, trial) is None


def draw(study: Study, trials: Sequence[FrozenTrial], cell: str) -> Params:
    """Values of what is tuned, for one cell.

    Args:
        study: a tuned one.
        trials: all of its Optuna study.
        cell: whose values; draw 0 has the family's defaults.
    """
    assert study.tuning is not None
    number = int(study.cells()[cell][DRAW])
    if number == 0:
        return study.tuning.defaults
    past = past_of(study, trials, cell)
    memory = _memory(study, past, cell)
    tried = [each.params for each in past]
    for attempt in range(SAME_AGAIN):
        memory.sampler = _sampler(study.tuning, _seed(study, cell, number, attempt))
        values = dict(memory.ask(_space(study)).params)
        if values not in tried:
            return values
    left = _left(study.tuning, tried)
    return left[_seed(study, cell, number, SAME_AGAIN) % len(left)] if left else values


def past_of(study: Study, trials: Sequence[FrozenTrial], cell: str) -> list[FrozenTrial]:
    """The other draws of the cell's search whose values are known, by number, as a sampler may see them.

    Of each its values, the curve and score on validation lines, and nothing else. A draw whose score is still to come
    is RUNNING; one that diverged or failed has the worst score.
    """
    cells = study.cells()
    search = {c: int(cells[c][DRAW]) for c in _search(study, cell) if c != cell}
    attempts: dict[str, list[FrozenTrial]] = {}
    for trial in trials:
        if trial.user_attrs.get("cell") in search and not is_stray(trial):
            attempts.setdefault(trial.user_attrs["cell"], []).append(trial)
    states = sorted(cell_states(search, trials), key=lambda state: search[state.cell])
    found = [_past(study, search[state.cell], state, attempts.get(state.cell, [])) for state in states]
    return [each for each in found if each is not None]


def _past(study: Study, number: int, state: CellState, attempts: Sequence[FrozenTrial]) -> FrozenTrial | None:
    ended = [t for t in attempts if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    known = [values for t in ended or reversed(attempts) if (values := values_of(study, t)) is not None]
    if not known:
        return None
    seen: dict[str, Any] = {"state": TrialState.RUNNING}
    if ended:
        seen = {"state": ended[0].state, "intermediate_values": ended[0].intermediate_values}
        if ended[0].state == TrialState.COMPLETE:  # a pruned one's value is none
            seen["value"] = ended[0].value
    elif state.state == "failed" and not state.retry:  # it counts, and no draw should come near it again
        seen = {"state": TrialState.COMPLETE, "value": WORST}
    return create_trial(params=known[0], distributions=_space(study), user_attrs={DRAW: number}, **seen)


def values_of(study: Study, trial: FrozenTrial) -> Params | None:
    """What a trial has drawn, or was queued with; None unless all of it is there."""
    given: Params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    return {name: given[name] for name in study.tuned} if set(study.tuned) <= set(given) else None


def queued_values(study: Study, trials: Sequence[FrozenTrial], cell: str) -> Params:
    """What a cell is queued with: axes, draw and seed; the defaults for draw 0; values that an earlier attempt drew.

    A draw that was cut off goes on with its own values, as its checkpoint needs.
    """
    fixed = study.cells()[cell]
    if study.tuning is None:
        return dict(fixed)
    if fixed[DRAW] == 0:
        return fixed | study.tuning.defaults
    known = (values_of(study, trial) for trial in reversed(trials) if trial.user_attrs.get("cell") == cell)
    return fixed | next(filter(None, known), {})


def out_of_turn(study: Study, trials: Sequence[FrozenTrial], cell: str, served: Container[str]) -> bool:
    """Whether a draw of a lower number waits in the same search: it was cut off, and this one is to learn from it.

    Args:
        study: a tuned one.
        trials: all of its Optuna study.
        cell: the draw that was claimed.
        served: cells that the worker runs; it would wait for others without end.
    """
    number, cells = study.cells()[cell][DRAW], study.cells()
    waiting = {t.user_attrs.get("cell") for t in trials if t.state == TrialState.WAITING}
    earlier = (each for each in _search(study, cell) if each in served and int(cells[each][DRAW]) < int(number))
    return any(each in waiting for each in earlier)


def put_back(optuna_study: optuna.Study, trial: optuna.Trial) -> None:
    """Queue a claimed cell again, behind those that wait; the caller prunes the trial."""
    fixed = queued(trial)
    trial.set_user_attr(PUT_BACK, True)  # until it is pruned it must not pass for the one that may run
    optuna_study.enqueue_trial(fixed, user_attrs={"cell": trial.user_attrs["cell"]})


def suggest_value(trial: optuna.Trial, name: str, parameter: Parameter) -> Value:
    """Value of a tuned hyper-parameter: the queued one, or drawn now."""
    if isinstance(parameter, Choice):
        value = trial.suggest_categorical(name, list(parameter.options))
        assert value is not None  # no space has None among its options
        return value
    ask = trial.suggest_int if isinstance(parameter, Int) else trial.suggest_float
    return ask(name, parameter.low, parameter.high, log=parameter.log)  # type: ignore[arg-type]


def unknown_names(study: Study, trial: optuna.Trial) -> list[str]:
    """Queued parameters that the study neither fixes nor tunes."""
    known = {*study.axes, *study.tuned, DRAW, "seed"}
    return sorted(set(queued(trial)) - known)


def queued(trial: optuna.Trial) -> Params:
    """What a trial was queued with."""
    fixed: Params = _frozen(trial).system_attrs.get("fixed_params", {})
    return fixed


def early_end(study: Study, trial: optuna.Trial, params: Params) -> Callable[[], bool]:
    """A function, asked after each epoch, that says whether a draw has fallen behind the median of its search."""
    if study.tuning is None or study.tuning.pruner != MEDIAN:
        return lambda: False
    epochs = int(params.get("epochs", study.definition["training"].get("epochs", 1)))
    looked: set[int] = set()

    def behind() -> bool:
        now = _frozen(trial)
        if now.last_step is None or now.last_step in looked:
            return False
        looked.add(now.last_step)
        memory = _memory(study, past_of(study, trial.study.get_trials(deepcopy=False), now.user_attrs["cell"]))
        pruner = optuna.pruners.MedianPruner(
            n_startup_trials=PRUNER_STARTUP, n_warmup_steps=math.ceil(PRUNER_WARMUP * epochs), interval_steps=1
        )
        return pruner.prune(memory, now)

    return behind


def _frozen(trial: optuna.Trial) -> FrozenTrial:
    return storage_of(trial.study).get_trial(trial_id(trial))


def _search(study: Study, cell: str) -> list[str]:
    """Cells that differ from this one in their draw only, itself among them."""
    cells = study.cells()
    wanted = _point(cells[cell])
    return [each for each, params in cells.items() if _point(params) == wanted]


def _point(params: Params) -> Params:
    return {name: value for name, value in params.items() if name != DRAW}


def _space(study: Study) -> dict[str, BaseDistribution]:
    return {name: _distribution(parameter) for name, parameter in study.tuned.items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.options)
    if isinstance(parameter, Int):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _memory(study: Study, past: Sequence[FrozenTrial], cell: str = "") -> optuna.Study:
    """A study in memory that holds the draws so far."""
    assert study.tuning is not None
    memory = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        direction="maximize",
        sampler=RandomSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
    )
    if cell and study.tuning.sampler == CMAES:
        _replay(study, memory, past, cell)
        return memory
    memory.add_trials(past)
    return memory


def _replay(study: Study, memory: optuna.Study, past: Sequence[FrozenTrial], cell: str) -> None:
    """Ask and tell the draws so far one by one: CMA-ES notes its state in trials as it asks.

    Kept in the database that state would be a pickle, which must not be read from a file that others can write.
    """
    assert study.tuning is not None
    for each in past:
        memory.sampler = _sampler(study.tuning, _seed(study, cell, each.user_attrs[DRAW], 0))
        memory.enqueue_trial(each.params)
        trial = memory.ask(_space(study))
        if each.state != TrialState.RUNNING:
            memory.tell(trial, each.value, state=each.state)


def _sampler(tuning: Tuning, seed: int) -> BaseSampler:
    if tuning.sampler == RANDOM:
        return RandomSampler(seed=seed)
    if tuning.sampler == CMAES:
        return CmaEsSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
    startup = max(1, min(MOST_RANDOM, tuning.trials // 4))
    return TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)


def _seed(study: Study, cell: str, number: int, attempt: int) -> int:
    """Seed of one draw: another one for each family, search, draw and attempt at it, the same on every machine."""
    assert study.tuning is not None
    what = [study.tuning.seed, study.family.name, sorted(_point(study.cells()[cell]).items()), number, attempt]
    text = hashlib.blake2b(json.dumps(what).encode(), key=b"kernbench draw", digest_size=4)
    return int.from_bytes(text.digest(), "big")


def _left(tuning: Tuning, tried: Sequence[Params]) -> list[Params]:
    """Settings of a small space that were not drawn yet."""
    if tuning.settings > MOST_LISTED:
        return []
    values = [p.options if isinstance(p, Choice) else range(int(p.low), int(p.high) + 1) for p in tuning.space.values()]
    every = (dict(zip(tuning.space, each, strict=True)) for each in itertools.product(*values))
    return [each for each in every if each not in tried]
