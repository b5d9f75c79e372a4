"""Pulses: the default one as it always was, names, lengths, divergence, linear bubbles."""

import numpy as np
import pytest
import torch

from kernbench.errors import DataError
from kernbench.study.settings import PULSES, SETTINGS
from kernbench.ulm.line import LONG_ECHO_DEPTH_RANGE_M, LONG_ECHO_SUPPORT
from kernbench.ulm.simulator import embedded_fits, pulse_file
from kernbench.ulm.simulator.physics import WATER, surface_tension, thermal_damping
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Scene, arrival_samples
from kernbench.ulm.simulator.simulate import simulate_bubbles, simulate_lines
from kernbench.ulm.simulator.transducer import transmit_response
from kernbench.ulm.simulator.waveforms import WAVEFORMS

# name: L2 norm of the pressure, where its magnitude is largest (computed from the published code)
FACTS = {
    "TRI": (8.630481, 207),
    "REF": (7.483736, 201),
    "S1.7": (13.763385, 224),
    "S2.5": (13.988181, 498),
    "S3.4": (13.779095, 222),
    "L1.7": (18.942792, 222),
    "L2.5": (20.508923, 948),
    "L3.4": (19.989049, 224),
    "SUC": (17.684461, 843),
    "SDC": (17.678113, 799),
    "LUC": (30.189216, 2142),
    "LDC": (30.179434, 2000),
    "DPT": (27.976365, 498),
    "ExpREF": (8.313248, 168),
    "ExpSDC": (19.971295, 808),
}


def test_the_default_pulse_is_computed_as_it_always_was():
    drive = np.zeros(50_000)
    drive[0:50], drive[74:124] = 1, -1
    spectrum = np.fft.rfft(drive) * np.fft.rfft(transmit_response())
    omega = 2 * np.pi * np.fft.rfftfreq(50_000, 1 / 250e6)
    pressure, slope = (np.fft.irfft(each, n=50_000)[:1424] for each in (spectrum, 1j * omega * spectrum))
    peak = np.abs(pressure).max()
    pressure, slope = pressure / peak, slope / peak
    pressure = pressure - np.linspace(pressure[0], pressure[-1], 1424)
    pressure *= embedded_fits.PULSE_PEAK / np.abs(pressure).max()
    pulse = find_pulse()
    assert (pulse.pressure == pressure).all()
    assert (pulse.slope == slope).all()
    assert (pulse.echo_samples, pulse.period_samples, pulse.step_ns) == (356, 1440, 16)
    assert pulse.drive_hz == pulse.thermal_hz == 1.7e6


def test_lines_of_the_default_pulse_need_no_name():
    scene = Scene([0.03, 0.05], [0.0, 1e-3], [2.4e-6, 2.2e-6], 1e5)
    unnamed, named = simulate_lines([scene]), simulate_lines([scene], pulse="default", time_step_s=16e-9)
    for name in ("voltage", "counts", "pressure_field_pa", "echo_pa"):
        assert torch.equal(getattr(unnamed, name), getattr(named, name))


@pytest.mark.parametrize("name", FACTS)
def test_pulses_have_the_published_norms_and_peaks(name):
    pulse, (norm, peak) = find_pulse(name), FACTS[name]
    assert np.linalg.norm(pulse.pressure) == pytest.approx(norm, rel=2e-3)
    if name in ("L2.5", "DPT"):  # several cycles or bursts of nearly one height
        assert np.abs(pulse.pressure[peak]) == pytest.approx(1, abs=2e-3)
    else:
        assert abs(int(np.abs(pulse.pressure).argmax()) - peak) <= 2
    assert np.abs(pulse.pressure).max() == pytest.approx(1, abs=1e-15)
    assert pulse.period_samples >= 4 * pulse.echo_samples >= len(pulse.pressure)


def test_settings_know_the_pulses_and_their_files():
    assert tuple(WAVEFORMS) == PULSES
    assert SETTINGS["data"]["pulse"].files == pulse_file.ENDINGS


def test_unknown_pulse_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"no pulse 'S25'; did you mean 'S2.5'\?"):
        find_pulse("S25")
    with pytest.raises(DataError, match=r"known: default, TRI, .* give the path of an .npz or .txt file"):
        simulate_lines([], pulse="chirp of my own")


def test_a_given_pressure_takes_no_transmit_response():
    with pytest.raises(DataError, match=r"'ExpSDC' is a pressure.*expected data.transmit_response empty"):
        find_pulse("ExpSDC", "response.mat")


def test_labels_end_where_the_deepest_bubble_is():
    far = LONG_ECHO_DEPTH_RANGE_M[1]
    assert LONG_ECHO_SUPPORT[1] == 1 + int(np.floor(arrival_samples(np.array(far), np.hypot(far, 14e-3)) + 0.5))


@pytest.mark.parametrize("name", ["REF", "ExpREF", "LDC"])
def test_echo_lasts_as_long_as_the_pulse(name):
    line = simulate_lines([Scene([0.02], [0.0], [2.4e-6], 1e5)], pulse=name)
    start, echo = int(line.counts[0].argmax()), find_pulse(name).echo_samples
    heard = line.echo_pa[0].nonzero()[:, 0]
    assert abs(int(heard[0]) - start) <= 1
    assert echo - 1 <= int(heard[-1]) + 1 - start <= echo + 1


