"""One cell from definition to outcome: the same cell gives the same result, and each failure says what failed."""

import copy
import csv
import dataclasses
import hashlib
import math

import fakes
import numpy as np
import pytest
import torch
from stopping import StopAt

from kernbench.errors import DivergedError, KernbenchWarning
from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Int
from kernbench.registry import find, find_family
from kernbench.store.files.checkpoints import CellCheckpoints
from kernbench.study.cell import CellContext, derived_seed, file_key
from kernbench.study.task import load as load_task_study
from kernbench.study.task import task
from kernbench.training.settings import Interrupted
from kernbench.ulm.cells import definition as definition_module
from kernbench.ulm.cells import outcome as outcome_module
from kernbench.ulm.cells import run as experiment
from kernbench.ulm.evaluation.trained import load_trained
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.scoring.scores import f1_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

NINE = "kernel_size=9,seed=0"


class Poisoned(KernelModule):
    """A kernel that turns NaN after a number of training steps."""

    steps = 0

    def __init__(self, spec, depth=1):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))

    def forward(self, grid):
        if self.training and torch.is_grad_enabled():
            type(self).steps += 1
        return self.weight * (math.nan if type(self).steps > self.limit else 1)

    limit = 10**9


POISONED = KernelFamily("poisoned", Poisoned, space={"depth": Int(1, 3)})


@pytest.fixture
def lines(smoke_lines, monkeypatch):
    """The smoke study's lines are in the cache; pictures, which take most of a cell's time, are left out."""
    monkeypatch.setenv("KERNBENCH_CACHE", str(smoke_lines))
    monkeypatch.setattr("kernbench.ulm.cells.artifacts._pictures", lambda *_arguments: [])


def context(folder, study, cell, params, attempt=0, **given):
    """Where an attempt at a cell runs."""
    scratch = folder / f"scratch{attempt}"
    scratch.mkdir(parents=True)
    kept = CellCheckpoints(folder / "checkpoints", file_key(study.key, cell), attempt)
    usual = {"report": lambda *_: None, "stop": lambda: False, "observer": fakes.Silent(), "saved": lambda _epoch: None}
    return CellContext(study, cell, params, "cpu", attempt, kept, scratch, **usual | given)


@pytest.fixture
def cell(tmp_path, lines):
    """Runs a cell of the smoke study in folders of its own, attempt by attempt."""

    def run(family="siren", attempt=0, place="one", runtime=None, tables=None, **given):
        study = load_task_study("smoke", find_family(family) if isinstance(family, str) else family, "quick")
        definition = copy.deepcopy(study.definition)
        for table, values in (tables or {}).items():
            definition[table] |= values
        study = dataclasses.replace(study, definition=definition, runtime=study.runtime | (runtime or {}))
        seen = []
        given = {"plugin": "kernbench 1", "report": lambda epoch, score: seen.append((epoch, score))} | given
        outcome = experiment.run_cell(context(tmp_path / place, study, NINE, study.cells()[NINE], attempt, **given))
        return outcome, {path.name: path for path in (*outcome.artifacts, *outcome.draw())}, seen

    return run


