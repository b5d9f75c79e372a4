"""`kernbench worker`: what it serves, what it refuses, and how it says so."""

import json
import os
import signal

import fakes
import optuna
import pytest

from kernbench.store.database.opening import open_storage
from kernbench.store.reading.runs import load_runs

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("no_pictures")]

QUEUE = ("run", "--study", "smoke", "--profile", "quick", "--workers", "0")


@pytest.fixture
def queued(smoke_bench):
    """A queue of the smoke study for two families."""
    for family in ("discrete", "siren"):
        ended = smoke_bench.run(*QUEUE, "--plugin", family)
        assert ended.code == 0, ended
    return smoke_bench


def edit(bench, family, **attributes):
    """Change user attributes of a stored study."""
    storage = open_storage(bench.url)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.load_study(study_name=f"smoke.v1.quick/{family}", storage=storage, sampler=sampler)
    for name, change in attributes.items():
        study.set_user_attr(name, change(study.user_attrs[name]))
    storage.remove_session()
    storage.engine.dispose()


def test_refusals_are_one_line_that_says_what_there_is(queued, refused):
    refused("worker", "--study", "other", said=["no study 'other'", "smoke.v1.quick/discrete, smoke.v1.quick/siren"])
    refused("worker", "--study", "smok", said=["no study 'smok'", "did you mean 'smoke'?"])
    refused("worker", "--study", "smoke", "--plugin", "gaussian", said=["family 'gaussian'", "discrete, siren"])
    refused("worker", "--study", "smoke", "--plugin", "nothing", said=["no kernel family 'nothing'"])
    refused("worker", "--study", "smoke", "--profile", "thesis", said=["profile 'thesis'", "stored: quick"])
    refused("worker", "--study", "smoke", "--stop-after", "soon", said=["--stop-after", "3h30m", "'soon'"])
    refused("worker", "--study", "smoke", "--cell-limit", "0", said=["--cell-limit", "'0'"])
    refused("worker", "--study", "smoke", "--storage", "sqlite:///none.db", said=["no database there yet"])


def test_a_worker_that_would_compute_other_cells_is_refused(queued, refused):
    def older(definition):
        content = json.loads(definition)
        content["protocol"] = "an older one"
        return json.dumps(content)

    edit(queued, "siren", definition=older)
    said = ["smoke.v1.quick/siren", "protocol: 'an older one' (stored)", "(now)", "Install"]
    refused("worker", "--study", "smoke", said=said)
    refused("worker", "--study", "smoke", "--plugin", "siren", said=said)
    assert queued.run("worker", "--study", "smoke", "--plugin", "discrete", "--stop-after", "1s").code == 0


@pytest.mark.parametrize(
    "words", [(*QUEUE, "--plugin", "discrete"), ("worker", "--study", "smoke")], ids=["run", "worker"]
)
def test_sigterm_before_there_is_a_cell_is_no_error(smoke_bench, monkeypatch, words):
    def told(*_arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("went on")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("kernbench.host.device.choose_device", told)
    ended = smoke_bench.run(*words)
    assert ended.code == 0, ended
    assert not smoke_bench.database.exists()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_without_a_plugin_it_serves_every_family_of_the_study_and_leaves(queued):
    ended = queued.run("worker", "--study", "smoke")
    assert ended.code == 0, ended
    runs = load_runs(queued.url)
    assert {(run.family, run.status) for run in runs} == {("discrete", "ok"), ("siren", "ok")}
    assert len(runs) == 4
    again = queued.run("worker", "--study", "smoke")
    assert again.code == 0, again
    assert "no cell waits" in again.out, again
    assert again.out.count("\n") == 1, again


@pytest.mark.slow
def test_a_family_that_is_not_installed_is_left_to_others(queued, monkeypatch):
    monkeypatch.setenv("KERNBENCH_LOAD_PLUGINS", "siren")
    from kernbench.registry import installed

    installed.cache_clear()
    ended = queued.run("worker", "--study", "smoke")
    assert ended.code == 0, ended
    assert "no kernel family 'discrete'" in ended.out, ended
    assert "left to other workers" in ended.out, ended
    assert {run.family for run in load_runs(queued.url)} == {"siren"}


def test_the_children_of_a_run_get_no_password_on_their_command_line(monkeypatch):
    from kernbench.cli.worker import crew_of
    from kernbench.engine.fleet.runner import Options
    from kernbench.engine.work.time_limit import Limit

    url = "postgresql+psycopg://me:secret@host/kernbench"
    options = Options(url, limit=Limit(7200.0, 1800.0))
    study = fakes.load_study("smoke", fakes.find("siren").family, "quick")
    crew = crew_of(2, "./my.py:mine", "auto", study, options)
    words = list(crew.command(1))
    assert not any("secret" in word for word in words)
    assert crew.environment == {"KERNBENCH_STORAGE": url}
    assert words[words.index("--plugin") + 1] == "./my.py:mine"
    assert words[words.index("--study") + 1] == "smoke.v1.quick/siren"
    assert words[words.index("--cell-limit") + 1] == "7200s"
    assert crew_of(1, "siren", "auto", study, Options(url)) is None
    assert crew_of(1, "siren", "auto", study, options).count == 1  # a limit needs somebody who outlives the cell


def test_gpus_are_handed_out_in_turn(monkeypatch):
    import torch

    from kernbench.cli.worker import crew_of
    from kernbench.engine.fleet.runner import Options

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    study = fakes.load_study("smoke", fakes.find("siren").family, "quick")

    def devices(asked, chosen):
        crew = crew_of(3, "siren", asked, study, Options("sqlite:///x.db", chosen))
        return [list(crew.command(place))[-1] for place in range(3)]

    assert devices("auto", "cuda:0") == devices("cuda", "cuda:0") == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices("cuda:1", "cuda:1") == ["cuda:1"] * 3
    assert devices("auto", "cpu") == devices("cpu", "cpu") == ["cpu"] * 3
