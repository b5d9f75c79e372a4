"""A kernel size for a receptive field of the whole network."""

import pytest

from kernbench.errors import KernbenchError
from kernbench.networks.field import nearest_below
from kernbench.networks.fitting import checked_length, layers_of
from kernbench.registry import find_network


@pytest.mark.parametrize(
    ("name", "depth", "taps", "seen"),
    [
        ("shallow", 4, 113, 449),  # 1 + 4 * 112
        ("shallow", 3, 149, 445),  # 1 + 3 * 148; two taps more would see 451
        ("recurrent", 2, 57, 449),  # 1 + 2 (1 + 3) 56
        ("ckblock", 2, 113, 449),  # 1 + 4 * 112
        ("strided", 4, 65, 449),  # 1 + 64 (1 + 2 * 3)
        ("level_set", 2, 209, 449),  # 1 + 2 (208 + 16)
        ("unet1d", 1, 45, 441),  # 1 + 20 * 22; at r = 23 it is 463
        ("dilated", 5, 15, 435),  # 1 + 31 * 14
    ],
)
def test_the_kernel_is_the_largest_that_sees_no_further(name, depth, taps, seen):
    plan = find_network(name).architecture
    assert nearest_below(plan, 449, depth=depth) == (taps, seen)
    further = checked_length(plan, "receptive_field", layers_of(plan, taps + 2, depth=depth))
    assert seen <= 449 < further


def test_a_field_that_three_taps_exceed_is_refused_with_what_they_see():
    plan = find_network("level_set").architecture
    assert nearest_below(plan, 37) == (3, 37)
    with pytest.raises(KernbenchError, match=r"field = 36: network level_set sees 37 samples with kernels of 3 taps"):
        nearest_below(plan, 36)
