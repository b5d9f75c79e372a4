"""Detections against bounds: pairs, strata, edges; and places between samples."""

import numpy as np
import pytest

from kernbench.ulm.limit.attained import assumed_percent, attained
from kernbench.ulm.limit.bound import sigma_volts
from kernbench.ulm.limit.of_lines import Limits
from kernbench.ulm.pairing.decoders import Decoder, decode
from kernbench.ulm.pairing.points import Points
from kernbench.ulm.pairing.subsample import between_samples

VOLTS = sigma_volts(8)
ARRIVAL = np.array([50.25, 100.5, 103.5, 300.0, 490.0, 80.0])
LIMITS = Limits(
    line=np.array([0, 0, 0, 0, 0, 1]),
    arrival=ARRIVAL,
    per_volt=np.array([0.1, 2.0, 9.0, 1.0 - 1e-9, 0.1, 0.3]) / VOLTS,
    gap=np.array([50.25, 3.0, 3.0, 190.0, 190.0, np.inf]),
    lines=2,
    length=512,
)


def found(*places):
    line, sample = zip(*places, strict=True)
    return Points(np.array(line), np.array(sample, float), 2)


def test_errors_are_those_of_isolated_bubbles_whose_echo_is_whole():
    result = attained(found((0, 50.55), (0, 100.5), (0, 490.0), (1, 79.6)), LIMITS, 8, 4)
    assert (result.bubbles, result.isolated, result.pairs) == (5, 3, 2)
    assert result.rmse == pytest.approx(np.sqrt((0.3**2 + 0.4**2) / 2))
    assert result.bias == pytest.approx(-0.05)
    assert result.bound == pytest.approx(np.sqrt((0.1**2 + 0.3**2) / 2))
    assert result.multiple == pytest.approx(np.sqrt(2.5))


def test_recall_by_bound():
    result = attained(found((0, 50.0), (0, 101.0), (0, 299.0)), LIMITS, 8, 4)
    assert result.shares == pytest.approx(
        (3 / 5, 1 / 5, 1 / 5)
    )  # a bound of 1 sample is below, the one at the end is out
    assert result.recalls == pytest.approx((2 / 3, 1.0, 0.0))
    assert result.median_bound == pytest.approx(1.0)
    louder = attained(found((0, 50.0), (0, 101.0), (0, 299.0)), LIMITS, 16, 4)
    assert louder.median_bound == pytest.approx(2 * result.median_bound)
    assert louder.shares == pytest.approx((2 / 5, 2 / 5, 1 / 5))
    assert (result.isolated, louder.isolated) == (3, 2)  # of those with a bound above 1 sample none


def test_bubbles_behind_the_scored_samples_do_not_count():
    result = attained(found((0, 50.25), (1, 80.0)), LIMITS, 8, 4, last=200)
    assert result.bubbles == 4
    assert result.rmse == pytest.approx(0.0)


def test_without_pairs_there_is_no_error():
    result = attained(found((0, 400.0)), LIMITS, 8, 4)
    assert (result.pairs, result.recalls) == (0, (0, 0, 0))
    assert np.isnan([result.rmse, result.bias, result.bound, result.multiple]).all()


def test_clean_lines_get_the_bound_of_one_percent():
    assert assumed_percent(0.0) == 1.0
    assert assumed_percent(4.0) == 4.0


def test_peaks_lie_where_their_parabola_is_highest():
    sample = np.arange(40)
    output = np.zeros((2, 40), np.float32)
    output[0] = np.maximum(0, 1 - 0.1 * (sample - 12.3) ** 2)
    output[1, [0, 20, 21, 22, 30]] = [1.0, 0.5, 0.5, 0.5, 2.0]
    peaks = decode(output, 0.1, Decoder())
    assert between_samples(output, peaks).sample == pytest.approx([12.3, 0, 21, 30], abs=1e-5)
