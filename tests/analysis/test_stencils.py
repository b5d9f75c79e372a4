"""Known stencils against what they must do to polynomials, and against scipy; which of them are one."""

import numpy as np
import pytest
import scipy.signal

from kernbench.analysis.stencils import PARALLEL, STENCILS, closeness, families, short_name

BY_NAME = {each.name: each.taps for each in STENCILS}


def moments(name, count):
    """Sums of taps times powers of their place, from the middle."""
    taps = BY_NAME[name]
    places = np.arange(len(taps)) - (len(taps) - 1) / 2
    return np.array([taps @ places**power for power in range(count)])


@pytest.mark.parametrize(
    ("name", "order", "exact"),
    [
        ("first difference", 1, 2),
        ("central difference", 1, 2),
        ("second difference", 2, 3),
        ("third difference", 3, 4),
        ("fourth difference", 4, 5),
        ("first derivative, order 4", 1, 4),
        ("second derivative, order 4", 2, 5),
        ("slope of 5", 1, 2),
        ("slope of 7", 1, 2),
    ],
)
def test_a_derivative_ends_every_other_power(name, order, exact):
    found = moments(name, exact + 1)
    assert np.flatnonzero(np.abs(found) > 1e-12).tolist() == [order]


@pytest.mark.parametrize(("name", "length", "derivative"), [("smoothing of 5", 5, 0), ("smoothing of 7", 7, 0)])
def test_smoothing_is_that_of_scipy(name, length, derivative):
    taps = scipy.signal.savgol_coeffs(length, 2, derivative)
    assert BY_NAME[name] == pytest.approx(taps / np.linalg.norm(taps))


@pytest.mark.parametrize(("name", "length"), [("slope of 5", 5), ("slope of 7", 7)])
def test_slopes_are_those_of_scipy(name, length):
    taps = scipy.signal.savgol_coeffs(length, 2, 1)
    assert abs(BY_NAME[name] @ taps) == pytest.approx(np.linalg.norm(taps))


def test_all_have_unit_norm_and_a_name_of_their_own():
    assert len(BY_NAME) == len(STENCILS) == 19
    assert [np.linalg.norm(taps) for taps in BY_NAME.values()] == pytest.approx([1] * 19)


def test_nearly_parallel_ones_are_one_and_the_others_apart():
    found = families()
    assert sorted(each.name for group in found.values() for each in group) == sorted(BY_NAME)
    assert sorted(name for name in found if "/" in name) == [
        "central difference / first derivative, order 4",
        "second difference / sharpen / fourth difference / second derivative, order 4",
    ]
    # the numbers of the two pairs that the literature confuses
    assert closeness(BY_NAME["sharpen"], BY_NAME["second difference"]) == pytest.approx(0.985, abs=5e-4)
    assert closeness(BY_NAME["Simpson"], BY_NAME["binomial of 3"]) == pytest.approx(0.96, abs=5e-3)
    groups = list(found.values())
    for at, group in enumerate(groups):
        for other in groups[at + 1 :]:
            assert max(closeness(one.taps, two.taps) for one in group for two in other) <= PARALLEL


def test_the_short_name_of_several_is_the_first_with_dots():
    assert short_name("a / b / c") == "a ..."
    assert short_name("a, order 4") == "a, order 4"
