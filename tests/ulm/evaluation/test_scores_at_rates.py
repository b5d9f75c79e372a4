"""Scores at another sampling rate: the same places and times, whatever the samples."""

import numpy as np
import pytest
import torch

from kernbench.errors import DataError
from kernbench.networks.network import build
from kernbench.networks.rates import at_rate
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.pair_card import matched_card
from kernbench.ulm.evaluation.rates import moved_split, rate_factor
from kernbench.ulm.evaluation.scorecard import scorecard
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.protocol import MatchedChoice
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.simulator.noise import add_noise

LENGTH = 400


def smooth_line(time):
    """Cosines up to 5 MHz at times [samples of 62.5 MHz]."""
    rng = np.random.default_rng(5)
    waves = zip(rng.uniform(0, 0.08, 20), rng.uniform(0, 6.28, 20), strict=True)
    return sum(np.cos(2 * np.pi * f * time + phase) for f, phase in waves)


@pytest.fixture
def lines():
    counts = np.zeros((2, LENGTH), np.uint8)
    counts[:, 20:380:24] = 1
    voltage = np.stack([smooth_line(np.arange(LENGTH)), smooth_line(np.arange(LENGTH) + 99)]).astype(np.float32)
    return Split("test", voltage, counts, counts.sum(axis=1), np.full(2, 1e5), np.array([0, 7]))


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_band_limited_line_is_what_it_would_have_been_at_that_rate(lines, factor):
    moved = moved_split(lines, factor)
    expected = smooth_line(np.arange(LENGTH * factor) / factor)
    inner = slice(40, -40)  # the filter mirrors the ends
    error = np.abs(moved.voltage[0] - expected)[inner].max() / np.abs(expected).max()
    assert error < 2e-4  # the filter's ripple
    assert moved.starts.tolist() == [0, {0.5: 4, 2: 14}[factor]]


def test_what_half_the_rate_cannot_hold_is_filtered_out_not_folded():
    high = np.cos(2 * np.pi * 0.4 * np.arange(LENGTH))[None]  # 25 MHz would fold to 6.25
    counts = np.zeros((1, LENGTH), np.uint8)
    lines = Split("test", high.astype(np.float32), counts, np.zeros(1), np.zeros(1), np.zeros(1, int))
    assert np.abs(moved_split(lines, 0.5).voltage[0, 20:-20]).max() < 2e-4


@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_a_detection_that_is_64_ns_late_is_found_within_4_samples_of_training_at_every_rate(lines, factor):
    bench = Workbench({"test": lines}, Noise(), factors={"test": factor})
    there = bench.at_its_rate("test")
    late = np.roll((there.counts > 0).astype(np.float32), int(4 * factor), axis=1)
    choice = Choice("validation", np.arange(10), np.full(10, 0.5), np.zeros(10))
    found = bench.evaluate(late, "test", choice)
    assert found.tolerances.tolist() == list(range(10))
    assert found.mean_f1.round(3).tolist() == [0.001] * 4 + [1.0] * 6
    card = scorecard(found, there, factor)
    assert [row.ns for row in card.rows] == [16 * (t - t % 2 if factor < 1 else t) for t in range(10)]
    pairs = MatchedChoice("validation", np.arange(10), np.full(10, 0.5), np.zeros(10), Decoder(width=2))
    row = matched_card(late, there, pairs, factor=factor).rows[4]
    assert (row.f1, row.rmse_samples, row.bias_samples) == (1, 4, 4)
    assert row.rmse_um == pytest.approx(4 * 11.84)


@pytest.mark.parametrize("factor", [0.5, 2])
def test_noise_is_added_before_lines_are_resampled_and_the_network_meets_them_at_that_rate(lines, factor):
    torch.manual_seed(0)
    network = build("shallow", "discrete", 9, channels=2, depth=2).eval()
    bench = Workbench({"test": lines}, Noise(8.0, seed=3), factors={"test": factor})
    usual = Workbench({"test": lines}, Noise(8.0, seed=3))
    noisy = usual.lines("test")[0]
    voltage, counts = bench.lines("test")
    assert torch.equal(bench.lines_of_training("test")[0], noisy)
    assert not np.array_equal(noisy.numpy(), add_noise(lines.voltage, 0, 0))
    with torch.no_grad():
        expected = at_rate(network, factor)(voltage.unsqueeze(1)).squeeze(1)
    np.testing.assert_array_equal(bench.output(network, "test"), expected.numpy())
    assert voltage.shape == counts.shape == (2, LENGTH * factor)
    if factor == 2:
        assert (voltage[:, ::2] - noisy)[:, 20:-20].abs().max() < 2e-3 * noisy.abs().max()


@pytest.mark.parametrize("mhz", [40, 0, -62.5, float("nan"), 62.4999])
def test_a_rate_that_makes_no_sense_is_refused_in_one_line(mhz):
    with pytest.raises(DataError, match=r"--rate: expected 31\.25, 62\.5 or 125 MHz, got .*taps between the samples"):
        rate_factor(mhz, "--rate")
