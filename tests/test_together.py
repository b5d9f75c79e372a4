"""Seeds trained together: each is what it would be alone, resumes, and diverges alone.

In float64, where rounding cannot grow: a bias before BatchNorm has no gradient but rounding, and in float32 Adam
makes whole steps of it.
"""

import copy
import math

import pytest
import torch
from test_training import StopAfter, changed, without_seconds

from kernbench.errors import DivergedError
from kernbench.networks import build
from kernbench.together import Member, train_together
from kernbench.training import Hooks, Interrupted, TrainingData, train

LINES, SAMPLES, SEEDS = 10, 60, 3


def network(seed, family="siren"):
    torch.manual_seed(seed)
    return build("shallow", family, 5, channels=3, depth=2).double()


def data(noise, dtype=torch.float64):
    """Lines whose bubbles can be read off the voltage."""
    generator = torch.Generator().manual_seed(1)
    counts = (torch.rand(LINES, SAMPLES, generator=generator) < 0.1).to(dtype)
    clean = counts + 0.1 * torch.randn(LINES, SAMPLES, generator=generator, dtype=dtype)

    def renewed(seed):
        return clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)

    return TrainingData(clean, counts, renewed if noise else None)


def looked(net):
    """Loss and F1 of some fixed lines, in evaluation mode."""
    lines = data(False).voltage.unsqueeze(1)
    with torch.no_grad():
        output = net(lines)
    return float(output.abs().mean()), float((output > 0.3).double().mean())


def hooks(**values):
    return Hooks(**{"validate": looked} | values)


def alone(seed, settings, noise, family="siren"):
    net, states = network(seed, family), []
    save = hooks(save=lambda state: states.append(copy.deepcopy(state)), save_seconds=0.0)
    return net, train(net, data(noise), settings, save, order_seed=seed + 10), states


def members(noise, family="siren", states=None, **values):
    return [
        Member(network(seed, family), data(noise), hooks(**values), seed + 10, states[seed] if states else None)
        for seed in range(SEEDS)
    ]


