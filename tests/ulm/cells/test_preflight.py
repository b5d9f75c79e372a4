"""Before a cell runs: whatever cannot work is refused, named and leaves nothing behind."""

import dataclasses
import math

import pytest
import torch

from kernbench.engine.fleet.disk import check_places
from kernbench.errors import DataError, KernbenchError, PluginError, StorageError, StudyError
from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Int
from kernbench.registry import find_family
from kernbench.study.task import load as load_task_study
from kernbench.ulm.cells import definition
from kernbench.ulm.cells.preflight import check_lines, check_networks


def study_with(tmp_path, text, family="siren"):
    """A small study with something added."""
    source = "version = 1\n[axes]\nkernel_size = [9]\n[data]\ntrain = 2\nvalidation = 2\ntest = 2\nwindow = 512\n"
    path = tmp_path / "mine.toml"
    path.write_text(source + text)
    return load_task_study(str(path), family if not isinstance(family, str) else find_family(family), "quick")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[network]\nname = 'dilated'\nchannels = 2\ndepth = 12", ["K = 9", "samples of padding", "512", "siren"]),
        ("[profiles.quick.axes]\nkernel_size = [9, 8]", ["odd", "K = 8", "siren", "mine", "quick"]),
        ("[profiles.quick.axes]\nkernel_size = [1025]", ["K = 1025", "padding", "512", "siren"]),
        (
            "[network]\nreach = 10",
            ["network.reach = 10 does not fit K = 9", "(family siren, study mine, profile quick)"],
        ),
        ("[network]\nname = 'dilated'\nreach = 8", ["network.reach = 8", "(family siren, study mine, profile quick)"]),
    ],
)
def test_a_kernel_size_that_does_not_fit_is_refused_before_anything_runs(tmp_path, text, said):
    with pytest.raises(KernbenchError) as error:
        check_networks(study_with(tmp_path, text))
    assert all(each in str(error.value) for each in said), error.value
    assert "\n" not in str(error.value)


def breaking(name, forward):
    """A family whose kernels are made by a function of (module, grid)."""

    class Made(KernelModule):
        def __init__(self, spec, depth=1):
            super().__init__(spec)
            self.weight = torch.nn.Parameter(torch.randn(spec.shape))

        def forward(self, grid):
            return forward(self, grid)

    return KernelFamily(name, Made)


