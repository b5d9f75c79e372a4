"""The published noise model: level, filter and seeds."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.noise import V_REF, add_noise, low_pass


def test_filtered_noise_has_the_published_standard_deviation():
    noise = add_noise(np.zeros((40, SAMPLES)), 8, seed=1)
    assert noise.std() / (0.08 * V_REF) == pytest.approx(0.384, abs=0.003)


def test_noise_adds_to_the_filtered_signal():
    voltage = 5 * np.sin(2 * np.pi * 1.7 / 62.5 * np.arange(2000))[None]
    noise = add_noise(np.zeros_like(voltage), 4, seed=2)
    assert add_noise(voltage, 4, seed=2) == pytest.approx(noise + low_pass(voltage), abs=1e-5)


@pytest.mark.parametrize(("megahertz", "decibel"), [(1.7, 0.0), (3.4, -0.30), (4.1, -1.4), (5.1, -6.0), (6.8, -22)])
def test_filter_has_the_published_gain(megahertz, decibel):
    tone = np.sin(2 * np.pi * megahertz / 62.5 * np.arange(SAMPLES))
    gain = low_pass(tone)[500:-500].std() / tone[500:-500].std()
    assert 20 * np.log10(gain) == pytest.approx(decibel, abs=0.1 if decibel > -20 else 0.5)


def test_filter_agrees_with_second_order_sections():
    lines = np.random.default_rng(0).standard_normal((3, 500))
    sections = butter(4, 5.1e6, fs=62.5e6, output="sos")
    assert low_pass(lines) == pytest.approx(sosfiltfilt(sections, lines, padtype="odd", padlen=15), abs=1e-5)


def test_level_zero_leaves_lines_unfiltered():
    lines = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
    assert np.array_equal(add_noise(lines, 0, seed=5), lines)


def test_noise_of_a_line_does_not_depend_on_the_others():
    many, few = (add_noise(np.zeros((lines, 300)), 2, seed=9) for lines in (5, 2))
    assert np.array_equal(many[:2], few)
    assert not np.array_equal(many[0], many[1])
    assert not np.array_equal(many, add_noise(np.zeros((5, 300)), 2, seed=10))


def test_generator_gives_new_noise_at_every_call_and_lines_need_no_axis():
    rng = np.random.default_rng(0)
    first, second = (add_noise(np.zeros(300), 2, rng) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(add_noise(np.zeros(300), 2, seed=1), add_noise(np.zeros((1, 300)), 2, seed=1)[0])
    assert first.dtype == np.float32


@pytest.mark.parametrize(("samples", "level"), [(300, -1), (300, float("nan")), (15, 2)])
def test_impossible_noise_is_refused(samples, level):
    with pytest.raises(DataError, match="noise"):
        add_noise(np.zeros((2, samples)), level, seed=0)
