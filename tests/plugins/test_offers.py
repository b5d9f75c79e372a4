"""What bundled families offer beyond their kernels."""

import math
import re
from pathlib import Path

import pytest
import torch

import kernbench
from kernbench.kernels import capabilities
from kernbench.kernels.trained import parameter_groups
from kernbench.registry import find_family


def test_every_capability_is_used_by_a_bundled_family():
    families = ("siren", "siren_multi", "masked", "s4d")
    assert {name for each in families for name in capabilities.offered(find_family(each).load())} == set(
        capabilities.CAPABILITIES
    )


@pytest.mark.parametrize(
    ("family", "hyper", "own"),
    [
        ("dcls", {}, {"place": 5.0, "width": 5.0}),
        ("masked", {}, {"log_width": 0.1, "place": 0.1}),
        ("s4d", {}, {"log_decay": 0.1, "frequency": 0.1, "log_step": 0.1}),
        ("poles", {}, {"log_decay": 0.1, "angle": 0.1}),
        ("sinc", {}, {"log_frequency": 10.0, "band": 10.0, "centre": 10.0}),
        (
            "siren_multi",
            {"learned": True, "highest": 10.0},
            {"first.weight": 1 / (20 * math.pi), "first.bias": 1 / (20 * math.pi)},
        ),
    ],
)
def test_rates_of_bundled_families(family, hyper, own):
    module = find_family(family).build(kernbench.KernelSpec(2, 1, kernel_size=9), hyper)
    rates = {id(p): group.lr_mult for group in parameter_groups(module) for p in group.parameters}
    assert {name: rates[id(p)] for name, p in module.named_parameters()} == {
        name: pytest.approx(own.get(name, 1.0)) for name, _ in module.named_parameters()
    }


def test_describe_shows_the_learned_support(bench):
    words = ("describe", "masked", "--kernel-size", "65", "--channels", "2", "--depth", "2")
    shown = bench.run(*words, "--set", "width=0.25").out.splitlines()
    # |t| <= 0.25 sqrt(2 ln 10) = 0.536 of an extent of 32 samples: 17 taps on each side of the 33rd
    assert sum("taps in use" in line for line in shown) == 1
    assert sum(line.rstrip().endswith("16 .. 50") for line in shown) == 2
    assert "taps in use" not in bench.run("describe", "discrete", "--channels", "2").out


def test_the_example_of_an_import_takes_a_published_layout():
    page = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(from kernbench_siren.*?)```", page, flags=re.DOTALL)[1]
    state = {"bias": torch.zeros(30)}  # of the convolution, not of its kernel
    for layer, (rows, into) in enumerate([(32, 1), (32, 32), (30, 32)]):
        place = f"Kernel.kernel_net.{3 * layer}"
        state |= {f"{place}.weight_g": torch.ones(rows, 1, 1), f"{place}.weight_v": torch.ones(rows, into, 1)}
        state[f"{place}.bias"] = torch.full((rows,), float(layer))
    names = {"kernbench": kernbench, "state": state}
    exec(block, names)
    assert names["module"].last.bias.flatten().tolist() == [2.0] * 30
