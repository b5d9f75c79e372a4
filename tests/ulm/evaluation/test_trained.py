"""Trained networks as files: rebuilt through the registry, loaded strictly, and nothing in them is ever run."""

import os
import pickle

import numpy as np
import pytest
import torch

from kernbench.errors import DataError, KernbenchError, KernbenchWarning, PluginError
from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import KernelFamily
from kernbench.networks import weights as weights_module
from kernbench.networks.network import build
from kernbench.networks.weights import save_weights, seal
from kernbench.registry import find
from kernbench.ulm.evaluation.trained import export_published, load_trained
from kernbench.ulm.srml1d.networks import load_network, load_thresholds, save_network

PLUGIN = """
import torch, kernbench


class Hat(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.out_channels, spec.in_channels // spec.groups, 1))

    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / 8)


@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("hat", Hat)]
"""


def facts_of(network, name, gain="unit", family="siren", plugin=None):
    """Facts as a cell writes them."""
    layers = network.kernel_layers()
    spec = layers[0].spec
    kept = {"split": "validation", "tolerances": list(range(10)), "values": [0.1 + 0.01 * i for i in range(10)]}
    return {
        "study": "mine.v1.quick/" + family,
        "cell": "kernel_size=9,seed=0",
        "family": {"name": family, "plugin": plugin or find(family).label, "hyper": layers[0].kernel_module.hyper},
        "network": {"name": name, "kernel_size": spec.kernel_size, "channels": spec.out_channels}
        | {"depth": len(layers), "gain": gain},
        "noise": {"percent": 0.0, "test_percent": 8.0, "seed": 3},
        "evaluation": {"batch": 32},
        "thresholds": kept,
        "one_to_one": kept | {"decoder": "peak-nms", "width": 2},
    }


def used(network, length=300):
    """Give batch norm statistics and the weights a step, as training does."""
    signal = torch.randn(4, 1, length, generator=torch.Generator().manual_seed(1))
    network.train()
    network(signal).square().mean().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.sub_(parameter.grad, alpha=0.1)
    return network.eval()


@pytest.fixture
def siren():
    torch.manual_seed(0)
    return used(build("shallow", "siren", 9, channels=3, depth=2, hyper={"omega_0": 12.0}))


@pytest.fixture
def file(siren, tmp_path):
    return save_weights(tmp_path / "weights.pt", siren, facts_of(siren, "shallow"))


def content(path):
    return torch.load(path, weights_only=True)


def changed(path, change):
    """The file, after a change of its content."""
    inside = content(path)
    change(inside)
    if isinstance(inside.get("state"), dict):
        dense = {name: tensor for name, tensor in inside["state"].items() if is_dense(tensor)}
        inside["sha256"] = seal(inside.get("facts"), dense)
    torch.save(inside, path)
    return path


def is_dense(value):
    return isinstance(value, torch.Tensor) and value.layout == torch.strided


def the_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# intact


