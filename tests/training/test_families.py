"""Training with what kernel families ask for: rates of their own, penalties, constraints; without any, as ever."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import kernbench
from kernbench.errors import PluginError
from kernbench.kernels.layer import KernelConv
from kernbench.networks.network import build
from kernbench.training import loop
from kernbench.training.batches import TrainingData
from kernbench.training.settings import Hooks, Settings
from kernbench.ulm.cells.artifacts import write_curve

SETTINGS = Settings(
    epochs=2, batch_size=2, update="per-batch", rate=1e-2, decay_epoch=1, decay_factor=0.1, validate_every=1
)
SPEC = kernbench.KernelSpec(1, 1, kernel_size=5)


class Plain(kernbench.KernelModule):
    """Two free factors of a bump."""

    def __init__(self, spec, pull=0.0):
        super().__init__(spec)
        self.weight = nn.Parameter(torch.ones(*spec.shape[:2], 1))
        self.slope = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, grid):
        return self.weight * torch.exp(-self.slope * grid.lags.abs())


class Grouped(Plain):
    def param_groups(self):
        return [{"params": [self.weight]}, {"params": [self.slope], "lr_mult": 0.1, "weight_decay": 0.5}]


class Pulled(Plain):
    def regularizers(self):
        return {"pull": (self.slope - 2).square().sum()}


class Clipped(Plain):
    def constrain_(self):
        self.slope.clamp_(0.499, 0.501)


class Two(nn.Module):
    """Two layers of a family, padded to the length of the line."""

    def __init__(self, kernel_class, **hyper):
        super().__init__()
        space = {"pull": kernbench.Float(0.0, 10.0, default=0.0)}
        family = kernbench.KernelFamily("mine", kernel_class, space=space)
        self.layers = nn.ModuleList(KernelConv(family.build(SPEC, hyper), SPEC, bias=False) for _ in range(2))
        self.head = nn.Conv1d(1, 1, 1)
        with torch.no_grad():
            self.head.weight.fill_(0.3), self.head.bias.fill_(0.1)

    def forward(self, signal):
        for layer in self.layers:
            signal = layer(functional.pad(signal, (2, 2)))
        return self.head(signal)


def data():
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(4, 40, generator=generator)
    return TrainingData(signal, (signal > 1).float(), None)


def loss(output, target):
    far = (output - target).square().mean()
    return far, {"far": far}


def trained(network, settings=SETTINGS, **hooks):
    hooks = Hooks(**{"validate": lambda _net: (0.5, 0.5)} | hooks)
    return loop.train(network, data(), loss, settings, hooks, order_seed=0)


def optimizer_of(network):
    return loop.Run(network, loss, SETTINGS, torch.Generator(), network).optimizer


def by_hand(network, groups, penalty=lambda _net: 0.0):
    """The same two epochs in plain torch."""
    optimizer = torch.optim.Adam(groups(network))
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1], 0.1)
    lines, generator = data(), torch.Generator().manual_seed(0)
    for _ in range(2):
        for rows in torch.randperm(4, generator=generator).split(2):
            value, _ = loss(network(lines.signal[rows].unsqueeze(1)), lines.target[rows].unsqueeze(1))
            optimizer.zero_grad()
            (value + penalty(network)).backward()
            optimizer.step()
        scheduler.step()


def two_groups(network):
    slopes = [layer.kernel_module.slope for layer in network.layers]
    others = [p for p in network.parameters() if all(p is not each for each in slopes)]
    return [{"params": others, "lr": 1e-2}, {"params": slopes, "lr": 1e-3, "weight_decay": 0.5}]


def one_group(network):
    return [{"params": list(network.parameters()), "lr": 1e-2}]


def same(network, other):
    for (name, one), two in zip(network.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7, msg=name)


def test_parameters_learn_at_the_rates_that_their_family_gives_and_the_curve_keeps_the_base_rate():
    network, other = Two(Grouped), Two(Grouped)
    curve = trained(network)
    by_hand(other, two_groups)
    same(network, other)
    assert [row.rate for row in curve] == pytest.approx([1e-2, 1e-3], rel=1e-12)
    groups = optimizer_of(Two(Grouped)).param_groups
    assert [(g["lr"], g["weight_decay"], len(g["params"])) for g in groups] == [(1e-2, 0.0, 4), (1e-3, 0.5, 2)]


def test_the_rate_of_the_curve_is_the_base_rate_where_every_parameter_has_its_own():
    class All(Plain):
        def param_groups(self):
            return [{"params": list(self.parameters()), "lr_mult": 0.25}]

    network = KernelConv(kernbench.KernelFamily("mine", All).build(SPEC), SPEC, bias=False)
    run = loop.Run(network, loss, SETTINGS, torch.Generator(), network)
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(2.5e-3)
    assert run.rate == pytest.approx(1e-2)


@pytest.mark.parametrize("family", ["discrete", "siren", "gaussian", "laplacian", "log", "stencil", "siren_multi"])
def test_without_rates_of_their_own_the_optimizer_is_plain_adam(family):
    network = build("shallow", family, 5, 2)
    plain = torch.optim.Adam(list(network.parameters()), lr=SETTINGS.rate, fused=True)
    assert optimizer_of(network).state_dict() == {
        **plain.state_dict(),
        "param_groups": [{**plain.state_dict()["param_groups"][0], "initial_lr": SETTINGS.rate}],
    }


def test_penalties_are_added_to_the_training_loss_and_recorded_without_their_weight():
    network, other, bare = Two(Pulled, pull=0.7), Two(Pulled), Two(Plain)
    curve = trained(network)
    by_hand(other, one_group, lambda net: 0.7 * sum((each.kernel_module.slope - 2).square() for each in net.layers))
    same(network, other)
    first, plain = curve[0], trained(bare)[0]
    assert list(first.terms) == ["far", "regularizer_pull"]
    assert list(plain.terms) == ["far"]
    assert first.train_loss == pytest.approx(first.terms["far"] + 0.7 * first.terms["regularizer_pull"])
    # two layers, each 1.5 from where it is pulled to
    assert first.terms["regularizer_pull"] == pytest.approx(2 * 1.5**2, rel=0.02)


def test_a_penalty_of_weight_0_changes_and_records_nothing():
    network, plain = Two(Pulled, pull=0.0), Two(Plain)
    curve, expected = trained(network), trained(plain)
    assert [(row.train_loss, row.terms) for row in curve] == [(row.train_loss, row.terms) for row in expected]
    assert all(torch.equal(*pair) for pair in zip(network.parameters(), plain.parameters(), strict=True))


def test_a_module_that_was_built_by_hand_has_no_weights_and_no_penalties():
    network = KernelConv(Pulled(SPEC), SPEC)
    assert loop.Run(network, loss, SETTINGS, torch.Generator(), network).regularized == []


def test_the_file_of_a_curve_has_a_column_for_a_penalty(tmp_path):
    (path,) = write_curve(tmp_path, trained(Two(Pulled, pull=0.7)))
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    assert header == "epoch,train_loss,far,regularizer_pull,val_loss,val_f1,rate,seconds"
    assert {row.count(",") for row in rows} == {header.count(",")}


def test_a_family_is_constrained_after_every_step():
    network, free = Two(Clipped), Two(Plain)
    trained(network), trained(free)
    for layer, other in zip(network.layers, free.layers, strict=True):
        assert 0.499 <= layer.kernel_module.slope.item() <= 0.501
        assert abs(other.kernel_module.slope.item() - 0.5) > 0.005


def test_what_is_called_the_same_outside_a_family_is_left_alone():
    class Own(nn.Conv1d):
        def constrain_(self):
            raise AssertionError("no kernel family")

    trained(Own(1, 1, 5, padding=2))


def test_a_resumed_run_with_groups_and_penalties_equals_an_uninterrupted_one():
    class Both(Grouped, Pulled):
        pass

    whole, saved = Two(Both, pull=0.3), []
    part = copy.deepcopy(whole)
    expected = trained(whole, save=lambda state: saved.append(copy.deepcopy(state)), save_seconds=0.0)
    hooks = Hooks(validate=lambda _net: (0.5, 0.5))
    assert loop.fits(part, saved[0])
    curve = loop.train(part, data(), loss, SETTINGS, hooks, order_seed=0, resume=saved[0])
    assert all(torch.equal(*pair) for pair in zip(whole.parameters(), part.parameters(), strict=True))
    assert [(row.train_loss, row.terms, row.rate) for row in curve] == [
        (row.train_loss, row.terms, row.rate) for row in expected
    ]


def test_a_checkpoint_whose_parameters_learned_in_other_groups_does_not_fit():
    saved = []
    trained(Two(Plain), save=lambda state: saved.append(copy.deepcopy(state)), save_seconds=0.0)
    state = saved[0]
    for name in list(state["network"]):  # the weights of the one fit the other
        if name.endswith("_extra_state"):
            state["network"][name] = dict(Two(Grouped).state_dict())[name]
    assert loop.fits(Two(Plain), state)
    assert not loop.fits(Two(Grouped), state)


class Missing(Plain):
    def param_groups(self):
        return [{"params": [self.weight]}]


class Twice(Plain):
    def param_groups(self):
        return [{"params": [self.weight, self.slope]}, {"params": [self.slope]}]


class Foreign(Plain):
    def param_groups(self):
        return [{"params": [self.weight, self.slope, nn.Parameter(torch.ones(1))]}]


class Misspelt(Plain):
    def param_groups(self):
        return [{"params": [self.weight, self.slope], "lr": 0.1}]


class NotARate(Plain):
    def param_groups(self):
        return [{"params": [self.weight, self.slope], "lr_mult": 0.0}]


class Generated(Plain):
    def param_groups(self):
        return [{"params": self.parameters()}]


class Raises(Plain):
    def param_groups(self):
        raise IndexError("off the end\nmore")


class Unweighted(Plain):
    def regularizers(self):
        return {"smooth": self.slope.sum()}


class NoScalar(Plain):
    def regularizers(self):
        return {"pull": self.slope}


@pytest.mark.parametrize(
    ("kernel_class", "said"),
    [
        (Missing, "exactly once, got slope 0 times"),
        (Twice, "exactly once, got slope 2 times"),
        (Foreign, "exactly once, got 1 tensor that is no trainable parameter of it"),
        (Misspelt, r"a dict of params, lr_mult, weight_decay; got \['params', 'lr'\]"),
        (NotARate, "lr_mult in param_groups.* > 0, got 0.0"),
        (Generated, "params in param_groups.* a list of parameters, got generator"),
        (Raises, r"param_groups\(\) fails: IndexError: off the end"),
        (Unweighted, "regularizer 'smooth' needs its weight, a hyper-parameter 'smooth' in the space"),
        (NoScalar, r"regularizer 'pull' must be a tensor without dimensions, got \(1,\)"),
    ],
)
def test_what_no_training_step_could_use_is_refused_in_one_line_when_the_network_is_built(kernel_class, said):
    space = {"pull": kernbench.Float(0.0, 10.0, default=0.5)}
    with pytest.raises(PluginError, match=f"^family 'mine' .*{said}") as caught:
        build("shallow", kernbench.KernelFamily("mine", kernel_class, space=space), 5, 2)
    assert "\n" not in str(caught.value)
