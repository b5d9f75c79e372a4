"""A study record that somebody has changed: every command says so in one line, and none writes anything."""

import contextlib
import sqlite3

import fakes
import pytest

ATTRIBUTES = ("definition", "cells", "axes", "seeds", "runtime", "references", "digest")
COMMANDS = (
    ("status",),
    ("report", "--out", "page"),
    ("run", "--plugin", "discrete", "--study", "./mine.toml", "--profile", "quick", "--dry-run"),
    ("run", "--plugin", "discrete", "--study", "./mine.toml", "--profile", "quick", "--no-baselines"),
    ("worker", "--study", "mine"),
    ("data", "weights"),
)


@pytest.fixture
def stored(bench):
    """A study that is done, in the working folder."""
    world = fakes.World(bench.folder)
    world.run()
    world.close()
    return bench


def spoil(bench, attribute, value):
    """Write something else in the place of an attribute of the study."""
    with contextlib.closing(sqlite3.connect(bench.database)) as connection, connection:
        connection.execute("DELETE FROM study_user_attributes WHERE key = ?", (attribute,))
        row = "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, ?)"
        connection.execute(row, (attribute, value))


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_that_is_no_json_is_one_line_in_every_command(stored, attribute):
    spoil(stored, attribute, "{")
    for words in COMMANDS:
        before = stored.database.read_bytes()
        ended = stored.run(*words)
        assert ended.code == 2, ended
        assert ended.err.count("\n") == 1, ended
        assert "mine.v1.quick/discrete" in ended.err, ended
        assert "damaged" in ended.err, ended
        assert "storage check" in ended.err, ended
        assert stored.database.read_bytes() == before, ended


@pytest.mark.parametrize("value", ['"[1"', '"[{}]"', "7", '"null"'])
@pytest.mark.parametrize("attribute", ATTRIBUTES[:3])
def test_an_attribute_of_another_kind_ends_no_command_with_a_traceback(stored, attribute, value):
    spoil(stored, attribute, value)
    for words in (COMMANDS[0], COMMANDS[2], *COMMANDS[4:]):
        ended = stored.run(*words)
        if ended.code not in (0, 1):
            assert ended.code == 2, ended
            assert ended.err.count("\n") == 1, ended
            assert ended.err.startswith("kernbench: "), ended
