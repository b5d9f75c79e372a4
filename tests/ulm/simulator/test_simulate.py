"""Lines: geometry, additivity, windows, batches, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.simulate import Scene, simulate_bubbles, simulate_lines

ONE = Scene([0.05], [0.0], [2.4e-6], 115e3)


def random_scene(rng, bubbles):
    z, x = rng.uniform(3.7e-3, 96.3e-3, bubbles), rng.uniform(-14e-3, 14e-3, bubbles)
    return Scene(z, x, rng.normal(2.4e-6, 0.12e-6, bubbles), float(rng.uniform(5e3, 250e3)))


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(4)
    return [random_scene(rng, bubbles) for bubbles in (60, 0, 25)]


@pytest.fixture(scope="module")
def whole(scenes):
    return simulate_lines(scenes)


def close(a, b):
    return torch.allclose(a, b, rtol=0, atol=2e-6 * float(b.abs().max()))


def test_label_rounds_half_away_from_zero():
    # On the axis a bubble at n + 1/2 samples of two-way depth; np.rint would give the even neighbour.
    for sample in (1000, 1001):
        depth = (sample + 0.5) / 62.5e6 * 1480 / 2
        counts = simulate_lines([Scene([np.nextafter(depth, 1)], [0.0], [2.4e-6], 5e4)]).counts[0]
        assert torch.nonzero(counts).tolist() == [[sample + 1]]


def test_off_axis_label_uses_the_way_back():
    counts = simulate_lines([Scene([0.03], [0.01], [2.4e-6], 5e4)]).counts[0]
    assert int(counts.argmax()) == int(np.floor((0.03 + np.hypot(0.03, 0.01)) / 1480 * 62.5e6 + 0.5))


def test_echo_of_the_standard_bubble_peaks_near_the_reference_voltage():
    line = simulate_lines([ONE])
    label = int(line.counts[0].argmax())
    peak = int(line.voltage[0].abs().argmax())
    assert float(line.voltage.abs().max()) == pytest.approx(9.6, rel=0.1)
    assert 75 <= peak - label <= 103
    assert line.voltage[0, : label + 33].abs().max() < 0.01 * line.voltage.abs().max()


def test_empty_scene_is_silent_and_no_scenes_give_no_lines(whole):
    assert not whole.voltage[1].any()
    assert not whole.counts[1].any()
    assert simulate_lines([]).voltage.shape == (0, SAMPLES)


def test_echoes_add_up(scenes, whole):
    scene = scenes[2]
    z, x, radius = (np.asarray(column) for column in (scene.z_m, scene.x_m, scene.radius_m))
    halves = [Scene(z[part], x[part], radius[part], scene.pressure_pa) for part in (slice(0, 9), slice(9, None))]
    parts = simulate_lines(halves)
    assert close(parts.voltage.sum(dim=0), whole.voltage[2])
    assert torch.equal(parts.counts.sum(dim=0), whole.counts[2])


def test_lines_do_not_depend_on_batch_or_company_and_progress_reaches_the_total(scenes, whole):
    seen = []
    batches = simulate_lines(scenes, batch=20, progress=lambda done, total: seen.append((done, total)))
    assert close(batches.voltage, whole.voltage)
    assert seen == [(20, 85), (40, 85), (60, 85), (80, 85), (85, 85)]
    assert close(simulate_lines(scenes[2:]).voltage[0], whole.voltage[2])


@given(st.integers(0, SAMPLES - 1), st.integers(1, SAMPLES))
@settings(max_examples=15)
def test_window_equals_the_slice_of_the_whole_line(scenes, whole, start, length):
    length = min(length, SAMPLES - start)
    part = simulate_lines(scenes, window=([start] * 3, length))
    for name in ("voltage", "counts", "pressure_field_pa"):
        wanted = getattr(whole, name)[:, start : start + length]
        difference = (getattr(part, name) - wanted).abs().max()
        assert difference <= 2e-6 * getattr(whole, name).abs().max()


def test_window_near_the_start_hears_the_end_through_the_circular_receiver():
    scene = [Scene([0.0963], [0.0145], [2.4e-6], 2e5)]
    whole = simulate_lines(scene)
    part = simulate_lines(scene, window=([0], 100))
    assert whole.voltage[0, :100].abs().max() > 0
    assert close(part.voltage, whole.voltage[:, :100])


def test_window_simulates_only_what_it_hears(scenes):
    seen = []
    simulate_lines(scenes, window=([3000] * 3, 500), progress=lambda done, total: seen.append((done, total)))
    arrivals = np.concatenate([(s.z_m + np.hypot(s.z_m, s.x_m)) / 1480 * 62.5e6 for s in scenes if len(s.z_m)])
    assert seen[-1] == (int(((arrivals > 3000 - 480) & (arrivals < 3500)).sum()),) * 2


def test_delay_is_right_to_a_fraction_of_a_sample():
    # Two bubbles a quarter sample apart: the second echo is the first one shifted by that in frequency.
    step = 0.25 / 62.5e6 * 1480 / 2
    first, second = simulate_lines([Scene([z], [0.0], [2.4e-6], 1e5) for z in (0.05, 0.05 + step)]).voltage.double()
    phase = -2 * torch.pi * 0.25 / SAMPLES * torch.arange(SAMPLES // 2 + 1, dtype=torch.float64)
    spectrum = torch.fft.rfft(first) * torch.polar(torch.ones_like(phase), phase)
    assert (torch.fft.irfft(spectrum, n=SAMPLES) - second).norm() < 1e-3 * second.norm()


def test_finer_steps_agree():
    coarse, fine = (simulate_lines([ONE], time_step_s=step).voltage for step in (16e-9, 4e-9))
    assert (coarse - fine).norm() < 2e-3 * fine.norm()


def test_pressure_field_starts_at_the_transmitted_pressure_and_of_a_weak_wave_falls_with_depth():
    strong, weak = simulate_lines([Scene([], [], [], pressure) for pressure in (1e5, 1e3)]).pressure_field_pa
    assert float(strong[0]) == pytest.approx(1.000152e5, rel=1e-6)
    assert (weak.diff() <= 0).all()
    assert 0.98 < float(weak[-1] / weak[0]) < 0.995


def test_single_bubbles_take_scalars_and_arrays():
    trace = simulate_bubbles(0.01, np.array([2e-6, 2.4e-6]), 5e4, time_step_s=8e-9)
    assert trace.radius_m.shape == trace.pressure_pa.shape == trace.scattered_pa.shape == (2, len(trace.time_s))
    assert trace.radius_m[:, 0].tolist() == pytest.approx([2e-6, 2.4e-6])


def test_diverging_motion_asks_for_a_smaller_step():
    with pytest.raises(DataError, match=r"diverged with time steps of 16 and 4 ns; .* such as 2 ns"):
        simulate_lines([Scene([0.01], [0.0], [0.12e-6], 5e6)])


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (Scene([0.05, 0.06], [0.0], [2.4e-6], 1e5), "must have one shape"),
        (Scene([-0.05], [0.0], [2.4e-6], 1e5), "depths above 0"),
        (Scene([0.05], [float("nan")], [2.4e-6], 1e5), "finite lateral"),
        (Scene([0.05], [0.0], [2.4], 1e5), "radii of 0.1 to 20 um"),
        (Scene([0.05], [0.0], [2.4e-6], -1.0), "pressure_pa must be"),
        (Scene([0.12], [0.0], [2.4e-6], 1e5), "after the end of the line"),
    ],
)
def test_impossible_scene_is_refused(scene, message):
    with pytest.raises(DataError, match=message):
        simulate_lines([ONE, scene])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *(({"window": window}, "window") for window in (([0, 0], 10), ([0], 0), ([-1], 10), ([8440], 10))),
        *(({"time_step_s": step}, "16 ns over an integer") for step in (0.0, -16e-9, 10e-9, 32e-9)),
    ],
)
def test_impossible_window_or_step_is_refused(options, said):
    with pytest.raises(DataError, match=said):
        simulate_lines([ONE], **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(scenes, whole):
    assert (simulate_lines(scenes, device="cuda").voltage - whole.voltage).norm() < 1e-4 * whole.voltage.norm()
