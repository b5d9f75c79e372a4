"""Errors of position against direct arithmetic and the known error of rounding."""

import numpy as np
import pytest

from kernbench.ulm.pairing.localization import position_error
from kernbench.ulm.pairing.matching import closest_pairs
from kernbench.ulm.pairing.points import points


def test_errors_in_three_units():
    pairs = closest_pairs(points([[10, 21], [33]]), points([[12, 20], [30, 90]]), 4)
    error = position_error(pairs)
    assert (error.pairs, error.recall) == (3, 0.75)
    assert error.samples.rmse == pytest.approx(np.sqrt((4 + 1 + 9) / 3))
    assert error.samples.bias == pytest.approx((-2 + 1 + 3) / 3)
    assert error.samples.median == pytest.approx(2)
    # 16 ns at 62.5 MHz; half of 1480 m/s x 16 ns of depth.
    for name in ("rmse", "bias", "median"):
        assert getattr(error.ns, name) == pytest.approx(16 * getattr(error.samples, name))
        assert getattr(error.um, name) == pytest.approx(11.84 * getattr(error.samples, name))


def test_rounding_alone_is_the_standard_deviation_of_a_uniform_sample():
    truths = [np.random.default_rng(line).uniform(0, 8000, 400) for line in range(50)]
    detections = [np.floor(line + 0.5) for line in truths]
    error = position_error(closest_pairs(points(detections), points(truths), 1))
    assert error.recall == 1
    assert error.samples.rmse == pytest.approx(1 / np.sqrt(12), abs=0.005)
    assert error.um.rmse == pytest.approx(3.42, abs=0.06)
    assert error.samples.bias == pytest.approx(0, abs=0.01)


def test_no_pairs():
    error = position_error(closest_pairs(points([[1]]), points([[9]]), 2))
    assert (error.pairs, error.recall) == (0, 0)
    assert np.isnan([error.samples.rmse, error.ns.bias, error.um.median]).all()
    assert np.isnan(position_error(closest_pairs(points([[1]]), points([[]]), 2)).recall)
