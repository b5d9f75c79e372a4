"""The documentation as a site: each page has its place, each public name its entry, nothing comes from other hosts."""

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
SITE = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
PUBLIC = (
    "kernbench",
    "kernbench.conv",
    "kernbench.kernels",
    "kernbench.networks",
    "kernbench.statistics",
    "kernbench.ulm",
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def places(nav):
    """The pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    return [page for each in nav for page in places(next(iter(each.values())) if isinstance(each, dict) else each)]


def directives():
    text = "".join((DOCS / page).read_text(encoding="utf-8") for page in PAGES)
    return re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE)


def resolved(name):
    """A name with dots, imported."""
    module, _, attribute = name.rpartition(".")
    found = importlib.import_module(module)
    return getattr(found, attribute, None) or importlib.import_module(name)


def site_check():
    spec = importlib.util.spec_from_file_location("site_check", DOCS / "site_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_has_one_place_in_the_navigation():
    assert sorted(places(SITE["nav"])) == PAGES


def test_a_new_user_meets_the_pages_in_this_order():
    first = ["index.md", "why.md", "quickstart.md", "tutorial.md", "python.md", "docker.md", "studies.md"]
    assert places(SITE["nav"])[: len(first)] == first


def test_the_first_page_leads_to_every_other():
    assert {link.partition("#")[0] for link in LINK.findall((DOCS / "index.md").read_text(encoding="utf-8"))} >= (
        set(PAGES) - {"index.md"}
    )


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_stay_in_the_documentation(page):
    """Another folder is on GitHub and not on the site."""
    for link in LINK.findall((DOCS / page).read_text(encoding="utf-8")):
        if not link.startswith(("https:", "#")):
            target = ((DOCS / page).parent / link.partition("#")[0]).resolve()
            assert target.is_relative_to(DOCS), link
            assert target.is_file(), link


def test_every_name_of_the_reference_is_there_and_documented():
    names = directives()
    assert len(names) == len(set(names))
    assert {name for name in names if not resolved(name).__doc__} == set()


def test_every_public_name_is_in_the_reference():
    objects = [resolved(name) for name in directives()]
    public = {f"{module}.{name}" for module in PUBLIC for name in importlib.import_module(module).__all__}
    named = {name for name in public if not inspect.ismodule(resolved(name))}  # packages have pages of their own
    assert {name for name in named if not any(resolved(name) is each for each in objects)} == {"kernbench.hookimpl"}
    assert "@kernbench.hookimpl" in (DOCS / "hooks.md").read_text(encoding="utf-8")


def test_the_site_asks_no_other_host_for_anything():
    assert SITE["theme"]["font"] is False
    assert SITE["strict"] is True
    assert SITE["hooks"] == ["docs/site_check.py"]
    assert not SITE.keys() & {"extra_css", "extra_javascript", "repo_url"}


def test_what_a_page_would_load_from_elsewhere_is_found():
    page = """<script src="https://cdn.invalid/a.js"></script><img src="//cdn.invalid/b.png"><img src="img/own.png">
    <link rel="stylesheet" href="http://cdn.invalid/c.css"><a href="https://a.invalid">followed, not loaded</a>"""
    assert site_check().loaded_from_elsewhere(page) == [
        "https://cdn.invalid/a.js",
        "//cdn.invalid/b.png",
        "http://cdn.invalid/c.css",
    ]


def test_it_is_built_without_a_warning_and_without_torch(tmp_path):
    pytest.importorskip("mkdocstrings")
    pytest.importorskip("material")
    code = (
        "import sys; sys.modules['torch'] = None  # importing it would fail\n"
        f"from mkdocs.__main__ import cli; cli(['build', '--strict', '--site-dir', {str(tmp_path)!r}])"
    )
    built = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    reference = (tmp_path / "api" / "conv.html").read_text(encoding="utf-8")
    assert "Valid cross-correlation" in reference  # from the docstring
    assert not (tmp_path / "site_check.py").exists()