def close(one, other, rtol=1e-7):
    """Whether two nested states agree to rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return all(close(one[key], other[key], rtol) for key in one if key not in ("seconds", "torch", "cuda"))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(close(a, b, rtol) for a, b in zip(one, other, strict=True))
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=rtol, atol=1e-10)
        return True
    return one is other if one is None else one == pytest.approx(other, rel=rtol, abs=1e-12)


@pytest.mark.parametrize("family", ["siren", "discrete", "gaussian"])
@pytest.mark.parametrize("noise", [False, True], ids=["clean", "fresh noise"])
@pytest.mark.parametrize("update", ["per-batch", "per-epoch"])
def test_each_seed_is_what_it_is_alone(update, noise, family):
    settings, group = changed(update=update, rate=1e-3), members(noise, family)
    curves = train_together(group, settings)
    for seed, (member, curve) in enumerate(zip(group, curves, strict=True)):
        net, wanted, _ = alone(seed, settings, noise, family)
        assert close(without_seconds(curve), without_seconds(wanted))
        assert close(member.network.state_dict(), net.state_dict())
        assert not member.network.training
    assert len({curve[0].train_loss for curve in curves}) == SEEDS


def test_checkpoints_are_those_of_each_seed_alone():
    states = [[] for _ in range(SEEDS)]
    group = members(True)
    settings = changed(rate=1e-3)
    for member, kept in zip(group, states, strict=True):
        object.__setattr__(
            member, "hooks", hooks(save=lambda state, kept=kept: kept.append(copy.deepcopy(state)), save_seconds=0.0)
        )
    train_together(group, settings)
    for seed in range(SEEDS):
        wanted = alone(seed, settings, True)[2]
        assert [state["epoch"] for state in states[seed]] == [state["epoch"] for state in wanted]
        for mine, own in zip(states[seed], wanted, strict=True):
            for key in ("network", "order", "curve", "scheduler"):
                assert close(mine[key], own[key])
            assert close(mine["optimizer"]["state"], own["optimizer"]["state"])


@pytest.mark.parametrize("question", [0, 4, 7])
def test_a_stopped_group_goes_on_to_the_same_end_together_or_alone(question):
    settings, saved = changed(rate=1e-3), {}
    group = members(True)
    for seed, member in enumerate(group):
        stop = StopAfter(question) if seed == 0 else lambda: False
        object.__setattr__(member, "hooks", hooks(save=lambda s, n=seed: saved.update({n: s}), stop=stop))
    with pytest.raises(Interrupted, match=f"epoch {question // 3}"):
        train_together(group, settings)
    assert {seed: state["epoch"] for seed, state in saved.items()} == dict.fromkeys(range(SEEDS), question // 3)
    again = members(True, states=copy.deepcopy(saved))
    curves = train_together(again, settings)
    for seed in range(SEEDS):
        wanted, curve, _ = alone(seed, settings, True)
        assert close(again[seed].network.state_dict(), wanted.state_dict())
        assert close(without_seconds(curves[seed]), without_seconds(curve))
        single = network(seed)
        train(single, data(True), settings, hooks(), order_seed=0, resume=saved[seed])
        assert close(single.state_dict(), wanted.state_dict())


def test_a_seed_alone_goes_on_in_a_group():
    settings = changed(rate=1e-3)
    states = [alone(seed, settings, False)[2][1] for seed in range(SEEDS)]
    group = members(False, states=states)
    train_together(group, settings)
    for seed, member in enumerate(group):
        assert close(member.network.state_dict(), alone(seed, settings, False)[0].state_dict())


def poisoned(epoch):
    """Lines that become NaN in one epoch and stay so."""
    lines, calls = data(False), iter(range(100))
    return TrainingData(
        lines.voltage, lines.counts, lambda _seed: lines.voltage * (math.nan if next(calls) >= epoch else 1)
    )


def test_a_seed_that_diverges_ends_with_its_curve_and_the_others_go_on():
    settings, told, saved = changed(rate=1e-3), [], []
    clean = data(False)
    steady = TrainingData(clean.voltage, clean.counts, lambda _seed: clean.voltage)
    group = [Member(network(seed), steady, hooks(), seed + 10) for seed in range(SEEDS)]
    group[1] = Member(network(1), poisoned(2), hooks(on_epoch=told.append, save=saved.append, save_seconds=0.0), 11)
    ended = train_together(group, settings)
    assert isinstance(ended[1], DivergedError)
    assert "epoch 2" in str(ended[1])
    assert [row.epoch for row in ended[1].curve] == [row.epoch for row in told] == [0, 1]
    for seed in (0, 2):
        net = network(seed)
        curve = train(net, steady, settings, hooks(), order_seed=seed + 10)
        assert close(without_seconds(ended[seed]), without_seconds(curve))
        assert close(group[seed].network.state_dict(), net.state_dict())


def test_a_seed_that_fails_its_look_ends_and_the_others_go_on():
    def bad(_net):
        raise DivergedError("the network's output is NaN or infinite")

    group = members(False)
    group[2] = Member(network(2), data(False), Hooks(validate=bad), 12)
    ended = train_together(group, changed(rate=1e-3))
    assert [isinstance(each, DivergedError) for each in ended] == [False, False, True]
    assert [row.epoch for row in ended[2].curve] == [0]


def test_a_group_of_diverged_seeds_ends_at_once():
    calls = []
    group = [
        Member(network(seed), poisoned(1), hooks(stop=lambda: bool(calls.append(1))), seed) for seed in range(SEEDS)
    ]
    ended = train_together(group, changed(rate=1e-3))
    assert all(isinstance(each, DivergedError) for each in ended)
    assert len(calls) == 2 * 3 * SEEDS  # two epochs of three batches, of six
