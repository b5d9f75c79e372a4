"""Every bundled family: conformance, counts, resampling; and the walls between core and plugins. Oracles 20, 22, 23."""

import importlib
import math
import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernbench
from kernbench.kernels import building_blocks
from kernbench.kernels.checks import CHECKS
from kernbench.kernels.conformance import check_family
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.space import Choice, Int
from kernbench.registry import find_family

REPOSITORY = Path(__file__).resolve().parent.parent
PUBLIC = {"kernbench", "kernbench.kernels.building_blocks"}  # what a plugin may import of kernbench
FAMILIES = (
    *("discrete", "siren", "gaussian", "laplacian", "log", "stencil"),
    *("legendre", "chebyshev", "bspline", "wendland", "rbf", "fourier", "njet", "stu"),
    *("gabor", "morlet", "chirplet", "ricker", "cosine", "gammatone", "damped", "sinc"),
    *("dcls", "longconv", "decay", "sgconv", "multires", "wavelet_tree"),
    *("s4d", "poles", "rtf"),
    *("finer", "wire", "winner", "siren_multi", "rff", "hyena", "tnn", "gabor_mfn", "masked", "fourier_kan"),
)
PLUGIN_FILES = sorted((REPOSITORY / "plugins").glob("kernbench_*/*.py"))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_bundled_family_conforms(name):
    results = check_family(find_family(name))
    assert [result.name for result in results] == list(CHECKS)
    assert all(result.passed for result in results), [result for result in results if not result.passed]


def specs():
    """Specs of all kinds: groups, odd and even K, dilation, sides."""
    return st.builds(
        lambda groups, out, inputs, taps, dilation, side: kernbench.KernelSpec(
            groups * out, groups * inputs, groups=groups, kernel_size=taps, dilation=dilation, side=side
        ),
        st.integers(1, 3),
        st.integers(1, 4),
        st.integers(1, 4),
        st.integers(3, 40),
        st.integers(1, 5),
        st.sampled_from(["centered", "causal", "anticausal"]),
    )


def hypers(name):
    """Any values inside the family's space; real ones at their bounds and default."""

    def values(parameter):
        if isinstance(parameter, Choice):
            return st.sampled_from(parameter.options)
        if isinstance(parameter, Int):
            return st.integers(parameter.low, min(parameter.high, 20))
        return st.sampled_from([parameter.low, parameter.start, parameter.high])

    return st.fixed_dictionaries({key: values(p) for key, p in find_family(name).parameters.items()})


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=12)  # of each of many families
@given(data=st.data(), spec=specs())
def test_param_count_is_the_number_of_parameters(name, data, spec):
    family, hyper = find_family(name), data.draw(hypers(name))
    module = family.build(spec, hyper)
    assert family.param_count(spec, hyper) == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", [name for name in FAMILIES if find_family(name).resampling == "points"])
@settings(max_examples=12)
@given(data=st.data(), spec=specs(), refine=st.integers(2, 4))
def test_a_finer_grid_keeps_the_common_taps(name, data, spec, refine):
    family, hyper = find_family(name), data.draw(hypers(name))
    layer = KernelConv(family.build(spec, hyper).double(), spec)
    coarse = layer.kernel(spec.grid(dtype=torch.float64))
    fine = layer.kernel(spec.grid(refine, dtype=torch.float64))
    torch.testing.assert_close(refine * fine[..., ::refine], coarse, rtol=0, atol=1e-10 * coarse.abs().max().item())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("taps", "side"), [(17, "centered"), (19, "centered"), (8, "causal"), (9, "anticausal")])
