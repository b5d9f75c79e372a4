"""Delay, linear filter and the fit as a whole: against the metric itself, torch's own layer, and known answers."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kernbench.errors import DataError, KernbenchError, StorageError
from kernbench.ulm.cells.outcome import split_facts
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.detectors.blind import blind_rows
from kernbench.ulm.detectors.catalogue import DetectorTask, check_methods, run_method
from kernbench.ulm.detectors.delay import advanced, delay_f1, fit_delay, score_levels
from kernbench.ulm.detectors.fitting import evaluate, fit
from kernbench.ulm.detectors.methods.echoes import simulated_bank
from kernbench.ulm.detectors.methods.fir import LinearFilter
from kernbench.ulm.detectors.methods.matched_filter import MatchedFilter
from kernbench.ulm.detectors.names import BLIND, METHODS
from kernbench.ulm.detectors.recording import Recording
from kernbench.ulm.detectors.results import Domain, replaced, stored_rows, write_rows
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.scorecard import scorecard
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.pairing.matching import reach, sweep
from kernbench.ulm.pairing.points import label_points, points
from kernbench.ulm.scoring.floors import NOISE_THRESHOLDS, blind_noise, label_support
from kernbench.ulm.scoring.protocol import Choice, score


def labels(lines, length, density=0.03, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).poisson(density, (lines, length)).astype(np.float32))


def recording(counts, voltage=None):
    lines = counts if voltage is None else voltage
    return Recording(lines, counts, torch.zeros(len(counts), dtype=torch.int64))


class Known:
    """A detector with a score made by the test."""

    name, parameters = "wiener", 0

    def __init__(self, make, values=(0,), delays=range(40)):
        self._make, self._values, self.delays = make, values, delays

    def settings(self):
        return [{"value": value} for value in self._values]

    def score(self, lines, setting):
        return self._make(lines, setting["value"])


def late(lines, delay, level=1.0):
    """The label itself, fired late."""
    return level * torch.nn.functional.pad(lines.counts, (delay, 0))[:, : lines.counts.shape[1]]


@given(
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.integers(1, 70),
    st.sampled_from([0, 1, 4, 9]),
    st.sampled_from([0.05, 0.6, 1.0]),
)
@settings(max_examples=60)
def test_every_delay_scores_what_the_metric_says(seed, lines, length, tolerance, dense):
    rng = np.random.default_rng(seed)
    counts = labels(lines, length, 0.1, seed)
    z = torch.from_numpy((rng.random((lines, length)) * (rng.random((lines, length)) < dense)).astype(np.float32))
    levels = score_levels(z)
    delays = [0, 1, 2, 5, 20, 75]
    got = delay_f1(z, counts, delays, tolerance)
    for delay, mean in zip(delays, got, strict=True):
        expected = score(advanced(z, delay).numpy(), counts.numpy(), [tolerance], levels).mean_f1.max()
        assert mean == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("delay", [0, 1, 37, 110, 200])
def test_a_known_delay_is_found(delay):
    counts = labels(6, 900)
    rng = np.random.default_rng(1)
    noisy = late(recording(counts), delay) + torch.from_numpy(rng.uniform(0, 0.5, counts.shape).astype(np.float32))
    found, mean_f1 = fit_delay(noisy, counts, range(201), 0)
    assert found == delay
    assert mean_f1 > 0.8


def test_equal_delays_go_to_the_smallest():
    counts = labels(3, 300, 0.01)
    # At tolerance 4 a detection may be up to four samples late or early: nine delays score alike.
    assert fit_delay(late(recording(counts), 50), counts, range(201), 4)[0] == 46
    assert fit_delay(torch.zeros(3, 300), counts, range(201), 4)[0] == 0


def test_the_delay_of_simulated_echoes_is_where_the_envelope_peaks():
    bank = simulated_bank()
    counts = torch.zeros(3, 1500)
    counts[torch.tensor([0, 0, 1, 2, 2]), torch.tensor([100, 700, 333, 10, 1100])] = 1
    voltage = torch.from_numpy(np.stack([np.convolve(line, bank.echoes[0])[:1500] for line in counts.numpy()])).float()
    lines = recording(counts, voltage)
    setting = {"gain": "none", "scale": "none", "readout": "positive", "form": "peaks"}
    z = MatchedFilter(bank).score(lines, setting)
    assert fit_delay(z, counts, range(201), 0)[0] == 0
    peak = int(bank.echoes[0].abs().argmax())
    assert 70 <= peak <= 110
    shifted = voltage.abs()
    assert fit_delay(shifted, counts, range(201), 0)[0] == peak


def test_thresholds_are_zero_and_more_than_a_hundred_quantiles_of_what_is_positive():
    z = torch.arange(-500, 100_001).float().clamp(min=0)[None]
    levels = score_levels(z)
    assert levels[0] == 0
    assert len(levels) == 121
    assert levels[1:101] == pytest.approx(np.quantile(np.arange(1, 100_001), np.arange(100) / 100), abs=1)
    assert levels[-1] == pytest.approx(99_991, abs=1)
    assert score_levels(torch.zeros(2, 5)).tolist() == [0]


@pytest.mark.parametrize("taps", [1, 9, 257])
def test_the_linear_filter_is_one_convolution_of_torch(taps):
    torch.manual_seed(3)
    mine, theirs = LinearFilter(taps), nn.Conv1d(1, 1, taps, padding=(taps - 1) // 2, padding_mode="reflect")
    theirs.weight.data, theirs.bias.data = mine.weight.data, mine.bias.data
    signal = torch.randn(3, 1, 300)
    torch.testing.assert_close(mine(signal), theirs(signal), rtol=1e-4, atol=1e-5)
    assert sum(parameter.numel() for parameter in mine.parameters()) == taps + 1


def test_a_perfect_detector_is_fitted_and_scored_as_one():
    fitted_on, tested = recording(labels(5, 600, seed=1)), recording(labels(7, 600, seed=2))
    detector = Known(late, values=(60, 25))
    chosen = fit(detector, fitted_on, "validation")
    assert chosen.setting == {"value": 25}  # 60 is beyond the delays
    assert chosen.delay == 21  # the smallest that still scores alike at 4 samples
    rows = evaluate(detector, chosen, tested)
    assert [row.tolerance_samples for row in rows] == list(range(10))
    assert rows[9].f1 > 0.95
    assert rows[9].bias_samples == pytest.approx(4, abs=0.3)
    assert {row.threshold_split for row in rows} == {"validation"}


def test_test_lines_choose_nothing():
    fitted_on = recording(labels(5, 600, seed=1))
    detector = Known(lambda lines, _: late(lines, 0), delays=(0,))
    chosen = fit(detector, fitted_on, "validation")
    silent = Known(lambda lines, _: late(lines, 0, level=0.0), delays=(0,))
    assert [row.f1 for row in evaluate(silent, chosen, fitted_on)] == pytest.approx([0.001] * 10)


def best_matched(detected, counts, tolerance):
    """Largest mean one-to-one F1 of several sets of detections, positions of each line."""
    truths, means = label_points(counts), []
    for lines in detected:
        found = points(lines)
        pairs = sweep(reach(found, truths, [tolerance]), truths)[0]
        means.append((2 * pairs / (found.per_line + truths.per_line)).mean())
    return max(means)


def test_blind_methods_are_the_best_comb_and_the_best_rate_one_to_one_on_the_scored_lines():
    counts = labels(66, 100, 0.06)  # more lines than are matched together
    counts[:, 50] = 1  # no line is empty
    start, stop = label_support(100)
    noise = blind_noise((66, 100))
    rated = [[np.flatnonzero(line > np.float32(level)) for line in noise] for level in NOISE_THRESHOLDS]
    rows = {name: blind_rows(name, counts.numpy()) for name in ("comb", "random")}
    for tolerance in range(10):
        combs = [[range(start, stop, step)] * 66 for step in range(1, 4 * tolerance + 3)]
        assert rows["comb"][tolerance].matched_f1 == pytest.approx(best_matched(combs, counts, tolerance))
        assert rows["random"][tolerance].matched_f1 == pytest.approx(best_matched(rated, counts, tolerance))
    assert rows["comb"][4].setting.startswith("spacing=")


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(30, 120), st.sampled_from([0.01, 0.06, 0.4]))
@settings(max_examples=20)
def test_cells_evaluate_and_baselines_have_the_same_floors_of_the_same_lines(seed, lines, length, density):
    counts = labels(lines, length, density, seed).numpy().astype(np.uint8)
    voltage, number = counts.astype(np.float32), counts.sum(axis=1)
    split = Split("test", voltage, counts, number, np.full(lines, 1e5), np.zeros(lines, np.int64))
    bench = Workbench({"test": split}, Noise(8.0, seed=seed))
    zeros = np.zeros(10)
    card = scorecard(bench.evaluate(voltage, "test", Choice("by hand", np.arange(10), zeros, zeros)), split)
    task = DetectorTask(bench, [8.0], [None], "validation", None, None, seed)
    stored = split_facts(bench, "test").floors
    for name in BLIND:
        assert [getattr(row, name) for row in card.rows] == stored[name]
        assert [row.f1 for row in run_method(name, task)[0]] == stored[name]
    floor = np.maximum(stored["comb"], stored["random"])
    assert [row.skill > 0 for row in card.rows] == (card.evaluation.mean_f1 > floor).tolist()


def test_results_survive_a_file(tmp_path):
    rows = blind_rows("comb", labels(3, 300, 0.05).numpy())
    path = Domain("0123456789ab", 8.0, 8.0, "validation", 2).path(tmp_path / "artifacts")
    assert path == tmp_path / "artifacts" / "baselines" / "0123456789ab-8-noise2.csv"
    write_rows(rows, path)
    again = stored_rows(path)
    assert [repr(row) for row in again] == [repr(row) for row in rows]
    others = [dataclasses.replace(row, method="wiener") for row in rows]
    write_rows(replaced([*others, *rows], rows), path)  # new results take the place of those of their method only
    assert [row.method for row in stored_rows(path)] == ["comb"] * 10 + ["wiener"] * 10
    older = [dataclasses.replace(row, threshold_split="validation") for row in rows]  # as before they were floors
    write_rows([*older, *others], path)
    assert [row.method for row in stored_rows(path)] == ["wiener"] * 10
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_results_that_cannot_be_written_leave_the_old_ones(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    write_rows([], path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"rows\.csv cannot be written: No space left on device"):
        write_rows(blind_rows("comb", labels(3, 300, 0.05).numpy()), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("method,f1\ncomb,much\n")
    with pytest.raises(DataError, match=r"rows\.csv is no file of baseline results"):
        stored_rows(path)


def test_methods_are_checked_by_name_and_by_length():
    assert check_methods([], 2048) == [name for name in METHODS if name != "fir-4097"]
    assert check_methods([], 8446) == list(METHODS)
    assert check_methods(["wiener", "comb"], 100) == ["comb", "wiener"]
    with pytest.raises(KernbenchError, match="did you mean 'wiener'"):
        check_methods(["winer"], 2048)
    with pytest.raises(KernbenchError, match="needs 2048 samples of padding on each side, the lines have 2048"):
        check_methods(["fir-4097"], 2048)
