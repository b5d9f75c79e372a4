"""The files of copied studies: artifacts, checkpoints, results of detectors and analyses; removed again if it fails."""

import logging
import os
import shutil
from pathlib import Path

from sqlalchemy import Connection, select

from kernbench.errors import StorageError, counted
from kernbench.host.files import PART, whole_file, writer_of
from kernbench.store.database.url import shown_url, side_folder
from kernbench.store.files.artifact_entries import ANALYSES, PREFIX, analysis_file, entries, is_plain, listed
from kernbench.store.tables.optuna_rows import cells_of_trials, system_attributes
from kernbench.store.tables.optuna_tables import table_of
from kernbench.store.tables.result_tables import RunRow
from kernbench.study.cell import file_key

log = logging.getLogger("kernbench")


class FileCopies:
    """Copies files between the side folders of two databases; those made are removed again unless they are kept.

    Attributes:
        count: files that have been copied.
    """

    def __init__(self, source: str, target: str) -> None:
        self.count = 0
        self._source, self._target = source, target
        self._made: list[Path] = []
        self._parts: dict[Path, list[Path]] = {}  # temporary files that were in a folder before

    def __enter__(self) -> "FileCopies":
        return self

    def __exit__(self, *_error: object) -> None:
        for path in self._made:
            path.unlink(missing_ok=True)

    def keep(self) -> None:
        """Leave the copies where they are."""
        self._made.clear()

    def flush(self) -> None:
        """See that the files are on the disk before the rows that name them."""
        if self.count:
            os.sync()

    def copy_study(self, origin: Connection, name: str) -> None:
        """Copy all files of a study; none where both databases share their folders.

        Raises:
            StorageError: the study has artifacts and the source's folder is not here; or a foreign file is in the way.
            OSError: the disk.
        """
        found = entries(dict(system_attributes(origin, name, PREFIX)))
        old, new = (side_folder(url, "artifacts") for url in (self._source, self._target))
        if found and not old.is_dir():
            raise StorageError(
                f"{name} has {counted(len(found), 'artifact')}, but {old.absolute()} is not there; run this in the "
                f"folder where the studies of {shown_url(self._source)} run, or make an empty folder there to copy "
                "without them"
            )
        if old.resolve() == new.resolve():
            return
        for file in found:
            self._copy(old / file, new / file)
        runs = table_of(RunRow)
        data = origin.execute(select(runs.c.data_digest).where(runs.c.study == name).distinct()).scalars()
        for digest in sorted(filter(str.isalnum, data)):  # results of classical detectors on the same lines
            for path in sorted(old.glob(f"*/{digest}-*.csv")):
                if not (new / path.relative_to(old)).exists():
                    self._copy(path, new / path.relative_to(old))
        beginning = analysis_file(old, name, "").stem  # with the dot before the table's name
        for each in listed(old / ANALYSES):
            if each.name.startswith(beginning) and not (new / ANALYSES / each.name).exists():
                self._copy(Path(each.path), new / ANALYSES / each.name)
        old, new = (side_folder(url, "checkpoints") for url in (self._source, self._target))
        keys = {file_key(study, cell) for study, cell in cells_of_trials(origin) if study == name}
        for file in [each.name for each in listed(old)]:
            if file.endswith(".pt") and file.partition(".")[0] in keys:
                self._copy(old / file, new / file)

    def _copy(self, old: Path, new: Path) -> None:
        if not is_plain(old):  # a link could lead anywhere
            log.warning("%s is not there, or no plain file: left out; see kernbench storage check", old)
            return
        if os.path.lexists(new) and not is_plain(new):
            raise StorageError(f"{new} is in the way and no plain file; remove it, then the same command works")
        new.parent.mkdir(parents=True, exist_ok=True)
        self._remove_cut_off(new)
        with old.open("rb") as reading, whole_file(new, sync=False) as writing:  # see flush
            shutil.copyfileobj(reading, writing)
            if not new.exists():
                self._made.append(new)
        self.count += 1

    def _remove_cut_off(self, new: Path) -> None:
        """Remove what copies of this file that were killed have left; one that is at work keeps its own."""
        if new.parent not in self._parts:
            self._parts[new.parent] = [Path(file.path) for file in listed(new.parent) if file.name.endswith(PART)]
        for part in self._parts[new.parent]:
            writer = writer_of(part.name)
            if writer is not None and writer.name == new.name and writer.is_gone():
                part.unlink(missing_ok=True)
