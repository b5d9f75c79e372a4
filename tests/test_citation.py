"""CITATION.cff says what pyproject.toml and the licence say, and every reference has what a citation needs."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
CITATION = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_software_is_that_of_pyproject():
    own = {name: CITATION[name] for name in ("title", "version", "license", "authors", "keywords")}
    wanted = {name: PROJECT[name] for name in ("version", "license", "authors", "keywords")}
    assert own == wanted | {"title": PROJECT["name"]}
    assert CITATION["abstract"] == PROJECT["description"]
    assert (CITATION["cff-version"], CITATION["type"]) == ("1.2.0", "software")
    assert CITATION["message"]


def test_the_changelog_has_a_section_for_this_version_below_what_is_unreleased():
    sections = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sections[:2] == ["Unreleased", f"{CITATION['version']} - {CITATION['date-released'].isoformat()}"]


def test_the_authors_hold_the_licence():
    assert [author["name"] for author in CITATION["authors"]] == re.findall(
        r"Copyright \(c\) \d{4} (.+)", (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    )


def test_the_papers_are_those_on_which_the_project_rests():
    found = {(each["authors"][0]["family-names"], each["year"]) for each in CITATION["references"]}
    assert found == {("Blanken", 2022), ("Jonker", 2023), ("Romero", 2022), ("Sitzmann", 2020), ("Akiba", 2019)}


@pytest.mark.parametrize("reference", CITATION["references"], ids=lambda each: each["authors"][0]["family-names"])
def test_a_reference_is_complete(reference):
    assert reference["type"] in {"article", "thesis", "conference-paper"}
    assert reference["title"]
    assert reference["notes"].endswith(".")
    assert all({"family-names", "given-names"} == set(author) for author in reference["authors"])
    # where it appeared, by the field that its type has
    assert reference.keys() & {"journal", "institution", "collection-title"}
    assert re.fullmatch(r"10\.\d{4,}/\S+", reference.get("doi", "10.1234/none"))
    assert not reference.get("url") or reference["url"].startswith("https://")
