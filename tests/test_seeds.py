"""Seeds of one point trained at once: the records of the seeds alone, and a way out where it cannot be done."""

import csv
import dataclasses

import fakes
import numpy as np
import pytest

from kernbench import experiment, seeds
from kernbench.engine.cell import CellContext
from kernbench.engine.reading import load_runs
from kernbench.errors import DivergedError, KernbenchError
from kernbench.evaluation import Workbench
from kernbench.registry import find_family
from kernbench.seeds import run_seeds, stack_size
from kernbench.training import Interrupted

STUDY = (
    fakes.SMALL.replace("[9, 33]", "[9]").replace("version = 1", "version = 1\nseeds = 3")
    + """
epochs = 40
batch_size = 4
rate = 1e-3
validate_every = 20
"""
)


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.notes, self.epochs = [], 0

    def note(self, text):
        self.notes.append(text)

    def epoch(self, *_values):
        self.epochs += 1


@pytest.fixture
def study(tmp_path, smoke_lines, monkeypatch):
    """A study of three seeds on the smoke study's lines, in float64; pictures, which take most time, are left out.

    In float32 seeds at once and alone drift apart within an epoch: before a BatchNorm bias and gain have no gradient
    but rounding, of which Adam makes whole steps.
    """
    network, lines = experiment.make_network, Workbench.lines
    monkeypatch.setattr(experiment, "make_network", lambda *given: network(*given).double())
    monkeypatch.setattr(Workbench, "lines", lambda *given: tuple(each.double() for each in lines(*given)))
    monkeypatch.setenv("KERNBENCH_CACHE", str(smoke_lines))
    monkeypatch.setattr("kernbench.artifacts._pictures", lambda *_arguments: [])
    (tmp_path / "mine.toml").write_text(STUDY.replace("epochs = 40", "epochs = 3"))
    return experiment.load(str(tmp_path / "mine.toml"), find_family("siren"), "quick")


@pytest.fixture
def contexts(study, tmp_path):
    """Contexts of all seeds in a folder, and who observes the first."""

    def make(place, stop=lambda: False, attempt=0):
        observer = Notes()
        made = []
        for number, (cell, params) in enumerate(study.cells().items()):
            scratch = tmp_path / place / f"scratch{number}.{attempt}"
            scratch.mkdir(parents=True)
            made.append(
                CellContext(
                    study=study,
                    cell=cell,
                    params=params,
                    device="cpu",
                    trial=attempt,
                    checkpoints=tmp_path / place / "checkpoints",
                    scratch=scratch,
                    report=lambda _epoch, _score: None,
                    stop=stop,
                    observer=observer,
                    saved=lambda _epoch: None,
                )
            )
        return made, observer

    return make


def curve(outcome):
    """The learning curve without its clock."""
    path = next(path for path in outcome.artifacts if path.name == "curve.csv")
    with path.open() as file:
        return [[float(row[name] or 0) for name in ("train_loss", "soft", "val_loss")] for row in csv.DictReader(file)]


def assert_alike(one, other):
    """Whether two outcomes agree to rounding: curves, scores, seeds."""
    np.testing.assert_allclose(curve(one), curve(other), rtol=1e-7)
    assert one.value == other.value
    assert one.seeds == other.seeds
    assert one.measures["n_params"] == other.measures["n_params"]
    for split in one.scores:
        for name in ("thresholds", "tp", "fn", "fp"):
            np.testing.assert_array_equal(getattr(one.scores[split], name), getattr(other.scores[split], name))


def test_seeds_at_once_leave_what_seeds_alone_leave(contexts):
    (together, observer), (alone, _) = contexts("together"), contexts("alone")
    outcomes = dict(run_seeds(together))
    assert observer.notes == ["seeds 0, 1, 2 are trained at once"]
    assert list(outcomes) == [1, 2, 0]  # the first, whose trial is told at the end, keeps its checkpoint until then
    assert observer.epochs == 9
    assert len({tuple(map(tuple, curve(outcome))) for outcome in outcomes.values()}) == 3
    for place, context in enumerate(alone):
        assert_alike(outcomes[place], experiment.run_cell(context))


def test_stopped_seeds_go_on_at_once_or_alone(contexts, study):
    whole = dict(run_seeds(contexts("whole")[0]))
    asked = iter([False] * 5 * 3 + [True] + [False] * 10**6)
    cut, _ = contexts("cut", stop=lambda: next(asked))
    with pytest.raises(Interrupted):
        list(run_seeds(cut))
    saved = sorted((cut[0].checkpoints).iterdir())
    assert len(saved) == 3
    again, observer = contexts("cut", attempt=1)
    outcomes = dict(run_seeds(again))
    assert observer.notes[-1] == "seeds 0, 1, 2 are trained at once"
    for place in range(3):
        assert outcomes[place].measures["resumed_from"] == 2
        assert_alike(outcomes[place], whole[place])


