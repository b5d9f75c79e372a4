"""The example distribution: its family keeps the contract, its own tests pass, and a clean environment installs it."""

import importlib
from pathlib import Path

import pytest

from kernbench.kernels.conformance import check_family

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(each.parent for each in (REPOSITORY / "examples").glob("*/pyproject.toml"))


@pytest.fixture(params=EXAMPLES, ids=lambda folder: folder.name)
def example(request, monkeypatch):
    """An example's folder, its package importable."""
    monkeypatch.syspath_prepend(str(request.param))
    return request.param


def test_there_is_one():
    assert [each.name for each in EXAMPLES] == ["kernbench_hermite"]


def test_its_family_passes_every_check(example):
    for family in importlib.import_module(example.name).kernbench_kernels():
        assert [each for each in check_family(family) if not each.passed] == []


def test_its_own_tests_pass(example, monkeypatch):
    monkeypatch.syspath_prepend(str(example / "tests"))
    modules = [importlib.import_module(each.stem) for each in sorted((example / "tests").glob("test_*.py"))]
    tests = [value for module in modules for name, value in vars(module).items() if name.startswith("test_")]
    assert tests
    for each in tests:
        each()


def test_its_readme_names_what_it_offers(example):
    package = importlib.import_module(example.name)
    text = (example / "README.md").read_text(encoding="utf-8")
    offered = [each.name for each in [*package.kernbench_kernels(), *package.kernbench_networks()]]
    studies = [each.stem for each in (example / example.name / "studies").glob("*.toml")]
    assert studies
    assert [name for name in [*offered, *studies] if f"`{name}`" not in text] == []


def test_the_package_environment_installs_and_runs_it(example):
    commands = (REPOSITORY / "tox.ini").read_text(encoding="utf-8").partition("[testenv:package]")[2]
    assert f"{{tox_root}}/examples/{example.name}" in commands
    for family in importlib.import_module(example.name).kernbench_kernels():
        assert f"kernbench check {family.name}" in commands
        assert f"kernbench run --plugin {family.name}" in commands
