"""Operations by hand, and the rule that chooses a backend; oracle 29."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from kernbench.conv import convolve
from kernbench.conv.auto import choose
from kernbench.conv.cost import block_flops, direct_flops, fft_flops
from kernbench.conv.plan import cut


def test_direct_operations_are_counted_by_hand():
    # 5 lines, 3 -> 4 channels, 7 taps at dilation 2 leave 100 - 12 = 88 outputs; a multiply and an add each
    assert direct_flops((5, 3, 100), (4, 3, 7), 2) == 2 * 5 * (4 * 3) * 7 * 88


@pytest.mark.parametrize(("groups", "dilation"), [(1, 1), (2, 1), (1, 3)])
def test_direct_operations_agree_with_torch(groups, dilation):
    signal, kernel = torch.zeros(2, 4, 60), torch.zeros(6, 4 // groups, 5)
    with FlopCounterMode(display=False) as counter:
        convolve(signal, kernel, dilation, groups, "direct")
    assert direct_flops((2, 4, 60), tuple(kernel.shape), dilation) == counter.get_total_flops()


def test_fft_operations_are_counted_by_hand():
    # 100 samples: n = 100, 51 frequencies; 5 x 3 + 12 + 5 x 4 transforms; a complex multiply-add is 8 operations
    by_hand = 2.5 * 100 * math.log2(100) * (15 + 12 + 20) + 8 * 5 * 51 * 12
    assert fft_flops((5, 3, 100), (4, 3, 7)) == pytest.approx(by_hand)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_auto_takes_direct_for_three_taps_and_spectra_for_a_thousand(device):
    assert choose((8, 64, 16636), (64, 64, 3), 2048, device) == "direct"
    assert choose((8, 22, 8446), (22, 22, 1055), 1, device) in ("fft", "overlap_save")


@pytest.mark.parametrize("groups", [1, 2])
def test_overlap_save_operations_are_counted_by_hand(groups):
    # 2 phases of 60 samples and 5 taps in blocks of 24: 20 outputs each, 3 blocks for 56 outputs
    plan = cut(120, 5, 2, 24)
    assert (plan.step, plan.blocks, plan.frequencies) == (20, 3, 13)
    columns, pairs = 4 * 2 * 3, 6 * 4 // groups
    by_hand = 2.5 * 24 * math.log2(24) * (columns * 4 + pairs + columns * 6) + 8 * columns * 13 * pairs
    assert block_flops((4, 4, 120), (6, 4 // groups, 5), plan) == pytest.approx(by_hand)