@pytest.mark.parametrize("family", ["discrete", "siren", "gaussian", "laplacian", "log", "stencil"])
@pytest.mark.parametrize("gain", ["unit", "published"])
def test_a_network_comes_back_bit_for_bit(family, gain, tmp_path):
    torch.manual_seed(2)
    network = used(build("shallow", family, 17, channels=3, depth=2, gain=gain))
    save_weights(tmp_path / "weights.pt", network, facts_of(network, "shallow", gain, family))
    again = load_trained(tmp_path / "weights.pt").network
    assert not again.training
    assert again.state_dict().keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    signal = torch.randn(5, 1, 400, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.equal(again(signal), network(signal))


def test_the_file_holds_tensors_and_plain_values_only(file, siren):
    inside = content(file)
    assert set(inside) == {"format", "version", "facts", "state", "sha256"}
    assert type(inside["state"]) is dict
    assert all(type(value) is torch.Tensor for value in inside["state"].values())

    def plain(value):
        if isinstance(value, dict):
            return all(type(key) is str and plain(each) for key, each in value.items())
        return all(map(plain, value)) if isinstance(value, list) else type(value) in (str, int, float, bool)

    assert plain(inside["facts"])
    assert inside["facts"]["layers"][1]["in_channels"] == 3
    assert inside["facts"]["family"]["hyper"].items() > {"omega_0": 12.0}.items()  # defaults, too
    assert set(inside["facts"]["versions"]) == {"kernbench", "torch"}
    # nothing beside the tensors themselves: a view would bring its whole storage
    numbers = sum(t.numel() * t.element_size() for t in siren.state_dict().values())
    assert file.stat().st_size < numbers + 40_000


def test_thresholds_decoder_noise_and_names_come_back(file):
    trained = load_trained(file)
    assert trained.choice.split == trained.pairs.split == "validation"
    assert trained.choice.tolerances.tolist() == list(range(10))
    assert trained.choice.thresholds.tolist() == [0.1 + 0.01 * i for i in range(10)]
    assert (trained.pairs.decoder.name, trained.pairs.decoder.width) == ("peak-nms", 2)
    assert (trained.noise.level("test"), trained.noise.level("validation"), trained.noise.seed) == (8.0, 0.0, 3)
    assert trained.label == "mine.v1.quick/siren kernel_size=9,seed=0"


def test_loading_leaves_the_global_generator_alone(file):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_trained(file)
    assert torch.equal(torch.rand(3), expected)


def test_published_weights_are_recognized(tmp_path):
    torch.manual_seed(0)
    network = build("dilated", "discrete", 3).eval()
    save_network(network, tmp_path / "net" / "epoch_1249")
    trained = load_trained(tmp_path / "net")
    assert trained.choice is trained.noise is None
    assert torch.equal(trained.network.head.weight, network.head.weight)
    with pytest.raises(DataError, match=r"is not a weights\.pt of kernbench; --plugin"):
        load_trained(tmp_path / "net", plugin="siren")


def test_the_reader_of_published_weights_says_what_ours_are(file):
    with pytest.raises(DataError, match=r"is no published state dict but of format 'kernbench\.weights'; see kernb"):
        load_network(file)


def test_a_file_that_cannot_be_written_leaves_nothing(siren, tmp_path, monkeypatch):
    def fails(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(DataError, match="cannot be written: OSError"):
        save_weights(tmp_path / "weights.pt", siren, facts_of(siren, "shallow"))
    assert not any(tmp_path.iterdir())


class Talkative(KernelModule):
    """A family that keeps a text in its state dict."""

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))

    def forward(self, grid):
        return self.weight

    def get_extra_state(self):
        return "text"

    def set_extra_state(self, state):
        pass


def test_a_family_that_keeps_more_than_tensors_is_refused(tmp_path):
    network = build("shallow", KernelFamily("talkative", Talkative), 3, channels=2, depth=1)
    with pytest.raises(PluginError, match=r"family 'talkative' has str blocks.0.0.kernel_module._extra_state"):
        save_weights(tmp_path / "a.pt", network, facts_of(network, "shallow", family="talkative", plugin="x 1"))
    assert not any(tmp_path.iterdir())


# the plugin


def test_a_missing_plugin_is_named(file):
    changed(file, lambda inside: inside["facts"]["family"].update(name="sirenn", plugin="other 1.0"))
    with pytest.raises(PluginError) as refused:
        load_trained(file)
    assert "needs family 'sirenn' of other 1.0: no kernel family 'sirenn'; did you mean 'siren'?" in the_line(refused)


def test_another_version_of_the_plugin_is_refused_unless_it_is_named(file):
    changed(file, lambda inside: inside["facts"]["family"].update(plugin="kernbench 0.0.1"))
    with pytest.raises(PluginError) as refused:
        load_trained(file)
    assert f"trained with kernbench 0.0.1, here is {find('siren').label}; install that version" in the_line(refused)
    with pytest.warns(KernbenchWarning, match="its kernels are now made by kernbench"):
        load_trained(file, plugin="siren")
    with pytest.raises(PluginError, match="needs family 'siren', --plugin discrete offers 'discrete'"):
        load_trained(file, plugin="discrete")


def test_a_family_from_a_file_needs_its_file(tmp_path):
    source = tmp_path / "hat.py"
    source.write_text(PLUGIN, encoding="utf-8")
    found = find(f"{source}:hat")
    network = build("shallow", found.family, 9, channels=2, depth=1)
    facts = facts_of(network, "shallow", family="hat", plugin=found.label)
    path = save_weights(tmp_path / "weights.pt", network, facts)
    with pytest.raises(PluginError, match=r"family 'hat' came from a local file .*--plugin FILE\.py:hat"):
        load_trained(path)
    again = load_trained(path, plugin=f"{source}:hat").network
    assert torch.equal(again.kernel_layers()[0].kernel(), network.kernel_layers()[0].kernel())
    source.write_text(PLUGIN + "\n# edited\n", encoding="utf-8")
    with pytest.warns(KernbenchWarning, match=f"was trained with {found.label}, its kernels are now made by file"):
        load_trained(path, plugin=f"{source}:hat")


