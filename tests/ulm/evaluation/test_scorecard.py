"""Scores of a network on lines, their bins and their files; outside truth: the published per-line arrays."""

import csv
import json

import numpy as np
import pytest
import torch
from torch import nn

from kernbench.errors import DataError
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.predict import predict
from kernbench.ulm.evaluation.scorecard import bin_rows, save, scorecard
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.scoring.by_line import binned
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.simulator.noise import low_pass


class Delayed(nn.Module):
    """Gives the input back, some samples late."""

    def __init__(self, delay=0):
        super().__init__()
        self.delay = delay

    def forward(self, signal):
        return torch.roll(signal, self.delay, dims=-1)


def split(lines=5, samples=600, name="test", seed=0):
    """Lines whose voltage is their label."""
    rng = np.random.default_rng(seed)
    counts = (rng.random((lines, samples)) < 0.02).astype(np.uint8)
    counts[:, -20:] = 0
    pressure = np.linspace(10e3, 240e3, lines)
    return Split(name, counts.astype(np.float32), counts, counts.sum(axis=1), pressure, np.zeros(lines, np.int64))


def choice(tolerances=(0, 1, 4), threshold=0.5):
    number = len(tolerances)
    return Choice("by hand", np.array(tolerances), np.full(number, threshold), np.full(number, np.nan))


def evaluated(network, lines, chosen):
    bench = Workbench({lines.name: lines}, Noise())
    return bench.evaluate(bench.output(network, lines.name), lines.name, chosen)


class Counting(nn.Module):
    """Notes how many lines come at once."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, signal):
        self.seen.append(len(signal))
        return signal


@pytest.mark.parametrize(("batch", "seen"), [(32, [32, 32, 6]), (48, [48, 22]), (100, [70])])
def test_as_many_lines_at_once_as_asked_for(batch, seen):
    network, lines, done = Counting(), split(lines=70, samples=50), []
    output = predict(network, torch.from_numpy(lines.voltage), batch=batch, progress=lambda *each: done.append(each))
    assert (output == lines.voltage).all()
    assert network.seen == seen
    assert done == [(number, 70) for number in np.cumsum(seen)]


def test_a_perfect_network_scores_one_and_a_late_one_from_its_tolerance_on():
    lines = split()
    assert evaluated(Delayed(), lines, choice()).mean_f1.tolist() == [1, 1, 1]
    late = evaluated(Delayed(4), lines, choice()).mean_f1
    assert late[2] == 1
    assert late[1] < 0.3


def test_noise_has_the_level_of_the_protocol():
    lines = split()
    loud, silent = (Workbench({"test": lines}, Noise(percent)).lines("test")[0].numpy() for percent in (8, 0))
    assert (silent == lines.voltage).all()
    assert (loud - low_pass(lines.voltage)).std() == pytest.approx(0.384 * 0.08 * 9.65, rel=0.1)


def test_an_output_of_nan_is_one_line():
    lines = split()
    network = nn.Conv1d(1, 1, 1)
    network.weight.data.fill_(torch.nan)
    with pytest.raises(DataError, match="NaN in 5 of 5 lines"):
        evaluated(network, lines, choice())


def test_bins_of_several_scores_stand_side_by_side():
    by, edges = [3, 10, 4], (0, 5, 7, 10)
    rows = bin_rows([binned([0.5, 0.7, 0.1], by, edges), binned([1, 0, 0], by, edges)])
    assert [row[:3] for row in rows] == [(0, 5, 2), (5, 7, 0), (7, 10, 1)]
    assert rows[0][3] == pytest.approx([0.3, 0.5])
    assert np.isnan(rows[1][3]).all()
    assert rows[2][3] == pytest.approx([0.7, 0])
    assert bin_rows([]) == []


def test_a_scorecard_without_the_binned_tolerances_has_no_bins():
    lines = split()
    card = scorecard(evaluated(Delayed(), lines, choice((1,))), lines)
    assert card.by_bubbles == card.by_pressure == []


# files


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_tables_and_per_line_scores_are_saved(tmp_path):
    lines = split()
    evaluation = evaluated(Delayed(1), lines, choice())
    card = scorecard(evaluation, lines)
    files = save(card, lines, tmp_path / "new" / "out", {"data": "abc"})
    assert sorted(path.name for path in files) == ["bins.csv", "facts.json", "lines.csv", "scores.npz", "table.csv"]
    table, per_line = (rows(tmp_path / "new" / "out" / name) for name in ("table.csv", "lines.csv"))
    assert [float(row["f1"]) for row in table] == evaluation.mean_f1.tolist()
    assert [float(row["um"]) for row in table] == pytest.approx([0, 11.84, 47.36])
    assert [float(row["f1_t4"]) for row in per_line] == evaluation.f1[2].tolist()
    assert [int(row["bubbles"]) for row in per_line] == lines.bubbles.tolist()
    with np.load(tmp_path / "new/out/scores.npz") as arrays:
        assert (arrays["tp"] == evaluation.tp).all()
        assert (arrays["pressure_pa"] == lines.pressure_pa).all()
    assert json.loads((tmp_path / "new/out/facts.json").read_text()) == {"data": "abc", "threshold_split": "by hand"}


def test_skill_is_taken_against_the_comb_of_these_lines():
    lines = split()
    row = scorecard(evaluated(Delayed(1), lines, choice()), lines).rows[2]
    assert row.f1 == 1
    assert row.skill == 1
    assert 0 < row.random < row.comb < 1
