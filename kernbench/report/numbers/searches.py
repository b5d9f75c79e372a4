"""Searches of a tuned study: which draw is chosen at each point of the axes, and what the search has spent.

The choice sees validation scores and nothing else; test scores are read of the chosen draw, after it was chosen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernbench.report.numbers.points import VALIDATION, Value, line_f1
from kernbench.report.numbers.worlds import Worlds
from kernbench.store.reading.records import OK, PRUNED, Run
from kernbench.study.tuning import DRAW


@dataclass(frozen=True, eq=False)
class Search:
    """Draws of one family at one point of the axes, with one seed.

    Attributes:
        draws: cells that have ended, by number of their draw; 0 is the family's default setting.
    """

    draws: tuple[Run, ...]

    @property
    def family(self) -> str:
        """Kernel family."""
        return self.draws[0].family

    @property
    def tuned(self) -> tuple[str, ...]:
        """Hyper-parameters that are drawn; none for a family that has nothing to tune."""
        return tuple(_tuned(self.draws[0]))

    @property
    def point(self) -> dict[str, Value]:
        """Axis values and seed."""
        return _point(self.draws[0])

    @property
    def budget(self) -> int:
        """Draws of this family: all that the study allows, or every setting once where there are fewer."""
        return int(self.draws[0].definition["kernel"]["draws"])

    @property
    def allowed(self) -> int:
        """Draws that the study gives to every family."""
        return int(self.draws[0].definition["tuning"]["trials"])

    @cached_property
    def validation(self) -> dict[int, float]:
        """Mean validation F1 of every draw that has one."""
        return {_number(run): f1 for run in self.draws if (f1 := validation_f1(run)) is not None}

    @cached_property
    def chosen(self) -> Run | None:
        """The draw of the highest validation F1; None while there is none."""
        number = choose(self.validation)
        return None if number is None else self._of(number)

    @cached_property
    def default(self) -> Run | None:
        """The family's own setting, if it has a score."""
        return self._of(0) if 0 in self.validation else None

    @property
    def shown(self) -> Run:
        """What represents this search among cells that were not tuned: the chosen draw, or one without a score."""
        return replace(self.chosen or self.draws[-1], params=self.point)

    def setting(self, run: Run) -> dict[str, Value]:
        """What was drawn."""
        return {name: run.params[name] for name in self.tuned if name in run.params}

    def best_so_far(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Numbers of the draws and the highest validation F1 up to each, (n,) both; NaN before the first score."""
        numbers = np.array([_number(run) for run in self.draws], np.int64)
        scores = np.array([self.validation.get(int(number), -np.inf) for number in numbers])
        best = np.maximum.accumulate(scores)
        return numbers, np.where(np.isfinite(best), best, np.nan)

    def count(self, status: str) -> int:
        """Draws that ended so."""
        return sum(run.status == status for run in self.draws)

    @property
    def epochs(self) -> int:
        """Epochs trained, those of unfinished draws included."""
        return sum(run.epochs or 0 for run in self.draws)

    @property
    def whole_epochs(self) -> int:
        """Epochs that these draws take when none ends early."""
        return sum(_epochs(run) for run in self.draws)

    @property
    def saved_epochs(self) -> int:
        """Epochs that draws which were ended early did not train."""
        return sum(_epochs(run) - (run.epochs or 0) for run in self.draws if run.status == PRUNED)

    @property
    def seconds(self) -> float:
        """Wall time of all draws."""
        return sum(run.seconds or 0.0 for run in self.draws)

    def _of(self, number: int) -> Run:
        return next(run for run in self.draws if _number(run) == number)


def choose(validation: Mapping[int, float]) -> int | None:
    """The draw of the highest validation F1, the first of several; None without any.

    Args:
        validation: draw -> mean validation F1.
    """
    return min(validation, key=lambda number: (-validation[number], number), default=None)


def validation_f1(run: Run) -> float | None:
    """Mean F1 on the validation lines at the headline tolerance; None without scores."""
    scores = run.scores.get(VALIDATION)
    if run.status != OK or scores is None or run.tolerance not in scores.tolerances:
        return None
    return float(line_f1(scores, run.tolerance).mean())


def is_tuned(run: Run) -> bool:
    """Whether a cell is a draw of a tuned study."""
    return "tuning" in run.definition and DRAW in run.params


def searches_of(runs: Iterable[Run]) -> list[Search]:
    """Searches among the cells, by family, point and seed; none in studies that are not tuned."""
    runs = list(runs)
    worlds = Worlds(runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if is_tuned(run):  # draws of two plugins or protocols do not compete
            key = (run.study, run.digest, worlds.parts(run), sorted(_point(run).items()))
            groups.setdefault(repr(key), []).append(run)
    return [Search(tuple(sorted(members, key=_number))) for members in groups.values()]


def shown_runs(runs: Sequence[Run], searches: Sequence[Search]) -> list[Run]:
    """Cells to compare: those of grids, and one draw of each search."""
    return [*(run for run in runs if not is_tuned(run)), *(search.shown for search in searches)]


def varying(searches: Sequence[Search]) -> set[str]:
    """Names of the axes on which searches differ, and of the seed where there are several."""
    names = {name for search in searches for name in search.point}
    return {name for name in names if len({search.point.get(name) for search in searches}) > 1}


def setting_text(setting: Mapping[str, Value]) -> str:
    """Drawn values for reading: "hidden = 32, omega_0 = 12.4"."""
    short = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in setting.items()}
    return ", ".join(f"{name} = {value}" for name, value in short.items())


def _tuned(run: Run) -> Mapping[str, Mapping[str, int | float]]:
    found: Mapping[str, Mapping[str, int | float]] = run.definition.get("kernel", {}).get("tuned", {})
    return found


def _point(run: Run) -> dict[str, Value]:
    return {name: value for name, value in run.params.items() if name != DRAW and name not in _tuned(run)}


def _number(run: Run) -> int:
    return int(run.params[DRAW])


def _epochs(run: Run) -> int:
    return int(run.params.get("epochs", run.definition.get("training", {}).get("epochs", 0)))
