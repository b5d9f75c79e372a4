"""Lines of other sampling rates: signals against their formulas, labels, and both file formats."""

import io

import numpy as np
import pytest
import scipy.io

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.srml1d.formats import parse_line
from kernbench.ulm.srml1d.rates import at_native_rate, checked_rate, line_samples, nearest_samples

NATIVE = 62.5e6
RATES = [20e6, 25e6, 31.25e6, 40e6, 50e6, 125e6]


def times(rate):
    return np.arange(line_samples(rate)) / rate


def pulse(t):
    """Six cycles of 1.7 MHz under a Gaussian, centred between samples of any rate."""
    return np.exp(-0.5 * ((t - CENTRE) / 1.1e-6) ** 2) * np.cos(2 * np.pi * 1.7e6 * (t - CENTRE))


CENTRE = 61.2347e-6


@pytest.mark.parametrize(("rate", "samples"), [(31.25e6, 4223), (40e6, 5406), (62.5e6, SAMPLES), (125e6, 16892)])
def test_a_whole_line_has_as_many_samples_as_0_1_m_and_back_take(rate, samples):
    assert line_samples(rate) == samples


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency", [1.7e6, 3.4e6, 5e6])
def test_a_sinusoid_is_the_same_sinusoid_at_the_new_rate(rate, frequency):
    moved = at_native_rate(np.sin(2 * np.pi * frequency * times(rate) + 0.3), rate)[:SAMPLES]
    wanted = np.sin(2 * np.pi * frequency * times(NATIVE) + 0.3)
    assert len(moved) == SAMPLES
    assert np.abs(moved - wanted)[200:-200].max() < 1e-4


@pytest.mark.parametrize("rate", RATES)
def test_a_pulse_keeps_its_form_and_its_centre(rate):
    moved, t = at_native_rate(pulse(times(rate)), rate)[:SAMPLES], times(NATIVE)
    assert np.abs(moved - pulse(t)).max() < 1e-4
    centre = (t * moved**2).sum() / (moved**2).sum()
    assert abs(centre - CENTRE) * NATIVE < 1e-3  # samples


@pytest.mark.parametrize("frequency", [40e6, 45e6, 60e6])
def test_what_the_new_rate_cannot_hold_is_filtered_out_and_not_folded(frequency):
    moved = at_native_rate(np.sin(2 * np.pi * frequency * times(125e6)), 125e6)
    assert np.abs(moved[200:-200]).max() < 1e-4


def test_an_offset_does_not_ring_at_the_ends():
    assert at_native_rate(np.full(5406, 8192.0), 40e6) == pytest.approx(np.full(8447, 8192.0), rel=1e-12)


def test_labels_go_to_the_nearest_sample_half_up_and_never_beyond_the_line():
    assert nearest_samples([0, 1, 2, 3, 1000, 5405], 40e6, SAMPLES).tolist() == [0, 2, 3, 5, 1563, 8445]
    assert nearest_samples([999, 1000, 1001, 16891], 125e6, SAMPLES).tolist() == [500, 500, 501, SAMPLES - 1]


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (40.0, "5 to 1000 MHz, got 40 Hz"),
        (float("nan"), "got nan Hz"),
        (float("inf"), "got inf Hz"),
        (40e6 * 1.000123, "is no ratio of whole numbers up to 1000 to 62.5 MHz"),
    ],
)
def test_what_is_no_rate_is_refused(rate, said):
    with pytest.raises(DataError, match=r"^a\.mat: RF\.fs") as refused:
        checked_rate(rate, "a.mat: RF.fs")
    assert said in str(refused.value)


# files


def text(rate, labels, pressure=True):
    """A text line with a pulse, and bubbles at some samples of this rate."""
    t = times(rate)
    counts = np.bincount(labels, minlength=len(t))
    head = ['"Generated with a test"', f'"Number of bubbles:",{len(labels)}']
    if pressure:
        field = 123456 - 1e8 * t
        head += ['"Acoustic pressure (kPa):",123.45', '"Bubble count","Voltage (a.u)","Pressure field (Pa)"']
        rows = [f"{c},{v:.10f},{p:.0f}" for c, v, p in zip(counts, pulse(t), field, strict=True)]
    else:
        head += ['"Bubble count","Voltage (a.u)"']
        rows = [f"{c},{v:.10f}" for c, v in zip(counts, pulse(t), strict=True)]
    return "\n".join([*head, *rows, ""]).encode()


