"""Whether the files beside a database are those that it names, of the type that they should be, and nothing else."""

import os
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine

from kernbench.errors import DataError, one_line
from kernbench.host.files import PART
from kernbench.store.database.url import side_folder
from kernbench.store.files import scratch
from kernbench.store.files.artifact_entries import ANALYSES, DETECTORS, PREFIX, entries, is_plain, listed
from kernbench.store.tables.cell_states import failure_class, is_done, worker_is_gone
from kernbench.store.tables.optuna_rows import cells_of_trials, system_keys
from kernbench.store.tables.optuna_tables import storage_of, study_id
from kernbench.study.cell import file_key

PNG = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
LARGEST = 2**30  # bytes of the arrays of a cell, which has a few megabytes of them


class Files:
    """The side folders of a database, listed before the database is read: entries come before their files.

    Attributes:
        count: artifacts and checkpoints looked at.
    """

    def __init__(self, url: str, engine: Engine) -> None:
        self.count = 0
        self._engine = engine
        self._artifacts, self._checkpoints = (side_folder(url, kind) for kind in ("artifacts", "checkpoints"))
        self._files = list(listed(self._artifacts))
        self._states = list(listed(self._checkpoints))

    def of_study(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> Iterator[str]:
        """Problems of the files that a study names."""
        yield from self._of_entries(storage_of(study).get_study_system_attrs(study_id(study)), "the study", True)
        for trial in trials:
            # the entry precedes the file: who was killed between the two left one without
            lasting = is_done(trial) or failure_class(trial) != "killed"
            yield from self._of_entries(trial.system_attrs, f"trial {trial.number}", lasting)
        yield from self._of_checkpoints(study.study_name, trials)

    def _of_entries(self, attributes: dict[str, object], owner: str, lasting: bool) -> Iterator[str]:
        named = entries(attributes)
        if odd := sum(key.startswith(PREFIX) for key in attributes) - len(named):
            yield f"{owner}: {odd} artifact entries that are none of kernbench; they are not read"
        for file, filename in named.items():
            path = self._artifacts / file
            self.count += 1
            name = f"{owner}: artifact {one_line(filename)}"
            if not os.path.lexists(path):
                if lasting:
                    yield f"{name} has no file {path}; the report goes without it, bring it back if you can"
            elif problem := _kind(path) or _content(path, filename):
                yield f"{name}, {path}, {problem}; it is not used, bring the file back if you can"

    def _of_checkpoints(self, study: str, trials: Sequence[FrozenTrial]) -> Iterator[str]:
        attempts = [(str(trial.user_attrs["cell"]), trial) for trial in trials if "cell" in trial.user_attrs]
        cells = {file_key(study, cell): cell for cell, _ in attempts}
        done = {cell for cell, trial in attempts if is_done(trial)}
        running = {cell for cell, t in attempts if t.state == TrialState.RUNNING and not worker_is_gone(t)}
        for file in self._states:
            cell = cells.get(file.name.partition(".")[0])
            if cell is None or not os.path.lexists(file.path):  # a worker may have removed it since it was listed
                continue
            self.count += 1
            path, name = Path(file.path), f"checkpoint {file.path} of cell {one_line(cell)}"
            if cell in done:
                yield f"{name}, which is finished; remove the file"
            elif file.name.endswith(PART):
                if cell not in running:
                    yield f"{name} is half written; remove the file"
            elif problem := _kind(path) or _tensors(path):
                yield f"{name} {problem}; it is skipped and the cell starts again, remove it"

    def left_over(self) -> list[str]:
        """Files and folders that nothing in the database names."""
        with self._engine.connect() as connection:
            # of all entries, also those of studies that are not ours
            named = {key.removeprefix(PREFIX) for key in system_keys(connection, PREFIX)}
            keys = {file_key(study, cell) for study, cell in cells_of_trials(connection)}
        problems = [
            f"{one_line(file.path, 400)}: {_kind(Path(file.path)) or 'no artifact entry names it'}; remove it, unless "
            "another database keeps its artifacts here"
            for file in self._files
            if file.name not in named
            and os.path.lexists(file.path)
            and not (file.name in (DETECTORS, ANALYSES) and file.is_dir(follow_symlinks=False))
        ]
        for file in self._states:
            if file.name.startswith(scratch.PREFIX) and file.is_dir(follow_symlinks=False):
                if scratch.is_abandoned(Path(file.path)):
                    problems.append(f"{one_line(file.path, 400)}: working folder of a worker that is gone; remove it")
            elif file.name.partition(".")[0] not in keys:
                problems.append(
                    f"{one_line(file.path, 400)}: checkpoint of no cell of this database; remove it, unless another "
                    "database keeps its checkpoints here"
                )
        return problems


def _kind(path: Path) -> str:
    """What is at the path if it is no plain file; empty if it is one."""
    if is_plain(path):
        return ""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return "is gone"
    names = ((stat.S_ISLNK, "is a symbolic link"), (stat.S_ISDIR, "is a folder"))
    return next((said for test, said in names if test(mode)), "is no plain file")


def _content(path: Path, filename: str) -> str:
    """What is wrong with the content of an artifact; nothing in it is executed."""
    suffix = Path(filename).suffix
    if suffix == ".pt":
        return _tensors(path)
    try:
        if suffix == ".npz":
            return _arrays(path)
        if suffix in (".csv", ".txt", ".json"):
            return _text(path, zeros=suffix == ".txt")  # an error message may hold any character
        if suffix == ".png":
            return _picture(path)
    except Exception as error:  # whatever a damaged file raises: numpy alone has half a dozen, memory among them
        reason = "holds Python objects" if "allow_pickle" in str(error) else one_line(error) or type(error).__name__
        return f"is damaged or of another type ({reason})"
    return ""


def _arrays(path: Path) -> str:
    with path.open("rb") as file:
        size = sum(each.file_size for each in zipfile.ZipFile(file).infolist())
        if size > LARGEST:
            return f"is damaged or of another type (unpacked it has {size:,} bytes, at most {LARGEST:,} are expected)"
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            for name in stored.files:
                stored[name]
    return ""


def _text(path: Path, *, zeros: bool) -> str:
    with path.open(encoding="utf-8") as file:  # raises where it is no text
        while part := file.read(2**20):
            if "\0" in part and not zeros:  # what a crash of the machine leaves of a file that was not on the disk yet
                return "is damaged or of another type (it holds zero bytes)"
    return ""


def _picture(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(len(PNG)) != PNG:
            return "is no PNG picture"
        file.seek(max(len(PNG), file.seek(0, os.SEEK_END) - len(PNG_END)))
        return "" if file.read() == PNG_END else "is a PNG picture without its end"


def _tensors(path: Path) -> str:
    from kernbench.host.tensor_files import read_tensors  # noqa: PLC0415  # torch, only where there is a file of tensors

    try:
        read_tensors(path)
    except DataError as error:
        return str(error).removeprefix(f"{path}: ").replace("; ", ", ")
    return ""
