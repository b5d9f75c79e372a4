"""Every hook is tested and documented, with its exact signature."""

import inspect
from pathlib import Path

import pytest

from kernbench import hookspecs

REPOSITORY = Path(__file__).resolve().parent.parent

HOOKS_PAGE = REPOSITORY / "docs" / "hooks.md"


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("kernbench_")])
def test_every_hook_is_tested_and_documented(hook):
    parameters = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"{hook}({parameters})" in HOOKS_PAGE.read_text(encoding="utf-8")
    assert any(f"def test_{hook}" in file.read_text(encoding="utf-8") for file in (REPOSITORY / "tests").rglob("*.py"))
