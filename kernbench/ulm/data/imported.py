"""Data sets that were not simulated from a recipe: imported line files, in the cache, by name or digest."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError
from kernbench.host.cache_folder import cache_folder
from kernbench.host.files import sha256_of
from kernbench.ulm.data.cache import MANIFEST, Damaged, Facts, describe_entry, listed, locked, read_entry, write_entry
from kernbench.ulm.data.manifest import Manifest, ManifestLine, read_manifest
from kernbench.ulm.data.recipe import SPLITS
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.simulate import Progress
from kernbench.ulm.srml1d.formats import RecordedLine, parse_line, read_bytes
from kernbench.ulm.srml1d.rates import conversion_notes

Arrays = Mapping[str, npt.NDArray[Any]]  # voltage, counts, fields and positions differ in type

DIGEST = re.compile(r"[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class ImportedSet:
    """One imported data set in the cache.

    Attributes:
        name: given at the import.
        digest: of contents and order of its lines.
        lines: split -> number of lines.
        folder: where it is.
        size_bytes: of all its files.
        source: rule of its manifest, or how it was made.
        problem: why it cannot be used, empty if it is intact.
        notes: what was done to its lines, for people: resampled, integers.
    """

    name: str
    digest: str
    lines: Mapping[str, int]
    folder: Path
    size_bytes: int
    source: str
    problem: str
    notes: tuple[str, ...] = ()


def import_lines(folder: Path, manifest: Path | Manifest, name: str, progress: Progress | None = None) -> ImportedSet:
    """Import a folder of line files into the cache; files are read one at a time, each once.

    Args:
        folder: of the files that the manifest names.
        manifest: JSON or CSV, see `kernbench.ulm.data.manifest`; or what was read from it.
        name: of the data set.
        progress: called as progress(lines done, lines in all).

    Returns:
        The set. Importing the same lines again under the same name changes nothing.

    Raises:
        DataError: a file that is malformed (named with its line number) or not the one of the manifest, two files with
            the same signal, or a name that is taken. Nothing is left in the cache then.
    """
    chosen = manifest if isinstance(manifest, Manifest) else read_manifest(manifest)
    digest = chosen.digest()
    if found := _existing(name, digest):
        return found
    arrays, facts = read_lines(folder, chosen, progress)
    with locked(_root() / "names"):  # looked up again: another import may have taken the name meanwhile
        if found := _existing(name, digest):
            return found
        store(name, digest, arrays, facts | {"source": chosen.rule})
    return _describe(_root() / digest)


def read_set(found: ImportedSet) -> tuple[Arrays, Facts]:
    """Arrays and facts of an imported set; arrays are read-only memory maps.

    The arrays of each split are `<split>_voltage`, `<split>_counts` and, where every file had them, `<split>_field`
    (float32, Pa) and `<split>_positions` (z, x, radius of all bubbles, line after line, float64).

    Raises:
        DataError: its files are damaged, or gone.
    """
    try:
        if entry := read_entry(found.folder):
            return entry
        problem = "it is gone"
    except Damaged as damage:
        problem = str(damage)
    name = found.name or found.digest
    raise DataError(f"imported data set {name} in {found.folder} cannot be used ({problem}); import it again")


def find_imported(name: str) -> ImportedSet | None:
    """The imported set of this name or digest, or None."""
    return next((each for each in describe_imported() if name in (each.name, each.digest)), None)


def describe_imported() -> list[ImportedSet]:
    """All imported sets in the cache, with checksums verified, sorted by name."""
    folders = [path for path in listed(_root()) if DIGEST.fullmatch(path.name)]
    return sorted(map(_describe, folders), key=lambda each: (each.name, each.digest))


def store(name: str, digest: str, arrays: Arrays, facts: Facts) -> None:
    """Write a data set into the cache, completely or not at all.

    Args:
        name: of the set.
        digest: 12 hexadecimal digits.
        arrays: see `read_set`.
        facts: `splits`: split -> files, bubbles and pressure_pa of its lines; `source`.

    Raises:
        DataError: the cache cannot be written.
    """
    folder = _root() / digest
    with locked(folder):
        write_entry(folder, arrays, facts | {"name": name})


def _existing(name: str, digest: str) -> ImportedSet | None:
    """The set if it is there and intact; refuses a name that is taken, and lines that have another name."""
    if not _NAME.fullmatch(name) or DIGEST.fullmatch(name):
        raise DataError(f"name: expected letters, digits, '_', '.' or '-', and no digest, got {name!r}")
    for each in describe_imported():
        if each.digest == digest and not each.problem and each.name != name:
            raise DataError(f"these lines are in the cache already, as {each.name} ({digest})")
        if each.digest == digest and not each.problem:
            return each
        if each.name == name and each.digest != digest:
            raise DataError(f"data set {name} is in the cache with other lines ({each.digest}); choose another name")
    return None


def read_lines(folder: Path, manifest: Manifest, progress: Progress | None = None) -> tuple[Arrays, Facts]:
    """Arrays and facts of the line files of a manifest, as `read_set` gives them, without the cache.

    Raises:
        DataError: a file that is malformed or not the one of the manifest, or two files with the same signal.
    """
    arrays: dict[str, Any] = {}
    splits: dict[str, Facts] = {}
    signals: dict[str, str] = {}
    notes: dict[str, None] = {}  # in their order
    done = 0
    for split in manifest.splits:
        entries = manifest.split(split)
        voltage = np.empty((len(entries), SAMPLES), np.float32)
        counts = np.empty((len(entries), SAMPLES), np.uint8)
        fields: list[Any] = []  # arrays, or None where a file has no field
        positions: list[Any] = []  # the same
        pressures = []
        for row, entry in enumerate(entries):
            line = _read(folder, entry, manifest)
            notes |= dict.fromkeys(conversion_notes(line.rate_hz, line.stored))
            # Other line ends or another header hide a copy from the hash of the file; in two splits it would leak.
            first = signals.setdefault(sha256_of(line.voltage.tobytes()), entry.file)
            if first != entry.file:
                raise DataError(f"{entry.file} holds the same signal as {first}; a line may be in a data set once")
            voltage[row], counts[row] = line.voltage, line.counts
            fields.append(line.field_pa)
            positions.append(line.positions)
            pressures.append(None if math.isnan(line.pressure_pa) else line.pressure_pa)
            done += 1
            if progress is not None:
                progress(done, len(manifest.lines))
        arrays |= {f"{split}_voltage": voltage, f"{split}_counts": counts}
        if all(each is not None for each in fields):
            arrays[f"{split}_field"] = np.stack(fields)
        if all(each is not None for each in positions):
            arrays[f"{split}_positions"] = np.concatenate(positions)
        names, bubbles = [entry.file for entry in entries], [entry.bubbles for entry in entries]
        splits[split] = {"files": names, "bubbles": bubbles, "pressure_pa": pressures}
    return arrays, {"splits": splits} | ({"notes": list(notes)} if notes else {})


def _read(folder: Path, entry: ManifestLine, manifest: Manifest) -> RecordedLine:
    """One line file, checked against its entry in the manifest."""
    content = read_bytes(folder / entry.file)
    # The line number of a malformed text says more than its hash; damaged MATLAB files can crash their reader.
    how = manifest.rate_hz, manifest.channel
    line = None if entry.file.lower().endswith(".mat") else parse_line(content, entry.file, *how)
    if sha256_of(content) != entry.sha256:
        raise DataError(f"{entry.file}: its content is not the one of the manifest (sha256 {entry.sha256[:12]}...)")
    line = line or parse_line(content, entry.file, *how)
    said = math.nan if entry.pressure_kpa is None else entry.pressure_kpa
    if line.bubbles != entry.bubbles or not np.isclose(line.pressure_pa / 1e3, said, rtol=0, atol=5e-3, equal_nan=True):
        raise DataError(
            f"{entry.file}: the manifest says {entry.bubbles} bubbles and {said:g} kPa, the file "
            f"{line.bubbles} and {line.pressure_pa / 1e3:g}"
        )
    return line


def _describe(folder: Path) -> ImportedSet:
    """State of one imported set."""
    facts, size, problem = describe_entry(folder)
    facts = _unchecked_facts(folder) if problem else facts
    splits = facts.get("splits", {})
    lines = {split: len(splits[split]["bubbles"]) for split in SPLITS if split in splits}
    name, notes = facts.get("name", ""), tuple(facts.get("notes", ()))
    return ImportedSet(name, folder.name, lines, folder, size, facts.get("source", ""), problem, notes)


def _unchecked_facts(folder: Path) -> Facts:
    """What a damaged set says of itself, so that it is still found by its name; empty where that is nonsense."""
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["facts"]
        splits = {split: {"bubbles": list(each["bubbles"])} for split, each in facts["splits"].items()}
        return {"name": str(facts["name"]), "source": str(facts["source"]), "splits": splits}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _root() -> Path:
    return cache_folder() / "imported"