@pytest.mark.parametrize("rate", RATES)
def test_a_text_line_of_another_rate_is_resampled_and_no_label_is_lost(rate):
    labels = np.random.default_rng(0).integers(round(5e-6 * rate), round(130e-6 * rate), 60)
    line = parse_line(text(rate, labels), "a.txt", rate)
    assert np.abs(line.voltage - pulse(times(NATIVE))).max() < 1e-4
    assert line.bubbles == 60
    wanted = np.bincount([int(np.floor(62.5e6 / rate * label + 0.5)) for label in labels], minlength=SAMPLES)
    assert (line.counts == wanted).all()
    assert np.abs(line.field_pa - (123456 - 1e8 * times(NATIVE)))[:-10].max() < 1
    assert (line.rate_hz, line.pressure_pa) == (rate, 123450.0)
    assert (line.voltage.shape, line.voltage.dtype, line.counts.dtype) == ((SAMPLES,), np.float32, np.uint8)


def test_two_labels_that_meet_in_a_sample_stay_two():
    line = parse_line(text(125e6, [999, 1000, 1001]), "a.txt", 125e6)
    assert (line.counts[500], line.counts[501], line.bubbles) == (2, 1, 3)


def test_a_text_line_of_another_length_than_its_rate_says_is_refused():
    with pytest.raises(DataError, match=r"a\.txt, line 5410: the file is cut here, expected 8450 complete lines"):
        parse_line(text(40e6, [1000]), "a.txt")


def test_text_of_two_columns_has_three_header_lines_and_no_pressure():
    line = parse_line(text(NATIVE, [400, 8000, 8000], pressure=False), "a.txt")
    assert np.flatnonzero(line.counts).tolist() == [400, 8000]
    assert line.bubbles == 3
    assert line.voltage == pytest.approx(pulse(times(NATIVE)), abs=1e-7)
    assert line.field_pa is None
    assert np.isnan(line.pressure_pa)
    broken = text(NATIVE, [400], pressure=False).replace(b"\n0,", b"\n0,1,", 1)
    with pytest.raises(DataError, match=r"a\.txt, line 4: expected count,voltage, got"):
        parse_line(broken, "a.txt")


Z, X, ELEMENTS = np.array([0.02, 0.05, 0.07]), np.array([-0.01, 0.004, 0.0]), np.linspace(-0.014, 0.014, 3)


def mat(rate, kind=None, channels=3, **changed):
    """A result of several channels; the pulse of channel k is k + 1 times as high."""
    rf = np.zeros((1, channels), dtype=[("V", "O"), ("fs", "O")])
    for k in range(channels):
        voltage = 100 * (k + 1) * pulse(times(rate))
        rf[0, k] = (voltage[None] if kind is None else np.round(voltage).astype(kind)[None], rate)
    bubble = np.zeros((1, 3), dtype=[("z", "O"), ("x", "O")])
    bubble[0] = list(zip(Z, X, strict=True))
    structs = {"RF": rf, "bubble": bubble, "pulse": {"A": 1e5}, "domain": {"c": 1480.0, "x_el": ELEMENTS[None]}}
    out = io.BytesIO()
    scipy.io.savemat(out, structs | changed)
    return out.getvalue()


@pytest.mark.parametrize("rate", [NATIVE, 31.25e6, 40e6])
@pytest.mark.parametrize("channel", [1, 3])
def test_a_channel_has_its_own_voltage_and_labels(rate, channel):
    line = parse_line(mat(rate), "a.mat", channel=channel)
    assert np.abs(line.voltage - 100 * channel * pulse(times(NATIVE))).max() < 0.03
    arrival = (Z + np.hypot(Z, X - ELEMENTS[channel - 1])) / 1480 * NATIVE
    assert np.flatnonzero(line.counts).tolist() == np.floor(arrival + 0.5).astype(int).tolist()
    assert line.positions[:, 1] == pytest.approx(X - ELEMENTS[channel - 1])
    assert line.rate_hz == rate


def test_integers_are_read_as_float32_and_remembered():
    line, floats = (parse_line(mat(NATIVE, kind), "a.mat", channel=2) for kind in (np.int16, float))
    assert (line.stored, floats.stored) == ("int16", "")
    assert line.voltage.dtype == np.float32
    assert (line.voltage == floats.voltage).all()


@pytest.mark.parametrize(
    ("content", "how", "said"),
    [
        (mat(NATIVE), {}, "RF has 3 channels; choose one of them by --channel, 1 to 3"),
        (mat(NATIVE), {"channel": 4}, "RF has 3 channels, got --channel 4"),
        (mat(NATIVE, domain={"c": 1480.0, "x_el": 0.0}), {"channel": 2}, "domain.x_el expected the positions of 3"),
        (mat(NATIVE, domain={"c": 1480.0}), {"channel": 2}, "no domain.x_el in it"),
        (mat(40e6), {"channel": 2, "rate_hz": 31.25e6}, "RF.fs says 40 MHz, --rate 31.25; leave --rate out"),
    ],
)
def test_channels_and_rates_that_do_not_fit_are_refused(content, how, said):
    with pytest.raises(DataError, match=r"^a\.mat: ") as refused:
        parse_line(content, "a.mat", **how)
    assert said in str(refused.value)
