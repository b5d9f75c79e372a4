"""Compressed lines: the matched filter of the pulse, before anything looks for bubbles."""

import numpy as np
import pytest

from kernbench.ulm.simulator.compression import compressed, template_of
from kernbench.ulm.simulator.noise import add_noise
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import simulate_lines
from kernbench.ulm.simulator.transducer import receive_filter


def test_filter_is_the_formula():
    rng = np.random.default_rng(0)
    lines, template = rng.standard_normal((2, 40)), rng.standard_normal(7)
    padded = np.pad(lines, ((0, 0), (0, 6)))
    wanted = [[padded[row, n : n + 7] @ template / (template @ template) for n in range(40)] for row in range(2)]
    assert np.abs(compressed(lines, template) - np.array(wanted)).max() < 1e-6


@pytest.mark.parametrize("name", ["REF", "SDC"])
def test_template_is_the_pulse_as_the_element_hears_it(name):
    template, pulse = template_of(name), find_pulse(name)
    assert len(template) == pulse.echo_samples
    assert np.abs(template).max() == 1
    taps = receive_filter().taps
    fine = np.interp(np.arange(4 * len(taps)) / 4, np.arange(len(taps)), taps)
    slow = np.convolve(pulse.pressure, fine)[: len(pulse.pressure) : 4][: len(template)]
    assert np.corrcoef(template, slow)[0, 1] > 0.98


def test_compression_shortens_a_chirp_and_lifts_it_out_of_noise():
    line = simulate_lines([Scene([0.03], [0.0], [2.4e-6], 1e5)], pulse="SDC")
    arrival, voltage = int(line.counts[0].argmax()), line.voltage[0].numpy()
    template = template_of("SDC")
    sharp = compressed(voltage, template)

    def half_energy(signal):
        energy = np.cumsum(np.square(signal, dtype=np.float64)) / np.square(signal, dtype=np.float64).sum()
        return int(np.searchsorted(energy, 0.9) - np.searchsorted(energy, 0.1))

    assert half_energy(sharp) < 0.6 * half_energy(voltage)
    assert abs(int(np.abs(sharp).argmax()) - arrival) < 30
    noise = add_noise(np.zeros(8446), 8.0, 1)
    gain = np.abs(sharp).max() / compressed(noise, template).std() / (np.abs(voltage).max() / noise.std())
    assert gain > 2.5
