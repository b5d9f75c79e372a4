"""What only a server can do: restart, stay unavailable, have another time zone."""

import fakes
import optuna
import pytest
from fakes import NINE, THIRTY_THREE
from optuna.trial import TrialState
from sqlalchemy import text

from kernbench.errors import StorageLostError
from kernbench.store.database import outage, storage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # connections of a dead server
]


@pytest.fixture
def world(postgres_world):
    """A database on the server."""
    return postgres_world


def test_a_trial_is_not_lost_though_the_server_was_restarted_and_the_zone_differs(world, server, monkeypatch):
    monkeypatch.setenv("PGTZ", "America/New_York")  # heartbeats carry no zone

    def restart(context):
        if context.params["kernel_size"] == 9:
            server.stop()
            server.start()
        monkeypatch.delenv("PGTZ", raising=False)
        other = world.optuna_study()  # another process, in another zone
        optuna.storages.fail_stale_trials(other)
        return fakes.outcome()

    assert set(world.states(world.run(compute=restart, heartbeat_s=1, grace_s=30)).values()) == {"done"}
    assert world.executed == [NINE, THIRTY_THREE]


def test_a_server_that_stays_unavailable_is_one_line_and_the_next_run_goes_on(world, server, monkeypatch):
    monkeypatch.setattr(outage, "OUTAGE_S", 1.0)
    monkeypatch.setattr(storage, "SETTLING_BEATS", 0)

    def crash(_context):
        server.stop()
        return fakes.outcome()

    try:
        with pytest.raises(StorageLostError, match="became unavailable") as error:
            world.run(compute=crash)
    finally:
        server.start()
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)
    (left,) = world.trials(TrialState.RUNNING)
    with world.storage().engine.begin() as connection:  # its process is gone and the grace period is over
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    assert set(world.states(world.run()).values()) == {"done"}
    assert left.user_attrs["cell"] == NINE