def test_an_axis_goes_to_the_network_or_to_the_family_never_to_both(tmp_path):
    family = dataclasses.replace(breaking("mine", lambda self, _grid: self.weight), space={"depth": Int(1, 3)})
    study = dataclasses.replace(study_with(tmp_path, "", family), axes={"kernel_size": (9,), "depth": (2, 3)})
    study.definition["network"].pop("depth", None)
    network = definition.make_network(study, {"kernel_size": 9, "depth": 3, "seed": 0})
    layers = network.kernel_layers()
    assert len(layers) == 3
    assert layers[0].kernel_module.hyper == {"depth": family.resolve()["depth"]}


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda self, _grid: self.weight[..., :-1], "of the wrong shape"),
        (lambda _self, _grid: None, "NoneType"),
        (lambda self, _grid: self.weight * math.nan, "NaN"),
        (lambda self, _grid: self.weight / 0, "infinite"),
        (lambda self, _grid: self.weight.double(), "float64"),
        (lambda _self, _grid: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named_with_family_and_k(tmp_path, forward, said):
    with pytest.raises(PluginError) as error:
        check_networks(study_with(tmp_path, "", breaking("mine", forward)))
    assert all(each in str(error.value) for each in (said, "mine", "K = 9")), error.value
    assert "\n" not in str(error.value)


def test_each_network_is_built_once_and_one_that_breaks_is_found_among_many(tmp_path):
    built = []

    def forward(module, _grid):
        built.append((module.weight.shape[-1], module.scale))
        return module.weight * (math.nan if module.scale == 3 else 1)

    family = breaking("mine", forward)

    class Scaled(family.module):
        def __init__(self, spec, scale=1):
            super().__init__(spec)
            self.scale = scale

    text = "[profiles.quick]\nseeds = 4\n[profiles.quick.axes]\nrate = [0.001, 0.002]\nnoise_percent = [0, 10]\n"
    text += "kernel_size = [9, 33]\nscale = {}\n"
    family = KernelFamily("mine", Scaled, {"scale": Int(1, 3)})
    check_networks(study_with(tmp_path, text.format([1, 2]), family))
    assert set(built) == {(9, 1), (9, 2), (33, 1), (33, 2)}
    once = len(built)
    check_networks(study_with(tmp_path, text.replace("rate = [0.001, 0.002]\n", "").format([1, 2]), family))
    assert len(built) == 2 * once
    with pytest.raises(PluginError, match="NaN"):
        check_networks(study_with(tmp_path, text.format([1, 2, 3]), family))


def test_preflight_leaves_the_global_generator_alone(tmp_path):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    check_networks(study_with(tmp_path, ""))
    assert torch.equal(torch.rand(3), wanted)


def test_places_that_cannot_be_written_are_refused_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "taken.artifacts").write_text("in the way")
    before = sorted(tmp_path.rglob("*"))
    for url, out in (
        (f"sqlite:///{tmp_path}/taken.db", None),
        (f"sqlite:///{tmp_path}/a.db", tmp_path / "file"),
        (f"sqlite:///{tmp_path}/a.db", tmp_path / "file" / "report"),
        ("sqlite:////proc/a.db", None),
    ):
        with pytest.raises(StorageError, match="cannot be written"):
            check_places(url, out)
    monkeypatch.setenv("KERNBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="KERNBENCH_CACHE"):
        check_places(f"sqlite:///{tmp_path}/a.db", tmp_path / "report")
    monkeypatch.setenv("KERNBENCH_CACHE", str(tmp_path / "deep" / "cache"))
    check_places(f"sqlite:///{tmp_path}/a.db", tmp_path / "report")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data]\nwindow = 15\nnoise_percent = 5", ["data.window = 15", "noise of 5 %", "16 samples"]),
        ("[data]\nwindow = 15\ntest_noise_percent = 5", ["data.window = 15", "noise of 5 %"]),
        ("[data]\nwindow = 15\n[axes]\nnoise_percent = [0, 128]", ["noise of 128 %"]),
        ("[data]\nwindow = 1\ntrain = 4\n[training]\nbatch_size = 1", ["data.window = 1", "training.batch_size = 1"]),
        ("[data]\nwindow = 1\ntrain = 5\n[training]\nbatch_size = 4", ["training.batch_size = 4", "5 training lines"]),
        ("[data]\nwindow = 1\ntrain = 4\n[axes]\nbatch_size = [2, 3]", ["training.batch_size = 3"]),
        ("[data]\nwindow = 15\ndelay = 15", ["data.window = 15", "data.delay = 15"]),
        ("[data]\nwindow = 15\n[axes]\ndelay = [0, 20]", ["data.window = 15", "data.delay = 20"]),
        ("[data]\nwindow = 15", []),
        ("[data]\nwindow = 15\ndelay = 14", []),
        ("[data]\nwindow = 16\nnoise_percent = 5", []),
        ("[data]\nwindow = 1\ntrain = 4\n[training]\nbatch_size = 4", []),
        ("[data]\nwindow = 2\ntrain = 4\n[training]\nbatch_size = 1", []),
    ],
)
def test_windows_that_labels_noise_or_normalization_cannot_use_are_refused(tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(
        f"version = 1\naxes.kernel_size = [1]\nnetwork.depth = 1\n{text.replace('[axes]', '[profiles.quick.axes]')}"
    )
    study = load_task_study(str(path), find_family("discrete"), "quick")
    if not said:
        check_lines(study)
        check_networks(study)
        return
    with pytest.raises(StudyError) as error:
        check_lines(study)
    assert all(each in str(error.value) for each in [*said, "mine.toml"]), error.value


def test_a_family_of_another_dtype_is_refused_before_anything_is_written(tmp_path):
    family = breaking("mine", lambda self, _grid: self.weight)

    class Double(family.module):
        def __init__(self, spec, depth=1):
            super().__init__(spec)
            self.double()

    with pytest.raises(PluginError, match=r"'mine' draws its parameters in torch\.float64: expected torch\.float32"):
        check_networks(study_with(tmp_path, "", KernelFamily("mine", Double)))


OWN_NETWORK = """
import kernbench
from kernbench.networks import Architecture, Network


class Skipping(Network):
    def forward(self, signal):
        return super().forward(signal) + signal


class Own(Architecture):
    def build(self, layers):
        specs = [layer.spec for layer in layers]
        return Skipping(layers, self.padding(specs), self.receptive_field(specs))


@kernbench.hookimpl
def kernbench_networks():
    return [Own("own", depth=2, channels=2, kernel_size=9)]
"""


@pytest.mark.parametrize(
    "where", ["[profiles.quick.axes]\ntest_rate = [62.5, 125.0]", "[profiles.quick.data]\ntest_rate = 125"]
)
def test_a_network_that_cannot_be_moved_to_the_rate_is_refused_before_anything_runs(tmp_path, where):
    (tmp_path / "own.py").write_text(OWN_NETWORK)
    named = f"[network]\nname = '{tmp_path}/own.py:own'\n{where}"
    with pytest.raises(StudyError, match=r"mine\.toml: test_rate = 125: Skipping cannot be moved to another") as error:
        check_networks(study_with(tmp_path, named))
    assert "\n" not in str(error.value)
    check_networks(study_with(tmp_path, named.replace(", 125.0", "").replace("125", "62.5")))


def test_kernels_that_a_filter_makes_too_long_for_the_lines_are_refused_before_anything_runs(tmp_path):
    text = "[profiles.quick.axes]\nkernel_size = [241]\ntest_rate = [31.25, 62.5]\n"
    check_networks(study_with(tmp_path, text))
    text += '[profiles.quick.data]\ntest_kernels = "resampled"\n'
    wanted = (
        r"mine\.toml: test_rate = 31\.25, kernel_size = 241: this network reflects 288 samples on each side there, "
        r"so lines need at least 289 samples, got 256; take smaller kernels or longer windows"
    )
    with pytest.raises(StudyError, match=wanted):
        check_networks(study_with(tmp_path, text))
