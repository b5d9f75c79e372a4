"""The bounds of all bubbles of the first lines of a split, from the cache or computed."""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernbench.errors import KernbenchWarning
from kernbench.host.cache_folder import cache_folder
from kernbench.ulm.data.cache import Damaged, Facts, locked, read_entry, write_entry
from kernbench.ulm.data.recipe import TIME_STEPS_NS, Recipe, check_split, draw_line
from kernbench.ulm.limit.bound import bounds, echo_slopes
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.echoes import Setup, reaching
from kernbench.ulm.simulator.physics import FloatArray
from kernbench.ulm.simulator.scene import IntArray, flatten

VERSION = 1  # raise it when the same recipe gives other bounds
LINES = 128  # of a split that are looked at
ECHO_SAMPLES = 180  # an echo that begins nearer to the end of a window is cut off there

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Limits:
    """Bubbles that are labelled inside their window, by line and arrival, each column (bubbles,).

    Attributes:
        line: index of the line.
        arrival: in samples from the first of the window, not rounded.
        per_volt: bound of the arrival at noise of 1 a.u. before its filter [samples per a.u.]; proportional to it.
        gap: to the arrival of the nearest other bubble of the whole line [samples]; infinite where there is none.
        lines: how many lines were looked at.
        length: samples of a window.
    """

    line: IntArray
    arrival: FloatArray
    per_volt: FloatArray
    gap: FloatArray
    lines: int
    length: int

    def __len__(self) -> int:
        return len(self.line)

    @property
    def inner(self) -> npt.NDArray[np.bool_]:
        """Whose echo does not run past the end of the window, (bubbles,)."""
        return np.floor(self.arrival + 0.5) <= self.length - ECHO_SAMPLES


def limits_of(recipe: Recipe, split: str, lines: int = LINES, progress: Progress | None = None) -> Limits:
    """Bounds of the bubbles of the first lines of a split, radii known; from the cache, or computed and kept there.

    Args:
        recipe: of the lines.
        split: which.
        lines: how many at most; 128 windows of 2,048 samples take some 40 s.
        progress: called as progress(lines done, lines in all) where they are computed.

    Raises:
        DataError: no such split, the cache cannot be written, or see `simulate_lines`.
    """
    check_split(split, recipe.lines, "the recipe")
    wanted = min(lines, recipe.lines[split])
    folder = cache_folder() / "limits" / recipe.digest() / f"{split}-{wanted}"
    facts = {"version": VERSION, "recipe": recipe.facts(), "split": split, "lines": wanted}
    with contextlib.suppress(Damaged):
        if found := _find(folder, facts, recipe):
            return found
    with locked(folder):
        try:
            if found := _find(folder, facts, recipe):  # made while we waited
                return found
        except Damaged as damage:
            message = f"cached bounds in {folder} cannot be used ({damage}); computing them again"
            warnings.warn(message, KernbenchWarning, stacklevel=2)
        arrays = _compute(recipe, split, wanted, progress)
        write_entry(folder, arrays, facts)
    return _limits(arrays, wanted, recipe)


def limits_of_line(recipe: Recipe, split: str, line: int) -> Limits:
    """Bounds of the bubbles of one line, computed; `line` is 0 in the result."""
    return _limits(_of_line(recipe, split, line), 1, recipe)


def _find(folder: Path, facts: Facts, recipe: Recipe) -> Limits | None:
    entry = read_entry(folder)
    if entry is None:
        return None
    arrays, found = entry
    if found != facts:
        raise Damaged("it belongs to other lines, or to another version")
    return _limits({name: np.array(values) for name, values in arrays.items()}, facts["lines"], recipe)


def _limits(arrays: dict[str, npt.NDArray[np.float64]], lines: int, recipe: Recipe) -> Limits:
    columns = {name: values for name, values in arrays.items() if name != "line"}
    return Limits(line=arrays["line"].astype(np.int64), **columns, lines=lines, length=recipe.window or SAMPLES)


def _compute(recipe: Recipe, split: str, lines: int, progress: Progress | None) -> dict[str, npt.NDArray[np.float64]]:
    parts = []
    for line in range(lines):
        parts.append(_of_line(recipe, split, line))
        parts[-1]["line"] += line
        if progress is not None:
            progress(line + 1, lines)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_line(recipe: Recipe, split: str, line: int) -> dict[str, npt.NDArray[np.float64]]:
    """Columns of `Limits` for one line; every bubble that reaches the window is unknown, those labelled in it are kept."""
    scene, start = draw_line(recipe, split, line)
    setup = Setup(TIME_STEPS_NS[recipe.population] * 1e-9, recipe.transmit_response, recipe.receive_response)
    length, starts = recipe.window or SAMPLES, np.array([start])
    everything = flatten([scene])
    bubbles = reaching(everything, starts, length, setup)
    found = bounds(echo_slopes(bubbles, starts, length, setup))
    arrival = bubbles.arrival_samples
    gap = _gaps(np.sort(everything.arrival_samples), arrival)
    inside = (bubbles.labels >= start) & (bubbles.labels < start + length)
    order = np.argsort(arrival, kind="stable")
    order = order[inside[order]]
    columns = {"arrival": arrival - start, "per_volt": found, "gap": gap, "line": np.zeros(len(bubbles))}
    return {name: values[order] for name, values in columns.items()}


def _gaps(everything: FloatArray, arrival: FloatArray) -> FloatArray:
    """Distance of each arrival to the nearest other one, of all in rising order."""
    around = np.concatenate([[-np.inf], everything, [np.inf]])
    own = np.searchsorted(everything, arrival, side="left") + 1
    return np.minimum(arrival - around[own - 1], around[own + 1] - arrival)
