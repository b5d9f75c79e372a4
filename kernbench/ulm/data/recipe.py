"""Data sets: splits of simulated lines, each a function of (recipe, seed), cached under the recipe's digest."""

import contextlib
import importlib.metadata
import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError, close_match, first_line
from kernbench.host.accelerator import is_cpu
from kernbench.host.cache_folder import cache_folder
from kernbench.host.files import json_digest, sha256_of_file
from kernbench.host.memory import is_out_of_memory
from kernbench.ulm.data.cache import (
    Array,
    Damaged,
    Facts,
    describe_entry,
    found_or_made,
    listed,
    read_entry,
    write_entry,
)
from kernbench.ulm.data.time_steps import at_their_steps
from kernbench.ulm.line import DEFAULT_PULSE, LABEL_SUPPORT, SAMPLES, depth_range_of, label_support_of
from kernbench.ulm.simulator.population import check_population, draw_scene, stream
from kernbench.ulm.simulator.pulses import check_pulse_name, pulse_facts
from kernbench.ulm.simulator.scene import IntArray, Scene
from kernbench.ulm.simulator.simulate import NONLINEAR, Lines, Progress, check_bubbles, simulate_lines

__all__ = ["SPLITS", "CacheEntry", "Recipe", "Split", "cache_folder", "describe_cache", "load_split"]

RECIPE_VERSION = 1  # raise it when the same recipe gives other lines
SPLITS = ("train", "validation", "test")  # the position is the random stream: never reorder

