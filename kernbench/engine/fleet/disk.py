"""Folders and disks before a run: whether they can be written, and have room for what it will write."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernbench.errors import DataError, StorageError
from kernbench.host.cache_folder import cache_folder, check_writable, nearest
from kernbench.store.database.url import side_folder, sqlite_path
from kernbench.study.study import Study
from kernbench.study.task import task

# Bytes, measured on finished cells and rounded up.
SCORE_ROW = 250  # a line at a tolerance in the database, its index and the write-ahead log included
RUN_ROWS = 200_000  # everything else that the database holds of a cell
WEIGHT = 8  # of a parameter in an artifact, the file's own frame included
STATE = 24  # of a parameter in a checkpoint: parameter, best parameter, two moments, before and after an epoch
CHECKPOINTS = 2  # the old one stays until the new one is complete
REPORT = 20_000_000

Needs = dict[tuple[str, Path], int]  # what, folder -> bytes


@dataclass(frozen=True)
class Disk:
    """One file system and what a run writes there.

    Attributes:
        folder: one of the run's folders on it.
        free: bytes.
        needs: what -> bytes.
    """

    folder: Path
    free: int
    needs: Mapping[str, int]


def check_room(needed: Mapping[tuple[str, Path], int]) -> None:
    """Refuse a run that will not fit on its disks.

    Args:
        needed: what a run will write, from `needs`.

    Raises:
        StorageError: a disk has less free than the run will write there.
    """
    for disk in disks(needed):
        total = sum(disk.needs.values())
        if total > disk.free:
            parts = ", ".join(f"{what} {size_text(size)}" for what, size in disk.needs.items())
            raise StorageError(
                f"the disk of {disk.folder} has {size_text(disk.free)} free and the run needs about "
                f"{size_text(total)} there ({parts}); free space, or move a folder with --storage, --out or "
                "KERNBENCH_CACHE"
            )


def check_places(url: str, out: Path | None) -> None:
    """Check that every folder a run writes to can be written.

    Raises:
        DataError: the cache folder cannot be written.
        StorageError: the artifact, checkpoint or report folder cannot be written.
    """
    database = sqlite_path(url)
    folders = [side_folder(url, "artifacts"), side_folder(url, "checkpoints"), out or Path("kernbench-report")]
    for folder in [*folders, *([database.absolute().parent] if database else [])]:
        check_writable(folder, StorageError, "give another --storage or --out, to a folder that can")
    check_writable(cache_folder(), DataError, "set KERNBENCH_CACHE to a folder that can; see `kernbench doctor`")


def needs(study: Study, url: str, out: Path | None, *, cells: int, parameters: int, workers: int = 1) -> Needs:
    """What a run will write: (what, folder) -> bytes.

    Args:
        study: the study.
        url: storage URL; what a database server writes is not counted.
        out: folder of the report.
        cells: how many will run.
        parameters: trainable numbers of the largest network.
        workers: cells that run concurrently.
    """
    of_task = task().bytes_needed(study)
    found = {
        ("lines", cache_folder()): of_task.lines if cells else 0,
        ("artifacts", side_folder(url, "artifacts")): cells * (of_task.files + WEIGHT * parameters),
        ("checkpoints", side_folder(url, "checkpoints")): min(cells, workers) * CHECKPOINTS * STATE * parameters,
        ("report", out or Path("kernbench-report")): REPORT,
    }
    if (database := sqlite_path(url)) is not None:
        found["database", database.absolute().parent] = cells * (RUN_ROWS + SCORE_ROW * of_task.scores)
    return found


def one_after_the_other(runs: Sequence[tuple[Study, Needs]]) -> Needs:
    """What several runs will write: what stays adds up, lines that they share are made once, the rest is replaced.

    Args:
        runs: each with its study, and what it will write alone.
    """
    found: Needs = {}
    lines: set[str] = set()
    for study, needed in runs:
        data = repr(study.definition["data"])
        for (what, folder), size in needed.items():
            adds = what in ("artifacts", "database") or (what == "lines" and data not in lines)
            old = found.get((what, folder), 0)
            found[what, folder] = old + size if adds else max(old, size)
        lines.add(data)
    return found


def disks(needed: Mapping[tuple[str, Path], int]) -> list[Disk]:
    """The same by file system.

    Args:
        needed: (what, folder) -> bytes; a folder need not exist yet.
    """
    found: dict[int, Disk] = {}
    for (what, folder), size in needed.items():
        place = nearest(folder)
        device = place.stat().st_dev
        known = found.get(device) or Disk(folder, shutil.disk_usage(place).free, {})
        found[device] = Disk(known.folder, known.free, {**known.needs, what: size})
    return list(found.values())


def size_text(size: int) -> str:
    """Bytes for a reader, in MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
