"""Hyper-parameters: what is accepted, what is refused and how."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.errors import KernbenchError
from kernbench.kernels.space import Choice, Float, Int


@given(st.floats(1, 200))
def test_a_float_in_range_is_kept(value):
    assert Float(1.0, 200.0, log=True).check(value) == value


@pytest.mark.parametrize("value", [4, 128, 32.0])
def test_a_whole_number_is_kept(value):
    assert Int(4, 128).check(value) == value
    assert isinstance(Int(4, 128).check(value), int)


@pytest.mark.parametrize(
    ("space", "value"),
    [
        *((Float(1.0, 200.0), value) for value in (0.5, 201, "30", None, True, math.nan, math.inf)),
        *((Int(4, 128), value) for value in (3, 129, 4.5, "8", True)),
        (Choice((1, 2)), True),  # an int to Python
    ],
)
def test_what_is_outside_or_of_another_type_is_refused(space, value):
    with pytest.raises(KernbenchError, match="expected"):
        space.check(value)


def test_a_misspelt_option_is_refused_with_the_nearest():
    with pytest.raises(KernbenchError, match="did you mean 'calibrated'"):
        Choice(("calibrated", "published")).check("calibratd")


def test_defaults_without_being_given_lie_in_the_middle():
    assert Float(1.0, 100.0, log=True).start == pytest.approx(10)
    assert Float(1.0, 3.0).start == 2
    assert Int(1, 9).start == 5
    assert Choice(("a", "b")).start == "a"
    assert Choice((False, True), default=False).start is False


@pytest.mark.parametrize(
    ("make", "arguments", "options", "said"),
    [
        (Float, (2.0, 1.0), {"log": True}, "kernbench.Float: low must be at most high, got low = 2.0, high = 1.0"),
        (Float, (0.0, 1.0), {"log": True, "doc": "width"}, r"Float \(width\): log=True needs low > 0, got low = 0.0"),
        (Float, (1.0, 2.0), {"default": 3.0}, "default 3.0 is outside"),
        (Float, ("1", 2.0), {}, "kernbench.Float: low must be a number, got '1'"),
        (Float, (1.0, None), {}, "high must be a number, got None"),
        (Int, (1, 2), {"default": "1"}, "kernbench.Int: default must be a number, got '1'"),
        (Int, (5, 1), {}, "kernbench.Int: low must be at most high, got low = 5, high = 1"),
        (Choice, ((),), {}, "a Choice needs options"),
        (Choice, (("a",),), {"default": "b"}, "a Choice needs options"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(make, arguments, options, said):
    with pytest.raises(KernbenchError, match=said):
        make(*arguments, **options)
