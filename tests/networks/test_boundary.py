"""What stands beyond the ends of a line: values, where they are taken, lengths, costs, rates, weights, refusals."""

import copy

import numpy as np
import pytest
import scipy.ndimage
import small_weights
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.errors import DataError, KernbenchError, StudyError
from kernbench.networks.architecture import Architecture
from kernbench.networks.boundary import PLACES, POLICIES, PUBLISHED, Boundary, Bounded
from kernbench.networks.cost import flops_forward, layer_costs
from kernbench.networks.fitting import check_kernel_size, largest_kernel_size, layers_of
from kernbench.networks.network import build, lines_at_once, needed_length
from kernbench.networks.padding import padded
from kernbench.networks.rates import at_rate
from kernbench.networks.spread import network_asked
from kernbench.networks.weights import save_weights
from kernbench.registry import find_family, find_network
from kernbench.study.settings import SETTINGS
from kernbench.study.task import load
from kernbench.ulm.cells.preflight import check_networks
from kernbench.ulm.evaluation.trained import load_trained
from kernbench.ulm.srml1d.networks import save_network

LINE = [0, 1, 1, 2, 3, 5, 8, 13]
LEFT = {  # three values before LINE
    "zero": [0, 0, 0],
    "replicate": [0, 0, 0],
    "mirror": [2, 1, 1],
    "symmetric": [1, 1, 0],
    "circular": [5, 8, 13],
}
TORCH = {"zero": "constant", "replicate": "replicate", "mirror": "reflect", "circular": "circular"}
NUMPY = {"zero": "constant", "replicate": "edge", "mirror": "reflect", "symmetric": "symmetric", "circular": "wrap"}
SCIPY = {
    "zero": "constant",
    "replicate": "nearest",
    "mirror": "mirror",
    "symmetric": "reflect",
    "circular": "grid-wrap",
}
OTHERS = [(policy, place) for policy in POLICIES for place in PLACES if (policy, place) != ("mirror", "input")]
LENGTH = 120


def network(policy, place, family="discrete", size=9, name="shallow", depth=2, layer="plain", **more):
    torch.manual_seed(0)
    plan = network_asked({"name": name, "boundary": policy, "boundary_at": place} | more)
    return small_weights.used(build(plan, family, size, 3, depth=depth, layer=layer), LENGTH)


def line(length=LENGTH, lines=2):
    return torch.randn(lines, 1, length, generator=torch.Generator().manual_seed(2))


def test_settings_and_policies_have_the_same_names():
    settings_ = SETTINGS["network"]
    assert set(settings_["boundary"].options) == set(POLICIES) == set(LEFT)
    assert settings_["boundary_at"].options == PLACES
    assert Boundary(settings_["boundary"].default, settings_["boundary_at"].default) == PUBLISHED


@pytest.mark.parametrize("policy", POLICIES)
def test_the_example_pins_what_a_policy_is(policy):
    given_line = torch.tensor(LINE, dtype=torch.float64).view(1, 1, -1)
    assert padded(given_line, (3, 0), policy).flatten().tolist() == LEFT[policy] + LINE
    both = padded(given_line, (3, 5), policy).flatten().numpy()
    np.testing.assert_array_equal(both, np.pad(np.array(LINE, float), (3, 5), mode=NUMPY[policy]))
    # a filter that takes the value three samples before
    shift = np.array([1, 0, 0, 0, 0, 0, 0.0])
    np.testing.assert_array_equal(
        padded(given_line, (3, 0), policy).flatten().numpy()[: len(LINE)],
        scipy.ndimage.correlate1d(np.array(LINE, float), shift, mode=SCIPY[policy]),
    )


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(POLICIES), st.integers(1, 40), st.integers(0, 60), st.integers(0, 60))
def test_any_padding_that_is_defined_is_that_of_numpy_and_torch(policy, length, before, behind):
    if Boundary(policy).shortest(max(before, behind)) > length:
        before, behind = (min(each, length - (policy == "mirror")) for each in (before, behind))
    assert Boundary(policy).shortest(max(before, behind)) <= length
    signal = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(length))
    got = padded(signal, (before, behind), policy)
    expected = np.pad(signal.numpy(), ((0, 0), (0, 0), (before, behind)), mode=NUMPY[policy])
    np.testing.assert_array_equal(got.numpy(), expected)
    if policy in TORCH:
        assert torch.equal(got, torch.nn.functional.pad(signal, (before, behind), mode=TORCH[policy]))


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_of_padding_are_right(policy):
    signal = torch.randn(1, 2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: padded(x, (4, 2), policy), signal)


