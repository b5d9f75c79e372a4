"""A pulse of one's own: read from a file, resampled, and refused in one line."""

import numpy as np
import pytest

from kernbench.errors import DataError
from kernbench.ulm.simulator.pulses import find_pulse, pulse_facts

RATE = 250e6


def burst(rate=RATE, micros=3.0):
    time = np.arange(round(micros * 1e-6 * rate)) / rate
    centre = time - 1e-6 * micros / 2
    return np.sin(2 * np.pi * 2e6 * centre) * np.exp(-((centre / 0.35e-6) ** 2))


def saved(path, **content):
    np.savez(path, **content)
    return str(path)


def test_samples_at_250_mhz_are_taken_as_they_are(tmp_path):
    pulse = find_pulse(saved(tmp_path / "own.npz", pressure=7 * burst(), rate_hz=RATE))
    assert np.abs(pulse.pressure - burst() / np.abs(burst()).max()).max() < 1e-12
    assert np.abs(np.gradient(pulse.pressure) * RATE - pulse.slope).max() < 1e-2 * np.abs(pulse.slope).max()
    assert pulse.drive_hz == pulse.thermal_hz == pytest.approx(2e6, abs=50e3)
    assert pulse.step_ns == 16


def test_text_and_npz_give_the_same_pulse(tmp_path):
    path = tmp_path / "own.txt"
    samples = "\n".join(f"{value:.17g}" for value in burst())
    path.write_text(f"# rate_hz: 250e6\n# thermal_hz: 2.1e6\n# step_ns: 8\n# a pulse of mine\n\n{samples}\n")
    pulse = find_pulse(str(path))
    other = find_pulse(saved(tmp_path / "own.npz", pressure=burst(), rate_hz=RATE, thermal_hz=2.1e6, step_ns=8))
    assert (pulse.pressure == other.pressure).all()
    assert pulse.thermal_hz == other.thermal_hz == 2.1e6
    assert pulse.step_ns == other.step_ns == 8


@pytest.mark.parametrize("rate", [62.5e6, 500e6])
def test_other_rates_are_resampled(tmp_path, rate):
    pulse = find_pulse(saved(tmp_path / "own.npz", pressure=burst(rate), rate_hz=rate))
    assert len(pulse.pressure) in (750, 752)
    wanted = burst() / np.abs(burst()).max()
    assert np.abs(pulse.pressure[:750] - wanted).max() < 2e-3


def test_content_and_not_the_path_names_the_pulse(tmp_path):
    one = saved(tmp_path / "one.npz", pressure=burst(), rate_hz=RATE)
    same = tmp_path / "same.npz"
    same.write_bytes((tmp_path / "one.npz").read_bytes())
    other = saved(tmp_path / "other.npz", pressure=burst(micros=3.1), rate_hz=RATE)
    assert pulse_facts(one) == pulse_facts(str(same))
    assert pulse_facts(one)[0].startswith("file ")
    assert pulse_facts(one) != pulse_facts(other)
    assert pulse_facts("LDC") == ("LDC", 16)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"p": burst(), "rate_hz": RATE}, "expected pressure and rate_hz, found p, rate_hz"),
        ({"pressure": burst()}, r"rate_hz is missing; expected a number \[Hz\]"),
        ({"pressure": burst(), "rate_hz": 250.0}, "rate_hz expected 2e.07 to 1e.10 Hz, got 250"),
        ({"pressure": burst(), "rate_hz": 33.3333e6}, "rate_hz expected a multiple of 5 kHz, got 3.33333e.07"),
        ({"pressure": burst().reshape(2, -1), "rate_hz": RATE}, r"expected one row of samples, got shape \(2, 375\)"),
        ({"pressure": np.append(burst(), np.nan), "rate_hz": RATE}, "got 1 of 751 NaN or infinite"),
        ({"pressure": np.zeros(100), "rate_hz": RATE}, "expected a pulse, got zeros"),
        ({"pressure": np.ones(10_000), "rate_hz": RATE}, "10000 samples at 2.5e.08 Hz are 40 us; expected 0.064 to 24"),
        ({"pressure": np.ones(500), "rate_hz": RATE}, "its spectrum is largest at 0 MHz; expected 0.2 to 10 MHz"),
        ({"pressure": burst(), "rate_hz": RATE, "step_ns": 5}, "step_ns expected one of 16, 8, 4, 2, 1, got 5"),
        ({"pressure": burst(), "rate_hz": RATE, "drive_hz": 2.0}, "drive_hz expected 200000 to 1e.07 Hz, got 2"),
        ({"pressure": np.array(["a", "b"]), "rate_hz": RATE}, "expected real numbers"),
        ({"pressure": np.array([{}], object), "rate_hz": RATE}, "is not a complete .npz file"),
        ({"pressure": burst() + 1j, "rate_hz": RATE}, "expected real numbers: TypeError: pressure is complex128"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, message):
    path = saved(tmp_path / "own.npz", **content)
    with pytest.raises(DataError, match=message) as error:
        find_pulse(path)
    assert str(error.value).startswith(f"pulse file {path}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist"),
        ("# rate_hz: 250e6\n0.1\n0.2 volts\n", "line 3: expected a number, got '0.2 volts'"),
        ("# rate_hz: fast\n0.1\n", "line 1: expected a number, got '# rate_hz: fast'"),
        ("", "rate_hz is missing"),
        ("# rate_hz: 250e6\n", "0 samples at 2.5e.08 Hz"),
    ],
)
def test_bad_text_is_one_line(tmp_path, text, message):
    path = tmp_path / "own.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        find_pulse(str(path))


def test_damaged_npz_is_one_line(tmp_path):
    path = tmp_path / "own.npz"
    path.write_bytes(b"PK\x03\x04 but no more")
    with pytest.raises(DataError, match=r"own\.npz is not a complete \.npz file"):
        find_pulse(str(path))


@pytest.mark.parametrize("unit", [1e308, 1e-300])
def test_a_pulse_may_have_any_unit(tmp_path, unit):
    usual = find_pulse(saved(tmp_path / "usual.npz", pressure=burst(), rate_hz=RATE))
    pulse = find_pulse(saved(tmp_path / "own.npz", pressure=burst() * unit, rate_hz=RATE))
    assert np.abs(pulse.pressure - usual.pressure).max() < 1e-12
    assert np.abs(pulse.slope - usual.slope).max() < 1e-12 * np.abs(usual.slope).max()


def test_text_may_begin_with_the_mark_of_its_encoding(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("# rate_hz: 250e6\n" + "\n".join(map(repr, burst().tolist())), encoding="utf-8-sig")
    assert len(find_pulse(str(path)).pressure) == 750


def test_a_name_that_no_file_can_have_is_one_line():
    with pytest.raises(DataError, match=r"pulse file a\\x00\.npz cannot be read: embedded null byte"):
        find_pulse("a\0.npz")
