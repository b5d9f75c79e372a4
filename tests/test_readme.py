"""The README's commands and examples work as printed."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
import torch

from kernbench.kernels import KernelSpec, LagGrid

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PLUGINS = (REPOSITORY / "plugins" / "README.md").read_text(encoding="utf-8")
TUTORIAL = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_readme_begins_with_two_commands():
    first, second, *_ = blocks(README, "bash")
    assert first.count("\n") == second.count("\n") == 1
    assert "kernbench run --plugin siren --study k_sweep" in first
    assert second.rstrip().endswith("tox")


def test_ci_calls_the_readme_test_command():
    test_command = blocks(README, "bash")[1].strip()
    assert test_command in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")


def test_readme_names_the_cpu_build_of_the_tested_torch():
    torch = re.search(r"^torch==.*$", (REPOSITORY / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)[0]
    command = f"pip install {torch} --index-url https://download.pytorch.org/whl/cpu"
    assert command in blocks(README, "bash")[2]


def test_every_command_in_the_readme_is_one_that_exists():
    from kernbench.cli import cli

    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = {re.match(r"kernbench ([a-z-]+)", code)[1] for code in re.findall(r"`(kernbench [^`]+)`", prose)}
    for block in blocks(README, "bash"):
        named |= {shlex.split(line)[1] for line in block.splitlines() if line.startswith("kernbench ")}
    assert named <= set(cli.list_commands(None))


def test_links_lead_somewhere():
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "plugins" / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_readme_and_tutorial_show_the_same_plugin():
    example = next(block for block in blocks(README, "python") if "class Ringing" in block)
    assert example in blocks(TUTORIAL, "python")


@pytest.mark.parametrize("page", [README, TUTORIAL, PLUGINS], ids=["readme", "tutorial", "plugins"])
def test_ten_line_plugin_passes_the_check(page, tmp_path):
    from kernbench.kernels.conformance import check_family
    from kernbench.registry import find_family

    file = tmp_path / "my_kernel.py"
    file.write_text(next(block for block in blocks(page, "python") if "class Ringing" in block), encoding="utf-8")
    failed = [result for result in check_family(find_family(f"{file}:ringing")) if not result.passed]
    assert not failed


@pytest.mark.parametrize("name", ["Ringing", "Rings"])
@pytest.mark.parametrize("side", ["centered", "causal", "anticausal"])
def test_the_first_kernel_starts_at_the_lags_that_it_is_asked_for(name, side):
    namespace = {"__name__": "tutorial"}
    exec(next(block for block in blocks(TUTORIAL, "python") if f"class {name}(" in block), namespace)  # this page
    hyper = {"b": 8.0, "terms": 2, "phase": "zero"} if name == "Rings" else {}
    for spec in (
        KernelSpec(30, 30, kernel_size=9, side=side),
        KernelSpec(30, 30, kernel_size=8, dilation=4, side=side),
    ):
        torch.manual_seed(0)
        center = namespace[name](spec, **hyper).center.detach()
        lags, step = spec.grid().lags, spec.dilation
        assert lags[0] - step / 2 <= center.min() < lags[1]
        assert lags[-2] < center.max() <= lags[-1] + step / 2


def test_the_first_kernel_starts_a_centered_kernel_as_it_always_did():
    namespace = {"__name__": "tutorial"}
    exec(next(block for block in blocks(TUTORIAL, "python") if "class Ringing(" in block), namespace)  # this page
    for taps in (3, 8, 17, 257):
        torch.manual_seed(0)
        module = namespace["Ringing"](KernelSpec(4, 3, kernel_size=taps))
        torch.manual_seed(0)
        weight = torch.randn(4, 3, 1)
        assert torch.equal(module.weight, weight)
        assert torch.equal(module.center, (torch.rand(4, 3, 1) - 0.5) * taps)


def test_the_tutorial_lists_what_spec_and_grid_have():
    idea = TUTORIAL.partition("## A first kernel")[2].partition("\n## ")[0]
    tables = [part.partition("\n\n")[0] for part in idea.split("| of `")[1:]]
    for each, table in zip((KernelSpec, LagGrid), tables, strict=True):
        cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
        public = {name for name in {*dir(each), *each.__dataclass_fields__} if not name.startswith("_")}
        assert set(re.findall(r"`(\w+)", cells)) == public


def test_the_tutorial_lists_every_check_in_its_order():
    from kernbench.kernels.checks import CHECKS

    table = TUTORIAL.partition("## Check it")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", table, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(CHECKS)


def test_the_tutorials_inclusion_holds():
    from kernbench.kernels.conformance import check_family

    namespace = {"__name__": "tutorial"}
    python = blocks(TUTORIAL, "python")
    for part in ("class Ringing", "class Rings(", "def rings_of_ringing"):
        exec(next(block for block in python if part in block), namespace)  # the page of this repository
    (rings,) = namespace["kernbench_kernels"]()  # of the second block
    rings = dataclasses.replace(rings, contains=namespace["contains"])
    (result,) = (each for each in check_family(rings) if each.name == "inclusions")
    assert (result.state, "ringing" in result.detail) == ("ok", True), result