def test_mirror_at_the_input_is_the_installed_network():
    asked = network_asked({"name": "dilated", "boundary": "mirror", "boundary_at": "input"})
    assert asked is find_network("dilated").architecture


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "mirror"])
def test_at_the_input_a_network_is_valid_convolutions_of_the_padded_line(policy):
    net, plain = network(policy, "input"), build("shallow", "discrete", 9, 3, depth=2).eval()
    plain.load_state_dict(net.state_dict())
    wide = torch.nn.functional.pad(line(), (8, 8))
    if policy in TORCH:
        wide = torch.nn.functional.pad(line(), (8, 8), mode=TORCH[policy])
    else:
        wide = torch.from_numpy(np.pad(line().numpy(), ((0, 0), (0, 0), (8, 8)), mode=NUMPY[policy]))
    with torch.no_grad():
        hidden = wide
        for block in plain.blocks:
            hidden = block(hidden)
        assert torch.equal(net(line()), plain.head(hidden))


@settings(max_examples=25, deadline=None)
@given(st.integers(-200, 200), st.sampled_from([3, 5, 9, 33]), st.sampled_from(["centered", "causal", "anticausal"]))
def test_a_circular_network_commutes_with_rolling_the_line(steps, size, side):
    net, once = (network("circular", place, size=size, side=side) for place in ("layer", "input"))
    once.load_state_dict(net.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(net(line().roll(steps, -1)), net(line()).roll(steps, -1), rtol=1e-4, atol=1e-5)
        # once at the input it is the same: what the layers see together goes around the line no more than once
        torch.testing.assert_close(once(line()), net(line()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["shallow", "dilated"])
def test_zero_in_each_layer_is_torchs_padded_convolution(name):
    net = network("zero", "layer", size=5, name=name, depth=3)
    hidden = line()
    with torch.no_grad():
        for level, block in enumerate(net.blocks):
            kernel, dilation = block[0].kernel(), 2**level if name == "dilated" else 1
            hidden = torch.nn.functional.conv1d(hidden, kernel, block[0].bias, padding="same", dilation=dilation)
            hidden = torch.relu(block[1](hidden))
        torch.testing.assert_close(net(line()), net.head(hidden), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("policy", "place"), OTHERS)
@pytest.mark.parametrize("form", ["plain", "separable", "branches"])
def test_a_boundary_changes_what_is_near_an_end_and_nothing_inside(policy, place, form):
    net, usual = network(policy, place, layer=form), network("mirror", "input", layer=form)
    assert list(net.state_dict()) == list(usual.state_dict())
    net.load_state_dict(usual.state_dict())
    before, behind = net.ends
    assert (before, behind) == usual.ends == (8, 8)
    with torch.no_grad():
        one, other = net(line()), usual(line())
    inside = slice(before, LENGTH - behind)
    torch.testing.assert_close(one[..., inside], other[..., inside], rtol=1e-4, atol=1e-5)
    assert (one - other)[..., :before].abs().max() > 1e-3
    assert (one - other)[..., LENGTH - behind :].abs().max() > 1e-3


@pytest.mark.parametrize("policy", POLICIES)
def test_a_one_sided_layer_pads_its_one_end(policy):
    net, usual = network(policy, "layer", side="causal"), network("mirror", "input", side="causal")
    net.load_state_dict(usual.state_dict())
    assert net.ends == (16, 0)
    with torch.no_grad():
        torch.testing.assert_close(net(line())[..., 16:], usual(line())[..., 16:], rtol=1e-4, atol=1e-5)
        assert (net(line()) - usual(line()))[..., :16].abs().max() > 1e-3


@pytest.mark.parametrize(("policy", "place"), OTHERS)
def test_lines_as_short_as_the_check_allows_pass_and_shorter_ones_do_not(policy, place):
    net = network(policy, place, size=9, depth=3)
    least, why = needed_length(net)
    samples = 4 if place == "layer" else 12
    assert least == {"mirror": samples + 1, "symmetric": samples, "circular": samples}.get(policy, 1)
    plan = network_asked({"name": "shallow", "boundary": policy, "boundary_at": place})
    check_kernel_size(plan, 9, 3, least)
    with torch.no_grad():
        assert net(line(least)).shape == (2, 1, least)
    if least == 1:
        assert largest_kernel_size(plan, 1, 3) == 65535
        return
    with pytest.raises(KernbenchError, match=f"this network {why}, so lines need at least {least} samples, got") as it:
        net(line(least - 1))
    small_weights.the_line(it)
    with pytest.raises(
        KernbenchError, match=rf"needs {samples} samples of .*padding .*, the line has {least - 1}\."
    ) as it:
        check_kernel_size(plan, 9, 3, least - 1)
    assert ("of what a layer takes" in small_weights.the_line(it)) == (place == "layer")
    assert largest_kernel_size(plan, least, 3) == 9
    assert largest_kernel_size(plan, least - 1, 3) < 9


@pytest.mark.parametrize(("policy", "place"), OTHERS)
def test_costs_are_those_of_the_samples_that_the_layers_take(policy, place):
    # line of 120, K = 9, 2 layers of 3 channels: 128 outputs of the first layer, or 120; then 3 channels to 1
    first = LENGTH if place == "layer" else LENGTH + 8
    net = network(policy, place)
    assert flops_forward(net, LENGTH) == 2 * (3 * 9 * first + 9 * 9 * LENGTH + 3 * LENGTH)
    seen = []
    hooks = [each.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[-1])) for each in net.kernel_layers()]
    with torch.no_grad():
        net(line())
    for hook in hooks:
        hook.remove()
    assert seen == net.layer_lengths(LENGTH)
    assert len(layer_costs(net, LENGTH)) == 2
    longest = 8 if place == "layer" else 16
    assert lines_at_once(net, 87_381 - longest, "cpu") == 16  # 16 MiB hold 16 of 3 channels and 87,381 samples
    assert lines_at_once(net, 87_382 - longest, "cpu") == 8


