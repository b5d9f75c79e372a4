"""Pulse, responses and propagation against numpy, analytic limits and the published tables."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from kernbench.errors import DataError
from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.physics import WATER
from kernbench.ulm.simulator.pulse import Pulse
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.response_file import load_response
from kernbench.ulm.simulator.transducer import (
    atoms_response,
    attenuation,
    drive_spectrum,
    driving_pressure,
    receive_filter,
)
from kernbench.ulm.simulator.waveforms import FINE_RATE_HZ, drive_signal

PERIOD_SAMPLES = 1440


def response_files(reference):
    folder = reference / "srml1d" / "RF_simulator" / "functions"
    return str(folder / "TransmitTransferFunctionFit.mat"), str(folder / "ReceiveTransferFunctionFit.mat")


def tone(frequency_hz):
    """A pulse that is periodic in the spectra's period, for which propagation is exact."""
    time = np.arange(PERIOD_SAMPLES) / FINE_RATE_HZ
    omega = 2 * np.pi * frequency_hz
    return Pulse(np.sin(omega * time), omega * np.cos(omega * time))


def test_drive_has_the_published_levels():
    drive = drive_signal()
    assert drive.sum() == 0
    assert np.flatnonzero(drive == 1).tolist() == list(range(50))
    assert np.flatnonzero(drive == -1).tolist() == list(range(74, 124))


def test_pulse_has_the_published_extrema():
    pulse = find_pulse().pressure
    published = {0.408: 0.224, 0.608: -0.760, 0.828: 1.0, 1.060: -0.867, 1.260: 0.502, 1.456: -0.177, 1.656: 0.035}
    for time_us, value in published.items():
        assert pulse[round(time_us * 250)] == pytest.approx(value, abs=4e-3)
    assert np.abs(pulse).max() == pytest.approx(1.000152, abs=1e-6)


def test_slope_is_the_derivative_of_the_pulse():
    pulse = find_pulse()
    difference = np.gradient(pulse.pressure) * FINE_RATE_HZ
    assert np.abs(difference - pulse.slope).max() < 3e-3 * np.abs(pulse.slope).max()


def test_responses_have_the_published_bands():
    frequency = np.fft.rfftfreq(50_000, 1 / FINE_RATE_HZ) / 1e6
    time_us = np.arange(50_000) / 250
    for atoms, peak_mhz, low, high in (
        (embedded_fits.TRANSMIT_ATOMS, 2.655, 1.785, 3.595),
        (embedded_fits.RECEIVE_ATOMS, 2.42, 1.425, 3.58),
    ):
        level = np.abs(np.fft.rfft(atoms_response(atoms, time_us)))
        band = frequency[level > level.max() / 2]
        assert frequency[level.argmax()] == pytest.approx(peak_mhz, abs=0.05)
        assert (band[0], band[-1]) == pytest.approx((low, high), abs=0.05)


def test_receive_filter_keeps_the_gain_of_the_fine_response():
    receive = receive_filter()
    fine = np.fft.rfft(atoms_response(embedded_fits.RECEIVE_ATOMS, np.arange(50_000) / 250))[:2000]
    taps = np.concatenate([receive.taps, np.zeros(12_500 - len(receive.taps))])
    assert np.abs(np.fft.rfft(taps)[:2000] - fine).max() < 2e-3 * np.abs(fine).max()
    assert np.abs(fine).max() == pytest.approx(1.3147, rel=3e-3)


def test_measured_responses_agree_with_the_fits(reference):
    transmit, receive = response_files(reference)
    assert np.abs(find_pulse("default", transmit).pressure - find_pulse().pressure).max() < 3e-3
    assert np.abs(find_pulse("default", transmit).pressure).max() == pytest.approx(1.000152, abs=1e-6)
    measured, fitted = receive_filter(receive), receive_filter()
    taps = measured.taps[-measured.first :][: len(fitted.taps)]
    assert np.abs(taps - fitted.taps).max() < 2e-3 * np.abs(fitted.taps).max()


@pytest.mark.parametrize("rate_hz", [125e6, 500e6])
def test_response_at_another_rate_gives_the_same_filter(reference, tmp_path, rate_hz):
    spectrum, rate = load_response(response_files(reference)[1], "receive")
    h = np.fft.ifft(spectrum).real
    half = np.fft.rfft(h)
    points = round(len(h) * rate_hz / rate)
    resampled = np.fft.fft(np.fft.irfft(half[: points // 2 + 1], n=points))
    path = tmp_path / "receive.mat"
    savemat(path, {"Fs": rate_hz, "Hfit": resampled})
    assert receive_filter(str(path)).taps == pytest.approx(receive_filter(response_files(reference)[1]).taps, abs=1e-9)


def test_attenuation_of_water():
    assert attenuation(1.7e6) == pytest.approx(0.06654, rel=1e-4)
    assert 20 * np.log10(np.exp(float(attenuation(1e6)) * 0.01)) == pytest.approx(0.002)


@pytest.mark.parametrize("bins", [10, 14])
def test_tone_is_attenuated_and_grows_its_second_harmonic(bins):
    frequency = bins / 5.76e-6
    spectrum = drive_spectrum(tone(frequency))
    depth, amplitude = 0.05, 2e5
    pressure = driving_pressure(spectrum, torch.tensor([depth]), torch.tensor([amplitude]), PERIOD_SAMPLES)[0]
    lines = np.fft.rfft(pressure.double().numpy()) / (PERIOD_SAMPLES / 2)
    assert np.abs(lines[bins]) == pytest.approx(amplitude * np.exp(-attenuation(frequency) * depth), rel=1e-4)
    # beta w p^2 d / (2 rho c^3), while attenuation is small
    growth = (
        WATER.nonlinearity * 2 * np.pi * frequency * amplitude**2 * depth / (2 * WATER.density * WATER.sound_speed**3)
    )
    assert np.abs(lines[2 * bins]) == pytest.approx(growth, rel=0.05)


def test_second_harmonic_is_finite_where_both_rates_of_decay_meet():
    spectrum = drive_spectrum(tone(10 / 5.76e-6))
    decay = spectrum.attenuation.clone()
    decay[20] = spectrum.attenuation_at_source
    meeting = type(spectrum)(spectrum.linear, spectrum.source, decay, float(decay[20]), spectrum.pulse)
    depth = torch.tensor([0.05])
    pressure = driving_pressure(meeting, depth, torch.tensor([2e5]), PERIOD_SAMPLES)[0]
    line = float(torch.fft.rfft(pressure)[20].abs())
    expected = float(meeting.source[20].abs()) * 4e10 * 0.05 * np.exp(-float(decay[20]) * 0.05)
    assert line == pytest.approx(expected, rel=1e-3)


def test_wrong_response_file_is_named_with_what_it_holds(reference):
    with pytest.raises(DataError, match="expected Fs and Tfit, found Fs, Hfit"):
        find_pulse("default", response_files(reference)[1])


@pytest.mark.parametrize("content", [None, b"", b"not a MATLAB file at all, but long enough to have a header" * 9])
def test_unreadable_response_file_is_one_line(tmp_path, content):
    path = tmp_path / "response.mat"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"response\.mat") as error:
        receive_filter(str(path))
    assert "\n" not in str(error.value)