def test_a_coarser_grid_takes_every_second_tap(name, taps, side):
    """What half the sampling rate asks for; taps that are integrals over their step need its own rule."""
    spec = kernbench.KernelSpec(2, 2, kernel_size=taps, side=side)
    layer = KernelConv(find_family(name).build(spec).double(), spec)
    fine, coarse = (layer.kernel(spec.grid(dtype=torch.float64, coarsen=steps)) for steps in (1, 2))
    every_second = 2 * fine[..., {"centered": (taps - 1) // 2, "causal": taps - 1, "anticausal": 0}[side] % 2 :: 2]
    assert coarse.shape == every_second.shape
    if find_family(name).resampling != "points":
        assert torch.isfinite(coarse).all()
    else:
        torch.testing.assert_close(coarse, every_second, rtol=0, atol=1e-10 * fine.abs().max().item())


@pytest.mark.parametrize("taps", [3, 33])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_dilated_kernel_starts_as_the_one_that_is_not(name, taps):
    """Else a start in samples would be an alias, or have died out, in the deep layers of a dilated network."""
    kernels = []
    for dilation in (1, 8, 2048):
        spec = kernbench.KernelSpec(4, 3, kernel_size=taps, dilation=dilation)
        torch.manual_seed(1)
        kernels.append(find_family(name).build(spec)(spec.grid()).detach())
    for kernel in kernels[1:]:
        torch.testing.assert_close(kernel, kernels[0], rtol=0, atol=1e-3 * kernels[0].abs().max().item())


@pytest.mark.parametrize("value", [-100.0, 100.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_that_ran_away_leave_kernel_and_gradients_finite(name, value):
    family, spec = find_family(name), kernbench.KernelSpec(2, 1, kernel_size=33)
    learned = {key: True for key in ("learn_width", "learned") if key in family.parameters}
    module = family.build(spec, learned)
    start = {key: parameter.detach().clone() for key, parameter in module.named_parameters()}
    for away in start:
        with torch.no_grad():
            for key, parameter in module.named_parameters():
                parameter.copy_(start[key] if key != away else torch.full_like(parameter, value))
        module.zero_grad()
        kernel = module(spec.grid())
        assert torch.isfinite(kernel).all(), away
        kernel.square().sum().backward()
        odd = [
            key for key, each in module.named_parameters() if each.grad is not None and not each.grad.isfinite().all()
        ]
        assert not odd, away


def test_dc_gain_of_discrete_taps_is_kept_by_refinement_if_they_end_in_zeros():
    spec = kernbench.KernelSpec(1, 1, kernel_size=9)
    layer = KernelConv(find_family("discrete").build(spec).double(), spec)
    with torch.no_grad():
        layer.kernel_module.weight[..., [0, -1]] = 0
    sums = [layer.kernel(spec.grid(refine, dtype=torch.float64)).sum().item() for refine in (1, 2, 4)]
    assert sums == pytest.approx([sums[0]] * 3, abs=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_kernel_flops_are_given(name):
    family = find_family(name)
    spec = kernbench.KernelSpec(4, 3, kernel_size=17)
    assert family.load().kernel_flops(spec, **family.resolve()) >= 0


def test_every_family_documents_itself():
    for name in FAMILIES:
        family = find_family(name)
        assert family.description
        assert all(parameter.doc for parameter in family.parameters.values())


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_plugin_imports_only_public_names(file):
    text = file.read_text()
    modules = set(re.findall(r"^ *(?:from|import) +([\w.]+)", text, flags=re.MULTILINE))
    outside = {"torch", "numpy", "scipy", file.parent.name} | sys.stdlib_module_names
    assert {module for module in modules if module.partition(".")[0] not in outside} <= PUBLIC
    assert set(re.findall(r"\bkernbench\.(\w+)", text)) <= {*kernbench.__all__, "kernels"}
    taken = re.findall(r"from kernbench.kernels.building_blocks import (.+)", text)
    assert {name.strip() for names in taken for name in names.split(",")} <= set(building_blocks.__all__)


def test_every_family_that_is_listed_is_tested():
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        bundled = tomllib.load(file)["project"]["entry-points"]["kernbench"].values()
    modules = [importlib.import_module(package) for package in bundled]
    hooks = [module.kernbench_kernels for module in modules if hasattr(module, "kernbench_kernels")]
    offered = [family.name for hook in hooks for family in hook()]
    assert sorted(offered) == sorted(FAMILIES)


def test_counts_at_65_taps_and_22_channels():
    spec = kernbench.KernelSpec(22, 22, kernel_size=65)
    counts = {name: find_family(name).param_count(spec) for name in FAMILIES}
    assert counts["discrete"] == 22 * 22 * 65
    assert counts["gaussian"] == counts["laplacian"] == counts["log"] == 22 * 22 * 32
    assert counts["siren"] == 3 * 32 + 32**2 + 2 * 32 + 34 * 22 * 22
    assert math.isclose(counts["stencil"] / (22 * 22), 55)
