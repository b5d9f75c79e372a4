"""Envelope, gains, templates, matched filter and Wiener deconvolution against scipy, numpy and the simulator."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate, find_peaks, hilbert

from kernbench.ulm.detectors.methods.echoes import BANK_DEPTHS_M, BANK_PRESSURES_PA, correlation, simulated_bank
from kernbench.ulm.detectors.methods.envelope import EnvelopePeaks, prominent_peaks
from kernbench.ulm.detectors.methods.matched_filter import MatchedFilter, matched, normalized_correlation
from kernbench.ulm.detectors.methods.wiener import Wiener, deconvolve
from kernbench.ulm.detectors.recording import Recording, conditioned, envelope, robust_scale
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import simulate_lines

RNG = np.random.default_rng(11)


def recording(voltage, starts=None):
    lines = torch.as_tensor(np.asarray(voltage))
    begin = torch.zeros(len(lines), dtype=torch.int64) if starts is None else torch.as_tensor(starts)
    return Recording(lines, torch.zeros_like(lines), begin)


@pytest.fixture(scope="module")
def template():
    return simulated_bank()


@pytest.fixture(scope="module")
def one_bubble():
    """A whole line with one bubble of the template's size and pressure, not at the template's depth."""
    lines = simulate_lines([Scene([0.04], [0.0], [2.4e-6], 100e3)])
    return Recording(lines.voltage, lines.counts, torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("length", [1, 2, 7, 64, 2047, 2048])
def test_envelope_is_that_of_scipy(length):
    signal = RNG.normal(size=(3, length))
    np.testing.assert_allclose(envelope(torch.from_numpy(signal)), np.abs(hilbert(signal)), atol=1e-12)


def test_depth_gain_counts_from_the_start_of_the_whole_line():
    lines = recording(np.ones((2, 5), np.float32), starts=[0, 4000])
    got = conditioned(lines, "depth") * 8446
    np.testing.assert_allclose(got, [[0, 1, 2, 3, 4], [4000, 4001, 4002, 4003, 4004]], rtol=1e-6)


def test_a_scaled_line_has_a_robust_scale_of_one_and_a_silent_one_stays_silent():
    voltage = np.concatenate([RNG.normal(size=(3, 400)) * [[1], [50], [1e-3]], np.zeros((1, 400))])
    scaled = conditioned(recording(voltage), "none", "line")
    assert robust_scale(scaled).flatten().tolist() == pytest.approx([1, 1, 1, 1])
    assert not scaled[3].any()
    share = (envelope(scaled[:3]) <= 1 + 1e-9).double().mean(dim=1)
    assert share.tolist() == pytest.approx([0.95] * 3, abs=0.003)


def test_a_template_is_the_echo_of_a_whole_line_from_its_arrival_on(template):
    arrival = int(template.arrival[0])
    depth = arrival * 1480 / (2 * 62.5e6)
    assert depth == pytest.approx(0.05, abs=6e-6)
    line = simulate_lines([Scene([depth], [0.0], [2.4e-6], 100e3)])
    assert int(line.counts[0].argmax()) == arrival
    expected = line.voltage[0, arrival : arrival + 256]
    np.testing.assert_allclose(template.echoes[0], expected, atol=1e-4 * float(expected.abs().max()))


def test_the_bank_has_every_pressure_at_every_depth():
    bank = simulated_bank(BANK_PRESSURES_PA, BANK_DEPTHS_M)
    assert bank.echoes.shape == (32, 256)
    assert bank.unit.square().sum(dim=1).tolist() == pytest.approx([1] * 32, rel=1e-5)
    assert bank.pressure_pa.unique().numpy() == pytest.approx(np.geomspace(5e3, 250e3, 8))
    by_depth = bank.norm.reshape(8, 4)
    assert (by_depth.diff(dim=1) < 0).all()  # deeper is weaker
    assert (by_depth.diff(dim=0) > 0).all()  # louder is stronger
    assert bank.by_pressure()[float(bank.pressure_pa[9])].arrival.tolist() == bank.arrival[8:12].tolist()


@pytest.mark.parametrize("length", [100, 300, 2048])
def test_matched_filter_is_the_correlation_of_scipy(length):
    voltage, echo = RNG.normal(size=(3, length)), RNG.normal(size=256)
    got = matched(torch.from_numpy(voltage), torch.from_numpy(echo)[None])
    for row, line in zip(got, voltage, strict=True):
        expected = correlate(line, echo, mode="full")[255:] / np.sum(echo**2)
        np.testing.assert_allclose(row, expected, atol=1e-12)


def test_correlation_of_several_templates_is_that_of_each():
    voltage, echoes = torch.from_numpy(RNG.normal(size=(2, 500))), torch.from_numpy(RNG.normal(size=(3, 256)))
    together = correlation(voltage, echoes)
    for index in range(3):
        assert torch.allclose(together[:, [index]], correlation(voltage, echoes[[index]]))


def test_normalized_correlation_is_one_at_an_echo_of_any_level_and_never_above():
    echo = RNG.normal(size=256)
    voltage = np.zeros((2, 900))
    voltage[0, 300:556], voltage[1, 300:556] = 1e-3 * echo, 40 * echo
    got = normalized_correlation(torch.from_numpy(voltage), torch.from_numpy(echo)[None])
    assert got[:, 300].tolist() == pytest.approx([1, 1])
    assert got.max() <= 1 + 1e-9


def test_wiener_finds_noiseless_sparse_echoes_exactly():
    echo = RNG.normal(size=256) * np.exp(-np.arange(256) / 8)
    sparse = np.zeros((4, 700))
    for line in sparse:
        line[RNG.choice(700, 40, replace=False)] = RNG.uniform(0.2, 3, 40)
    sparse[:, 440:] = 0  # whole echoes: what is cut off cannot be deconvolved
    voltage = np.stack([np.convolve(line, echo)[:700] for line in sparse])
    got = deconvolve(torch.from_numpy(voltage), torch.from_numpy(echo), 1e-14)
    np.testing.assert_allclose(got, sparse, atol=1e-6)


def test_wiener_is_the_formula_bin_by_bin():
    voltage, echo, level = RNG.normal(size=600), RNG.normal(size=256), 0.03
    points = 864  # the fast length of 600 + 255 samples
    spectrum, template = np.fft.rfft(voltage, points), np.fft.rfft(echo, points)
    power = np.abs(template) ** 2
    expected = np.fft.irfft(spectrum * template.conj() / (power + level * power.max()), points)[:600]
    got = deconvolve(torch.from_numpy(voltage)[None], torch.from_numpy(echo), level)[0]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_prominent_peaks_are_those_of_scipy():
    height = np.abs(np.cumsum(RNG.normal(size=(3, 500)), axis=1)).astype(np.float32)
    got = prominent_peaks(torch.from_numpy(height), torch.tensor([0.0, 1.0, 4.0])).numpy()
    for row, line, prominence in zip(got, height, (0.0, 1.0, 4.0), strict=True):
        peaks = find_peaks(line, prominence=prominence)[0]
        assert np.flatnonzero(row).tolist() == peaks.tolist()
        assert row[peaks].tolist() == line[peaks].tolist()


@pytest.mark.parametrize("make", [lambda _template: EnvelopePeaks(), MatchedFilter, Wiener])
def test_scores_are_finite_and_not_negative_at_every_setting(make, template, one_bubble):
    detector = make(template)
    silent = recording(np.zeros((1, 300), np.float32))
    for setting in detector.settings():
        for lines in (one_bubble, silent):
            z = detector.score(lines, setting)
            assert z.shape == lines.voltage.shape
            assert torch.isfinite(z).all(), setting
            assert (z >= 0).all(), setting
        assert not z.any(), setting


def test_template_methods_peak_at_the_arrival_itself(template, one_bubble):
    arrival = int(one_bubble.counts[0].argmax())
    plain = {"gain": "none", "scale": "none", "form": "peaks"}
    matched_score = MatchedFilter(template).score(one_bubble, plain | {"readout": "positive"})
    wiener_score = Wiener(template).score(one_bubble, plain | {"readout": "positive", "level": 0.01})
    assert int(matched_score[0].argmax()) == pytest.approx(arrival, abs=1)
    assert int(wiener_score[0].argmax()) == pytest.approx(arrival, abs=1)
    # Amplitude in units of the template: 1/r from 50 mm to 40 mm.
    assert float(matched_score.max()) == pytest.approx(1.25, rel=0.02)


def test_peaks_are_the_local_maxima_of_the_dense_score(template, one_bubble):
    detector = MatchedFilter(template)
    setting = {"gain": "none", "scale": "none", "readout": "positive"}
    dense = detector.score(one_bubble, setting | {"form": "samples"})[0].numpy()
    sparse = detector.score(one_bubble, setting | {"form": "peaks"})[0].numpy()
    peaks = find_peaks(np.concatenate([[-1], dense, [-1]]))[0] - 1
    assert np.flatnonzero(sparse).tolist() == [peak for peak in peaks if dense[peak] > 0]
    assert sparse[sparse > 0].tolist() == dense[sparse > 0].tolist()