# damaged


def facts(key, value):
    *sections, last = key.split(".")

    def change(inside):
        section = inside["facts"]
        for name in sections:
            section = section[name]
        if value is None:
            del section[last]
        else:
            section[last] = value

    return change


def state(key, value):
    return lambda inside: inside["state"].pop(key) if value is None else inside["state"].update({key: value})


BIAS, IDENTITY = "blocks.0.0.bias", "blocks.0.0.kernel_module._extra_state"
DAMAGED = {
    "a later format": (lambda inside: inside.update(version=2), "format version 2, this kernbench reads 1"),
    "no facts": (lambda inside: inside.pop("facts"), "facts expected a dict, got NoneType"),
    "no state": (lambda inside: inside.pop("state"), "state expected a dict of tensors, got NoneType"),
    "no family": (facts("family", None), "no family.name among the facts"),
    "family is a number": (facts("family.name", 5), "family.name expected str, got 5"),
    "no network": (facts("network", None), "no network among the facts"),
    "no gain": (facts("network.gain", None), "no network.gain among the facts"),
    "even taps": (facts("network.kernel_size", 8), "odd kernel size"),
    "too many channels": (facts("network.channels", 10**9), "network.channels: expected a whole number in [1, 4096]"),
    "another network": (facts("network.name", "shalow"), "did you mean 'shallow'"),
    "an unknown setting": (facts("network.width", 3), "unknown key network.width"),
    "other layers": (facts("layers", [{"kernel_size": 3}]), "has layer 1 as {'kernel_size': 3}"),
    "another depth": (facts("network.depth", 1), "has 2 layers; this kernbench builds another network"),
    "an unknown hyper-parameter": (facts("family.hyper", {"omega": 3}), "has no hyper-parameter 'omega'"),
    "other hyper-parameters": (
        facts("family.hyper", {"omega_0": 30.0}),
        "these weights belong to another kernel: hyper.omega_0 expected 30.0, got 12.0",
    ),
    "threshold NaN": (facts("thresholds.values", [float("nan")] * 10), "thresholds.values expected 10 numbers"),
    "too few thresholds": (facts("thresholds.values", [0.1]), "thresholds.values expected 10 numbers, got [0.1]"),
    "no tolerances": (facts("thresholds.tolerances", []), "thresholds.tolerances expected distinct samples"),
    "tolerance twice": (facts("one_to_one.tolerances", [1, 1]), "one_to_one.tolerances expected distinct samples"),
    "another decoder": (facts("one_to_one.decoder", "peak"), "decoder: expected raw, run, peak-nms, got 'peak'"),
    "a negative width": (facts("one_to_one.width", -1), "one_to_one.width expected a whole number >= 0, got -1"),
    "width is true": (facts("one_to_one.width", True), "one_to_one.width expected int, got True"),
    "noise is text": (facts("noise.percent", "8"), "noise.percent expected a number, got '8'"),
    "no batch": (facts("evaluation.batch", 0), "evaluation.batch expected a whole number >= 1, got 0"),
    "a missing tensor": (state(BIAS, None), f"{BIAS} is missing from the"),
    "a missing identity": (state(IDENTITY, None), "_extra_state is missing"),
    "a tensor too many": (state("blocks.7.0.bias", torch.zeros(1)), "blocks.7.0.bias is not part of the siren network"),
    "another shape": (state(BIAS, torch.zeros(5)), f"{BIAS} expected (3,) float32, got (5,) float32"),
    "another type": (state(BIAS, torch.zeros(3, dtype=torch.float64)), "got (3,) float64"),
    "a sparse tensor": (state(BIAS, torch.zeros(3).to_sparse()), "got (3,) float32 sparse_coo"),
    "NaN": (state(BIAS, torch.full((3,), torch.nan)), f"{BIAS} has NaN or infinite numbers"),
    "no tensor": (state(BIAS, [1.0]), f"{BIAS} must be a tensor, got list"),
    "an identity of noise": (state(IDENTITY, torch.arange(7, dtype=torch.uint8)), "cannot be loaded: "),
    "an identity that is text": (state(IDENTITY, "x"), "cannot be loaded: "),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_weights_are_refused_in_one_line(file, name):
    change, said = DAMAGED[name]
    changed(file, change)
    with pytest.raises(KernbenchError) as refused:
        load_trained(file)
    line = the_line(refused)
    assert said in line
    assert str(file) in line


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_cut_file_is_refused(file, kept):
    whole = file.read_bytes()
    file.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    with pytest.raises(DataError, match="is not a state dict that can be read without running code"):
        load_trained(file)


def test_a_flipped_byte_is_noticed_or_changes_nothing(file, siren):
    whole = bytearray(file.read_bytes())
    expected = siren.state_dict()
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 80):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        file.write_bytes(damaged)
        try:
            again = load_trained(file).network.state_dict()
        except KernbenchError:
            refused += 1
        else:  # padding, or the archive's own book-keeping
            assert all(torch.equal(again[name], tensor) for name, tensor in expected.items())
    assert refused > 5


