"""docs/kernels.md is what the families say of themselves today, with a picture of each."""

import importlib.util
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("kernels_page", REPOSITORY / "benchmarks" / "kernels_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run python benchmarks/kernels_page.py"


def test_every_family_and_no_other_one_has_a_picture(script):
    names = {family.name for _, _, family in script.families()}
    assert {path.stem for path in script.PICTURES.glob("*")} == names


def test_every_family_gives_a_formula_a_count_and_a_citation(script):
    for _, _, family in script.families():
        text = script.section(family)
        assert "```text\n```" not in text, family.name
        assert "Parameters: " in text, family.name
        assert len(family.citation) > 8, family.name