@pytest.mark.parametrize("name", ["S1.7", "LDC"])
def test_windows_are_slices_of_the_line(name):
    rng = np.random.default_rng(1)
    scene = Scene(rng.uniform(0.01, 0.08, 12), rng.uniform(-0.01, 0.01, 12), np.full(12, 2.4e-6), 5e4)
    whole = simulate_lines([scene], pulse=name, time_step_s=16e-9)
    part = simulate_lines([scene], pulse=name, time_step_s=16e-9, window=([3000], 700))
    assert torch.allclose(
        part.voltage, whole.voltage[:, 3000:3700], rtol=0, atol=2e-6 * float(whole.voltage.abs().max())
    )


def test_bubbles_that_diverge_are_stepped_again_and_counted():
    rng = np.random.default_rng(5)
    depth, radius = rng.uniform(*LONG_ECHO_DEPTH_RANGE_M, 300), rng.normal(2.4e-6, 0.12e-6, 300)
    coarse = simulate_bubbles(depth, radius, 250e3, pulse="S1.7", time_step_s=16e-9)
    assert 20 < coarse.stepped_again < 150
    for tensor in (coarse.radius_m, coarse.scattered_pa):
        assert torch.isfinite(tensor).all()
    usual = simulate_bubbles(depth, radius, 250e3, pulse="S1.7")
    assert usual.stepped_again == 0
    assert torch.isfinite(usual.radius_m).all()
    apart = (coarse.radius_m - usual.radius_m[:, ::4]).abs().amax(dim=1)
    excursion = (usual.radius_m - usual.radius_m[:, :1]).abs().amax(dim=1)
    assert int((apart < 1e-3 * excursion).sum()) >= coarse.stepped_again  # these have the motion of the smaller step


def test_a_line_says_how_many_bubbles_were_stepped_again():
    scene = Scene([0.03, 0.05], [5e-3, 0.0], [2.0e-6, 3.2e-6], 250e3)
    assert simulate_lines([scene], pulse="S1.7", time_step_s=16e-9).stepped_again == 1
    assert simulate_lines([scene], pulse="S1.7").stepped_again == 0


def test_linear_bubbles_move_as_the_full_equation_at_low_pressure():
    weak = simulate_bubbles([0.03, 0.03], [2.0e-6, 2.4e-6], 5.0, pulse="REF", time_step_s=4e-9)
    linear = simulate_bubbles([0.03, 0.03], [2.0e-6, 2.4e-6], 5.0, pulse="REF", time_step_s=4e-9, bubbles="linear")
    expected = linear.scattered_pa.norm(dim=1)
    assert ((weak.scattered_pa - linear.scattered_pa).norm(dim=1) / expected).max() < 2e-2
    assert linear.radius_m[:, 0].tolist() == pytest.approx([2.0e-6, 2.4e-6], rel=1e-6)


def test_linear_lines_are_proportional_to_the_pressure():
    scenes = [Scene([0.03, 0.05], [0.0, 2e-3], [2.4e-6, 2.2e-6], pressure) for pressure in (1e5, 2e5)]
    first, second = simulate_lines(scenes, pulse="SDC", bubbles="linear").voltage
    assert torch.allclose(2 * first, second, rtol=0, atol=1e-5 * float(second.abs().max()))
    one, two = simulate_lines(scenes, pulse="SDC").voltage
    assert (2 * one - two).norm() > 0.05 * two.norm()


def test_linear_bubble_resonates_where_the_formula_says():
    radius, tone = 2.4e-6, find_pulse("REF")
    rate, slope = 1e-4, surface_tension(embedded_fits.AREA_AT_REST * np.array([1 - 1e-4, 1 + 1e-4]))
    elasticity = float(np.diff(slope)[0] / (2 * rate))  # A d sigma / dA = (R0 / 2) d sigma / dR
    gas = WATER.pressure + 2 * 0.010 / radius
    _, kappa = thermal_damping(np.array([radius]), tone.thermal_hz)
    square = (3 * kappa * gas - 2 * 0.010 / radius + 4 * elasticity / radius) / (WATER.density * radius**2)
    trace = simulate_bubbles(0.03, radius, 1e3, pulse="REF", bubbles="linear", time_step_s=4e-9)
    points = 1 << 14
    excursion = trace.radius_m[0].double() / radius - 1
    pressure = torch.fft.rfft(trace.pressure_pa[0].double(), n=points)
    response = (torch.fft.rfft(excursion, n=points) / pressure).numpy()
    at = round(float(np.sqrt(square[0])) / (2 * np.pi) * points * 4e-9)
    assert np.angle(response[at] * -1j) == pytest.approx(0, abs=0.05)  # at resonance it is a quarter of a cycle late


def test_unknown_kind_of_bubbles():
    with pytest.raises(DataError, match="bubbles: expected nonlinear or linear, got 'stiff'"):
        simulate_lines([], bubbles="stiff")
