"""Every hook is tested and documented, with its exact signature."""

import inspect
import re
from pathlib import Path

import pytest
import torch

import kernbench
from kernbench import hookspecs
from kernbench.kernels.conformance import check_family

REPOSITORY = Path(__file__).resolve().parent.parent

HOOKS_PAGE = REPOSITORY / "docs" / "hooks.md"


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("kernbench_")])
def test_every_hook_is_tested_and_documented(hook):
    parameters = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"{hook}({parameters})" in HOOKS_PAGE.read_text(encoding="utf-8")
    assert any(f"def test_{hook}" in file.read_text(encoding="utf-8") for file in (REPOSITORY / "tests").rglob("*.py"))


def example(of):
    """The functions of the block that shows a capability, run."""
    blocks = re.findall(r"```python\n(.*?)```", HOOKS_PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    namespace = {"torch": torch}
    exec(next(block for block in blocks if f"def {of}(" in block), namespace)  # the page of this repository
    return {name: each for name, each in namespace.items() if callable(each)}


class Decaying(kernbench.KernelModule):
    """w exp(-|lag| / width)."""

    def __init__(self, spec, smoothness=0.0):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape[:2], 1))
        self.width = torch.nn.Parameter(torch.tensor([8.0]))

    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / self.width)


@pytest.mark.parametrize(("name", "check"), [("to_state_space", "state-space"), ("regularizers", "regularizers")])
def test_the_example_of_a_capability_keeps_its_contract(name, check):
    offering = type("Offering", (Decaying,), {name: example(name)[name]})
    space = {"smoothness": kernbench.Float(0.0, 1.0, default=0.0)}
    results = check_family(kernbench.KernelFamily("offering", offering, space=space))
    (result,) = (each for each in results if each.name == check)
    assert (result.state, result.detail != "not offered") == ("ok", True), result
    assert [each for each in results if each.failed] == []
