"""Measured responses: what cannot be one is refused, with what was expected and what came."""

import numpy as np
import pytest
from scipy.io import savemat

from kernbench.errors import DataError
from kernbench.ulm.simulator.response_file import load_response

RATE = 250e6


def spectrum(points=2000):
    """Two-sided spectrum of a decaying tone of 2.4 MHz."""
    time = np.arange(points) / RATE
    return np.fft.fft(np.sin(2 * np.pi * 2.4e6 * time) * np.exp(-time * 2e6))


GOOD = spectrum()


@pytest.fixture
def written(tmp_path):
    """Writes a response file."""

    def write(**variables):
        savemat(tmp_path / "receive.mat", {"Fs": RATE, "Hfit": GOOD, **variables})
        return tmp_path / "receive.mat"

    return write


@pytest.mark.parametrize("form", [GOOD, GOOD[None], GOOD[:, None]])
@pytest.mark.parametrize("rate", [RATE, np.int32(RATE), np.float32(RATE)])
def test_rows_columns_and_number_types_are_read(written, form, rate):
    got, got_rate = load_response(written(Hfit=form, Fs=rate), "receive")
    assert np.array_equal(got, GOOD)
    assert (got.dtype, got_rate) == (np.complex128, RATE)


def test_noise_of_a_measurement_is_no_asymmetry(written):
    noisy = np.fft.ifft(GOOD).real + 0.1 * np.random.default_rng(0).standard_normal(2000)
    assert len(load_response(written(Hfit=np.fft.fft(noisy).astype(np.complex64)), "receive")[0]) == 2000


def objects(*values):
    cell = np.empty((1, len(values)), dtype=object)
    cell[0] = values
    return cell


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"Fs": 250.0}, "Fs expected one number, a sampling rate in Hz such as 250e6, got 250; is it in MHz?"),
        ({"Fs": 250e3}, "got 250000; is it in kHz?"),
        ({"Fs": np.inf}, "got inf"),
        ({"Fs": np.nan}, "got nan"),
        ({"Fs": 0.0}, "got 0"),
        ({"Fs": -RATE}, "got -2.5e"),
        ({"Fs": "250 MHz"}, "got text"),
        ({"Fs": [RATE, RATE]}, "got numbers of size 1 x 2"),
        ({"Fs": np.zeros((0, 0))}, "got numbers of size 0 x 0"),
        ({"Fs": {"value": RATE}}, "got a struct"),
        ({"Fs": objects(RATE)}, "got a cell"),
        ({"Fs": 1j * RATE}, "Fs expected one number"),
        ({"Hfit": {"H": GOOD}}, "Hfit expected a row or column of complex numbers, got a struct"),
        ({"Hfit": objects(GOOD)}, "got a cell"),
        ({"Hfit": "H"}, "got text"),
        ({"Hfit": np.zeros((0, 0))}, "got numbers of size 0 x 0"),
        ({"Hfit": GOOD.reshape(2, 1000)}, "got numbers of size 2 x 1000"),
        ({"Hfit": 0 * GOOD}, "Hfit expected a spectrum, got zeros"),
        ({"Hfit": np.where(np.arange(2000) < 3, np.nan, GOOD)}, "got 3 of 2000 NaN or infinite"),
        ({"Hfit": 1e200 * GOOD}, "got numbers up to"),
        ({"Hfit": GOOD[:1001]}, "expected a two-sided spectrum in FFT order"),
        ({"Hfit": np.fft.fftshift(GOOD)}, "is largest at 122.6 MHz; expected at most 25 MHz"),
        ({"Hfit": spectrum(20)}, "has 20 bins, which at Fs = 2.5e+08 Hz are 0.08 us; expected 0.25 to 10000 us"),
        ({"Fs": 10e6, "Hfit": spectrum(200_000)}, "see whether Fs is its sampling rate in Hz"),
    ],
)
def test_what_cannot_be_a_response_is_refused_in_one_line(written, variables, said):
    with pytest.raises(DataError) as error:
        load_response(written(**variables), "receive")
    assert said in str(error.value), error.value
    assert "receive.mat" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"# Created by Octave 9.2.0\n# name: Fs\n# type: scalar\n250000000\n", "text that Octave wrote; save it with"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "is not a complete MATLAB v7.3 file"),
        (b"MATLAB 7.3".ljust(512) + b"\x89HDF\r\n\x1a\n", "is not a complete MATLAB v7.3 file"),
        (b"", "not a complete MATLAB v5 file"),
        (b"Fs, Hfit\n1, 2\n", "not a complete MATLAB v5 file"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, content, said):
    (tmp_path / "mine.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.mat") as error:
        load_response(tmp_path / "mine.mat", "receive")
    assert said in str(error.value)


def test_a_file_that_is_not_there_or_a_folder_or_of_the_other_role_is_refused(tmp_path, written):
    with pytest.raises(DataError, match="does not exist"):
        load_response(tmp_path / "none.mat", "receive")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        load_response(tmp_path, "receive")
    with pytest.raises(DataError, match="expected Fs and Tfit, found Fs, Hfit"):
        load_response(written(), "transmit")
