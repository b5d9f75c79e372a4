"""SQLAlchemy tables beside Optuna's: runs, per-line scores, environments, test lines and floors."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from kernbench.store.database.opening import making_tables
from kernbench.store.database.outage import outlasting
from kernbench.store.database.schema import KEY, SCHEMA_VERSION, schema_version, version_in
from kernbench.store.tables.optuna_tables import table_of
from kernbench.study.cell import SplitFacts
from kernbench.study.task import task

TRAINED_AS, EARLIER = "trained_as", "earlier_seconds"  # details of a run: see Outcome


class Base(DeclarativeBase):
    """Own metadata: Optuna's tables are not ours to touch."""


class Meta(Base):
    """Version of these tables."""

    __tablename__ = "kernbench_meta"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class RunRow(Base):
    """One cell, as its last attempt left it; `trial` keeps late attempts from writing over it."""

    __tablename__ = "kernbench_run"
    study: Mapped[str] = mapped_column(String(512), primary_key=True)
    cell: Mapped[str] = mapped_column(String(512), primary_key=True)
    trial: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(Text, default="")
    family: Mapped[str] = mapped_column(String(128))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    plugin: Mapped[str] = mapped_column(String(256))
    kernbench_version: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    data_digest: Mapped[str] = mapped_column(String(64))
    environment: Mapped[str] = mapped_column(String(64))
    seeds: Mapped[dict[str, Any]] = mapped_column(JSON)
    device: Mapped[str] = mapped_column(String(64))
    threads: Mapped[int] = mapped_column(Integer)
    tolerance: Mapped[int] = mapped_column(Integer)
    thresholds: Mapped[dict[str, Any]] = mapped_column(JSON)
    started: Mapped[str] = mapped_column(String(32))
    seconds: Mapped[float | None] = mapped_column(Float)
    attempts: Mapped[int] = mapped_column(Integer)
    epochs: Mapped[int | None] = mapped_column(Integer)
    resumed_from: Mapped[int | None] = mapped_column(Integer)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


class ScoreRow(Base):
    """Counts of one line at the chosen threshold of one tolerance; F1 is computed when read."""

    __tablename__ = "kernbench_score"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  # SQLAlchemy's name; rows lie in their key: half the size, read twice as fast
    study: Mapped[str] = mapped_column(String(512), primary_key=True)
    cell: Mapped[str] = mapped_column(String(512), primary_key=True)
    split: Mapped[str] = mapped_column(String(32), primary_key=True)
    signal: Mapped[int] = mapped_column(Integer, primary_key=True)
    tolerance: Mapped[int] = mapped_column(Integer, primary_key=True)
    tp: Mapped[int] = mapped_column(Integer)
    fp: Mapped[int] = mapped_column(Integer)
    fn: Mapped[int] = mapped_column(Integer)


class EnvironmentRow(Base):
    """What a cell ran on."""

    __tablename__ = "kernbench_environment"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)


class LineRow(Base):
    """One line of an evaluated split."""

    __tablename__ = "kernbench_line"
    data_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    split: Mapped[str] = mapped_column(String(32), primary_key=True)
    signal: Mapped[int] = mapped_column(Integer, primary_key=True)


class FloorRow(Base):
    """Mean F1 of blind detectors on an evaluated split."""

    __tablename__ = "kernbench_floor"
    data_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    split: Mapped[str] = mapped_column(String(32), primary_key=True)
    tolerance: Mapped[int] = mapped_column(Integer, primary_key=True)


def _declare() -> None:
    """Add to the tables what the task of this process declares: a column a number, fact or floor."""
    for column in task().columns:
        setattr(RunRow, column.name, mapped_column(Integer if column.whole else Float, nullable=True))
    for fact in task().line_facts:
        setattr(LineRow, fact.name, mapped_column(Integer if fact.whole else Float, nullable=False))
    for floor in task().floors:
        setattr(FloorRow, floor.name, mapped_column(Float, nullable=False))


_declare()


@outlasting
def create_tables(engine: Engine) -> None:
    """Make the tables where there are none; those of an older version stay as they are.

    Raises:
        SchemaError: they are of a version that this kernbench does not know.
    """
    if schema_version(engine) is None:
        making_tables(lambda: _create_tables(engine))


