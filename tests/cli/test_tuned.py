"""A tuned study on the command line: what would run, what runs, how far it is, what was chosen."""

import re

import fakes
import numpy as np
import pytest

from kernbench.store.reading.runs import load_runs

pytestmark = pytest.mark.usefixtures("no_pictures")

RUN = ("run", "--plugin", "siren", "--profile", "quick", "--study")
STUDY = (
    fakes.SMALL.replace("[9, 33]", "[9]")
    + """
epochs = 2
batch_size = 4
decay_epoch = 2
rate = 0.005
validate_every = 1
[tuning]
trials = 3
"""
)


@pytest.fixture
def file(smoke_bench):
    """A study file in the working folder, with the lines of the smoke study."""
    (smoke_bench.folder / "mine.toml").write_text(STUDY)
    return "mine.toml"


def test_a_dry_run_says_what_is_drawn(smoke_bench, file):
    ended = smoke_bench.run(*RUN, file, "--dry-run")
    assert ended.code == 0, ended
    assert "tuned by tpe, seed 0: 3 draws at each point and seed, none is ended early" in ended.out, ended
    assert "omega_0: 1 .. 200 rad per extent, log; draw 0 has 30.0" in ended.out, ended
    assert ended.out.count("run   draw=") == 3, ended
    ended = smoke_bench.run("run", "--plugin", "discrete", "--study", file, "--profile", "quick", "--dry-run")
    assert "the study allows 3 draws; this family has 1 to try" in ended.out, ended


def test_a_run_shows_the_chosen_draw_and_status_each_search(smoke_bench, file):
    words = (*RUN, file, "--no-baselines")
    ended = smoke_bench.run(*words)
    assert ended.code == 0, ended
    found = re.search(
        r"kernel_size = 9, seed = 0: draw (\d) of 3 \(.*omega_0 = .*\), F1 0\.\d+ on validation", ended.out
    )
    assert found, ended
    validation = [float(f1) for f1 in re.findall(r"F1 [\d.]+ on test lines, ([\d.]+) on validation lines", ended.out)]
    assert int(found[1]) == validation.index(max(validation))
    table = ended.out.partition("F1 at 4 samples")[2].partition("kernel_size = 9, seed")[0]
    assert "draw" not in table  # one row for the point, the chosen draw, as for a grid
    status = smoke_bench.run("status")
    assert "kernel_size=9,seed=0: 3 of 3 draws; best F1" in status.out, status
    assert "draw=" not in status.out, status
    again = smoke_bench.run(*words)
    assert "all cells were complete already (3 done)" in again.out, again
    assert "<h3>Tuning</h3>" in (smoke_bench.folder / "kernbench-report" / "report.html").read_text()


def test_a_drawn_rate_is_the_one_that_the_cell_trains_with(smoke_bench):
    """The same rate as an axis of a grid gives the same scores, to the last bit."""
    drawn = STUDY.replace("trials = 3", "trials = 2\n[tuning.training]\nrate = [0.001, 0.01]")
    (smoke_bench.folder / "drawn.toml").write_text(drawn)
    words = ("run", "--plugin", "discrete", "--profile", "quick", "--no-baselines", "--study")
    ended = smoke_bench.run(*words, "drawn.toml")
    assert ended.code == 0, ended
    one, two = load_runs("sqlite:///kernbench.db")
    assert (one.params["rate"], two.params["draw"]) == (0.005, 1)
    grid = STUDY.partition("[tuning]")[0].replace("[axes]", f"[axes]\nrate = [{two.params['rate']!r}]")
    (smoke_bench.folder / "grid.toml").write_text(grid)
    assert smoke_bench.run(*words, "grid.toml").code == 0
    (again,) = (run for run in load_runs("sqlite:///kernbench.db") if run.base.startswith("grid"))
    for split in ("validation", "test"):
        np.testing.assert_array_equal(again.scores[split].tp, two.scores[split].tp)
    assert one.scores["test"].tp.tolist() != two.scores["test"].tp.tolist()


def test_status_counts_draws_and_a_changed_table_needs_another_version(smoke_bench, file):
    words = (*RUN, file, "--workers", "0")
    assert smoke_bench.run(*words).code == 0
    status = smoke_bench.run("status")
    assert "kernel_size=9,seed=0: 0 of 3 draws\n" in status.out, status
    (smoke_bench.folder / file).write_text(STUDY.replace("trials = 3", "trials = 4"))
    ended = smoke_bench.run(*words)
    assert ended.code == 2, ended
    assert "tuning.trials: 3 (stored) -> 4 (now)" in ended.err, ended
    assert ended.err.count("\n") == 1, ended


def test_a_broken_table_is_one_line(refused, bench):
    (bench.folder / "mine.toml").write_text(STUDY.replace("trials", "trails"))
    refused("run", "--plugin", "siren", "--study", "mine.toml", said=["tuning.trails", "did you mean 'trials'"])


def test_describe_says_what_a_study_can_tune(bench):
    assert "a study with [tuning] draws those that it does not fix" in bench.run("describe", "siren").out
    assert (
        "no hyper-parameters: a study with [tuning] draws settings of the training alone"
        in bench.run("describe", "discrete").out
    )
