"""Results in Python: the cells of a database as records with NumPy arrays, or as data frames; reads, never writes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import KernbenchError, close_match, counted
from kernbench.report.numbers.completeness import marked
from kernbench.report.numbers.points import SEED, TEST, VALIDATION, tolerance_place
from kernbench.report.result_cell import Cell, Value
from kernbench.store.database.url import resolve_source
from kernbench.store.reading.naming import matches
from kernbench.store.reading.records import OK, Curves, Run
from kernbench.store.reading.several import distinct, load_several

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, Any]  # name of a column -> its values, or one value for all rows


@dataclass(frozen=True, eq=False)
class Results:
    """Cells of one database or several.

    Attributes:
        cells: finished and failed ones, in the order of their studies.
    """

    cells: tuple[Cell, ...]

    def __repr__(self) -> str:
        return f"<Results: {counted(len(self.cells), 'cell')} of {', '.join(self.studies) or 'no study'}>"

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    @cached_property
    def studies(self) -> list[str]:
        """Names of the studies that have cells here."""
        return sorted({cell.study for cell in self.cells})

    @cached_property
    def families(self) -> list[str]:
        """Kernel families that have cells here."""
        return sorted({cell.family for cell in self.cells})

    def where(self, test: Callable[[Cell], bool] | None = None, **values: Value) -> "Results":
        """Only some of the cells.

        Args:
            test: of a cell; all by default.
            values: that a cell must have: `family`, `study` (also in short: "k_sweep"), `status`, `seed`, or a
                parameter such as `kernel_size`.

        Raises:
            KernbenchError: a name that no cell has.
        """
        known = {"family", "study", "status", SEED}.union(*(cell.params for cell in self.cells))
        for name in values:
            if self.cells and name not in known:
                hint = close_match(name, known) or f"; there are: {', '.join(sorted(known))}"
                raise KernbenchError(f"no cell has {name!r}{hint}")
        chosen = (cell for cell in self.cells if all(_has(cell, name, value) for name, value in values.items()))
        return Results(tuple(cell for cell in chosen if test is None or test(cell)))

    def f1(self, split: str = TEST, tolerance: int | None = None) -> NDArray[np.float64]:
        """F1 of every scored cell and line, (cells, N): what `kernbench.statistics.compare` takes.

        Args:
            split: "test" or "validation".
            tolerance: samples; the headline tolerance of each cell by default.

        Raises:
            KernbenchError: no cell has scores, the cells were scored on different lines, or have several tolerances.
        """
        scored = [cell for cell in self.cells if cell.status == OK]
        if len({cell.run.data_digest for cell in scored}) > 1:
            raise KernbenchError("these cells were scored on different lines; choose some of them with `where`")
        if not scored:
            raise KernbenchError(f"none of {counted(len(self.cells), 'cell')} has scores")
        if tolerance is None and len(known := {cell.tolerance for cell in scored}) > 1:
            raise KernbenchError(f"these cells have several headline tolerances, {sorted(known)}; name one")
        return np.stack([cell.f1(split, tolerance) for cell in scored])

    def frame(self) -> "pd.DataFrame":
        """One row a cell: study, family, parameters, seed, status, mean F1 on test and validation lines, costs.

        Raises:
            KernbenchError: pandas is not installed.
        """
        return _pandas().DataFrame([_cell_row(cell) for cell in self.cells])

    def lines(self, split: str = TEST, tolerance: int | None = None) -> "pd.DataFrame":
        """One row for each scored cell and line: hits, misses, false alarms, F1, and what is known of a test line.

        Args:
            split: "test" or "validation".
            tolerance: samples; the headline tolerance of each cell by default.

        Raises:
            KernbenchError: pandas is not installed, or a tolerance that was not evaluated.
        """
        return _stacked(_line_columns(cell, split, tolerance) for cell in self._with(split))

    def tolerances(self, split: str = TEST) -> "pd.DataFrame":
        """One row for each scored cell and tolerance: mean F1, its threshold, and the blind floors of test lines.

        Raises:
            KernbenchError: pandas is not installed.
        """
        return _stacked(_tolerance_columns(cell, split) for cell in self._with(split))

    def curves(self) -> "pd.DataFrame":
        """One row for each cell, tolerance and threshold: mean precision, recall and F1 of the test lines.

        Raises:
            KernbenchError: pandas is not installed.
        """
        return _stacked(_curve_columns(cell, cell.curve) for cell in self.cells if cell.curve is not None)

    def _with(self, split: str) -> list[Cell]:
        known = {name for cell in self.cells for name in cell.splits}
        if known and split not in known:
            raise KernbenchError(f"no cell has scores on {split!r} lines; there are: {', '.join(sorted(known))}")
        return [cell for cell in self.cells if split in cell.run.scores]


def results(storage: str | Path | Sequence[str | Path] | None = None, studies: Sequence[str] = ()) -> Results:
    """Every cell of a database that ended, for reading.

    Args:
        storage: URL as for `--storage`, "sqlite:///kernbench.db", or the path of a SQLite file or of a folder that
            `kernbench storage export` wrote; several of them; by default KERNBENCH_STORAGE or `kernbench.db` in the
            working folder.
        studies: only these: "k_sweep", "k_sweep.v1.quick" or "k_sweep.v1.quick/siren".

    Returns:
        The cells. A later result is not in it: call again.

    Raises:
        StorageError: there is no such database, or a record is damaged.
        StudyError: a study that no database holds.
    """
    given = [storage] if storage is None or isinstance(storage, str | Path) else list(storage)
    names = [studies] if isinstance(studies, str) else list(studies)
    if not given:
        raise KernbenchError("results need a database: a path, a URL, or nothing for that of the working folder")
    runs = load_several(distinct([resolve_source(_url(each)) for each in given]), names)
    of_one = [[run for run in runs if (run.base, run.database) == key] for key in _comparisons(runs)]
    return Results(tuple(Cell(run) for each in of_one for run in marked(each)))


def _comparisons(runs: Sequence[Run]) -> dict[tuple[str, str], None]:
    return dict.fromkeys((run.base, run.database) for run in runs)


def _url(storage: str | Path | None) -> str | None:
    if storage is None or (isinstance(storage, str) and "://" in storage):
        return storage
    if Path(storage).is_dir():
        return str(storage)
    if odd := set(str(storage)) & set("?#%"):
        name = " or ".join(sorted(odd))
        raise KernbenchError(f"{storage}: a file whose name holds {name} has no URL; rename it")
    return f"sqlite:///{storage}"


def _has(cell: Cell, name: str, value: Value) -> bool:
    return matches(cell.study, str(value)) if name == "study" else _value(cell, name) == value


def _value(cell: Cell, name: str) -> Value | None:
    return getattr(cell, name) if name in ("family", "study", "status") else cell.run.params.get(name)


def _head(cell: Cell) -> dict[str, Any]:
    database = {"database": cell.run.database} if cell.run.database else {}
    sizes = {name: value for name, value in cell.network.items() if name != "name"}
    return {**database, "study": cell.study, "family": cell.family, "cell": cell.name, **sizes, **cell.run.params}


def _cell_row(cell: Cell) -> dict[str, Any]:
    means = {f"f1_{split}": float(cell.f1(split).mean()) for split in (TEST, VALIDATION) if split in cell.run.scores}
    numbers = {**means, **cell.values, "seconds": cell.seconds, "epochs": cell.run.epochs}
    return {**_head(cell), "status": cell.status, "plateau": cell.plateau, "tolerance": cell.tolerance, **numbers}


def _line_columns(cell: Cell, split: str, tolerance: int | None) -> Columns:
    counts, at = cell.counts(split), cell.tolerance if tolerance is None else tolerance
    place = tolerance_place(counts, at)
    found = {name: getattr(counts, name)[place] for name in ("tp", "fn", "fp")}
    facts = cell.line_facts if split == TEST else {}
    lines = np.arange(counts.tp.shape[1])
    return {**_head(cell), "tolerance": at, "line": lines, **found, "f1": cell.f1(split, at), **facts}


def _tolerance_columns(cell: Cell, split: str) -> Columns:
    counts = cell.counts(split)
    tolerances = counts.tolerances.tolist()
    floors = [cell.floors(tolerance) if split == TEST else {} for tolerance in tolerances]
    blind = {f"floor_{name}": [each[name] for each in floors] for name in floors[0]}
    means = [float(cell.f1(split, tolerance).mean()) for tolerance in tolerances]
    return {**_head(cell), "tolerance": tolerances, "threshold": counts.thresholds, "f1": means, **blind}


def _curve_columns(cell: Cell, curve: Curves) -> Columns:
    tolerances, thresholds = curve.f1.shape
    places = {
        "tolerance": np.repeat(np.arange(tolerances), thresholds),
        "threshold": np.tile(curve.thresholds, tolerances),
    }
    scores = {name: getattr(curve, name).ravel() for name in ("precision", "recall", "f1")}
    return {**_head(cell), **places, **scores}


def _stacked(tables: Iterable[Columns]) -> "pd.DataFrame":
    """One table below the other; a name that one of them lacks is empty there."""
    frames = [_pandas().DataFrame(columns) for columns in tables]
    return _pandas().concat(frames, ignore_index=True) if frames else _pandas().DataFrame()


def _pandas() -> Any:  # Any: an extra
    try:
        import pandas as pd  # noqa: PLC0415  # see above
    except ImportError as error:
        raise KernbenchError('data frames need pandas: pip install "kernbench[pandas]"') from error
    return pd
