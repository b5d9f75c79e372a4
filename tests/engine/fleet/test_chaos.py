"""Workers killed at random: every cell complete once, with the score of an uninterrupted one, and nothing left over."""

import os

import chaos
import pytest

from kernbench.engine.fleet import coordinator
from kernbench.store.tables import cell_states

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("KERNBENCH_KILLS", "6"))  # docs/reliability.md has runs with 200


def test_whoever_is_killed_each_cell_is_complete_once_and_no_file_is_left(world, monkeypatch):
    monkeypatch.setattr(cell_states, "KILLED_LIMIT", chaos.PATIENCE)
    monkeypatch.setattr(coordinator, "STARTS", chaos.PATIENCE)
    kills, attempts = chaos.endure(world, KILLS, pace=(0.3, 1.2), cells=8)
    assert len(kills) == KILLS
    assert sum(attempts.values()) >= len(attempts)
