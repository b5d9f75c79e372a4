"""Scores of finished cells from the database: millions of rows, of which a report needs only some of the tolerances."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, String, bindparam, cast, func, literal_column, select
from sqlalchemy.orm import Session

from kernbench.errors import StorageError
from kernbench.store.reading.records import Scores
from kernbench.store.tables.result_tables import RunRow, ScoreRow

READERS = 2
PART = 50  # cells that a reader takes at a time


@dataclass(frozen=True)
class Wanted:
    """Which tolerances of which splits to read.

    Attributes:
        whole: splits to read at every tolerance; None for all of them.
        headline: the lowest and the highest tolerance to read of the others [samples]; none is read without.
    """

    whole: Collection[str] | None = None
    headline: tuple[int, int] | None = None

    def of(self, row: RunRow, split: str) -> range:
        """Tolerances to read of a cell."""
        every = range(len(row.thresholds[split]))
        if self.whole is None or split in self.whole:
            return every
        lowest, highest = self.headline or (row.tolerance, row.tolerance)
        return every[min(lowest, row.tolerance) : max(highest, row.tolerance) + 1]


def headline_tolerances(session: Session, studies: Collection[str]) -> tuple[int, int] | None:
    """The lowest and the highest headline tolerance of the stored cells of studies; None without any."""
    query = select(func.min(RunRow.tolerance), func.max(RunRow.tolerance)).where(RunRow.study.in_(studies))
    lowest, highest = session.execute(query).one()
    return None if lowest is None else (lowest, highest)


def read_scores(engine: Engine, rows: Sequence[RunRow], wanted: Wanted) -> dict[str, dict[str, Scores]]:
    """Scores of cells by cell and split, without splits that have none.

    Two connections read: neither Python nor the other one waits while a database looks for rows.

    Raises:
        StorageError: a number of rows that does not fit the tolerances.
    """
    parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
    with ThreadPoolExecutor(READERS) as pool:
        futures = [pool.submit(_read_part, engine, part, wanted) for part in parts]
        try:
            return {cell: scores for future in futures for cell, scores in future.result().items()}
        finally:  # after an error, or Ctrl-C, the rest is not waited for
            pool.shutdown(wait=False, cancel_futures=True)


def _read_part(engine: Engine, rows: Sequence[RunRow], wanted: Wanted) -> dict[str, dict[str, Scores]]:
    with engine.connect() as connection:
        return {row.cell: _scores(connection, row, wanted) for row in rows}


def _scores(connection: Connection, row: RunRow, wanted: Wanted) -> dict[str, Scores]:
    tables = {split: _table(connection, row, split, wanted.of(row, split)) for split in sorted(row.thresholds)}
    return {split: table for split, table in tables.items() if table is not None}


_ORDERED = (
    select(ScoreRow.tp, ScoreRow.fp, ScoreRow.fn)
    .where(*(column == bindparam(column.key) for column in (ScoreRow.study, ScoreRow.cell, ScoreRow.split)))
    .where(ScoreRow.tolerance.between(bindparam("lowest"), bindparam("highest")))
    .order_by(ScoreRow.signal, ScoreRow.tolerance)
    .subquery()
)
# Each column of a cell as one text, "3,0,7": a tuple for each row takes twice as long. Both databases hand the rows of
# an ordered subquery to an aggregate in their order.
_COMMA: Any = literal_column("','")  # Any: a text is expected, which would be written into the query each time
_COUNTS = select(*(func.aggregate_strings(cast(column, String), _COMMA) for column in _ORDERED.c))


def _table(connection: Connection, row: RunRow, split: str, tolerances: range) -> Scores | None:
    key = {"study": row.study, "cell": row.cell, "split": split}
    span = {"lowest": tolerances[0], "highest": tolerances[-1]}
    texts = connection.execute(_COUNTS, key | span).one()
    if not texts[0]:
        return None
    tp, fp, fn = (np.fromstring(text, np.int64, sep=",") for text in texts)
    if len(tp) % len(tolerances):
        raise StorageError(
            f"cell {row.cell} of {row.study} has {len(tp)} scores on the {split} lines, expected a multiple of "
            f"{len(tolerances)}, the tolerances; see kernbench storage check"
        )
    thresholds = np.asarray(row.thresholds[split], np.float64)[tolerances.start : tolerances.stop]
    tp, fp, fn = (each.reshape(-1, len(tolerances)).T.copy() for each in (tp, fp, fn))
    return Scores(np.arange(tolerances.start, tolerances.stop), tp, fp, fn, thresholds)