def arrays(path):
    """Everything in an .npz file."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def curve(path):
    """The learning curve without its clock."""
    with path.open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def equal(first, second):
    """Whether two outcomes agree bit for bit: scores, kernels, example, curve."""
    for split in first[0].scores:
        for name in ("tp", "fn", "fp", "thresholds"):
            np.testing.assert_array_equal(getattr(first[0].scores[split], name), getattr(second[0].scores[split], name))
    one, two = arrays(first[1]["cell.npz"]), arrays(second[1]["cell.npz"])
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert curve(first[1]["curve.csv"]) == curve(second[1]["curve.csv"])
    assert first[0].value == second[0].value
    return True


NOISY = {"tables": {"data": {"noise_percent": 5.0}}}


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({}, {"enough": lambda: False}),  # it could be ended early, and is not
        (NOISY, {}),
        ({"tables": {"network": {"depth": 12}}}, {"runtime": {"recompute": True}}),  # segments of two blocks
    ],
    ids=["clean", "noisy", "recomputed"],
)
def test_the_same_cell_gives_the_same_result_whatever_ran_before(cell, settings, changed):
    first = cell(place="one", **settings)
    torch.manual_seed(123)
    torch.rand(1000)
    assert equal(first, cell(place="two", **settings, **changed))


@pytest.mark.parametrize(
    ("settings", "changed"),
    [({}, {}), (NOISY, {}), ({}, {"runtime": {"recompute": True}})],
    ids=["clean", "noisy", "recomputed after it ran out of memory"],
)
def test_an_interrupted_cell_goes_on_to_the_same_result(cell, settings, changed):
    unbroken = cell(place="unbroken", **settings)
    with pytest.raises(Interrupted):
        cell(attempt=0, stop=StopAt(4), place="cut", **settings)
    resumed = cell(attempt=1, place="cut", **settings, **changed)
    assert resumed[0].resumed_from == 1
    assert equal(unbroken, resumed)
    assert [epoch for epoch, _ in resumed[2]] == [0, 1, 2]  # the new trial's curve is complete


def test_an_edited_plugin_does_not_go_on_from_its_old_checkpoint(cell):
    with pytest.raises(Interrupted):
        cell(stop=StopAt(4), plugin="file 000000000000")
    assert cell(attempt=1, plugin="file 111111111111")[0].resumed_from is None


def test_every_release_of_kernbench_goes_on_from_the_checkpoints_of_the_first(cell, tmp_path):
    with pytest.raises(Interrupted):
        cell(stop=StopAt(4), plugin="kernbench 0.2.0")
    (path,) = (tmp_path / "one" / "checkpoints").iterdir()
    assert torch.load(path, weights_only=True)["digest"].endswith(" kernbench 0.1.0")  # as the first wrote it
    assert cell(attempt=1, plugin="kernbench 0.3.0")[0].resumed_from == 1


def test_a_checkpoint_that_does_not_fit_is_reported_and_the_cell_starts_again(cell, tmp_path):
    with pytest.raises(Interrupted):
        cell(stop=StopAt(4))
    (path,) = (tmp_path / "one" / "checkpoints").iterdir()
    state = torch.load(path, weights_only=True)
    torch.save({"digest": state["digest"], "epoch": 2}, path)
    with pytest.warns(KernbenchWarning, match="does not fit"):
        assert cell(attempt=1)[0].resumed_from is None


def test_scores_are_those_of_the_trained_network_at_thresholds_chosen_on_validation_lines(cell, monkeypatch):
    kept = {}
    usual = Workbench.scored

    def scored(self, network, threshold_split):
        kept.update(bench=self, network=network, split=threshold_split)
        return usual(self, network, threshold_split)

    monkeypatch.setattr(Workbench, "scored", scored)
    outcome, _, _ = cell()
    assert kept["split"] == "validation"
    network, bench = kept["network"].eval(), kept["bench"]
    for split in ("validation", "test"):
        voltage, counts = bench.lines(split)
        with torch.no_grad():
            output = network(voltage.unsqueeze(1)).squeeze(1)
        for tolerance, threshold in enumerate(outcome.scores[split].thresholds):
            tp, fn, fp = tolerance_counts(output, counts, [tolerance], [float(threshold)])
            for name, counted in (("tp", tp), ("fn", fn), ("fp", fp)):
                np.testing.assert_array_equal(getattr(outcome.scores[split], name)[tolerance], counted[0, 0])
    at_four = outcome.scores["validation"]
    f1 = f1_scores(at_four.tp[4], at_four.fn[4], at_four.fp[4]).mean()
    assert outcome.value == outcome.attributes["f1_val"] == pytest.approx(f1)


def test_an_outcome_carries_what_the_report_needs(cell):
    outcome, files, seen = cell()
    assert outcome.status == "ok"
    assert {"cell.npz", "curve.csv"} <= set(files)
    assert all(path.stat().st_size for path in files.values())
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    assert outcome.epochs == 3
    assert outcome.values["n_params"] > outcome.values["params_kernel"] > 0
    assert outcome.values["flops"] > 0
    assert len(outcome.facts["test"].lines["bubbles"]) == 6
    curve = outcome.curve
    headline = (outcome.matched["f1"][4], outcome.matched["rmse_samples"][4])
    assert (outcome.values["f1_matched"], outcome.values["rmse_samples"]) == headline
    frozen, scores = outcome.scores["test"].thresholds[4], outcome.scores["test"]
    place = np.abs(np.array(curve["thresholds"]) - frozen).argmin()
    mean = f1_scores(scores.tp[4], scores.fn[4], scores.fp[4]).mean()
    assert curve["f1"][4][place] == pytest.approx(mean, abs=1e-6)
    scalars = {**outcome.attributes, **outcome.values}
    assert all(type(value) in (int, float, str, bool) for value in scalars.values()), scalars
    assert set(outcome.values) == {column.name for column in task().columns}
    assert {split: (set(known.lines), set(known.floors)) for split, known in outcome.facts.items()} == dict.fromkeys(
        ("validation", "test"), ({fact.name for fact in task().line_facts}, {floor.name for floor in task().floors})
    )


def test_a_scored_cell_leaves_its_network_with_what_it_was_scored_by(cell):
    outcome, files, _ = cell(family="gaussian", plugin=find("gaussian").label)
    trained = load_trained(files["weights.pt"])
    assert trained.facts["study"] == "smoke.v1.quick/gaussian"
    assert trained.facts["cell"] == NINE
    assert trained.facts["seeds"] == outcome.seeds == cell(family="discrete", place="two")[0].seeds
    assert trained.facts["samples"] == 512
    assert trained.choice.split == "validation"
    np.testing.assert_array_equal(trained.choice.thresholds, outcome.scores["test"].thresholds)
    assert trained.pairs.thresholds.tolist() == outcome.matched["threshold"]
    assert {trained.pairs.decoder.width} == set(outcome.matched["width"])
    last = arrays(files["cell.npz"])
    kernels = [layer.kernel().detach().reshape(-1, 9).numpy() for layer in trained.network.kernel_layers()]
    for level, kernel in enumerate(kernels):
        strongest = np.argsort(-np.square(kernel).sum(axis=1), kind="stable")[: len(last[f"kernel_{level}"])]
        np.testing.assert_array_equal(kernel[strongest], last[f"kernel_{level}"])


def test_noise_changes_a_cell(cell):
    assert cell(place="noisy", **NOISY)[0].value != cell(place="clean")[0].value


@pytest.fixture
def poisoned(monkeypatch):
    """The family whose kernel turns NaN after so many calls in training."""

    def after(steps):
        monkeypatch.setattr(Poisoned, "steps", 0)
        monkeypatch.setattr(Poisoned, "limit", steps)
        return POISONED

    return after


def test_what_is_only_shown_takes_no_score_away(cell, monkeypatch):
    def unlucky(*_):
        raise ValueError("no line to show")

    for name in ("example_of", "_note"):
        monkeypatch.setattr(experiment if name == "example_of" else outcome_module, name, unlucky)
    notes = fakes.Notes()
    outcome, files, _ = cell(observer=notes)
    assert (outcome.status, sorted(outcome.scores)) == ("ok", ["test", "validation"])
    assert sorted(files) == ["curve.csv", "weights.pt"]
    assert [each.endswith("ValueError: no line to show") for each in notes.notes] == [True, True]


def test_a_diverged_cell_keeps_its_curve_and_has_no_scores(cell, poisoned):
    # 2 layers x 2 batches make 4 calls an epoch, making the network at most 4: the third epoch is bad at the latest
    outcome, files, _ = cell(poisoned(10))
    assert set(files) == {"curve.csv", "curve.png", "kernel.png"}
    assert (outcome.status, outcome.value, outcome.scores) == ("diverged", -math.inf, {})
    epochs = outcome.epochs
    assert epochs in (1, 2)
    assert f"epoch {epochs}" in outcome.message
    assert [row["epoch"] for row in curve(files["curve.csv"])] == ["0", "1"][:epochs]
    assert outcome.values["n_params"] > 0
    assert outcome.attributes["kernel_size"] == 9


def test_a_network_that_is_bad_only_in_the_last_evaluation_keeps_its_complete_curve(cell, monkeypatch):
    def scored(*_arguments):
        raise DivergedError("the network's output is NaN or infinite")

    monkeypatch.setattr(Workbench, "scored", scored)
    outcome, files, _ = cell()
    assert outcome.status == "diverged"
    assert len(curve(files["curve.csv"])) == outcome.epochs == 3


def test_seeds_differ_by_purpose_and_seed_and_stay_the_same_forever():
    seeds = {derived_seed(purpose, seed) for purpose in ("initialization", "order") for seed in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)
    # a keyed hash, never hash(), which differs from process to process; stored results depend on it
    keyed = hashlib.blake2b(b"7", key=b"order", digest_size=4).digest()
    assert derived_seed("order", 7) == int.from_bytes(keyed, "big")


def test_settings_of_an_axis_reach_training():
    study = load_task_study("smoke", find_family("siren"), "quick")
    assert definition_module.resolved(study.definition, {"rate": 7.0, "seed": 3}, "training")["rate"] == 7.0
    # the data's seed is not the cell's
    assert definition_module.resolved(study.definition, {"seed": 3}, "data")["seed"] == study.definition["data"]["seed"]


def test_a_cell_that_is_ended_early_keeps_its_curve_and_never_sees_the_test_lines(cell, monkeypatch):
    monkeypatch.setattr(Workbench, "scored", lambda *_: pytest.fail("scored a cell that was ended early"))
    outcome, files, seen = cell(enough=StopAt(2))
    assert (outcome.status, outcome.scores, outcome.epochs) == ("pruned", {}, 2)
    assert outcome.message == "below the median of its search after 2 of 3 epochs"
    assert sorted(files) == ["curve.csv", "curve.png", "kernel.png"]  # no example, which is a test line
    assert [epoch for epoch, _ in seen] == [0, 1]


def test_drawn_values_make_the_network_and_name_the_checkpoint(tmp_path, lines):
    found = find("siren")
    study = load_task_study("tuned_k", found.family, "smoke")
    named = "draw=1,kernel_size=9,seed=0"
    drawn = {"omega_0": 7.5, "hidden": 5, "init": "siren-intended", "omega_bias": False}

    def attempt(number, **changed):
        params = study.cells()[named] | drawn | {"rate": 1e-3} | changed
        return context(tmp_path, study, named, params, number, stop=StopAt(3) if number == 1 else lambda: False)

    network = definition_module.make_network(study, study.cells()[named] | drawn)
    assert network.kernel_layers()[0].kernel_module.hyper == drawn
    with pytest.raises(Interrupted):
        experiment.run_cell(attempt(1))
    for number, changed in enumerate(({"omega_0": 8.0}, {"rate": 2e-3}), 2):
        other = experiment.begin(attempt(number, **changed))
        assert other.state is None  # weights of other settings fit in shape and mean something else
    same = experiment.begin(attempt(4))
    assert same.state["epoch"] == 1
