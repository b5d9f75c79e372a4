"""What the training benchmark compares is the same work: network, loss, update."""

import pytest
import torch
from small_bench import shrink

from kernbench.bench import training
from kernbench.networks.network import build
from kernbench.ulm.scoring.loss import dual_loss


def test_the_plain_loss_is_the_loss():
    voltage, counts = training.lines(3, 400)
    plain = training.plain_loss(voltage.unsqueeze(1), counts.unsqueeze(1))
    torch.testing.assert_close(plain, dual_loss(voltage, counts).loss)


def test_the_plain_network_is_the_network():
    plain, ours = training.plain_network(3, 4), build("dilated", "discrete", 3, channels=3, depth=4)
    assert sum(each.numel() for each in training.plain_network().parameters()) == 137_729
    blocks = [*plain][1:-1]
    with torch.no_grad():
        for layer, block in zip(blocks[::3], ours.blocks, strict=True):
            layer.weight.copy_(block[0].kernel())
            layer.bias.copy_(block[0].bias)
        [*plain][-1].load_state_dict(ours.head.state_dict())
    signal = torch.randn(2, 1, 100)
    torch.testing.assert_close(plain.train()(signal), ours.train()(signal), rtol=1e-4, atol=1e-5)


def test_every_table_names_its_ways(monkeypatch):
    shrink(monkeypatch)
    works = [
        training.step_times(1),
        training.epoch_times(4, turns=1),
        training.score_times(1),
        training.backend_times(5, turns=1),
    ]
    assert [list(timings) for timings in works] == [
        ["kernbench", "plain torch", "matmul"],
        ["kernbench", "plain loop"],
        ["one pass (kernbench)", "a pass per pair"],
        ["auto", "fft_conv"],
    ]
    assert all(timing.median > 0 for timings in works for timing in timings.values())


@pytest.mark.slow
def test_peak_memory_of_a_step_with_and_without_recomputing():
    plain, again = training.update_memory("shallow", "siren", 33, 16, 8)
    assert again < plain
