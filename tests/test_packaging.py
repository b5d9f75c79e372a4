"""What is installed is what is in the tree, and outside packages use the same door."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

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
    from kernbench.study.reading import available_studies

    in_tree = {file.stem for file in (REPOSITORY / "studies").glob("*.toml")}
    assert set(available_studies()) == in_tree


OUTSIDE = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "kernbench-outside"
version = "2.5"
[project.entry-points.kernbench]
outside = "kernbench_outside"
broken = "kernbench_broken"
[project.entry-points."kernbench.studies"]
outside = "kernbench_outside"
[tool.setuptools]
packages = ["kernbench_outside", "kernbench_broken"]
[tool.setuptools.package-data]
kernbench_outside = ["*.toml"]
""",
    "kernbench_outside/__init__.py": '''
"""Outside."""
import kernbench

@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("far_away", "kernbench_outside.kernel:FarAway", description="from outside")]
''',
    "kernbench_outside/kernel.py": '''
"""One free tap far away."""
import torch
import kernbench


class FarAway(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape))
    def forward(self, grid):
        return self.weight
''',
    "kernbench_outside/outside_study.toml": 'version = 1\nquestion = "from outside"\n[axes]\nkernel_size = [5]\n',
    "kernbench_broken/__init__.py": 'raise RuntimeError("I am broken")\n',
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """An outside distribution, built on the fly and installed into a folder of its own."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name, content in OUTSIDE.items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content.lstrip(), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return target


def _kernbench(outside: Path, *words: str, plugins: str | None = None):
    import os

    environment = {k: v for k, v in os.environ.items() if k != "KERNBENCH_LOAD_PLUGINS"}
    environment["PYTHONPATH"] = str(outside)
    if plugins is not None:
        environment["KERNBENCH_LOAD_PLUGINS"] = plugins
    command = [sys.executable, "-m", "kernbench", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_outside_distribution_is_found_and_its_broken_plugin_isolated(outside):
    plugins = _kernbench(outside, "list", "plugins")
    assert "far_away" in plugins.stdout
    assert "kernbench-outside 2.5" in plugins.stdout
    assert re.search(r"broken +BROKEN: RuntimeError: I am broken", plugins.stdout)
    assert "siren" in plugins.stdout
    assert "outside_study" in _kernbench(outside, "list", "studies").stdout
    assert _kernbench(outside, "check", "far_away").returncode == 0


@pytest.mark.slow
def test_asking_for_the_broken_plugin_says_why(outside):
    result = _kernbench(outside, "check", "broken")
    assert result.returncode == 2
    assert "I am broken" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_load_plugins_limits_what_is_loaded(outside):
    assert "far_away" not in _kernbench(outside, "list", "plugins", plugins="bundled").stdout
    assert _kernbench(outside, "list", "plugins", plugins="outside").stdout.split()[0] == "far_away"
    assert _kernbench(outside, "list", "plugins", plugins="").stdout == ""
