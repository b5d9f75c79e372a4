"""Tables: a run and its scores are written together or not at all, and another schema is refused."""

import fakes
import pytest
from optuna.trial import TrialState
from sqlalchemy import func, literal_column, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from kernbench.store.tables import result_tables
from kernbench.store.tables.result_tables import EnvironmentRow, FloorRow, LineRow, RunRow, ScoreRow


def rows(world, table):
    """Number of rows."""
    with Session(world.storage().engine) as session:
        return session.scalar(select(func.count()).select_from(table))


def test_finished_cells_leave_a_run_and_scores_each_and_share_lines_floors_and_environment(world):
    world.run()
    engine = world.storage().engine
    result_tables.create_tables(engine)  # once more, which changes nothing
    line = {"data_digest": fakes.DATA, "split": "test", "signal": 0}
    result_tables._add_once(engine, [LineRow(**line, bubbles=1, pressure_pa=1.0)])  # as a worker beside this one does
    assert rows(world, ScoreRow) == 2 * 2 * fakes.TOLERANCES * fakes.LINES
    assert rows(world, LineRow) == 2 * fakes.LINES
    assert rows(world, FloorRow) == 2 * fakes.TOLERANCES
    assert rows(world, EnvironmentRow) == 1
    with Session(engine) as session:
        stored = {row.cell: row.trial for row in session.scalars(select(RunRow))}
    assert stored == {trial.user_attrs["cell"]: trial.number for trial in world.trials(TrialState.COMPLETE)}


def test_scores_on_sqlite_are_found_by_their_key_alone(world):
    world.run(world.study([9]))
    engine = world.storage().engine
    if engine.dialect.name != "sqlite":
        pytest.skip("SQLite alone has tables without row numbers")
    with engine.connect() as connection, pytest.raises(OperationalError, match="rowid"):
        connection.execute(select(literal_column("rowid")).select_from(ScoreRow))


def test_a_diverged_cell_leaves_a_run_without_scores_and_a_failed_one_nothing(world):
    world.run(world.study([9]), compute=lambda _context: fakes.diverged())
    world.run(world.study([9, 33]), compute=lambda _context: 1 / 0, extend=True)
    assert (rows(world, RunRow), rows(world, ScoreRow)) == (1, 0)


def test_run_and_scores_are_written_together_or_not_at_all(world):
    world.run(world.study([9]))
    before = rows(world, ScoreRow)
    engine = world.storage().engine
    with Session(engine) as session:
        old = session.scalars(select(RunRow)).one()
        columns = {column.name: getattr(old, column.name) for column in RunRow.__table__.columns}
        key = {"study": old.study, "cell": old.cell}

    def broken():
        yield ScoreRow(**key, split="test", signal=0, tolerance=0, tp=1, fp=1, fn=1)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        result_tables.write_run(engine, RunRow(**columns | {"trial": 99}), broken())
    assert rows(world, ScoreRow) == before
    with Session(engine) as session:
        assert session.scalars(select(RunRow)).one().trial == old.trial