# Bubbles below 1 um need the smaller step: at 16 ns their echoes are off by up to 6 %. Single lines may need it,
# too, see `step_ns`.
TIME_STEPS_NS = {"monodisperse": 16, "polydisperse": 8}


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a data set.

    Attributes:
        lines: number of lines per split; keys out of train, validation, test.
        window: samples of a window at a random depth of each line, 1 to 7865, or None for whole lines.
        population: "monodisperse" or "polydisperse".
        seed: 0 or more.
        transmit_response: measured response (.mat), or None for the embedded fit.
        receive_response: the same for reception.
        pulse: name of the driving pulse, or the path of a file with one. With the default pulse bubbles are 3.7 to
            96.3 mm deep, with every other one 3.7 to 85 mm: all those have the same bubbles and pressures of one seed.
        bubbles: "nonlinear" or "linear", see `simulate_lines`.

    Raises:
        DataError: a value that cannot be used.
    """

    lines: Mapping[str, int]
    window: int | None = None
    population: str = "monodisperse"
    seed: int = 0
    transmit_response: str | None = None
    receive_response: str | None = None
    pulse: str = DEFAULT_PULSE
    bubbles: str = NONLINEAR

    def __post_init__(self) -> None:
        for split, number in self.lines.items():
            check_split(split, SPLITS, "a recipe")
            if number < 1:
                raise DataError(f"split {split}: expected 1 line or more, got {number}")
        check_pulse_name(self.pulse)
        check_bubbles(self.bubbles)
        first, stop = self.label_support
        longest = stop - first
        if self.window is not None and not 1 <= self.window <= longest:
            raise DataError(f"window: expected 1 to {longest} samples or none, got {self.window}")
        if self.seed < 0:
            raise DataError(f"seed: expected 0 or more, got {self.seed}")
        check_population(self.population)

    @property
    def label_support(self) -> tuple[int, int]:
        """[first, stop) of the samples of a whole line that can carry a label."""
        return label_support_of(self.pulse)

    @property
    def time_step_ns(self) -> int:
        """Step of the bubble equation: the smaller of what population and pulse need.

        Raises:
            DataError: a pulse file that cannot be used.
        """
        return min(TIME_STEPS_NS[self.population], pulse_facts(self.pulse)[1])

    def facts(self) -> Facts:
        """What the digest covers, as JSON: measured responses and pulse files by content, not by path.

        Pulse and kind of bubbles are left out where they are the usual ones: lines that were cached before there were
        others are still found.
        """
        usual = {"pulse": DEFAULT_PULSE, "bubbles": NONLINEAR}
        own = {"pulse": pulse_facts(self.pulse)[0], "bubbles": self.bubbles}
        return {name: value for name, value in vars(self).items() if name not in usual} | {
            "version": RECIPE_VERSION,
            "lines": dict(self.lines),
            "time_step_ns": self.time_step_ns,
            "transmit_response": _content(self.transmit_response),
            "receive_response": _content(self.receive_response),
            **{name: value for name, value in own.items() if value != usual[name]},
        }

    def digest(self) -> str:
        """Name of the data set: 12 hexadecimal digits, the same on every machine.

        Raises:
            DataError: a response file cannot be read.
        """
        return json_digest(self.facts())


@dataclass(frozen=True, eq=False)
class Split:
    """Lines of one split.

    Attributes:
        name: train, validation or test.
        voltage: clean signal, (lines, samples) float32, a.u.; read-only memory map.
        counts: bubbles that arrive in each sample, (lines, samples) uint8; read-only memory map.
        bubbles: drawn for the whole line, (lines,).
        pressure_pa: amplitude of the pulse, (lines,).
        starts: first sample of the window in its line, (lines,); 0 for whole lines.
        label_support: [first, stop) of the samples of a whole line that can carry a label.
    """

    name: str
    voltage: npt.NDArray[np.float32]
    counts: npt.NDArray[np.uint8]
    bubbles: IntArray
    pressure_pa: npt.NDArray[np.float64]
    starts: IntArray
    label_support: tuple[int, int] = LABEL_SUPPORT


@dataclass(frozen=True)
class CacheEntry:
    """One split in the cache, for `kernbench data info`.

    Attributes:
        digest: of its recipe.
        split: train, validation or test.
        size_bytes: of all its files.
        lines: number of lines; 0 if damaged.
        recipe: what the digest covers; empty if damaged.
        problem: why it will be simulated again, empty if it is intact.
    """

    digest: str
    split: str
    size_bytes: int
    lines: int
    recipe: Mapping[str, Any]  # JSON
    problem: str


def load_split(recipe: Recipe, split: str, *, device: str = "cpu", progress: Progress | None = None) -> Split:
    """Lines of a split, from the cache or simulated.

    Several processes may ask concurrently: one simulates, the others wait. A cut, changed or missing file is noticed
    and the split simulated again, with a KernbenchWarning. An intact split is found in a read-only cache, too.

    Args:
        recipe: what to simulate.
        split: train, validation or test.
        device: where to simulate; the lines agree to rounding.
        progress: called as progress(bubbles done, bubbles in all) while simulating.

    Raises:
        DataError: no such split, the cache cannot be written, or see `simulate_lines`.
    """
    check_split(split, recipe.lines, "the recipe")
    folder = lines_folder() / recipe.digest() / split
    return found_or_made(
        folder,
        lambda: _find(recipe, split, folder),
        lambda: _simulate(recipe, split, folder, device, progress),
        ("lines", "simulating"),
    )


def lines_folder() -> Path:
    """Simulated lines in the cache: a folder DIGEST/SPLIT each."""
    return cache_folder() / "lines"


def describe_cache() -> list[CacheEntry]:
    """All splits in the cache, with checksums verified, sorted by digest and split."""
    found = []
    for folder in (split for digest in listed(lines_folder()) for split in listed(digest)):
        facts, size, problem = describe_entry(folder)
        lines, recipe = len(facts.get("starts", ())), facts.get("recipe", {})
        found.append(CacheEntry(folder.parent.name, folder.name, size, lines, recipe, problem))
    return found


def draw_line(recipe: Recipe, split: str, line: int) -> tuple[Scene, int]:
    """Scene and first window sample of one line; depends on seed, split and line only.

    The same scene underlies a windowed and a whole line of one seed.
    """
    scene_stream, window_stream = (stream(recipe.seed, SPLITS.index(split), line, purpose) for purpose in (0, 1))
    scene = draw_scene(scene_stream, recipe.population, depth_range_of(recipe.pulse))
    if recipe.window is None:
        return scene, 0
    first, stop = recipe.label_support
    return scene, int(window_stream.integers(first, stop - recipe.window, endpoint=True))


def simulate_line(recipe: Recipe, split: str, line: int) -> Lines:
    """One line of a recipe, simulated again: whole, also where the recipe has windows.

    Raises:
        DataError: see `simulate_lines`.
    """
    return _lines(recipe, [draw_line(recipe, split, line)[0]])


def _lines(recipe: Recipe, scenes: Sequence[Scene], **options: Any) -> Lines:  # see simulate_lines
    """Lines of scenes, simulated as the recipe says."""
    return at_their_steps(
        simulate_lines,
        scenes,
        recipe.time_step_ns,
        pulse=recipe.pulse,
        bubbles=recipe.bubbles,
        transmit_response=recipe.transmit_response,
        receive_response=recipe.receive_response,
        **options,
    )


def _simulate(recipe: Recipe, split: str, folder: Path, device: str, progress: Progress | None) -> None:
    """Simulate a split and write it to the cache."""
    drawn = [draw_line(recipe, split, line) for line in range(recipe.lines[split])]
    scenes, starts = [scene for scene, _ in drawn], [start for _, start in drawn]
    window = None if recipe.window is None else (starts, recipe.window)
    with _room(device):
        lines = _lines(recipe, scenes, device=device, window=window, progress=progress)
    packages = ("kernbench", "numpy", "scipy", "torch")
    facts = {
        "recipe": recipe.facts(),
        "split": split,
        "bubbles": [len(np.asarray(scene.radius_m)) for scene in scenes],
        "pressure_pa": [scene.pressure_pa for scene in scenes],
        "starts": starts,
        "stepped_again": lines.stepped_again,
        "device": device,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in packages},
    }
    write_entry(folder, {"voltage": lines.voltage.numpy(), "counts": lines.counts.numpy().astype(np.uint8)}, facts)


@contextlib.contextmanager
def _room(device: str) -> Iterator[None]:
    """Say in one line that a device has no room for a simulation."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        advice = "free memory there" if is_cpu(device) else "give `kernbench data simulate --device cpu` first"
        raise DataError(f"no memory to simulate lines on {device}: {first_line(error)}; {advice}") from error


