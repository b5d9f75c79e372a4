"""Every hook is tested and documented, with its exact signature."""

import inspect
from pathlib import Path

import pytest

import kernbench
from kernbench import hookspecs, registry

REPOSITORY = Path(__file__).resolve().parent.parent

HOOKS_PAGE = REPOSITORY / "docs" / "hooks.md"


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("kernbench_")])
def test_every_hook_is_tested_and_documented(hook):
    parameters = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"{hook}({parameters})" in HOOKS_PAGE.read_text(encoding="utf-8")
    assert any(f"def test_{hook}" in file.read_text(encoding="utf-8") for file in (REPOSITORY / "tests").rglob("*.py"))


def test_kernbench_kernels(tmp_path):
    file = tmp_path / "two.py"
    file.write_text(
        "import kernbench\n"
        "@kernbench.hookimpl\n"
        "def kernbench_kernels():\n"
        "    return [kernbench.KernelFamily('one', 'a:B'), kernbench.KernelFamily('two', 'a:C')]\n",
        encoding="utf-8",
    )
    assert registry.find_family(f"{file}:two").module == "a:C"
    with pytest.raises(kernbench.KernbenchError, match="has no family 'tow'; did you mean 'two'"):
        registry.find_family(f"{file}:tow")
