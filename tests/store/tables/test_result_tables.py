"""Tables: a run and its scores are written together or not at all, and another schema is refused."""

import fakes
import pytest
from optuna.trial import TrialState
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernbench.store.tables import result_tables
from kernbench.store.tables.result_tables import EnvironmentRow, FloorRow, LineRow, RunRow, ScoreRow


def rows(world, table):
    """Number of rows."""
    with Session(world.storage().engine) as session:
        return session.scalar(select(func.count()).select_from(table))


def test_a_finished_cell_leaves_its_run_scores_lines_floors_and_environment(world):
    world.run(world.study([9]))
    assert rows(world, RunRow) == 1
    assert rows(world, ScoreRow) == 2 * fakes.TOLERANCES * fakes.LINES
    assert rows(world, LineRow) == 2 * fakes.LINES
    assert rows(world, FloorRow) == 2 * fakes.TOLERANCES
    assert rows(world, EnvironmentRow) == 1


def test_a_second_cell_adds_no_second_copy_of_lines_and_environment(world):
    world.run()
    assert rows(world, RunRow) == 2
    assert rows(world, LineRow) == 2 * fakes.LINES
    assert rows(world, EnvironmentRow) == 1


def test_a_diverged_cell_leaves_a_run_without_scores(world):
    world.run(compute=lambda _context: fakes.diverged())
    assert (rows(world, RunRow), rows(world, ScoreRow)) == (2, 0)


def test_a_failed_cell_leaves_no_rows(world):
    def fail(_context):
        raise ValueError("x")

    world.run(compute=fail)
    assert (rows(world, RunRow), rows(world, ScoreRow)) == (0, 0)


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


def test_every_row_names_the_complete_trial_that_wrote_it(world):
    world.run()
    with Session(world.storage().engine) as session:
        stored = {row.cell: row.trial for row in session.scalars(select(RunRow))}
    complete = world.trials(TrialState.COMPLETE)
    assert stored == {trial.user_attrs["cell"]: trial.number for trial in complete}


def test_making_the_tables_twice_changes_nothing(world):
    world.run()
    result_tables.create_tables(world.storage().engine)
    assert rows(world, RunRow) == 2


def test_lines_written_twice_at_once_are_no_error(world):
    world.run()
    result_tables._add_once(
        world.storage().engine,
        [LineRow(data_digest=fakes.DATA, split="test", signal=0, bubbles=1, pressure_pa=1.0)],
    )
    assert rows(world, LineRow) == 2 * fakes.LINES