def _find(recipe: Recipe, split: str, folder: Path) -> Split | None:
    """The split in the cache, or None; raises Damaged if it is there but not what the recipe asks for."""
    entry = read_entry(folder)
    if entry is None:
        return None
    arrays, facts = entry
    shape = (recipe.lines[split], recipe.window or SAMPLES)
    wanted = {"voltage": (shape, np.dtype(np.float32)), "counts": (shape, np.dtype(np.uint8))}
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != wanted:
        raise Damaged("its arrays have other names, shapes or types")
    if facts.get("recipe") != recipe.facts() or facts.get("split") != split:
        raise Damaged("it belongs to another recipe")
    return split_of(split, arrays["voltage"], arrays["counts"], facts)


def split_of(name: str, voltage: Array, counts: Array, facts: Facts) -> Split:
    """A split out of its arrays, each (lines, samples), and the facts that the cache keeps of its lines."""
    bubbles = np.asarray(facts["bubbles"], np.int64)
    starts = np.asarray(facts.get("starts", np.zeros(len(bubbles))), np.int64)  # imported lines have none
    support = label_support_of(facts.get("recipe", {}).get("pulse", DEFAULT_PULSE))
    return Split(name, voltage, counts, bubbles, np.asarray(facts["pressure_pa"], np.float64), starts, support)


def check_split(split: str, there: Collection[str], where: str) -> None:
    """Raise DataError unless the split is there."""
    if split not in there:
        hint = close_match(split, SPLITS) if split not in SPLITS else ""
        raise DataError(f"{where} has no split {split!r}, only {', '.join(there) or 'none'}{hint}")


def _content(path: str | None) -> str | None:
    """Checksum of a response file."""
    if path is None:
        return None
    try:
        return sha256_of_file(Path(path))
    except OSError as error:
        raise DataError(f"response file {path} cannot be read: {error.strerror}") from error
