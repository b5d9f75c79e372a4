"""Any data set that exists, by one word: imported (name or digest), simulated (digest), or a folder with a manifest."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError, close_match
from kernbench.ulm.data.cache import Damaged, Facts, read_entry
from kernbench.ulm.data.imported import DIGEST, Arrays, describe_imported, find_imported, read_lines, read_set
from kernbench.ulm.data.line_files import is_folder
from kernbench.ulm.data.manifest import MANIFEST_NAMES, find_manifest, read_manifest
from kernbench.ulm.data.recipe import (
    SPLITS,
    Recipe,
    Split,
    check_split,
    draw_line,
    lines_folder,
    simulate_line,
    split_of,
)
from kernbench.ulm.line import DEFAULT_PULSE
from kernbench.ulm.simulator.simulate import NONLINEAR, Lines
from kernbench.ulm.simulator.waveforms import WAVEFORMS

OTHER_PULSE = "TRI"


@dataclass(frozen=True, eq=False)
class Content:
    """One split and what its files or its recipe know beyond it.

    Attributes:
        split: the lines.
        field_pa: pressure field of each line, (lines, 8446) float32, or None.
        positions: z [m], x [m] and radius [m] of the bubbles of each line, (bubbles, 3) each, or None.
        again: simulates a line of this index again, with what the cache does not hold; None where it was imported, or
            simulated with measured responses, which are known by content only.
        pulse: name of the driving pulse; None where it came from a file.
    """

    split: Split
    field_pa: npt.NDArray[np.float32] | None
    positions: list[npt.NDArray[np.float64]] | None
    again: Callable[[int], Lines] | None = None
    pulse: str | None = DEFAULT_PULSE


@dataclass(frozen=True)
class DataSet:
    """A data set that exists.

    Attributes:
        name: as it was asked for.
        digest: of its contents or recipe.
        splits: those that are there.
        origin: one line for people.
        read: split name -> content; raises DataError if it is damaged.
    """

    name: str
    digest: str
    splits: tuple[str, ...]
    origin: str
    read: Callable[[str], Content]

    def load(self, split: str) -> Split:
        """Lines of one split.

        Raises:
            DataError: no such split, or its files are damaged.
        """
        return self.content(split).split

    def content(self, split: str) -> Content:
        """Lines of one split, with pressure field and positions where they are known."""
        check_split(split, self.splits, f"data set {self.name}")
        return self.read(split)


def find_set(name: str) -> DataSet:
    """The data set of a name, digest or folder; nothing is simulated.

    Args:
        name: an imported set's name or digest, the digest of simulated lines in the cache, or a folder of line files
            with a manifest in it, looked up in this order.

    Raises:
        DataError: there is none, or the folder has no manifest.
    """
    if imported := find_imported(name):
        splits, origin = tuple(imported.lines), f"imported; {imported.source}"
        return DataSet(name, imported.digest, splits, origin, lambda split: _content(split, *read_set(imported)))
    simulated = lines_folder() / name
    if DIGEST.fullmatch(name) and (splits := tuple(each for each in SPLITS if (simulated / each).is_dir())):
        return DataSet(name, name, splits, "simulated", lambda split: _simulated(name, split))
    if is_folder(folder := Path(name)):
        manifest = read_manifest(find_manifest(folder))
        parts = {split: replace(manifest, lines=tuple(manifest.split(split))) for split in manifest.splits}
        digest, origin = manifest.digest(), f"folder; {manifest.rule}"
        return DataSet(name, digest, (*parts,), origin, lambda each: _content(each, *read_lines(folder, parts[each])))
    known = [each.name for each in describe_imported()]
    hint = close_match(name, known) or f"; imported sets: {', '.join(known) or 'none'}"
    raise DataError(
        f"no data set {name!r}: expected the name or digest of an imported set, the digest of simulated lines "
        f"(`kernbench data info`), or a folder with {' or '.join(MANIFEST_NAMES)}{hint}"
    )


def _content(split: str, arrays: Arrays, facts: Facts) -> Content:
    """A split of an imported set or folder."""
    lines = split_of(split, arrays[f"{split}_voltage"], arrays[f"{split}_counts"], facts["splits"][split])
    positions = arrays.get(f"{split}_positions")
    places = None if positions is None else np.split(np.asarray(positions), np.cumsum(lines.bubbles)[:-1])
    return Content(lines, arrays.get(f"{split}_field"), places)


def _simulated(digest: str, split: str) -> Content:
    """A split of simulated lines in the cache; positions are drawn again from the recipe's seed."""
    folder = lines_folder() / digest / split
    try:
        entry = read_entry(folder)
    except Damaged as damage:
        raise DataError(f"simulated lines in {folder} cannot be used ({damage}); `kernbench data simulate`") from damage
    assert entry is not None
    arrays, facts = entry
    lines = split_of(split, arrays["voltage"], arrays["counts"], facts)
    known = facts["recipe"]
    # Measured responses are known by content only; positions do not depend on them.
    pulse = known.get("pulse", DEFAULT_PULSE)
    from_file = pulse not in WAVEFORMS
    recipe = Recipe(known["lines"], known["window"], known["population"], known["seed"])
    # a pulse from a file is known by content only, too; its bubbles are those of every pulse but the default one
    recipe = replace(recipe, pulse=OTHER_PULSE if from_file else pulse, bubbles=known.get("bubbles", NONLINEAR))
    measured = from_file or known["transmit_response"] is not None or known["receive_response"] is not None
    scenes = (draw_line(recipe, split, line)[0] for line in range(len(lines.bubbles)))
    positions = [np.stack([scene.z_m, scene.x_m, scene.radius_m], axis=1) for scene in scenes]
    again = None if measured else functools.partial(simulate_line, recipe, split)
    return Content(lines, None, positions, again, None if from_file else pulse)
