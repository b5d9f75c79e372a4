"""The largest setting of a family that a budget allows."""

import pytest

import kernbench
from kernbench.errors import KernbenchError
from kernbench.kernels.budget import largest

LAYERS = [kernbench.KernelSpec(1, 1, kernel_size=9)]


def made(count, **space):
    members = {"param_count": staticmethod(count), "scale_": lambda self, factor: None}
    return kernbench.KernelFamily("made", type("Made", (kernbench.KernelModule,), members), space=space)


@pytest.mark.parametrize(
    ("target", "settings", "count"), [(11, {"width": 3}, 9), (9, {"width": 3}, 9), (1, {"width": 2}, 4)]
)
def test_the_most_that_is_allowed_or_else_the_fewest(target, settings, count):
    family = made(lambda spec, width: width**2, width=kernbench.Int(2, 9, budget=True))
    found = largest(family, LAYERS, target)
    assert (found.solved, found.count, found.target) == (settings, count, target)


def test_of_equal_counts_the_one_nearest_to_the_defaults():
    family = made(
        lambda spec, a, b: a * b,
        a=kernbench.Int(1, 16, default=4, budget=True),
        b=kernbench.Int(1, 16, default=4, budget=True),
    )
    assert largest(family, LAYERS, 16).solved == {"a": 4, "b": 4}


def test_a_long_range_is_searched_where_the_target_is():
    family = made(lambda spec, width: 3 * width, width=kernbench.Int(1, 10**9, log=True, budget=True))
    assert largest(family, LAYERS, 3001).solved == {"width": 1000}
    assert largest(family, LAYERS, 2).count == 3


def test_settings_that_the_family_refuses_are_left_out():
    def count(spec, width):
        if width > spec.kernel_size - 4:
            raise KernbenchError("too wide")
        return width

    family = made(count, width=kernbench.Int(1, 20, budget=True))
    assert largest(family, LAYERS, 20).count == 5
    with pytest.raises(KernbenchError, match="no setting for K = 3; take another K"):
        largest(family, [kernbench.KernelSpec(1, 1, kernel_size=3)], 20)


def test_a_family_of_fixed_size_has_what_it_has():
    found = largest(made(lambda spec: 7), LAYERS, 3)
    assert (found.solved, found.count) == ({}, 7)
