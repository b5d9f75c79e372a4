"""Published networks and thresholds, in and out; the oracle is the published network in plain PyTorch."""

import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from kernbench.errors import DataError
from kernbench.networks.network import build
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.srml1d.networks import load_network, load_thresholds, save_network, save_thresholds

NETWORKS = ("modelH", "modelHS_001", "modelHS_01", "modelS_01", "modelHS_001_polydisperse")


class DilatedCNN(nn.Module):
    """The published network, as its state dict says."""

    def __init__(self):
        super().__init__()
        layers = [nn.ReflectionPad1d(4095)]
        for level in range(12):
            layers += [nn.Conv1d(64 if level else 1, 64, 3, dilation=2**level), nn.BatchNorm1d(64), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.Conv1d(64, 1, 1))


@pytest.fixture
def state():
    """A fresh state dict in the published layout."""
    torch.manual_seed(0)
    return DilatedCNN().state_dict()


def published(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def written(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


def test_defaults_of_the_process_do_not_change_what_is_read(state, tmp_path):
    path = written(state, tmp_path / "epoch_1249")
    expected = load_network(path)
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        again = load_network(path)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in expected.state_dict().items())


def burst():
    n = np.arange(8446)
    voltage = 5 * np.exp(-(((n - 4000) / 40) ** 2)) * np.cos(2 * np.pi * (n - 4000) * 1.7 / 62.5)
    return torch.from_numpy(voltage)[None, None]


# in


@pytest.mark.parametrize(
    ("model", "silence", "expected"),
    [
        (
            "modelHS_01",
            -0.000195708,
            [-0.000199, -0.000126, 0.295380, -0.000251, -0.000259, -0.000203, -0.000196],
        ),
        (
            "modelHS_001",
            -0.000166743,
            [-0.000172, -0.000222, 0.024777, 0.492498, 0.290104, -0.000201, -0.000167],
        ),
    ],
)
def test_the_importer_check_of_the_protocol(reference, model, silence, expected):
    network = load_network(reference / "srml1d" / model)
    samples = [0, 3888, 3889, 3890, 3891, 4000, 8445]
    with torch.no_grad():
        single = network(burst().float())[0, 0, samples].tolist()
        double = network.double()(burst())[0, 0, samples].tolist()
        quiet = network(torch.zeros(1, 1, 8446, dtype=torch.float64))
    assert double == pytest.approx(expected, abs=6e-7)
    assert single == pytest.approx(expected, abs=3e-5)
    assert quiet.numpy() == pytest.approx(silence, abs=1e-9)


def test_a_loaded_network_computes_what_the_published_one_does(state, tmp_path):
    plain = DilatedCNN().double().eval()
    plain.load_state_dict(state)
    network = load_network(written(state, tmp_path / "weights")).double()
    assert not network.training
    voltage = torch.randn(2, 1, 4200, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (network(voltage) - plain.model(voltage)).abs().max() < 1e-12


@pytest.mark.parametrize("zipped", [False, True])
def test_both_file_formats_of_torch_are_read_by_path_bare_name_or_folder(state, tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    torch.save(state, tmp_path / "epoch_1249", _use_new_zipfile_serialization=zipped)
    for source in ("epoch_1249", ".", tmp_path, str(tmp_path / "epoch_1249")):
        assert torch.equal(load_network(source).head.bias, state["model.37.bias"])


def test_loading_leaves_the_global_generator_alone(state, tmp_path):
    path = written(state, tmp_path / "weights")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_network(path)
    assert torch.equal(torch.rand(3), expected)


# out


@pytest.mark.parametrize("model", NETWORKS)
def test_an_exported_network_equals_the_published_file(reference, tmp_path, model):
    source = reference / "srml1d" / model / "epoch_1249"
    save_network(load_network(source), tmp_path / "deep" / "epoch_1249")
    ours, theirs = published(tmp_path / "deep" / "epoch_1249"), published(source)
    assert list(ours) == list(theirs)
    assert len(ours) == 86
    for key, tensor in theirs.items():
        assert ours[key].dtype == tensor.dtype, key
        assert ours[key].numpy().tobytes() == tensor.numpy().tobytes(), key
    assert ours["model.2.num_batches_tracked"] == 20000
    assert ours._metadata == theirs._metadata
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["epoch_1249"]


def test_an_exported_network_loads_into_the_published_class(tmp_path):
    torch.manual_seed(1)
    network = build("dilated", "discrete", 3).eval()
    save_network(network, tmp_path / "weights")
    plain = DilatedCNN().eval()
    plain.load_state_dict(torch.load(tmp_path / "weights", weights_only=True), strict=True)
    voltage = torch.randn(1, 1, 4200, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (network(voltage) - plain.model(voltage)).abs().max() < 1e-5


def test_another_family_is_exported_as_the_kernels_that_it_makes(tmp_path):
    torch.manual_seed(1)
    network = build("dilated", "siren", 3).eval()
    save_network(network, tmp_path / "weights")
    again = load_network(tmp_path / "weights")
    with torch.no_grad():
        for ours, theirs in zip(again.kernel_layers(), network.kernel_layers(), strict=True):
            assert torch.equal(ours.kernel(), theirs.kernel())


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda: build("dilated", "discrete", 3, channels=8), "out_channels of layer 1 expected 64, got 8"),
        (lambda: build("dilated", "discrete", 5), "kernel_size of layer 1 expected 3, got 5"),
        (lambda: build("dilated", "discrete", 3, depth=4), "expected 12 layers, got 4"),
        (
            lambda: build("shallow", "discrete", 3, channels=64, depth=12),
            "dilation of layer 2 expected 2, got 1",
        ),
        (lambda: nn.Conv1d(1, 1, 1), "got Conv1d"),
    ],
    ids=["channels", "taps", "depth", "dilation", "no network"],
)
def test_a_network_of_another_shape_is_not_exported(network, said, tmp_path):
    with pytest.raises(DataError) as refused:
        save_network(network(), tmp_path / "weights")
    assert "only a dilated network of 12 layers, 64 channels and K = 3" in str(refused.value)
    assert str(refused.value).endswith(said)
    assert not any(tmp_path.iterdir())


def test_double_precision_is_not_rounded_silently(tmp_path):
    with pytest.raises(DataError, match=r"model\.1\.weight must be torch.float32, got torch.float64"):
        save_network(build("dilated", "discrete", 3).double(), tmp_path / "weights")
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        save_network(build("dilated", "discrete", 3), tmp_path / "file" / "weights")


# refused


def without(key):
    return lambda state: state.pop(key)


def put(key, value):
    return lambda state: state.update({key: value})


WRONG = {
    "a missing key": (without("model.4.bias"), "model.4.bias is missing from the 86"),
    "an extra key": (put("model.40.weight", torch.zeros(1)), "model.40.weight is not part of a published network"),
    "another shape": (put("model.1.weight", torch.zeros(64, 1, 5)), "model.1.weight expected (64, 1, 3) float32"),
    "another type": (
        put("model.37.bias", torch.zeros(1, dtype=torch.float64)),
        "model.37.bias expected (1,) float32, got (1,) float64",
    ),
    "NaN": (put("model.37.bias", torch.full((1,), torch.nan)), "model.37.bias has NaN"),
    "no tensor": (put("model.37.bias", [1.0]), "model.37.bias must be a tensor, got list"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_state_dict_is_refused(state, tmp_path, name):
    damage, said = WRONG[name]
    damage(state)
    with pytest.raises(DataError) as refused:
        load_network(written(state, tmp_path / "weights"))
    assert said in str(refused.value)
    assert str(tmp_path / "weights") in str(refused.value)
    assert "\n" not in str(refused.value)


class Spy:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["legacy", "zip", "pickle", "protocol 4"])
def test_pickled_code_is_refused_and_not_run(state, tmp_path, form):
    ran, path = tmp_path / "ran", tmp_path / "weights"
    state["model.40.weight"] = Spy(ran)
    if form in ("legacy", "zip"):
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    else:
        path.write_bytes(pickle.dumps(dict(state), protocol=2 if form == "pickle" else 4))
    with pytest.raises(DataError) as refused:
        load_network(path)
    assert "\n" not in str(refused.value)
    assert "refused" in str(refused.value) or "without running code" in str(refused.value)
    assert not ran.exists()


def test_the_spy_does_run_in_an_ordinary_loader(tmp_path):
    pickle.loads(pickle.dumps(Spy(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (OrderedDict(), r"model\.1\.weight, model\.1\.bias, model\.2\.weight and 83 more are missing"),
        ({"blocks.0.0.bias": torch.zeros(1)}, "looks like a checkpoint of kernbench, only its weights"),
        (nn.Conv1d(1, 1, 1), r"holds Python code \(torch.nn.modules.conv.Conv1d\).*nothing was run"),
        *((each, "is not a state dict") for each in (b"", b"not weights", b"\x80\x02", b"PK\x03\x04cut")),
        ([torch.zeros(1)], "expected a state dict of tensors"),
        (torch.zeros(3), "expected a state dict of tensors"),
        ({1: torch.zeros(1)}, "expected a state dict of tensors"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, said):
    path = tmp_path / "weights"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(DataError, match=said):
        load_network(path)


def test_a_cut_file_is_refused(state, tmp_path):
    path = written(state, tmp_path / "weights")
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(DataError, match="is not a state dict"):
        load_network(path)


def test_a_missing_file_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"no weights file .*absent; expected a published state dict or the folder"):
        load_network(tmp_path / "absent")
    with pytest.raises(DataError, match="has no epoch_1249"):
        load_network(tmp_path)


# thresholds


@pytest.mark.parametrize("model", ["modelHS_001", "modelH", "model_noise/modelHS_001_noise_8%", "PrecisionRecall"])
def test_published_thresholds_come_back_byte_for_byte(reference, tmp_path, model):
    choice = load_thresholds(reference / "srml1d" / model)
    assert choice.tolerances.tolist() == list(range(10))
    save_thresholds(choice, tmp_path)
    for name in ("thresholds_optimal.npy", "tolerance_list.npy"):
        assert (tmp_path / name).read_bytes() == (reference / "srml1d" / model / name).read_bytes()


def test_thresholds_are_read_from_the_file_or_its_folder(tmp_path):
    choice = Choice("train", np.array([0, 4]), np.array([0.2, 0.1]), np.zeros(2))
    save_thresholds(choice, tmp_path / "new")
    for source in (tmp_path / "new", str(tmp_path / "new" / "thresholds_optimal.npy")):
        again = load_thresholds(source, "train")
        assert again.thresholds.tolist() == [0.2, 0.1]
        assert again.tolerances.tolist() == [0, 4]
        assert again.split == "train"
        assert np.isnan(again.mean_f1).all()


def saved(array, pickled=False):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=pickled)
    return out.getvalue()


@pytest.mark.parametrize(
    ("thresholds", "tolerances", "said"),
    [
        (None, saved(np.arange(2)), "no file"),
        (saved(np.zeros(2)), None, "no file"),
        (b"text", saved(np.arange(2)), "not a plain array"),
        (b"", saved(np.arange(2)), "not a plain array"),
        (saved(np.zeros(2))[:-3], saved(np.arange(2)), "not a plain array"),
        (saved(np.array([Spy("/nowhere")]), pickled=True), saved(np.arange(1)), "not a plain array"),
        (saved(np.zeros(2)), saved(np.arange(3)), "has 2 thresholds, tolerance_list.npy has 3"),
        (saved(np.zeros((2, 2))), saved(np.arange(2)), "expected a list of numbers, got float64 (2, 2)"),
        (saved(np.zeros(2)), saved(np.zeros(2)), "expected a list of integers"),
        (saved(np.array([0.1, np.nan])), saved(np.arange(2)), "NaN"),
        (saved(np.zeros(2)), saved(np.array([1, 1])), "distinct tolerances"),
        (saved(np.zeros(2)), saved(np.array([0, -1])), "distinct tolerances >= 0"),
    ],
)
def test_wrong_thresholds_are_refused(tmp_path, thresholds, tolerances, said):
    for name, content in (("thresholds_optimal.npy", thresholds), ("tolerance_list.npy", tolerances)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        load_thresholds(tmp_path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
