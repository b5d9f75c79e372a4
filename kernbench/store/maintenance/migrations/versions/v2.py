"""Version 2: `kernbench_run` has the one-to-one scores of the headline tolerance as columns, to sort and select by."""

from typing import Any

from alembic import op
from sqlalchemy import JSON, Column, Connection, Float, Integer, String, column, select, table, update

revision = "2"
down_revision = "1"

COLUMNS = {"f1_matched": "f1", "rmse_samples": "rmse_samples"}  # column -> where it lies in details["matched"]
RUN = table(
    "kernbench_run",
    *(column(name, String) for name in ("study", "cell")),
    column("tolerance", Integer),
    column("details", JSON),
    *(column(name, Float) for name in COLUMNS),
)


def upgrade() -> None:
    """Add the columns and fill them."""
    for name in COLUMNS:
        op.add_column("kernbench_run", Column(name, Float(), nullable=True))
    fill(op.get_bind())


def fill(connection: Connection) -> None:
    """Take the values from what every scored cell keeps at each tolerance; without it they stay empty."""
    empty = [RUN.c[name].is_(None) for name in COLUMNS]
    for study, cell in connection.execute(select(RUN.c.study, RUN.c.cell).where(*empty)).all():
        here = (RUN.c.study == study, RUN.c.cell == cell)
        tolerance, details = connection.execute(select(RUN.c.tolerance, RUN.c.details).where(*here)).one()
        values = {name: _at(details, place, tolerance) for name, place in COLUMNS.items()}
        if any(value is not None for value in values.values()):
            connection.execute(update(RUN).where(*here).values(values))


def _at(details: Any, place: str, tolerance: int) -> float | None:  # Any: JSON that somebody may have changed
    try:
        return float(details["matched"][place][tolerance])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
