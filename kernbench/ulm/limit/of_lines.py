"""The bounds of all bubbles of the first lines of a split, from the cache or computed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernbench.host.cache_folder import cache_folder
from kernbench.ulm.data.cache import Damaged, Facts, found_or_made, read_entry, write_entry
from kernbench.ulm.data.recipe import Recipe, check_split, draw_line
from kernbench.ulm.limit.bound import bounds, echo_slopes
from kernbench.ulm.line import DEFAULT_PULSE, SAMPLES
from kernbench.ulm.simulator.echoes import Setup, reaching
from kernbench.ulm.simulator.physics import FloatArray
from kernbench.ulm.simulator.reach import echo_of
from kernbench.ulm.simulator.scene import Bubbles, IntArray, flatten

VERSION = 1  # raise it when the same recipe gives other bounds
LINES = 128  # of a split that are looked at
ECHO_SAMPLES = 180  # of the default pulse: an echo that begins nearer to the end of a window is cut off there
MARGIN = 11  # of it after 99 % of the energy of the echo; other pulses have the same
TOGETHER = 1 << 22  # samples of echoes that are in memory

Progress = Callable[[int, int], None]
Columns = dict[str, FloatArray]


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
        echo_samples: what an echo needs before the end of the window.
    """

    line: IntArray
    arrival: FloatArray
    per_volt: FloatArray
    gap: FloatArray
    lines: int
    length: int
    echo_samples: int = ECHO_SAMPLES

    def __len__(self) -> int:
        return len(self.line)

    @property
    def inner(self) -> npt.NDArray[np.bool_]:
        """Whose echo does not run past the end of the window, (bubbles,)."""
        return np.asarray(self.arrival <= self.length - self.echo_samples)


def limits_of(recipe: Recipe, split: str, lines: int = LINES, progress: Progress | None = None) -> Limits:
    """Bounds of the bubbles of the first lines of a split, radii known; from the cache, or computed and kept there.

    Args:
        recipe: of the lines.
        split: which.
        lines: how many at most; 128 windows of 2,048 samples take a quarter of a minute.
        progress: called as progress(lines done, lines in all) where they are computed.

    Raises:
        DataError: no such split, the cache cannot be written, or see `simulate_lines`.
    """
    check_split(split, recipe.lines, "the recipe")
    wanted = min(lines, recipe.lines[split])
    folder = cache_folder() / "limits" / recipe.digest() / f"{split}-{wanted}-v{VERSION}"
    facts = {"version": VERSION, "recipe": recipe.facts(), "split": split, "lines": wanted}
    return found_or_made(
        folder,
        lambda: _find(folder, facts, recipe),
        lambda: write_entry(folder, _compute(recipe, split, wanted, progress), facts),
        ("bounds", "computing"),
    )


def _find(folder: Path, facts: Facts, recipe: Recipe) -> Limits | None:
    entry = read_entry(folder)
    if entry is None:
        return None
    arrays, found = entry
    if found != facts:
        raise Damaged("it belongs to other lines, or to another version")
    return _limits({name: np.array(values) for name, values in arrays.items()}, facts["lines"], recipe)


def _limits(arrays: Columns, lines: int, recipe: Recipe) -> Limits:
    columns = {name: values for name, values in arrays.items() if name != "line"}
    echo = ECHO_SAMPLES if recipe.pulse == DEFAULT_PULSE else echo_of(recipe.pulse).ninety_nine_percent + MARGIN
    line, length = arrays["line"].astype(np.int64), recipe.window or SAMPLES
    return Limits(line=line, **columns, lines=lines, length=length, echo_samples=echo)


def _compute(recipe: Recipe, split: str, lines: int, progress: Progress | None) -> Columns:
    """Columns of `Limits`: every bubble that reaches a window is unknown, those that are labelled in it are kept."""
    drawn = [draw_line(recipe, split, line) for line in range(lines)]
    starts, length = np.array([start for _, start in drawn], np.int64), recipe.window or SAMPLES
    responses = recipe.transmit_response, recipe.receive_response
    setup = Setup(recipe.time_step_ns * 1e-9, *responses, recipe.pulse, recipe.bubbles)
    everything = flatten([scene for scene, _ in drawn])
    bubbles = reaching(everything, starts, length, setup)
    start = starts[bubbles.line]
    columns = {
        "line": bubbles.line.astype(np.float64),
        "arrival": bubbles.arrival_samples - start,
        "per_volt": _bounds(bubbles, starts, length, setup, progress),
        "gap": _gaps(everything, bubbles),
    }
    order = np.lexsort((columns["arrival"], bubbles.line))
    order = order[((bubbles.labels >= start) & (bubbles.labels < start + length))[order]]
    return {name: values[order] for name, values in columns.items()}


def _bounds(bubbles: Bubbles, starts: IntArray, length: int, setup: Setup, progress: Progress | None) -> FloatArray:
    """Bounds of bubbles in the order of their lines; the echoes of several lines are simulated together."""
    lines = len(starts)
    ends = np.searchsorted(bubbles.line, np.arange(lines + 1))
    found = np.empty(len(bubbles))
    line = 0
    while line < lines:
        stop = max(line + 1, int(np.searchsorted(ends, ends[line] + TOGETHER // length, side="right")) - 1)
        slopes = echo_slopes(bubbles[ends[line] : ends[stop]], starts, length, setup)
        for each in range(line, stop):
            found[ends[each] : ends[each + 1]] = bounds(slopes[ends[each] - ends[line] : ends[each + 1] - ends[line]])
            if progress is not None:
                progress(each + 1, lines)
        line = stop
    return found


def _gaps(everything: Bubbles, bubbles: Bubbles) -> FloatArray:
    """Distance of the arrival of each bubble to the nearest other one of its line [samples]."""
    apart = 4 * SAMPLES  # between lines, which have one row of places together
    around = np.concatenate([[-np.inf], np.sort(everything.arrival_samples + apart * everything.line), [np.inf]])
    place = bubbles.arrival_samples + apart * bubbles.line
    own = np.searchsorted(around, place, side="left")
    gap = np.minimum(place - around[own - 1], around[own + 1] - place)
    return np.where(gap > SAMPLES, np.inf, gap)
