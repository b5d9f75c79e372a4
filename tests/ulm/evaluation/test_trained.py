"""Trained networks as files: rebuilt through the registry, and what other plugins make of them."""

import pytest
import torch
from small_weights import changed, content, facts_of, the_line, used

from kernbench.errors import DataError, KernbenchWarning, PluginError
from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import KernelFamily
from kernbench.networks.network import build
from kernbench.networks.weights import save_weights
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


def test_defaults_of_the_process_do_not_change_what_is_read(file):
    expected = load_trained(file).network
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        again = load_trained(file).network
        assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    for name, tensor in expected.state_dict().items():
        got = again.state_dict()[name]
        assert got.dtype == tensor.dtype, name
        assert torch.equal(got, tensor), name


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


def test_a_delay_is_remembered_and_not_exported(siren, tmp_path):
    path = save_weights(tmp_path / "weights.pt", siren, facts_of(siren, "shallow") | {"delay": 43})
    assert load_trained(path).delay == 43
    with pytest.raises(DataError, match=r"weights\.pt: expected a network without a delay, got data\.delay = 43"):
        export_published(load_trained(path), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]


def test_another_architecture_is_not_exported_and_leaves_no_folder(file, tmp_path):
    with pytest.raises(DataError, match="has a published layout: expected 12 layers, got 2"):
        export_published(load_trained(file), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("")
    with pytest.raises(DataError, match="is not empty"):
        export_published(load_trained(file), tmp_path / "out")
