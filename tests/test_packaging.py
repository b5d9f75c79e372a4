"""What is installed is what is in the tree, and outside packages use the same door."""

import re
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from kernbench.registry import installed
from kernbench.study.reading import available_studies

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
TABLE = PROJECT["tool"]["setuptools"]


def source_packages():
    """Import name -> folder of everything that should be installed."""
    core = {f.parent for f in (REPOSITORY / "kernbench").rglob("__init__.py")}
    packages = {".".join(folder.relative_to(REPOSITORY).parts): folder for folder in core}
    packages |= {folder.name: folder for folder in (REPOSITORY / "plugins").iterdir() if folder.is_dir()}
    packages = {name: folder for name, folder in packages.items() if "__pycache__" not in name}
    return packages | {"kernbench_studies": REPOSITORY / "studies"}


def test_every_package_is_listed():
    assert sorted(TABLE["packages"]) == sorted(source_packages())


def test_every_package_folder_is_the_one_in_the_tree():
    for name, folder in source_packages().items():
        top, _, rest = name.partition(".")
        mapped = REPOSITORY / TABLE["package-dir"][top] / rest.replace(".", "/")
        assert mapped.resolve() == folder.resolve()


def test_every_bundled_plugin_has_an_entry_point():
    entries = PROJECT["project"]["entry-points"]["kernbench"]
    folders = {folder.name for folder in (REPOSITORY / "plugins").iterdir() if (folder / "__init__.py").exists()}
    assert set(entries.values()) == folders


def test_installed_entry_points_are_those_of_the_tree():
    bundled = {e.name: e.value for e in entry_points(group="kernbench") if e.dist and e.dist.name == "kernbench"}
    assert bundled == PROJECT["project"]["entry-points"]["kernbench"]


def _pins(path):
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line)


def _lower_bounds():
    extras = [line for group in PROJECT["project"]["optional-dependencies"].values() for line in group]
    found = (re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", line) for line in PROJECT["project"]["dependencies"] + extras)
    return {match[1]: match[2] for match in found if match}


def _version(text):
    parts = [int(part) for part in text.split(".") if part.isdigit()]  # without "post0"
    return tuple(parts + [0] * (3 - len(parts)))


def test_lowest_constraints_are_the_lower_bounds():
    lowest = _pins(REPOSITORY / "constraints-lowest.txt")
    assert {name: _version(v) for name, v in lowest.items()} == {n: _version(v) for n, v in _lower_bounds().items()}


def test_tested_versions_satisfy_the_lower_bounds():
    tested = {name.lower(): _version(version) for name, version in _pins(REPOSITORY / "constraints.txt").items()}
    for name, bound in _lower_bounds().items():
        assert tested[name.lower()] >= _version(bound), name


def test_studies_are_found_where_they_are_installed():
    in_tree = {file.stem for file in (REPOSITORY / "studies").glob("*.toml")}
    assert set(available_studies()) == in_tree


# An outside distribution, as an installer leaves it in a folder of packages.
OUTSIDE = {
    "kernbench_outside-2.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: kernbench-outside\nVersion: 2.5\n",
    "kernbench_outside-2.5.dist-info/entry_points.txt": """
[kernbench]
outside = kernbench_outside
broken = kernbench_broken
[kernbench.studies]
outside = kernbench_outside
""",
    "kernbench_outside/__init__.py": """
import kernbench

@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("far_away", "kernbench_outside.kernel:FarAway", resampling="none")]
""",
    "kernbench_outside/kernel.py": """
import torch
import kernbench

class FarAway(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape))
    def forward(self, grid):
        return self.weight
""",
    "kernbench_outside/outside_study.toml": 'version = 1\nquestion = "from outside"\n[axes]\nkernel_size = [5]\n',
    "kernbench_broken/__init__.py": 'raise RuntimeError("I am broken")\n',
}


@pytest.fixture
def outside(bench, tmp_path, monkeypatch):
    """The command line beside an outside distribution; called with what KERNBENCH_LOAD_PLUGINS says, or None."""
    for name, content in OUTSIDE.items():
        path = tmp_path / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delenv("KERNBENCH_LOAD_PLUGINS")

    def run(*words, plugins=None):
        if plugins is not None:
            monkeypatch.setenv("KERNBENCH_LOAD_PLUGINS", plugins)
        installed.cache_clear()
        return bench.run(*words)

    yield run
    installed.cache_clear()
    for name in [name for name in sys.modules if name.startswith("kernbench_outside")]:
        del sys.modules[name]


def test_outside_distribution_is_found_and_its_broken_plugin_isolated(outside):
    plugins = outside("list", "plugins").out
    assert "far_away" in plugins
    assert "kernbench-outside 2.5" in plugins
    assert re.search(r"broken +BROKEN: RuntimeError: I am broken", plugins)
    assert "siren" in plugins
    assert "outside_study" in outside("list", "studies").out
    assert outside("check", "far_away").code == 0
    broken = outside("check", "broken")
    assert (broken.code, broken.err.count("\n")) == (2, 1), broken
    assert "I am broken" in broken.err


def test_load_plugins_limits_what_is_loaded(outside):
    assert "far_away" not in outside("list", "plugins", plugins="bundled").out
    assert outside("list", "plugins", plugins="outside").out.split()[0] == "far_away"
    assert outside("list", "plugins", plugins="").out == ""