def test_a_number_changed_by_hand_is_noticed(file):
    inside = content(file)
    inside["state"][BIAS][0] += 1e-3
    torch.save(inside, file)
    with pytest.raises(DataError, match=r"was changed after it was written: its checksum does not fit"):
        load_trained(file)


def test_what_is_no_file_is_refused(file, tmp_path):
    (tmp_path / "link.pt").symlink_to(file)
    (tmp_path / "loose.pt").symlink_to(tmp_path / "absent.pt")
    os.mkfifo(tmp_path / "pipe")
    for source, said in (
        ("absent.pt", "no weights file"),
        (".", "has no epoch_1249"),
        ("link.pt", "is a symbolic link; give the file itself"),
        ("loose.pt", "no weights file"),
        ("pipe", "no weights file"),
    ):
        with pytest.raises(DataError) as refused:
            load_trained(tmp_path / source)
        assert said in the_line(refused), source


# code


class Spy:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("place", ["state", "facts", "whole"])
def test_code_in_weights_is_refused_and_not_run(file, tmp_path, place):
    inside = content(file)
    if place == "whole":
        inside = Spy(tmp_path / "ran")
    else:
        inside[place]["head.bias"] = Spy(tmp_path / "ran")
    torch.save(inside, file)
    said = r"holds Python code \(\w+\.mkdir\), not only weights; refused, nothing was run"
    with pytest.raises(DataError, match=said):
        load_trained(file)
    assert not (tmp_path / "ran").exists()
    torch.load(file, weights_only=False)
    assert (tmp_path / "ran").is_dir()  # it does run in an ordinary loader


def test_a_bare_pickle_is_refused_and_not_run(file, tmp_path):
    file.write_bytes(pickle.dumps({"format": weights_module.FORMAT, "state": Spy(tmp_path / "ran")}))
    with pytest.raises(DataError, match=r"refused|without running code"):
        load_trained(file)
    assert not (tmp_path / "ran").exists()


# the published layout


def test_a_discrete_network_goes_to_the_published_layout_and_back_bit_for_bit(tmp_path):
    torch.manual_seed(4)
    network = used(build("dilated", "discrete", 3), length=4200)
    path = save_weights(tmp_path / "weights.pt", network, facts_of(network, "dilated", family="discrete"))
    written = export_published(load_trained(path), tmp_path / "out")
    assert [each.name for each in written] == ["epoch_1249", "thresholds_optimal.npy", "tolerance_list.npy"]
    again = load_network(tmp_path / "out")
    for name, tensor in network.state_dict().items():
        assert again.state_dict()[name].numpy().tobytes() == tensor.numpy().tobytes(), name
    trained = load_trained(path)
    assert load_thresholds(tmp_path / "out").thresholds.tolist() == trained.choice.thresholds.tolist()
    signal = torch.randn(2, 1, 4200, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(again(signal), network(signal))


def test_another_architecture_is_not_exported_and_leaves_no_folder(file, tmp_path):
    with pytest.raises(DataError, match="has a published layout: expected 12 layers, got 2"):
        export_published(load_trained(file), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("")
    with pytest.raises(DataError, match="is not empty"):
        export_published(load_trained(file), tmp_path / "out")
