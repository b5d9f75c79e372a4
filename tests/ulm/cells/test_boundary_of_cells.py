"""Cells with another boundary, and F1 near the ends of lines apart from F1 inside."""

import copy
import dataclasses

import fakes
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from kernbench.registry import find, find_family
from kernbench.store.files.checkpoints import CellCheckpoints
from kernbench.study.cell import CellContext, file_key
from kernbench.study.task import load as load_task_study
from kernbench.ulm.cells import outcome as outcome_module
from kernbench.ulm.cells import run as experiment
from kernbench.ulm.evaluation.trained import load_trained

NINE = "kernel_size=9,seed=0"


@pytest.fixture
def cell(tmp_path, smoke_lines, monkeypatch):
    """Runs a cell of the smoke study with other settings; pictures, which take most of its time, are left out."""
    monkeypatch.setenv("KERNBENCH_CACHE", str(smoke_lines))
    monkeypatch.setattr("kernbench.ulm.cells.artifacts._pictures", lambda *_arguments: [])

    def run(place="one", runtime=None, **tables):
        study = load_task_study("smoke", find_family("gaussian"), "quick")
        definition = copy.deepcopy(study.definition)
        for table, values in tables.items():
            definition[table] |= values
        study = dataclasses.replace(study, definition=definition, runtime=study.runtime | (runtime or {}))
        scratch = tmp_path / place
        scratch.mkdir()
        kept = CellCheckpoints(tmp_path / f"{place}_checkpoints", file_key(study.key, NINE), 0)
        usual = {"report": lambda *_: None, "stop": lambda: False, "observer": fakes.Silent(), "saved": lambda _: None}
        where = CellContext(
            study, NINE, study.cells()[NINE], "cpu", 0, kept, scratch, plugin=find("gaussian").label, **usual
        )
        outcome = experiment.run_cell(where)
        return outcome, {path.name: path for path in outcome.artifacts}

    return run


@pytest.fixture
def kept(monkeypatch):
    """Lines, network and results of the last cell."""
    kept = {}

    def scored(bench, network, results, tolerance):
        kept.update(bench=bench, network=network, scored=results)
        return outcome_module.edge_scores(bench, network, results, tolerance)

    monkeypatch.setattr(experiment, "edge_scores", scored)
    return kept


def test_a_cell_with_another_boundary_has_weights_that_score_as_it_did(cell, kept):
    asked = {"boundary": "circular", "boundary_at": "layer"}
    outcome, files = cell(network=asked)
    bench, output = kept["bench"], kept["scored"].outputs["test"]
    usual, _ = cell("usual")
    assert outcome.status == "ok"
    again = load_trained(files["weights.pt"])
    assert again.facts["network"] | asked == again.facts["network"]
    assert (again.network.boundary.policy, again.network.boundary.at) == ("circular", "layer")
    np.testing.assert_array_equal(bench.output(again.network, "test"), output)
    assert outcome.values["flops_direct"] < usual.values["flops_direct"]  # hidden lines are no longer than a line
    plain, _ = cell("plain", network=asked | {"depth": 5})
    recomputed, _ = cell("recomputed", {"recompute": True}, network=asked | {"depth": 5})
    assert recomputed.value == plain.value
    for split, counts in plain.scores.items():
        for name in ("tp", "fn", "fp", "thresholds"):
            np.testing.assert_array_equal(getattr(recomputed.scores[split], name), getattr(counts, name))


@pytest.mark.parametrize("data", [{}, {"test_rate": 31.25}, {"delay": 40}])
def test_f1_near_the_edges_and_inside_are_of_the_counts_of_the_cell(cell, kept, data):
    outcome, _ = cell(data=data)
    bench, factor, lag = kept["bench"], kept["bench"].factor("test"), kept["bench"].lag("test")
    seen = int(kept["network"].padding * factor)
    voltage, bubbles = bench.lines("test")
    near = np.zeros(voltage.shape[1], bool)
    near[:seen] = near[len(near) - seen :] = True
    near = near[lag:]
    found = kept["scored"].outputs["test"] > np.float32(outcome.scores["test"].thresholds[4])
    truth, wide = bubbles.numpy() > 0, np.ones((1, 2 * int(4 * factor) + 1), bool)
    hit = truth & binary_dilation(found, wide)
    false = found & ~binary_dilation(truth, wide)
    for name, where in (("f1_edge", near), ("f1_inner", ~near)):
        tp, fn, fp = (int(each[:, where].sum()) for each in (hit, truth & ~hit, false))
        assert tp + fn + fp > 0
        assert outcome.values[name] == pytest.approx(2 * tp / (2 * tp + fn + fp))
    whole = outcome.scores["test"]
    assert [hit.sum(), (truth & ~hit).sum(), false.sum()] == [
        getattr(whole, name)[4].sum() for name in ("tp", "fn", "fp")
    ]