def test_a_seed_whose_checkpoint_is_elsewhere_is_trained_by_itself(contexts):
    whole = dict(run_seeds(contexts("whole")[0]))
    asked = iter([False] * 5 + [True])
    cut, _ = contexts("cut", stop=lambda: next(asked))
    with pytest.raises(Interrupted):
        experiment.run_cell(cut[1])
    again, observer = contexts("cut", attempt=1)
    outcomes = dict(run_seeds(again))
    assert [outcomes[place].measures["resumed_from"] for place in range(3)] == [None, 2, None]
    assert "seeds 0, 2 are trained at once" in observer.notes
    assert "cell kernel_size=9,seed=1 is trained by itself" in observer.notes
    for place in range(3):
        assert_alike(outcomes[place], whole[place])


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("vmap")], ids=["memory", "plugin"])
def test_seeds_that_cannot_be_trained_at_once_are_trained_one_by_one(contexts, monkeypatch, error):
    def fails(*_arguments):
        raise error

    monkeypatch.setattr(seeds, "train_together", fails)
    together, observer = contexts("together")
    outcomes = dict(run_seeds(together))
    assert any(note.startswith("seeds cannot be trained at once (") for note in observer.notes)
    for place, context in enumerate(contexts("alone")[0]):
        assert curve(outcomes[place]) == curve(experiment.run_cell(context))
    assert all(outcome.details["own_seconds"] > 0 for outcome in outcomes.values())


def test_a_seed_that_fails_while_it_is_scored_leaves_the_others(contexts, monkeypatch):
    usual = seeds.end

    def fails(cell, trained):
        if cell.context.params["seed"] == 1:
            raise ValueError("bad")
        return usual(cell, trained)

    monkeypatch.setattr(seeds, "end", fails)
    outcomes = dict(run_seeds(contexts("together")[0]))
    assert isinstance(outcomes[1], ValueError)
    assert (outcomes[0].status, outcomes[2].status) == ("ok", "ok")


def test_a_seed_that_diverges_is_a_result_of_its_own(contexts, monkeypatch):
    usual = seeds.train_together

    def one_bad(members, *rest):
        ended = usual(members, *rest)
        ended[2] = DivergedError("the training loss became nan in epoch 1")
        return ended

    monkeypatch.setattr(seeds, "train_together", one_bad)
    outcomes = dict(run_seeds(contexts("together")[0]))
    assert [outcomes[place].status for place in range(3)] == ["ok", "ok", "diverged"]


def changed(study, **runtime):
    return dataclasses.replace(study, runtime=study.runtime | runtime)


def test_how_many_are_stacked(study):
    assert stack_size("auto", study, "cpu") == 1  # measured: nothing to win there
    assert stack_size("auto", study, "cuda:0") == 3
    assert stack_size("off", study, "cuda:0") == 1
    assert stack_size("2", study, "cpu") == 2
    assert stack_size("auto", changed(study, recompute=True), "cuda:0") == 1
    assert stack_size("1", changed(study, compile="default"), "cpu") == 1


@pytest.mark.parametrize("asked", ["on", "0", "-1", "2.5", "", "\u0663"])
def test_an_odd_number_of_seeds_is_refused(study, asked):
    with pytest.raises(KernbenchError, match="--stack-seeds: expected auto, off or a number"):
        stack_size(asked, study, "cpu")


@pytest.mark.parametrize("runtime", [{"recompute": True}, {"compile": "default"}])
def test_stacked_seeds_are_neither_recomputed_nor_compiled(study, runtime):
    with pytest.raises(KernbenchError, match="does not go together"):
        stack_size("3", changed(study, **runtime), "cpu")


@pytest.mark.slow
def test_kill_9_of_stacked_seeds_loses_nothing(smoke_bench):
    bench = smoke_bench
    (bench.folder / "mine.toml").write_text(STUDY)
    words = ("run", "--plugin", "discrete", "--study", "mine.toml", "--profile", "quick", "--stack-seeds", "3")
    whole = bench.ended(bench.spawn(*words, "--storage", f"sqlite:///{bench.folder}/whole.db", "--out", "whole"))
    assert whole.code == 0, whole
    process = bench.spawn(*words)
    assert any(line.startswith("  epoch ") for line in process.stdout)  # all three are being trained
    process.kill()
    bench.ended(process)
    status = bench.run("status").out
    assert status.count("lost") >= 3, status
    again = bench.ended(bench.spawn(*words))
    assert again.code == 0, again
    assert "are trained at once" in again.out, again
    first = {run.cell: run for run in load_runs(f"sqlite:///{bench.folder}/whole.db")}
    second = {run.cell: run for run in load_runs(bench.url)}
    assert first.keys() == second.keys() == {f"kernel_size=9,seed={seed}" for seed in range(3)}
    for cell, run in first.items():
        assert run.status == second[cell].status == "ok"
        for split in run.scores:
            np.testing.assert_array_equal(run.scores[split].tp, second[cell].scores[split].tp)
    assert not list((bench.folder / "kernbench.checkpoints").iterdir())
