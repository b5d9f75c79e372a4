"""The table of optional members: what counts as offered, what is close to one, and that docs and code know them all."""

import inspect
import re
from pathlib import Path

import pytest
import torch

import kernbench
from kernbench.kernels import capabilities

REPOSITORY = Path(__file__).resolve().parents[2]
SPEC = kernbench.KernelSpec(2, 1, kernel_size=5)
NAMES = {
    *("param_count", "kernel_flops", "scale_", "constrain_", "param_groups", "regularizers", "support"),
    *("to_state_space", "import_state"),
}


class Plain(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.ones(*spec.shape[:2], 1))

    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs())


class Scaled(Plain):
    @staticmethod
    def param_count(spec):
        return spec.pairs

    def scale_(self, factor):
        self.weight.mul_(factor)


class Counted(Scaled):
    @classmethod
    def kernel_flops(cls, spec):
        return 3


class NoLonger(Scaled):
    scale_ = None


def test_the_table_has_these():
    assert set(capabilities.CAPABILITIES) == NAMES


def test_a_module_and_its_class_offer_what_the_class_and_its_bases_define():
    assert capabilities.offered(Plain) == ()
    assert capabilities.offered(Scaled) == capabilities.offered(Scaled(SPEC)) == ("param_count", "scale_")
    assert capabilities.offered(Counted) == ("param_count", "kernel_flops", "scale_")
    assert capabilities.of(Counted, "kernel_flops")(SPEC) == 3
    assert capabilities.of(Scaled(SPEC), "param_count")(SPEC) == 2
    module = Scaled(SPEC)
    with torch.no_grad():
        capabilities.of(module, "scale_")(3.0)
    assert module.weight.flatten().tolist() == [3.0, 3.0]


def test_a_subclass_may_take_a_capability_back():
    assert capabilities.offered(NoLonger) == ("param_count",)
    assert capabilities.of(NoLonger(SPEC), "scale_") is None
    assert capabilities.misnamed(NoLonger) == {}


def test_a_part_of_a_module_that_has_such_a_name_by_chance_is_no_capability():
    module = Plain(SPEC)
    module.support = torch.nn.Linear(1, 1)
    assert capabilities.offered(module) == ()


def test_an_unknown_capability_is_a_mistake_of_the_caller():
    with pytest.raises(KeyError, match="merge"):
        capabilities.of(Plain, "merge")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("scale", "scale_"),
        ("Scale_", "scale_"),
        ("constrain", "constrain_"),
        ("contrain_", "constrain_"),
        ("constraints", "constrain_"),
        ("param_group", "param_groups"),
        ("parameter_groups", "param_groups"),
        ("paramcount", "param_count"),
        ("param_counts", "param_count"),
        ("flops_kernel", None),
        ("kernel_flop", "kernel_flops"),
        ("regulariser", "regularizers"),
        ("regularisers", "regularizers"),
        ("regularizer", "regularizers"),
        ("supports", "support"),
        ("to_statespace", "to_state_space"),
        ("state_space", "to_state_space"),
        ("importstate", "import_state"),
        ("_scale", None),
        ("atoms", None),
        ("bandwidth", None),
        ("place", None),
        ("shape", None),
    ],
)
def test_a_public_name_close_to_a_capability_is_found(name, meant):
    made = type("Made", (Plain,), {name: lambda self: None})
    assert capabilities.misnamed(made) == ({} if meant is None else {name: meant})


def test_a_near_miss_in_a_base_class_of_the_family_or_as_an_attribute_is_found_and_one_of_torch_is_not():
    base = type("Base", (Plain,), {"scale": 2.0})
    assert capabilities.misnamed(type("Made", (base,), {})) == {"scale": "scale_"}
    assert capabilities.misnamed(type("Made", (Plain,), {"parameters": Plain.parameters, "float": Plain.float})) == {}


def test_a_capability_that_is_no_method_is_found_and_not_offered():
    made = type("Made", (Plain,), {"scale_": 3.0})
    assert capabilities.misnamed(made) == {"scale_": "scale_"}
    assert capabilities.of(made(SPEC), "scale_") is None


def test_a_near_miss_does_not_stop_a_family_from_being_built():
    made = type("Made", (Plain,), {"scale": lambda self: None})
    assert kernbench.KernelFamily("made", made).build(SPEC)(SPEC.grid()).shape == (2, 1, 5)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_capability_is_documented_with_an_example_and_listed_in_the_base_class(name):
    arguments = capabilities.CAPABILITIES[name].arguments
    assert f"### `{name}({arguments})`" in (REPOSITORY / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert re.search(rf"^ +{name}\({re.escape(arguments)}\): ", inspect.getdoc(kernbench.KernelModule), re.MULTILINE)


def test_no_code_looks_a_capability_up_by_itself():
    asked = re.compile(rf"(?:get|has)attr\([^)]*[\"'](?:{'|'.join(NAMES)})[\"']")
    files = [file for folder in ("kernbench", "benchmarks") for file in (REPOSITORY / folder).rglob("*.py")]
    assert not [str(file) for file in files if asked.search(file.read_text(encoding="utf-8"))]


class Documented(kernbench.KernelModule):
    """What the examples of docs/hooks.md take for granted."""

    threshold, reach = 0.1, 2.0

    def __init__(self, spec):
        super().__init__(spec)
        self.last = torch.nn.Linear(2, 3)
        self.mix = self.weight = torch.nn.Parameter(torch.rand(*spec.shape[:2], 1))
        self.place, self.log_width = torch.nn.Parameter(torch.tensor(3.0)), torch.nn.Parameter(torch.tensor(-2.0))
        self.width = torch.tensor(2.0)

    def mask(self, grid):
        return torch.exp(-((grid.lags / 1.5) ** 2))

    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / self.width)


def test_the_examples_of_the_page_do_what_it_says():
    page = (REPOSITORY / "docs" / "hooks.md").read_text(encoding="utf-8")
    section = page.partition("## What a kernel module may offer")[2].partition("## `kernbench_networks()`")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert len(blocks) == len(NAMES)
    members = {"torch": torch, "kernbench": kernbench}
    for block in blocks[:-1]:
        exec(block, members)
    made = type("Made", (Documented,), {name: member for name, member in members.items() if name in NAMES})
    module = made(kernbench.KernelSpec(2, 1, kernel_size=5, side="causal"))
    grid = module.spec.grid()
    assert set(capabilities.offered(module)) == NAMES - {"import_state"}
    with torch.no_grad():
        module.constrain_()
        bias = module.last.bias.clone()
        module.scale_(2.0)
    assert (module.place.item(), module.log_width.item()) == (2.0, pytest.approx(-0.7))
    torch.testing.assert_close(module.last.bias, 2 * bias)
    assert made.param_count(module.spec) == 16 * 4
    assert made.kernel_flops(module.spec) == 2 * 5 * 16 * 2
    assert [group.get("lr_mult") for group in module.param_groups()] == [None, 0.1]
    assert module.regularizers()["smoothness"].item() > 0
    assert module.support(grid) == (2, 5)  # exp(-(2 / 1.5)^2) is 0.17, exp(-(3 / 1.5)^2) 0.02
    ((a, b, c, d),) = module.to_state_space()
    taps = torch.stack([d, *((c @ torch.linalg.matrix_power(a, n) @ b)[..., 0] for n in range(4))], dim=-1)
    torch.testing.assert_close(taps, module(grid).flip(-1))