@pytest.mark.parametrize(("policy", "place"), OTHERS)
@pytest.mark.parametrize("name", ["shallow", "dilated"])
def test_recomputed_activations_are_the_same(policy, place, name):
    plain = network(policy, place, "siren", 5, name, 5).train()
    again = copy.deepcopy(plain)
    again.recompute = True
    for net in (plain, again):
        net.zero_grad()
        net(line()).square().sum().backward()
    assert torch.equal(plain(line()), again(line()))
    for one, other in zip(plain.parameters(), again.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.filterwarnings("ignore")  # of torch about itself, while it compiles
@pytest.mark.parametrize(("policy", "place"), [("mirror", "layer"), ("symmetric", "input"), ("circular", "layer")])
def test_torch_compile_takes_a_training_step_of_it(policy, place):
    net = network(policy, place).train()
    compiled = torch.compile(net, backend="eager", dynamic=False)
    torch.testing.assert_close(compiled(line()), net(line()), rtol=1e-5, atol=1e-6)
    assert compiled(line()).grad_fn is not None


@pytest.mark.parametrize(("policy", "place"), OTHERS)
@pytest.mark.parametrize("factor", [0.5, 2])
def test_another_rate_keeps_policy_and_place(policy, place, factor):
    net = network(policy, place, "siren")
    usual = network("mirror", "input", "siren")
    usual.load_state_dict(net.state_dict())
    moved, usual = at_rate(net, factor), at_rate(usual, factor)
    assert moved.boundary == net.boundary == Boundary(policy, place)
    assert moved.ends == tuple(int(end * factor) for end in net.ends)
    with torch.no_grad():
        assert torch.equal(at_rate(net, 1)(line()), net(line()))
        assert moved(line(300)).shape == (2, 1, 300)
        inside = slice(moved.ends[0], 300 - moved.ends[1])
        torch.testing.assert_close(moved(line(300))[..., inside], usual(line(300))[..., inside], rtol=1e-4, atol=1e-5)
    assert moved.layer_lengths(300)[0] == 300 + (1 if place == "layer" else 2) * int(8 * factor)


@pytest.mark.parametrize(("policy", "place"), OTHERS)
def test_weights_of_such_a_network_are_read_again(policy, place, tmp_path):
    net = network(policy, place, "siren")
    facts = small_weights.facts_of(net, "shallow")
    asked = facts["network"] | {"boundary": policy, "boundary_at": place}
    again = load_trained(save_weights(tmp_path / "weights.pt", net, facts | {"network": asked})).network
    assert again.boundary == Boundary(policy, place)
    with torch.no_grad():
        assert torch.equal(again(line()), net(line()))


def test_the_published_layout_cannot_say_another_boundary(tmp_path):
    net = build(network_asked({"name": "dilated", "boundary": "zero"}), "discrete", 3, 64, depth=12)
    with pytest.raises(DataError, match="expected lines mirrored at the input, got zero at the input"):
        save_network(net, tmp_path / "epoch_1249")
    assert list(tmp_path.iterdir()) == []


class OwnModule(Architecture):
    def build(self, layers):
        return super().build(layers)


class OwnPadding(Architecture):
    def padding(self, layers):
        return super().padding(layers)


@pytest.mark.parametrize("kind", [OwnModule, OwnPadding])
@pytest.mark.parametrize(
    ("boundary", "said"),
    [(Boundary("zero"), "boundary = 'zero'"), (Boundary(at="layer"), "boundary_at = 'layer'")],
)
def test_a_network_that_pads_by_itself_is_refused_in_one_line(kind, boundary, said):
    own = kind("own", 2, 3, 9)
    with pytest.raises(KernbenchError, match=rf"network own pads lines by itself: .*network\.{said}; leave out") as it:
        layers_of(Bounded("own", 2, 3, 9, inner=own, boundary=boundary), 9)
    small_weights.the_line(it)


def study_with(tmp_path, text):
    path = tmp_path / "mine.toml"
    head = "version = 1\n[data]\ntrain = 2\nvalidation = 2\ntest = 2\nwindow = 64\n"
    path.write_text(head + text, encoding="utf-8")
    return load(str(path), find_family("discrete"), "quick")


@pytest.mark.parametrize(
    ("key", "given_value", "said"),
    [
        ("boundary", '"miror"', "did you mean 'mirror'"),
        ("boundary", '"reflect"', "expected one of 'mirror', 'zero', 'replicate', 'symmetric', 'circular'"),
        ("boundary", "0", "expected one of"),
        ("boundary_at", '"layers"', "did you mean 'layer'"),
        ("boundary_at", "true", "expected one of 'input', 'layer'"),
    ],
)
def test_other_names_are_refused_in_one_line(tmp_path, key, given_value, said):
    axes = "[axes]\nkernel_size = [9]\n"
    with pytest.raises(StudyError) as it:
        study_with(tmp_path, f"{axes}[network]\n{key} = {given_value}")
    assert f"network.{key}" in small_weights.the_line(it)
    assert said in str(it.value)
    with pytest.raises(StudyError, match=rf"axes\.{key}: network\.{key}"):
        study_with(tmp_path, f"{axes}{key} = [{given_value}]")


def test_a_library_name_that_does_not_exist_is_refused():
    with pytest.raises(KernbenchError, match=r"boundary must be one of .*, got 'mirrored'; did you mean 'mirror'"):
        network_asked({"name": "shallow", "boundary": "mirrored"})
    with pytest.raises(KernbenchError, match="boundary_at must be one of input, layer, got 'both'"):
        network_asked({"name": "shallow", "boundary_at": "both"})


def test_the_check_before_a_study_follows_the_policy(tmp_path):
    axes = "[axes]\nkernel_size = [33]\nboundary = [{}]\nboundary_at = [{}]\n"  # 4 layers: 64 samples, or 16 in a layer
    for policies, places in (('"zero", "replicate"', '"input", "layer"'), ('"mirror"', '"layer"')):
        assert check_networks(study_with(tmp_path, axes.format(policies, places))) > 0
    assert check_networks(study_with(tmp_path, axes.format('"symmetric", "circular"', '"input"'))) > 0
    with pytest.raises(
        KernbenchError, match=r"K = 33 .* needs 64 samples of padding on each side, the line has 64"
    ) as it:
        check_networks(study_with(tmp_path, axes.format('"mirror"', '"input"')))
    small_weights.the_line(it)
    wide = axes.replace("33", "35").format('"circular"', '"input"')
    with pytest.raises(KernbenchError, match=r"68 samples of circular padding on each side, the line has 64.*K <= 33"):
        check_networks(study_with(tmp_path, wide))
    assert check_networks(study_with(tmp_path, axes.replace("33", "257").format('"zero"', '"layer"'))) > 0
