"""A cell killed at random moments ends with the scores and weights of one that was left alone."""

import contextlib
import os
import random
import sqlite3
import subprocess
import time

import fakes
import pytest
import torch
from forked import Forked, call_main_without_figures

from kernbench.host.tensor_files import read_tensors

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EPOCHS = 120
KILLS = int(os.environ.get("KERNBENCH_KILLS", "6"))
STUDY = fakes.SMALL.replace("[9, 33]", "[33]") + (
    f"epochs = {EPOCHS}\nbatch_size = 4\nvalidate_every = 5\ndecay_epoch = 60\ncheckpoint_seconds = 0\n"
)
WORDS = ["run", "--study", "mine.toml", "--plugin", "siren", "--no-baselines", "--retry-failed"]


def started(folder):
    """The command, in a process of its own that is killed in its work and not in its imports."""
    with (folder / "said").open("a", encoding="utf-8") as said:
        return Forked(call_main_without_figures, WORDS, cwd=folder, stdout=said, stderr=subprocess.STDOUT)


def result(folder):
    """Scores, and every tensor of the trained network."""
    (weights,) = (path for path in (folder / "kernbench.artifacts").iterdir() if is_weights(path))
    tensors = {name: value for name, value in read_tensors(weights)["state"].items() if isinstance(value, torch.Tensor)}
    return fakes.stored_scores(folder / "kernbench.db"), {name: value.tolist() for name, value in tensors.items()}


def is_weights(path):
    """Whether a file is one of torch's."""
    return path.is_file() and path.read_bytes()[:2] == b"PK" and b"data.pkl" in path.read_bytes()


def checkpoint_epoch(folder):
    """Epoch of the last checkpoint that any attempt has told of."""
    query = "SELECT max(CAST(value_json AS INTEGER)) FROM trial_user_attributes WHERE key = 'checkpoint_epoch'"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder}/kernbench.db?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchone()[0] or 0
    except sqlite3.OperationalError:  # not there yet
        return 0


def test_scores_and_weights_of_a_cell_that_was_killed_many_times_are_those_of_one_that_was_not(smoke_bench):
    folder, moments = smoke_bench.folder, random.Random(1)
    places = [folder / name for name in ("alone", "killed")]
    for place in places:
        place.mkdir()
        (place / "mine.toml").write_text(STUDY)
    assert started(places[0]).wait(600) == 0, (places[0] / "said").read_text()
    kills, reached = 0, []
    while kills < KILLS:
        process = started(places[1])
        if kills % 4 == 0:  # before the first batch, or soon after
            time.sleep(moments.uniform(0, 2))
        else:
            further = checkpoint_epoch(places[1]) + moments.randint(1, 2 * EPOCHS // KILLS)
            while checkpoint_epoch(places[1]) < further and process.poll() is None:
                time.sleep(0.005)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
        reached.append(checkpoint_epoch(places[1]))
    assert started(places[1]).wait(600) == 0, (places[1] / "said").read_text()
    assert len(set(reached)) > 3, reached  # it was killed at work, and went on
    assert result(places[1]) == result(places[0])
    assert list((places[1] / "kernbench.checkpoints").iterdir()) == []
