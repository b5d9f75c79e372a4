"""New lines with the published test set's pairs of bubble number and pressure: what makes mean scores comparable.

Source: the per-line arrays of SRML-1D (`Statistics_HS_001`); Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError, first_line
from kernbench.host.files import json_digest
from kernbench.ulm.data.find import find_set
from kernbench.ulm.data.imported import find_imported, store
from kernbench.ulm.data.recipe import RECIPE_VERSION, TIME_STEPS_NS, Split
from kernbench.ulm.simulator.population import draw_scene, stream
from kernbench.ulm.simulator.scene import IntArray, Scene
from kernbench.ulm.simulator.simulate import Progress, simulate_lines

STATISTICS = "Statistics_HS_001"
POPULATION = "monodisperse"  # the pairs of the published polydisperse set are not known
MATCHED_VERSION = 1  # raise it when the same pairs give other lines

# The published pressures are those of the field at depth 0, which the pulse's offset removal leaves 0.015 % too high.
FIELD_OVER_AMPLITUDE = 1.000152


@dataclass(frozen=True, eq=False)
class PublishedPairs:
    """Bubble number and pressure of each published test line; their order is an unrecorded folder listing.

    Attributes:
        bubbles: (lines,).
        pressure_pa: amplitude of the pulse, (lines,).
        f1: published per-line F1 of HS_001, (10 tolerances, lines).
    """

    bubbles: IntArray
    pressure_pa: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]

    def first(self, lines: int) -> "PublishedPairs":
        """The first pairs."""
        return PublishedPairs(self.bubbles[:lines], self.pressure_pa[:lines], self.f1[:, :lines])


def published_pairs(folder: Path) -> PublishedPairs:
    """Pairs and per-line scores from the folder of the published repository.

    Raises:
        DataError: `Statistics_HS_001` is missing there or not as published.
    """
    matrices = {}
    for name in ("num_bub", "press_acc", "F1"):
        path = folder / STATISTICS / f"{name}_matrix.npy"
        try:
            matrices[name] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: expected a published per-line array: {first_line(error)}") from error
    shapes = {matrix.shape for matrix in matrices.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 2 or shape[0] != 10:
        raise DataError(f"{folder / STATISTICS}: the three arrays must have one shape (10, lines)")
    pressure = matrices["press_acc"][0] * 1e3 / FIELD_OVER_AMPLITUDE
    return PublishedPairs(np.rint(matrices["num_bub"][0]).astype(np.int64), pressure, matrices["F1"])


def matched_lines(
    pairs: PublishedPairs,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Split, str]:
    """Monodisperse lines with given bubble numbers and pressures, new positions and radii; cached or simulated.

    Args:
        pairs: what to match.
        seed: each line has its own stream, so the first lines do not depend on how many there are.
        device: where to simulate.
        progress: called as progress(bubbles done, bubbles in all) while simulating.

    Returns:
        The lines as a test split, and the digest by which the cache knows them.

    Raises:
        DataError: the cache cannot be written, or see `simulate_lines`.
    """
    facts = {
        "versions": [MATCHED_VERSION, RECIPE_VERSION],
        "bubbles": pairs.bubbles.tolist(),
        "pressure_pa": pairs.pressure_pa.tolist(),
        "seed": seed,
        "time_step_ns": TIME_STEPS_NS[POPULATION],
    }
    digest = json_digest(facts)
    found = find_imported(digest)
    if found is None or found.problem:
        _simulate(pairs, seed, device, digest, progress)
    return find_set(digest).load("test"), digest


def place_bubbles(rng: np.random.Generator, bubbles: int, pressure_pa: float) -> Scene:
    """A monodisperse scene with this many bubbles at this pressure.

    Bubbles are independent of their number, so any of them out of random scenes are as good as new ones.
    """
    drawn: list[npt.NDArray[np.float64]] = []
    while sum(columns.shape[1] for columns in drawn) < bubbles or not drawn:
        scene = draw_scene(rng, POPULATION)
        drawn.append(np.stack([np.asarray(column) for column in (scene.z_m, scene.x_m, scene.radius_m)]))
    pool = np.concatenate(drawn, axis=1)
    chosen = pool[:, rng.permutation(pool.shape[1])[:bubbles]]
    z, x, radius = chosen[:, chosen[0].argsort()]
    return Scene(z, x, radius, pressure_pa)


def _simulate(pairs: PublishedPairs, seed: int, device: str, digest: str, progress: Progress | None) -> None:
    """Simulate matched lines and write them to the cache."""
    wanted = zip(pairs.bubbles.tolist(), pairs.pressure_pa.tolist(), strict=True)
    scenes = [place_bubbles(stream(seed, line), *pair) for line, pair in enumerate(wanted)]
    step = TIME_STEPS_NS[POPULATION] * 1e-9
    lines = simulate_lines(scenes, device=device, time_step_s=step, progress=progress)
    positions = [np.stack([scene.z_m, scene.x_m, scene.radius_m], axis=1) for scene in scenes]
    arrays = {
        "test_voltage": lines.voltage.numpy(),
        "test_counts": lines.counts.numpy().astype(np.uint8),
        "test_field": lines.pressure_field_pa.numpy(),
        "test_positions": np.concatenate(positions),
    }
    known = {"files": [], "bubbles": pairs.bubbles.tolist(), "pressure_pa": pairs.pressure_pa.tolist()}
    source = f"simulated with the published numbers of bubbles and pressures, seed {seed}"
    name = f"published-{len(scenes)}-seed{seed}"
    store(name, digest, arrays, {"splits": {"test": known}, "source": source})