def _create_tables(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        Base.metadata.create_all(session.connection())
        session.merge(Meta(key=KEY, value=str(SCHEMA_VERSION)))


@outlasting
def add_declared(engine: Engine) -> None:
    """Add the columns that the task declares and a table made without them lacks; cells stored before have no value."""
    with engine.begin() as connection:
        version_in(connection, hold=True)  # another process may be about to add them
        add_lacking(connection)


def add_lacking(connection: Connection) -> None:
    """The same in the transaction of a connection that holds the version."""
    table = table_of(RunRow)
    there = set(columns_there(connection, table))
    for column in [column for column in table.columns if column not in there]:
        name = connection.dialect.identifier_preparer.format_column(column)
        kind = column.type.compile(connection.dialect)
        connection.execute(DDL(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}"))


def columns_there(connection: Connection, table: Table) -> list[Column[Any]]:
    """Columns of one of these tables that a database has: one of an older version lacks some."""
    names = {column["name"] for column in inspect(connection).get_columns(table.name)}
    return [column for column in table.columns if column.name in names]


def runs_of(session: Session, study: str) -> list[RunRow]:
    """Runs of a study, to read: they belong to no session, and what an older database lacks is None."""
    columns = columns_there(session.connection(), table_of(RunRow))
    found = session.execute(select(*columns).where(RunRow.study == study))
    return [RunRow(**row._mapping) for row in found]


@outlasting
def plugins_of(engine: Engine, study: str, without: Collection[int] = ()) -> dict[str, int]:
    """Distribution and version of the plugins that made the stored cells of a study -> number of cells.

    Args:
        engine: of the storage.
        study: its name.
        without: trials that count no more.
    """
    with Session(engine) as session:
        made = session.execute(select(RunRow.trial, RunRow.plugin).where(RunRow.study == study)).all()
    return dict(Counter(plugin for trial, plugin in made if trial not in without))


@outlasting
def write_run(engine: Engine, run: RunRow, scores: Sequence[ScoreRow]) -> bool:
    """Write a cell's run and scores in one transaction, in place of those of an earlier attempt.

    Args:
        engine: of the storage.
        run: the run; nothing is written over one of a later trial.
        scores: its per-line counts, empty for a diverged cell.

    Returns:
        False when a newer attempt has written already, so this one is late and nothing was changed.
    """
    rows = [{column.name: getattr(score, column.name) for column in score.__table__.columns} for score in scores]
    with Session(engine) as session, session.begin():
        old = session.get(RunRow, (run.study, run.cell), with_for_update=True)
        if old is not None and old.trial > run.trial:
            return False
        for table in (ScoreRow, RunRow):
            session.execute(delete(table).where(table.study == run.study, table.cell == run.cell))
        session.add(run)
        session.flush()
        if rows:
            session.execute(insert(ScoreRow), rows)
    return True


@outlasting
def write_environment(engine: Engine, digest: str, content: Mapping[str, Any]) -> None:
    """Store an environment once."""
    _add_once(engine, [EnvironmentRow(digest=digest, content=json.loads(json.dumps(content)))])


@outlasting
def write_split(engine: Engine, data_digest: str, split: str, facts: SplitFacts) -> None:
    """Store the lines and floors of an evaluated split once."""
    with Session(engine) as session:
        if session.get(LineRow, (data_digest, split, 0)) is not None:
            return
    key = {"data_digest": data_digest, "split": split}
    rows: list[Base] = [LineRow(**key, signal=i, **known) for i, known in enumerate(_records(facts.lines))]
    rows += [FloorRow(**key, tolerance=t, **scores) for t, scores in enumerate(_records(facts.floors))]
    _add_once(engine, rows)


def _records(columns: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Columns of equal length as one record for each place."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _add_once(engine: Engine, rows: Sequence[Base]) -> None:
    try:
        with Session(engine) as session, session.begin():
            session.add_all(rows)
    except IntegrityError:
        # Another worker wrote the same rows first: their content is a function of their key.
        return
